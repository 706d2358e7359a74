"""What does the loss look like, and where do runs on it go? Lines, planes, curves, and thousands of runs at once.

Unusual here: slices never write into the model (the weights of each point are substituted for one evaluation), so there
is nothing to restore; and the runs of a map are one tensor, so a thousand cost about as much as one.
"""

from course_utils.landscapes.connections import barrier, bezier, loss_along_curve, train_bend
from course_utils.landscapes.paths import trajectories
from course_utils.landscapes.planes import loss_on_plane_by_linearity
from course_utils.landscapes.slices import (
    Weights,
    filter_normalized_direction,
    loss_along_line,
    loss_on_plane,
    normalize_filters,
    orthogonal_directions,
    random_direction,
    weights_of,
)

__all__ = [
    "Weights",
    "barrier",
    "bezier",
    "filter_normalized_direction",
    "loss_along_curve",
    "loss_along_line",
    "loss_on_plane",
    "loss_on_plane_by_linearity",
    "normalize_filters",
    "orthogonal_directions",
    "random_direction",
    "train_bend",
    "trajectories",
    "weights_of",
]
