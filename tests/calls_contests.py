"""Calls of `contests`, `ranks` and the figures of the zoo, for the fuzzer."""

import torch
from drawing import axes, drawing
from fuzzing import Call

from course_utils.contests import make_bowl, make_network, make_words, pool, walk
from course_utils.optimizers import ZOO
from course_utils.plotting import zoo
from course_utils.ranks import critical_difference, friedman, mean_ranks, studentized_range_quantile


def bowl(params, step):
    return params[0].square().sum((-2, -1)) / 2


def scores():
    return torch.tensor([[0.3, 0.1, 0.2], [3.0, 2.5, 4.0], [1.0, 0.5, 0.7]], dtype=torch.float64)


CALLS = [
    Call(walk, lambda: {"rule": ZOO["Adam"], "losses": bowl, "starts": [torch.ones(2, 3, 4)], "lrs": [0.1, 0.2],
                        "num_steps": 3, "share": lambda step: 0.5, "weight_decay": 0.1, "on_step": None}),
    Call(make_bowl, lambda: {"seeds": [1, 2], "condition": 10.0, "size": 3, "turned": True}),
    Call(make_words, lambda: {"seeds": [1, 2], "num_words": 8, "num_classes": 3, "num_examples": 20, "length": 3,
                              "batch_size": 5}),
    Call(make_network, lambda: {"seeds": [1, 2], "images": torch.rand(12, 9), "labels": torch.arange(12) % 3,
                                "width": 4, "batch_size": 5}),
    Call(pool, lambda: {"images": torch.rand(2, 16), "side": 4, "block": 2}),
    Call(mean_ranks, lambda: {"scores": scores()}),
    Call(friedman, lambda: {"scores": scores()}),
    Call(studentized_range_quantile, lambda: {"p": 0.95, "k": 4}),
    Call(critical_difference, lambda: {"k": 4, "num_tasks": 3, "confidence": 0.95}),
    drawing(zoo.plot_family, lambda: {"places": {"SGD": (0, 0), "Adam": (1, 1)}, "columns": ["a", "b"],
                                      "rows": ["c", "d"], "descents": [("SGD", "Adam")], "xlabel": "x", "ylabel": "y",
                                      "ax": axes()}),
    drawing(zoo.plot_ranks, lambda: {"ranks": {"SGD": [1, 2], "Adam": [2, 1]}, "critical_difference": 0.5,
                                     "tasks": ["a", "b"], "ax": axes()}),
]  # fmt: skip
EXEMPT: dict[str, str] = {}
