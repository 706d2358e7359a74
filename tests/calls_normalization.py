"""Calls of `normalization`, for the fuzzer: functions, layers used once, and clipping."""

import torch
from fuzzing import Call
from taken import NOT_NEGATIVE, NUMBERS, SHAPES, entries

from course_utils.normalization import (
    BatchNorm1d,
    LayerNorm,
    MovingNoise,
    RMSNorm,
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    clip_by_norm,
    clip_by_value,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    running_average,
)

X = ((0.5, -1.0, 2.0), (1.5, 0.25, -0.5), (-2.0, 1.0, 0.75), (0.25, 3.0, 1.0))


def x():
    return torch.tensor(X)


def scale():
    return {"gamma": torch.tensor([1.0, 0.5, 2.0])}


def scale_and_shift():
    return scale() | {"beta": torch.tensor([0.5, -1.0, 0.25])}


def used_once(cls):
    def make_and_use(x, **arguments):
        return cls(**arguments)(x)

    make_and_use.__qualname__ = f"{cls.__name__}, made and used"
    make_and_use.covers = f"{cls.__module__.removeprefix('course_utils.')}.{cls.__name__}"
    return make_and_use


def saved_by(function, **parameters):
    return lambda: {"grad_y": x() - 1, "saved": function(x(), **parameters)[1]}


# 1e308 as ε is a bad idea, and what the formula says
ANY = dict.fromkeys(
    ("grad_y", "x", "gamma", "beta", "running_mean", "running_var", "running", "new"), NUMBERS
)
ANY |= {"eps": NOT_NEGATIVE, "momentum": ("0.0",)}
FEWER = ANY | {"x": (*NUMBERS, "one row fewer")}  # of the examples
ANY_SHAPE = ANY | {"x": (*NUMBERS, "one row fewer", "one more dimension", "one dimension fewer")}
GRADS = (*entries(*NUMBERS, *SHAPES), "entry missing", "entry twice")
CALLS = [
    Call(batch_norm, lambda: {"x": x(), **scale_and_shift(), "eps": 1e-5}, takes=FEWER),
    Call(batch_norm_backward, saved_by(batch_norm, **scale_and_shift()), takes=ANY),
    Call(
        batch_norm_inference,
        lambda: {
            "x": x(),
            **scale_and_shift(),
            "running_mean": torch.tensor([0.5, 0.25, 0.0]),
            "running_var": torch.tensor([1.5, 0.5, 2.0]),
            "eps": 1e-5,
        },
        takes=FEWER,
    ),
    Call(
        running_average,
        lambda: {"running": torch.tensor([0.5, 0.25]), "new": torch.tensor([1.5, 1.0]), "momentum": 0.1},
        takes=ANY,
    ),
    Call(layer_norm, lambda: {"x": x(), **scale_and_shift(), "eps": 1e-5}, takes=ANY_SHAPE),
    Call(layer_norm_backward, saved_by(layer_norm, **scale_and_shift()), takes=ANY),
    Call(rms_norm, lambda: {"x": x(), **scale(), "eps": 1e-5}, takes=ANY_SHAPE),
    Call(rms_norm_backward, saved_by(rms_norm, **scale()), takes=ANY),
    Call(
        used_once(BatchNorm1d),
        lambda: {"x": x(), "num_features": 3, "eps": 1e-5, "momentum": 0.1},
        takes=FEWER,
    ),
    Call(used_once(LayerNorm), lambda: {"x": x(), "num_features": 3, "eps": 1e-5}, takes=ANY_SHAPE),
    Call(used_once(RMSNorm), lambda: {"x": x(), "num_features": 3, "eps": 1e-5}, takes=ANY_SHAPE),
    Call(
        used_once(MovingNoise),
        lambda: {"x": x(), "num_features": 3},
        takes=ANY | {"x": (*NUMBERS, "one row fewer", "empty")},
        names={"x": ("z",)},
    ),
    Call(
        clip_by_value,
        lambda: {"grads": [x(), torch.tensor([3.0, -4.0])], "limit": 0.5},
        takes={"grads": (*GRADS, "empty"), "limit": ("1e308",)},
    ),
    Call(
        clip_by_norm,
        lambda: {"grads": [x(), torch.tensor([3.0, -4.0])], "max_norm": 1.0, "eps": 1e-6},
        takes={"grads": GRADS, "max_norm": ("1e308",), "eps": NOT_NEGATIVE},
    ),
]
EXEMPT: dict[str, str] = {}
