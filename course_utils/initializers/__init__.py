r"""Which start keeps the signal? Rules that fill a weight in place, with torch's names and the trailing underscore.

`rules` derive a variance from the fans; `lsuv` measures it on a batch; `residual` is for depth, `mup` for width.
"""

from course_utils.initializers.lsuv import Layer, lsuv_
from course_utils.initializers.mup import Method, mup_groups, mup_initialize_, mup_lr, width_ratios
from course_utils.initializers.residual import fixup_, scale_branches_, zero_branches_
from course_utils.initializers.rules import (
    GAIN,
    LEAKY_SLOPE,
    constant_,
    fan_in_and_fan_out,
    glorot_normal_,
    glorot_uniform_,
    he_normal_,
    he_uniform_,
    initialize_,
    lecun_normal_,
    lecun_uniform_,
    normal_,
    orthogonal_,
)

__all__ = [
    "GAIN",
    "LEAKY_SLOPE",
    "Layer",
    "Method",
    "constant_",
    "fan_in_and_fan_out",
    "fixup_",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "initialize_",
    "lecun_normal_",
    "lecun_uniform_",
    "lsuv_",
    "mup_groups",
    "mup_initialize_",
    "mup_lr",
    "normal_",
    "orthogonal_",
    "scale_branches_",
    "width_ratios",
    "zero_branches_",
]
