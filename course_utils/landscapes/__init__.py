"""What does the loss look like, and where do runs on it go? Lines, planes, and thousands of trajectories at once.

Unusual here: slices never write into the model (the weights of each point are substituted for one evaluation), so there
is nothing to restore; and the runs of a map are one tensor, so a thousand cost about as much as one.
"""

from course_utils.landscapes.paths import trajectories
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
    "filter_normalized_direction",
    "loss_along_line",
    "loss_on_plane",
    "normalize_filters",
    "orthogonal_directions",
    "random_direction",
    "trajectories",
    "weights_of",
]
