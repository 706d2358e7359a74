r"""Which variances of weights and biases let a signal through a hundred wide layers? Mean field and the edge of chaos.

Unusual here: any activation is taken, kinked ones to the precision of smooth ones; a fixed point is found by bisection,
which does not slow down where it matters, at criticality; and the edge of chaos is a formula, with q as its parameter.
"""

from course_utils.phase.critical import (
    CriticalPoint,
    DepthScales,
    critical_point,
    critical_sigma_w,
    depth_scales,
    fixed_variance,
)
from course_utils.phase.maps import correlation_map, covariance_map, pair_slope, slope, variance_map

__all__ = [
    "CriticalPoint",
    "DepthScales",
    "correlation_map",
    "covariance_map",
    "critical_point",
    "critical_sigma_w",
    "depth_scales",
    "fixed_variance",
    "pair_slope",
    "slope",
    "variance_map",
]
