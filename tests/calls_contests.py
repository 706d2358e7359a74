"""Calls of `contests`, `ranks` and the figures of the zoo, for the fuzzer."""

import torch
from drawing import TEXTS, axes, drawing
from fuzzing import Call

from course_utils.contests import make_bowl, make_network, make_words, pool, walk
from course_utils.optimizers import ZOO
from course_utils.plotting import zoo
from course_utils.ranks import critical_difference, friedman, mean_ranks, studentized_range_quantile


def bowl(params, step):
    return params[0].square().sum((-2, -1)) / 2


def images(number, pixels):
    return torch.arange(float(number * pixels)).reshape(number, pixels) / (number * pixels)


def scores():
    return torch.tensor([[0.3, 0.1, 0.2], [3.0, 2.5, 4.0], [1.0, 0.5, 0.7]], dtype=torch.float64)


ANY_SEEDS = {"seeds": ("entry missing", "entry twice", "entry 0")}
NUMBERS = (
    "whole numbers",
    "half",
    "negative",
    "huge",
    "one row fewer",
    "one column more",
)  # only the order counts

CALLS = [
    Call(walk, lambda: {"rule": ZOO["Adam"], "losses": bowl, "starts": [torch.ones(2, 3, 4)], "lrs": [0.1, 0.2],
                        "num_steps": 3, "share": lambda step: 0.5, "weight_decay": 0.1, "on_step": None},
         takes={"losses": ("function that returns nan",),  # numbers that are none come out again
                "starts": ("entry nan", "entry inf", "entry half", "entry negative", "entry huge",
                           "entry one row fewer", "entry one column more"),
                "lrs": ("entry missing", "entry twice", "entry 1e308"), "share": ("None",),
                "weight_decay": ("0.0", "1e308")}),
    Call(make_bowl, lambda: {"seeds": [1, 2], "condition": 10.0, "size": 3, "turned": True}, takes=ANY_SEEDS),
    Call(make_words, lambda: {"seeds": [1, 2], "num_words": 8, "num_classes": 3, "num_examples": 20, "length": 3,
                              "batch_size": 5}, takes=ANY_SEEDS),
    Call(make_network, lambda: {"seeds": [1, 2], "images": images(12, 9), "labels": torch.arange(12) % 3,
                                "width": 4, "batch_size": 5},
         takes={**ANY_SEEDS, "images": ("one column more", "nan", "inf", "half", "negative", "huge"),
                "labels": ("too large",)}),  # its largest says how many classes there are
    Call(pool, lambda: {"images": images(2, 16), "side": 4, "block": 2},
         takes={"images": ("empty", "one row fewer", "nan", "inf", "half", "negative", "huge")}),
    Call(mean_ranks, lambda: {"scores": scores()}, takes={"scores": NUMBERS}),
    Call(friedman, lambda: {"scores": scores()}, takes={"scores": NUMBERS}),
    Call(studentized_range_quantile, lambda: {"p": 0.95, "k": 4}, takes={"p": ("0.0",)}),
    Call(critical_difference, lambda: {"k": 4, "num_tasks": 3, "confidence": 0.95}, takes={"confidence": ("0.0",)}),
    drawing(zoo.plot_family, lambda: {"places": {"SGD": (0, 0), "Adam": (1, 1)}, "columns": ["a", "b"],
                                      "rows": ["c", "d"], "descents": [("SGD", "Adam")], "xlabel": "x", "ylabel": "y",
                                      "ax": axes()},
            {"places": ("entry 0",), "columns": (*TEXTS, "entry twice"), "rows": (*TEXTS, "entry twice"),
             "descents": ("empty", "entry missing", "entry twice")}),
    drawing(zoo.plot_ranks, lambda: {"ranks": {"SGD": [1, 2], "Adam": [2, 1]}, "critical_difference": 0.5,
                                     "tasks": ["a", "b"], "ax": axes()},
            {"ranks": ("key missing", "other key", "entry 0.5"), "critical_difference": ("0.0",), "tasks": TEXTS}),
]  # fmt: skip
EXEMPT: dict[str, str] = {}
