"""Calls of `landscapes`, for the fuzzer: a network of 13 weights on four examples, and runs on a bowl."""

import torch
import torch.nn.functional as F
from fuzzing import Call

from course_utils.landscapes import (
    barrier,
    bezier,
    filter_normalized_direction,
    loss_along_curve,
    loss_along_line,
    loss_on_plane,
    loss_on_plane_by_linearity,
    normalize_filters,
    orthogonal_directions,
    random_direction,
    train_bend,
    trajectories,
    weights_of,
)
from course_utils.models import MLP
from course_utils.optimizers import RULES
from course_utils.seeding import make_generator

NUMBERS = ("nan", "inf", "negative", "huge", "half")  # they come out again
POINT = tuple(f"entry {how}" for how in NUMBERS)
# a direction has one entry per weight, whatever their number and size
ANY_WEIGHTS = (
    *("empty", "key missing", "other key", *POINT, "nan vanishes"),
    *(
        f"entry {how}"
        for how in ("empty", "one more dimension", "one dimension fewer", "one row fewer", "one column more")
    ),
)
ANY_MODEL = ("module without weights", "module of another size", "module with nan")
RETURNS_NAN = "function that returns nan"
LOSS = {
    "loss": (RETURNS_NAN,),
    "x": ("nan", "inf", "negative", "huge"),
    "model": ("module with nan",),  # its weights are not used
} | dict.fromkeys(("start", "bend", "end", "centre", "directions"), POINT)


def network(seed=0):
    return MLP((2, 2, 3), generator=make_generator(seed))


def weights(seed=0):
    return weights_of(network(seed))


def examples():
    x = torch.tensor([[0.5, -1.0], [2.0, 0.3], [0.7, -0.2], [-0.4, 1.1]])
    return {"model": network(), "x": x, "y": torch.tensor([0, 2, 1, 1]), "loss": F.cross_entropy}


def t():
    return torch.linspace(0, 1, 5, dtype=torch.float64)


def bowl(w):
    return w.square().sum(-1)


def plane():
    return {"centre": weights(), "directions": (weights(1), weights(2))}


def on_examples(function, takes, points, **numbers):
    """Return the call of a function of a network, its loss on the examples, and points of weight space."""
    names = {"directions": ("direction",)}
    return Call(function, lambda: {**examples(), **points(), **numbers}, takes=LOSS | takes, names=names)


CALLS = [
    Call(
        barrier,
        lambda: {"t": t(), "losses": (t() - 0.5) ** 2},
        takes={"t": ("half",), "losses": ("one more dimension", *NUMBERS)},
    ),
    Call(
        bezier,
        lambda: {"start": weights(), "bend": weights(1), "end": weights(2), "t": 0.25},
        takes={"start": POINT, "bend": POINT, "end": POINT, "t": ("0.0",)},
    ),
    Call(weights_of, lambda: {"model": network()}, takes={"model": ANY_MODEL}),
    Call(
        random_direction,
        lambda: {"weights": weights(), "generator": make_generator(0)},
        takes={"weights": ANY_WEIGHTS},
    ),
    Call(
        normalize_filters,
        lambda: {"direction": weights(1), "weights": weights()},
        takes={"direction": POINT, "weights": POINT},
    ),
    Call(
        filter_normalized_direction,
        lambda: {"weights": weights(), "generator": make_generator(0)},
        takes={"weights": ANY_WEIGHTS},
    ),
    Call(
        orthogonal_directions,
        lambda: {"weights": weights(), "generator": make_generator(0)},
        takes={"weights": ANY_WEIGHTS},
    ),
    on_examples(
        loss_along_line,
        {"span": ("entry -1.0", "entry 0.0")},
        lambda: {"start": weights(), "end": weights(1), "span": (0.0, 1.0)},
        num_points=3,
    ),
    on_examples(
        loss_along_curve,
        {},
        lambda: {"start": weights(), "bend": weights(1), "end": weights(2)},
        num_points=3,
    ),
    on_examples(
        train_bend,
        {"lr": ("1e308",)},
        lambda: {"start": weights(), "end": weights(2), "generator": make_generator(0)},
        num_steps=2,
        batch_size=3,
        lr=0.01,
    ),
    on_examples(loss_on_plane, {}, plane, radius=1.0, num_points=3),
    on_examples(loss_on_plane_by_linearity, {}, plane, first="layers.0", radius=1.0, num_points=3),
    Call(
        trajectories,
        lambda: {
            "rule": RULES["momentum"],
            "value": bowl,
            "starts": torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.2, 0.3]], dtype=torch.float64),
            "lrs": [0.1, 0.2],
            "num_steps": 4,
            "clip_norm": 1.0,
            "record_every": 2,
            "momentum": 0.5,
        },
        takes={
            "value": (RETURNS_NAN,),
            "starts": (*NUMBERS, "empty", "one row fewer"),  # any number of runs, none too
            "lrs": ("entry missing", "entry twice", "entry 1e308"),
            "clip_norm": ("None", "1e308"),
            "momentum": ("0.0",),
        },
        names={"lrs": ("lr",)},
    ),
]
EXEMPT: dict[str, str] = {}
