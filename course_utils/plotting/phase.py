"""Order or chaos? The plane of weight and bias variances, coloured by what one layer does to a small difference."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, axes_for, styled
from course_utils.plotting._records import check_most, curves_of, line_of, numbers

_REACH = np.log(2)  # |ln chi| at the ends of the colours; beyond, a layer halves or doubles a square, or more
_LEVELS = 22  # an even number of lines: the band between the two in the middle, around chi = 1, is white
_TICKS = (0.5, 0.7, 1.0, 1.4, 2.0)


@styled
def plot_phase_diagram(
    sigma_w2: ArrayLike,
    sigma_b2: ArrayLike,
    chi: ArrayLike,
    *,
    edge: tuple[ArrayLike, ArrayLike],
    points: Mapping[str, tuple[float, float]] | None = None,
    names: Mapping[str, tuple[float, float]] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    r"""Draw :math:`\chi` over the plane of variances: blue where differences fade, red where they grow, white between.

    Args:
        sigma_w2: fan-in times the variance of a weight, of the columns, increasing.
        sigma_b2: variance of a bias, of the rows, increasing.
        chi: [sigma_b2, sigma_w2], all positive; colours end at 1/2 and 2.
        edge: (sigma_w2, sigma_b2) along the line chi = 1, in black.
        points: label -> (sigma_w2, sigma_b2) of a start, a numbered dot whose label is in the legend; eight at most.
        names: word -> where it is written, such as the name of a phase.
        title: above the axes.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a slope is not positive, a variance does not increase, or the edge has ends of other lengths.
    """
    across, up = line_of("sigma_w2", sigma_w2), line_of("sigma_b2", sigma_b2)
    slopes = numbers("chi", chi, ("sigma_b2", up.size), ("sigma_w2", across.size), rule="> 0")
    line_w = numbers("edge[0]", edge[0], None)
    line_b = numbers("edge[1]", edge[1], ("edge[0]", line_w.size))
    check_most("points", points or (), 8)
    for name, places in (("points", points), ("names", names)):
        curves_of(name, places or None, 2)
    ax = axes_for(ax, figsize=(6.4, 4.4))
    levels = np.linspace(-_REACH, _REACH, _LEVELS)
    drawn = ax.contourf(across, up, np.log(slopes), levels=levels, cmap="RdBu_r", extend="both")
    ax.plot(line_w, line_b, color=BLACK, lw=2.5)
    for number, (label, place) in enumerate((points or {}).items(), start=1):
        ax.plot(*place, "o", color="white", mec=BLACK, mew=1.5, ms=15, clip_on=False, zorder=3)
        ax.annotate(str(number), place, ha="center", va="center_baseline", fontsize=10, zorder=4)
        ax.plot([], [], linestyle="", label=f"{number}  {label}")
    for word, place in (names or {}).items():
        ax.text(*place, word, ha="center", va="center", fontsize=15, style="italic")
    ax.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]), title=title)
    ax.set(xlabel=r"weights: fan-in times variance, $\sigma_w^2$", ylabel=r"biases: variance, $\sigma_b^2$")
    ax.grid(visible=False)
    bar = ax.figure.colorbar(drawn, ax=ax, label=r"$\chi$, factor per layer")
    bar.set_ticks(list(np.log(_TICKS)), labels=[f"{tick:g}" for tick in _TICKS])
    if points:
        ax.tick_params(pad=9)  # a dot on the border would cover its label
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, handlelength=0, handletextpad=0)
    return ax
