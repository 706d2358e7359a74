"""Calls of `initializers` and `objectives`, for the fuzzer."""

import copy

import torch
from fuzzing import Call
from taken import NUMBERS, SHAPES

from course_utils import initializers
from course_utils.initializers import (
    constant_,
    fan_in_and_fan_out,
    fixup_,
    he_normal_,
    he_uniform_,
    initialize_,
    lsuv_,
    mup_groups,
    mup_initialize_,
    mup_lr,
    normal_,
    orthogonal_,
    scale_branches_,
    width_ratios,
    zero_branches_,
)
from course_utils.models import MLP
from course_utils.objectives import BEALE, HIMMELBLAU, RAVINE, ROSENBROCK, STEEP_OPTIMA, quadratic
from course_utils.seeding import make_generator


def weight():
    return torch.zeros(3, 4)


def generator():
    return make_generator(0)


def network():
    return MLP((4, 5, 2), activation="tanh", generator=generator())


def batch():
    return torch.linspace(-1, 1, 24).reshape(6, 4)


def at_a_point(objective):
    def value_and_gradient(w):
        return objective(w), objective.gradient(w)

    value_and_gradient.__qualname__ = f"{objective.name} at a point"
    return value_and_gradient


def branches_of(change):
    """Return a call's function that applies `change` to a copy of the branches and returns what they hold then."""

    def changed(branches, **arguments):
        copies = copy.deepcopy(branches)
        change(copies, **arguments)
        return [parameter.detach() for branch in copies for parameter in branch.parameters()]

    changed.covers = f"initializers.residual.{change.__name__}"
    return changed


# what the weight holds does not matter, for it is overwritten
OVERWRITTEN = (*NUMBERS, "nan vanishes", "one more dimension", "one row fewer", "one column more")
GLOBAL = ("None",)  # documented as torch's global generator
FILLED = {"weight": OVERWRITTEN, "generator": GLOBAL}
ANY_SHAPE = FILLED | {"weight": (*OVERWRITTEN, "empty", "one dimension fewer")}
ANY_ENTRIES = (*OVERWRITTEN, "whole numbers", "complex tensor")
BRANCHES = ("entry missing", "entry twice", "entry module of another size", "entry module with nan")
CALLS = [
    Call(
        fan_in_and_fan_out,
        lambda: {"weight": weight()},
        takes={"weight": (*OVERWRITTEN, "whole numbers", "complex tensor")},
    ),
    Call(
        constant_,
        lambda: {"weight": weight(), "value": 0.5},
        takes=ANY_SHAPE | {"value": ("-1.0", "0.0")},
        changes=("weight",),
    ),
    Call(
        normal_,
        lambda: {"weight": weight(), "std": 0.5, "generator": generator()},
        takes=ANY_SHAPE | {"std": ("0.0",)},
        changes=("weight",),
    ),
    *(
        Call(
            getattr(initializers, f"{rule}_"),
            lambda: {"weight": weight(), "gain": 1.5, "generator": generator()},
            takes=FILLED,
            changes=("weight",),
        )
        for rule in ("lecun_normal", "lecun_uniform", "glorot_normal", "glorot_uniform", "orthogonal")
    ),
    *(
        Call(
            rule,
            lambda: {
                "weight": weight(),
                "nonlinearity": "relu",
                "mode": "fan_in",
                "generator": generator(),
            },
            takes=FILLED,
            names={"weight": ("fan_in",)},
            changes=("weight",),
        )
        for rule in (he_normal_, he_uniform_)
    ),
    Call(
        initialize_,
        lambda: {"model": network(), "rule": lambda w: orthogonal_(w, generator=generator()), "bias": 0.5},
        takes={
            "model": ("module of another size", "module with nan"),
            # what it returns is not looked at: a rule works in place
            "rule": tuple(f"function that returns {what}" for what in ("None", "text", "nan")),
            "bias": ("-1.0", "0.0"),
        },
        names={"rule": ("lambda",)},  # it is the reader's, and so are its errors
        changes=("model",),
    ),
    Call(
        lsuv_,
        lambda: {
            "model": network(),
            "x": batch(),
            "target": 1.0,
            "tolerance": 0.01,
            "max_passes": 3,
            "generator": generator(),
        },
        takes={
            "model": ("module with nan",),  # all weights are drawn anew
            "x": ("one more dimension", "one dimension fewer", "one row fewer", "negative", "huge"),
            "tolerance": ("0.0", "1e308"),
            "target": ("1e308",),
            "generator": GLOBAL,
        },
        changes=("model",),
    ),
    *(
        Call(
            branches_of(change),
            lambda more=more: {"branches": [network(), network()], **more},
            takes={"branches": BRANCHES, "scale": ("None", "-1.0", "0.0", "1e308")},
        )
        for change, more in ((scale_branches_, {"scale": 0.5}), (zero_branches_, {}), (fixup_, {}))
    ),
    Call(
        width_ratios,
        lambda: {"parameter": weight(), "base": torch.zeros(1, 2)},
        takes=dict.fromkeys(("parameter", "base"), ANY_ENTRIES),
        names={"parameter": ("fan_in",), "base": ("fan_in",)},
    ),
    Call(
        mup_initialize_,
        lambda: {
            "model": network(),
            "base": MLP((4, 3, 2), generator=generator()),
            "rule": lambda w: orthogonal_(w, generator=generator()),
            "bias": 0.5,
        },
        takes={
            "model": ("module with nan",),
            "base": ("module with nan",),
            "rule": tuple(f"function that returns {what}" for what in ("None", "text", "nan")),
            "bias": ("-1.0", "0.0"),
        },
        names={"rule": ("lambda",)},
        changes=("model",),
    ),
    Call(
        mup_lr,
        lambda: {"lr": 0.1, "r_in": 2.0, "r_out": 4.0, "method": "sgd"},
        takes={"lr": ("0.0", "1e308"), "r_in": ("1e308",), "r_out": ("1e308",)},
    ),
    Call(
        mup_groups,
        lambda: {
            "model": network(),
            "base": MLP((4, 3, 2), generator=generator()),
            "lr": 0.1,
            "method": "adam",
        },
        takes={"lr": ("0.0", "1e308"), "model": ("module with nan",), "base": ("module with nan",)},
    ),
    Call(
        quadratic,
        lambda: {"curvatures": (1.5, 0.5)},
        takes={"curvatures": ("entry 1e308",)},
    ),
    *(
        Call(
            at_a_point(objective),
            lambda: {"w": torch.tensor([[0.5, -1.0], [1.5, 0.25], [0.0, 0.75]])},
            takes={"w": tuple({*NUMBERS, *SHAPES} - {"one column more"})},
        )
        for objective in (RAVINE, STEEP_OPTIMA, ROSENBROCK, BEALE, HIMMELBLAU, quadratic((2.0, 1.0)))
    ),
]
EXEMPT = {"objectives.Objective": "a record of one surface; `at_a_point` calls its methods"}
