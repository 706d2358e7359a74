"""Calls of `regularization`, for the fuzzer."""

import torch
from fuzzing import Call
from taken import NOT_NEGATIVE, NUMBER, NUMBERS, SHAPES, entries

from course_utils.regularization import (
    Dropout,
    dropout,
    early_stopping_epoch,
    l1_penalty,
    l2_penalty,
    max_norm_,
    mixing_weights,
    mixup,
    smooth_labels,
    smoothed_cross_entropy,
    soft_cross_entropy,
    soft_threshold,
)
from course_utils.seeding import make_generator


def x():
    return torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])


def shares():
    return torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])


def labels():
    return torch.tensor([0, 2])


def generator():
    return make_generator(0)


def dropped(x, p, generator):
    """Use Dropout once."""
    return Dropout(p, generator=generator)(x)


dropped.covers = "regularization.Dropout"
ANY = (*NUMBERS, *SHAPES)
RANDOM = {"x": ANY, "p": ("0.0",), "generator": ("None",)}  # documented as torch's global generator
PARAMETERS = {"parameters": ("entry missing", "entry twice", *entries(*ANY)), "strength": NOT_NEGATIVE}
SHARES = {"logits": NUMBERS, "targets": NUMBERS, "eps": ("0.0",)}  # that rows sum to 1 is not looked at
CALLS = [
    Call(dropout, lambda: {"x": x(), "p": 0.5, "generator": generator()}, takes=RANDOM),
    Call(dropped, lambda: {"x": x(), "p": 0.5, "generator": generator()}, takes=RANDOM),
    Call(
        smooth_labels,
        lambda: {"labels": labels(), "num_classes": 3, "eps": 0.1, "dtype": torch.float64},
        takes={"labels": SHAPES, "eps": ("0.0",)},
    ),
    Call(soft_cross_entropy, lambda: {"logits": x(), "targets": shares()}, takes=SHARES),
    Call(
        smoothed_cross_entropy,
        lambda: {"logits": x(), "labels": labels(), "eps": 0.1},
        takes=SHARES | {"logits": (*NUMBERS, "one column more")},
        names={"labels": ("targets",)},  # labels of another shape become targets of another one
    ),
    Call(
        mixing_weights,
        lambda: {"n": 4, "alpha": 0.5, "generator": generator()},
        takes={"alpha": ("1e308",), "generator": ("None",)},
    ),
    Call(
        mixup,
        lambda: {"x": x(), "targets": shares(), "alpha": 0.5, "generator": generator()},
        takes={
            "x": (*NUMBERS, "one more dimension", "one column more"),
            "targets": (*NUMBERS, "one column more"),
            "alpha": ("1e308",),
            "generator": ("None",),
        },
    ),
    Call(
        l2_penalty,
        lambda: {"parameters": [x(), torch.tensor([3.0, -4.0])], "strength": 0.5},
        takes=PARAMETERS,
    ),
    Call(
        l1_penalty,
        lambda: {"parameters": [x(), torch.tensor([3.0, -4.0])], "strength": 0.5},
        takes=PARAMETERS,
    ),
    Call(
        soft_threshold,
        lambda: {"w": x(), "threshold": 0.75},
        takes={"w": ANY, "threshold": (*NOT_NEGATIVE, "inf")},
    ),
    Call(
        soft_threshold,
        lambda: {"w": x(), "threshold": torch.tensor([0.5, 0.25, 1.0])},
        takes={
            "w": ANY,
            "threshold": ("number", "inf", "huge", "half", "one more dimension", "one dimension fewer"),
        },
    ),
    Call(
        max_norm_,
        lambda: {"weight": x(), "limit": 1.0},
        takes={"weight": tuple({*ANY} - {"one dimension fewer"}), "limit": ("1e308",)},
        changes=("weight",),
    ),
    Call(
        early_stopping_epoch,
        lambda: {"val_losses": [1.0, 0.5, 0.75, 0.5, 0.25], "patience": 2, "min_delta": 0.125},
        takes={
            "val_losses": ("entry missing", "entry twice", *entries("nan", "inf", "-inf", *NUMBER)),
            "min_delta": NOT_NEGATIVE,
        },
    ),
]
EXEMPT: dict[str, str] = {}
