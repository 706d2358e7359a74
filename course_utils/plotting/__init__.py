"""How does it look? Every `plot_*` takes records, draws the prediction in, and returns its Axes; `show` stores a PNG.

Nothing here runs a model or saves a file, and of the package only `playgrounds`, for their posters, imports it.
"""

from course_utils.plotting._base import (
    METHOD_COLORS,
    METHOD_STYLES,
    new_axes,
    new_grid,
    png_of,
    show,
    styled,
)
from course_utils.plotting.graphs import plot_computation_graph, plot_memory, plot_step_error
from course_utils.plotting.optimization import (
    plot_effective_step,
    plot_loss_bands,
    plot_lr_sensitivity,
    plot_paired_differences,
)

__all__ = [
    "METHOD_COLORS",
    "METHOD_STYLES",
    "new_axes",
    "new_grid",
    "plot_computation_graph",
    "plot_effective_step",
    "plot_loss_bands",
    "plot_lr_sensitivity",
    "plot_memory",
    "plot_paired_differences",
    "plot_step_error",
    "png_of",
    "show",
    "styled",
]
