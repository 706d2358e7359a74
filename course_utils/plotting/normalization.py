"""What does dividing by a spread change? Figures of normalization and clipping, with the prediction drawn in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    grid_for,
    method_look,
    styled,
)
from course_utils.plotting._records import (
    check_labels,
    check_most,
    check_numbers,
    curves_of,
    numbers,
)

# The same normalization has the same mark in every figure, beside its colour in METHOD_COLORS.
_MARKS = {"plain": "o", "BatchNorm": "s", "RMSNorm": "v", "LayerNorm": "^"}
NORM_LOOKS: dict[str, dict[str, Any]] = {
    name: {**method_look(name), "marker": mark} for name, mark in _MARKS.items()
}
_LABELLED = 8  # this many positions still have room for a label each


@styled
def plot_against(
    positions: ArrayLike,
    runs: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    predicted: Mapping[str, ArrayLike] | None = None,
    reference: tuple[str, float] | None = None,
    log_y: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw a measured number against a setting on a logarithmic axis: mean over seeds, their range as a band.

    Args:
        positions: [points], all positive; each is labelled where there are few.
        runs: label -> [seeds, points].
        xlabel: what is set, with its unit.
        ylabel: what is measured, with its unit.
        predicted: name of a formula -> [points], drawn as crosses on top.
        reference: (name, value) of a dotted line across, such as guessing.
        log_y: draw the measurement on a logarithmic axis as well.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a label has not one number per position, or an axis cannot show a number.
    """
    rule = "> 0" if log_y else "finite"
    at = numbers("positions", positions, None, rule="> 0")
    curves = curves_of("runs", runs, None, ("positions", at.size), rule=rule)
    curves_of("predicted", predicted or None, ("positions", at.size), rule=rule)
    check_numbers(rule, reference=None if reference is None else reference[1])
    ax = axes_for(ax)
    free = iter([look for name, look in NORM_LOOKS.items() if name not in runs])  # for labels of another kind
    for label, table in curves.items():
        look = NORM_LOOKS[label] if label in NORM_LOOKS else next(free, {})
        draw_mean_and_range(ax, at, table, label=label, **look)
    for name, formula in (predicted or {}).items():
        ax.plot(at, np.asarray(formula, dtype=float), "x", color=BLACK, mew=2, ms=9, zorder=4, label=name)
    if reference is not None:
        ax.axhline(reference[1], color=GREY, linestyle=":", lw=1.5, label=reference[0])
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log", yscale="log" if log_y else "linear")
    if at.size <= _LABELLED:
        ax.set_xticks(at, [f"{value:g}" for value in at])
        ax.minorticks_off()
    ax.legend(fontsize=10)
    return ax


@styled
def plot_equilibrium(
    norms: Mapping[str, ArrayLike],
    angles: Mapping[str, ArrayLike],
    *,
    predicted_angle: float,
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw how the norm of a weight and the size of its steps settle, from several starts; return the left Axes.

    Args:
        norms: start -> [seeds, steps], the norm of the weight, > 0; four starts at most.
        angles: start -> [seeds, steps], the length of a step divided by that norm: the angle it turns by, in radians.
        predicted_angle: where the angle is predicted to settle, a dashed line.
        axes: two Axes, for norms and angles; None makes a new figure.
    Raises: ValueError: if a norm or an angle is not positive, or the two have other starts.
    """
    check_most("norms", norms, 4)
    curves_of("norms", norms, None, None, rule="> 0")
    check_labels("angles", angles, "norms", norms, every=True)
    curves_of("angles", angles, None, None, rule="> 0")
    check_numbers("> 0", predicted_angle=predicted_angle)
    left, right = grid_for(axes, 1, 2, of="norms and angles", figsize=(10.5, 4))
    for ax, curves in ((left, norms), (right, angles)):
        for color, linestyle, (label, runs) in zip(
            (BLUE, VERMILION, GREEN, PURPLE), ("-", "--", "-.", ":"), curves.items(), strict=False
        ):
            table = np.atleast_2d(np.asarray(runs, dtype=float))
            steps = np.arange(1, table.shape[1] + 1)
            draw_mean_and_range(ax, steps, table, label=label, color=color, linestyle=linestyle, lw=1.5)
        ax.set(xlabel="step", yscale="log")
    right.axhline(predicted_angle, color=BLACK, linestyle="--", lw=1.5, label="predicted")
    left.set(ylabel="norm of the weight")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(NullFormatter())
    right.set(ylabel="step / norm (radians)")
    left.legend(fontsize=10)
    right.legend(fontsize=10, loc="lower right")
    return left


@styled
def plot_matrices(
    matrices: Mapping[str, ArrayLike], *, statistics: Mapping[str, str], axes: Sequence[Axes] | None = None
) -> Axes:
    """Draw small matrices [examples, units] side by side, red positive and blue negative; return the first Axes.

    All share one colour scale that is symmetric around zero, so that what was divided away is seen to be gone.

    Args:
        matrices: title -> [examples, units], the same shape for all.
        statistics: title -> "column" or "row", outlined once in black: the numbers that one statistic is made of.
        axes: one per matrix; None makes a new figure.
    Raises: ValueError: if a statistic is neither a column nor a row, or of no matrix, or a value is not finite.
    """
    tables = curves_of("matrices", matrices, None, None)
    check_labels("statistics", statistics, "matrices", matrices)
    if wrong := sorted(set(statistics.values()) - {"column", "row"}):
        raise ValueError(f"each of statistics is taken over a 'column' or a 'row', got {wrong}.")
    grid = grid_for(axes, 1, len(tables), of="matrices", figsize=(3.1 * len(tables), 3.6), sharey=True)
    limit = max(np.abs(values).max() for values in tables.values()) or 1.0
    for ax, (title, values) in zip(grid, tables.items(), strict=True):
        image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        examples, units = values.shape
        if title in statistics:
            column = statistics[title] == "column"
            corner, size = ((0.5, -0.5), (1, examples)) if column else ((-0.5, 0.5), (units, 1))
            ax.add_patch(
                Rectangle(corner, *size, fill=False, edgecolor=BLACK, lw=2.5, clip_on=False, zorder=3)
            )
        ax.set(title=title, xlabel="unit", xticks=[], yticks=[])
        ax.grid(visible=False)
    grid[0].set_ylabel("example")
    grid[-1].figure.colorbar(image, ax=grid, label="value", shrink=0.8)
    return grid[0]


@styled
def plot_clipping(
    grads: ArrayLike,
    by_value: ArrayLike,
    by_norm: ArrayLike,
    *,
    limit: float,
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw gradients of two entries before and after clipping, with the region they end up in; return the left Axes.

    Args:
        grads: [gradients, 2], before clipping, thin grey arrows.
        by_value: [gradients, 2], entries cut at ±limit: the left panel, in a square.
        by_norm: [gradients, 2], shortened to `limit`: the right panel, in a circle.
        limit: half the side of the square, and the radius of the circle.
        axes: two Axes; None makes a new figure.
    Raises: ValueError: if the limit is not positive, or a gradient has not two finite entries before and after.
    """
    before = numbers("grads", grads, None, 2)
    for name, after in (("by_value", by_value), ("by_norm", by_norm)):
        numbers(name, after, ("grads", len(before)), 2)
    check_numbers("> 0", limit=limit)
    panels = grid_for(axes, 1, 2, of="by_value and by_norm", figsize=(10, 4.6), sharex=True, sharey=True)
    reach = 1.08 * max(np.abs(before).max(), limit)
    regions = (
        Rectangle((-limit, -limit), 2 * limit, 2 * limit, fill=False, ls="--", lw=1.3, ec=BLACK),
        Circle((0, 0), limit, fill=False, ls="--", lw=1.3, ec=BLACK),
    )
    names = (f"by value, limit {limit:g}", f"by norm, limit {limit:g}")
    for ax, after, region, name, color in zip(
        panels, (by_value, by_norm), regions, names, (VERMILION, BLUE), strict=True
    ):
        _arrows(ax, before, GREY, 0.004)
        _arrows(ax, np.asarray(after, dtype=float), color, 0.010)
        ax.add_patch(region)
        ax.set(title=name, xlabel="first entry of the gradient", aspect="equal")
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    panels[0].set_ylabel("second entry")
    return panels[0]


def _arrows(ax: Axes, ends: ArrayLike, color: str, width: float) -> None:
    x, y = np.asarray(ends, dtype=float).T
    zero = np.zeros_like(x)
    ax.quiver(zero, zero, x, y, angles="xy", scale_units="xy", scale=1, color=color, width=width, zorder=3)
