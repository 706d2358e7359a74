"""Calls of `phase`, for the fuzzer."""

import torch
from fuzzing import Call
from taken import SHAPES, entries

from course_utils.phase import (
    correlation_map,
    covariance_map,
    critical_point,
    critical_sigma_w,
    depth_scales,
    fixed_variance,
    pair_slope,
    slope,
    variance_map,
)

WEIGHT = 0.2  # a fixed correlation takes 0.1 s
TAKES = {
    # numbers and tensors are both good where there may be a grid of them
    "kinks": ("empty", "entry missing", "entry twice", *entries("-1", "0", "-1.0", "0.0", "1e308", "0.5")),
    "c": ("-1.0", "0.0"),
    **dict.fromkeys(("q_a", "q_b"), ("1e308",)),
    "sigma_b": ("0.0",),
    "sigma_w": ("0.0",),
}
ANY_Q = TAKES | {"q": ("0.0", "1e308")}  # no correlation is asked for, so that 0 is as good
LARGE_Q = TAKES | {"q": ("1e308",)}
NAMES = {"sigma_w": ("phi", "q"), "sigma_b": ("phi",), "phi": ("sigma_w", "q")}


def call(function, takes=TAKES, **arguments):
    return Call(
        function, lambda: {"phi": torch.tanh, **arguments, "kinks": (-1.0, 2.0)}, takes=takes, names=NAMES
    )


CALLS = [
    call(variance_map, ANY_Q, q=1.5, sigma_w=1.2, sigma_b=0.3),
    call(
        variance_map,
        TAKES | {"q": (*SHAPES, "huge", "half", "whole numbers", "number"), "sigma_w": ("0.0",)},
        q=torch.tensor([[0.5, 1.5, 2.0]]),
        sigma_w=1.2,
    ),
    call(covariance_map, c=0.4, q_a=1.5, q_b=0.8, sigma_w=1.2, sigma_b=0.3),
    call(correlation_map, LARGE_Q, c=0.4, q=1.5, sigma_w=1.2, sigma_b=0.3),
    call(slope, ANY_Q, q=1.5, sigma_w=1.2),
    call(pair_slope, LARGE_Q, c=0.4, q=1.5, sigma_w=1.2),
    call(fixed_variance, sigma_w=1.2, sigma_b=0.3),
    call(critical_point, LARGE_Q, q=1.5),
    call(critical_sigma_w, sigma_b=0.3),
    call(depth_scales, sigma_w=1.7, sigma_b=0.3),
]
EXEMPT: dict[str, str] = {}
