"""Calls of `models` and `probes`, for the fuzzer."""

import torch
from fuzzing import Call
from taken import NUMBERS, entries
from torch import nn

from course_utils.initializers import he_normal_
from course_utils.models import MLP, ResidualMLP, count_parameters, summarize
from course_utils.probes import (
    layer_stats,
    record_gradients,
    record_outputs,
    update_to_weight_ratio,
    weight_gradients,
)
from course_utils.seeding import make_generator


def x():
    return torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])


def network():
    return MLP((3, 4, 2), generator=make_generator(0))


def mlp_of_x(x, **arguments):
    """Make a network and use it once."""
    return MLP(**arguments)(x)


def residual_of_x(x, **arguments):
    """Make a residual network and use it once."""
    return ResidualMLP(**arguments)(x)


def outputs_of_x(model, kinds):
    with record_outputs(model, kinds) as outputs:
        model(x())
    return outputs


def gradients_at_x(model, kinds):
    with record_gradients(model, kinds) as gradients:
        model(x()).sum().backward()
    return gradients


mlp_of_x.covers = "models.MLP"
residual_of_x.covers = "models.ResidualMLP"
outputs_of_x.covers = "probes.record_outputs"
gradients_at_x.covers = "probes.record_gradients"

INPUT = {"x": (*NUMBERS, "empty", "one row fewer"), "widths": ("entry missing", "entry twice")}
OTHER_MODEL = ("module of another size", "module with nan")
RETURNS = tuple(f"function that returns {what}" for what in ("None", "text", "nan"))
CALLS = [
    Call(
        mlp_of_x,
        lambda: {
            "x": x(),
            "widths": (3, 4, 2),
            "activation": "tanh",
            "initializer": None,
            "generator": make_generator(0),
        },
        takes=INPUT | {"generator": ("None",)},
        names={"widths": ("x",)},
    ),
    Call(
        mlp_of_x,
        lambda: {
            "x": x(),
            "widths": (3, 4, 2),
            "initializer": lambda w: he_normal_(w, generator=make_generator(0)),
            "generator": make_generator(0),
        },
        takes=INPUT | {"initializer": ("None", *RETURNS), "generator": ("None",)},  # a rule works in place
        names={"widths": ("x",), "initializer": ("lambda",)},
    ),
    Call(
        residual_of_x,
        lambda: {
            "x": x(),
            "widths": (3, 4, 2),
            "num_branches": 2,
            "branch_depth": 1,
            "activation": "tanh",
            "branch_scale": 0.5,
            "generator": make_generator(0),
        },
        takes=INPUT | {"widths": (), "branch_scale": ("None", "-1.0", "0.0"), "generator": ("None",)},
        names={"widths": ("x",)},
    ),
    Call(
        count_parameters,
        lambda: {"model": network()},
        takes={"model": ("module without weights", *OTHER_MODEL)},
    ),
    Call(summarize, lambda: {"model": network()}, takes={"model": ("module without weights", *OTHER_MODEL)}),
    Call(
        outputs_of_x,
        lambda: {"model": network(), "kinds": (nn.Linear,)},
        takes={"model": OTHER_MODEL, "kinds": ("entry twice",)},
    ),
    Call(
        gradients_at_x,
        lambda: {"model": network(), "kinds": (nn.Linear,)},
        takes={"model": OTHER_MODEL, "kinds": ("entry twice",)},
    ),
    Call(
        weight_gradients,
        lambda: {
            "model": network(),
            "x": x(),
            "y": torch.tensor([0, 1]),
            "loss": nn.functional.cross_entropy,
        },
        takes={"model": OTHER_MODEL, "x": NUMBERS, "loss": ("function that returns nan",)},
    ),
    Call(
        layer_stats,
        lambda: {"recorded": {"first": x(), "second": x() + 1}, "threshold": 2.0},
        takes={
            "recorded": (
                *("empty", "key missing", "other key"),
                *entries(*NUMBERS, "one more dimension", "one column more"),
            ),
            "threshold": ("0.0", "1e308"),
        },
        names={"recorded": ("first",)},
    ),
    Call(
        update_to_weight_ratio,
        lambda: {"before": [x(), x() + 1], "after": [x() + 0.5, x()]},
        takes={"*": entries(*NUMBERS)},
    ),
]
EXEMPT: dict[str, str] = {}
