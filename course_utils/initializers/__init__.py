r"""Which start keeps the signal? Rules that fill a weight in place, with torch's names and the trailing underscore.

`rules` derive a variance from the fans; `lsuv` measures it on a batch.
"""

from course_utils.initializers.lsuv import Layer, lsuv_
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
    "constant_",
    "fan_in_and_fan_out",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "initialize_",
    "lecun_normal_",
    "lecun_uniform_",
    "lsuv_",
    "normal_",
    "orthogonal_",
]
