"""Did the published number come back? Every comparison on one axis, in units of what one run may differ by."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, BLUE, GREY, SKY, VERMILION, axes_for, styled
from course_utils.plotting._records import check_numbers, curves_of

_ROW_INCHES = 0.3


@styled
def plot_published(
    distances: Mapping[str, ArrayLike], *, limit: float = 4.0, xlabel: str, ax: Axes | None = None
) -> Axes:
    """Draw how far each published number lies from what comes back, one row per experiment.

    A distance of 1 is the edge of the interval that one more run would fall into; what lies beyond `limit` is drawn at
    the edge of the axes as an arrowhead, with its distance beside it.

    Args:
        distances: experiment -> one distance per published number.
        limit: half of the axis, > 1.
        xlabel: what a distance is.
        ax: where to draw; None makes a new figure, as tall as it has rows.
    Raises: ValueError: if the limit is not beyond 1, the edge of the interval, or a distance is not finite.
    """
    check_numbers("> 1", limit=limit)  # 1 is the edge of the interval
    curves_of("distances", distances)
    ax = axes_for(ax, figsize=(9.0, _ROW_INCHES * len(distances) + 1.0))
    ax.axvspan(-1, 1, color=SKY, alpha=0.3, lw=0)
    ax.axvline(0, color=GREY, lw=1.0)
    for row, values in enumerate(distances.values()):
        for value in np.ravel(np.asarray(values, dtype=float)):
            inside, shown = abs(value) <= 1, abs(value) < limit
            marker = "o" if shown else ">" if value > 0 else "<"
            place = value if shown else np.copysign(limit, value)
            ax.plot(place, row, marker, color=BLUE if inside else VERMILION, ms=6, alpha=0.8, clip_on=False)
            if not shown:
                ax.annotate(
                    f"{value:+.0f}", (place, row), xytext=(-np.copysign(12, value), 0), textcoords="offset points",
                    ha="right" if value > 0 else "left", va="center", fontsize=9, color=BLACK,
                )  # fmt: skip
    ax.set_yticks(range(len(distances)), list(distances), fontsize=9)
    ax.set(xlabel=xlabel, xlim=(-limit, limit), ylim=(len(distances) - 0.4, -0.6))
    ax.grid(visible=True, axis="y", alpha=0.3)
    return ax
