"""How does it look? Every `plot_*` takes records, draws the prediction in, and returns its Axes; `show` stores a PNG.

Nothing here runs a model or saves a file, and nothing else in the package imports it.
"""

from course_utils.plotting._base import METHOD_COLORS, METHOD_STYLES, new_axes, new_grid, show, styled

__all__ = ["METHOD_COLORS", "METHOD_STYLES", "new_axes", "new_grid", "show", "styled"]
