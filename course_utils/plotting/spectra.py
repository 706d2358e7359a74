"""How are eigenvalues distributed, and how fast are they found? Densities, Ritz values step by step, errors by cost.

The exact value, where it is known, is in every figure: a line that the estimates have to reach.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    styled,
)
from course_utils.plotting._records import (
    check_filled,
    check_labels,
    check_most,
    check_numbers,
    curves_of,
    list_of,
    numbers,
)

_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)


@styled
def plot_ritz_values(
    ritz_values: Sequence[ArrayLike],
    *,
    exact: ArrayLike,
    tolerance: float = 1e-3,
    ax: Axes | None = None,
) -> Axes:
    """Draw the Ritz values of every Lanczos step over the exact eigenvalues; copies of a found one stand out.

    Args:
        ritz_values: element m - 1 holds those after m steps, in any order.
        exact: eigenvalues to be found, thin lines.
        tolerance: distance, relative to the largest of `exact`, within which a Ritz value has found the eigenvalue;
            where several have found the same one their number is written beside the last step.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if there is no step, or a value is not finite.
    """
    check_filled("ritz_values", ritz_values)
    list_of("ritz_values", ritz_values, None)
    lines = np.sort(numbers("exact", exact, None))[::-1]
    check_numbers(">= 0", tolerance=tolerance)
    ax = axes_for(ax)
    ax.hlines(lines, 0, len(ritz_values) + 0.5, color=GREY, lw=0.7)
    for step, values in enumerate(ritz_values, start=1):
        heights = np.asarray(values, dtype=float)
        ax.plot(np.full(heights.shape, step), heights, ".", color=BLUE, ms=3.5)
    last = np.asarray(ritz_values[-1], dtype=float)
    for line in lines:
        copies = int((np.abs(last - line) <= tolerance * np.abs(lines).max()).sum())
        if copies > 1:
            ax.annotate(
                f" × {copies}",
                (len(ritz_values) + 0.5, line),
                va="center",
                color=VERMILION,
                annotation_clip=False,
            )
    ax.set(xlabel="Lanczos step", ylabel="Ritz values", xlim=(0, len(ritz_values) + 0.5))
    return ax


@styled
def plot_density(
    grid: ArrayLike,
    densities: Mapping[str, ArrayLike],
    *,
    outliers: Mapping[str, ArrayLike] | None = None,
    exact: Mapping[str, ArrayLike] | None = None,
    lowest: float = 1e-5,
    ax: Axes | None = None,
) -> Axes:
    """Draw densities of eigenvalues on a logarithmic axis, with the largest eigenvalues marked one by one.

    Args:
        grid: eigenvalues [points].
        densities: label -> [points], per unit of the eigenvalue; at most five.
        outliers: label of `densities` -> eigenvalues, drawn as ticks below the curves in their colour.
        exact: label of `densities` -> [points], dashed over the estimate.
        lowest: where the density is lower nothing is drawn.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if outliers or an exact density belong to no curve, or no density reaches `lowest`.
    """
    outliers, exact = outliers or {}, exact or {}
    where = numbers("grid", grid, None)
    check_most("densities", densities, len(_COLORS))
    curves = curves_of("densities", densities, ("grid", where.size), rule=">= 0")
    for what, others, side in (("outliers", outliers, None), ("exact", exact, ("grid", where.size))):
        check_labels(what, others, "densities", densities)
        if others:
            curves_of(what, others, side)
    check_numbers("> 0", lowest=lowest)
    if all(values.max() < lowest for values in curves.values()):
        raise ValueError(f"densities are all lower than lowest={lowest:g}: there is nothing to draw.")
    ax = axes_for(ax)
    for place, ((name, values), color) in enumerate(zip(densities.items(), _COLORS, strict=False)):
        ax.plot(where, _above(lowest, values), color=color, lw=1.4, label=name)
        if name in exact:
            ax.plot(where, _above(lowest, exact[name]), color=BLACK, linestyle="--", lw=1.0)
        if name in outliers:
            marks = np.asarray(outliers[name], dtype=float)
            height = np.full(marks.shape, 0.03 + 0.05 * place)  # in the strip that the curves leave free
            ax.plot(marks, height, "|", color=color, ms=9, mew=1.6, transform=ax.get_xaxis_transform())
    if exact:
        ax.plot([], [], color=BLACK, linestyle="--", lw=1.0, label="exact")
    ax.set(xlabel="eigenvalue of the Hessian", ylabel="density", yscale="log")
    ax.set_ylim(
        lowest / 30 if outliers else lowest, 3 * max(np.max(np.asarray(v)) for v in densities.values())
    )
    ax.legend(fontsize=10)
    return ax


def _above(lowest: float, values: ArrayLike) -> NDArray[Any]:
    """Return the values with gaps where they are lower."""
    numbers = np.asarray(values, dtype=float)
    return np.where(numbers >= lowest, numbers, np.nan)


@styled
def plot_errors(
    products: ArrayLike,
    errors: Mapping[str, ArrayLike],
    *,
    predicted: Mapping[str, ArrayLike] | None = None,
    ylabel: str = "relative error",
    ax: Axes | None = None,
) -> Axes:
    """Draw errors against the number of products: geometric mean over runs as a curve, their range as a band.

    Args:
        products: Hessian-vector products spent, [points].
        errors: label -> [points] or [runs, points], >= 0, five at most; zeros are raised to the smallest double that
            matters, 1e-17, and what is not finite leaves a gap.
        predicted: label of `errors` -> [points] of a formula, dashed.
        ylabel: which error.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a prediction belongs to no curve, or an error is negative.
    """
    predicted = predicted or {}
    spent = numbers("products", products, None, rule=">= 0")
    check_most("errors", errors, len(_COLORS))
    curves = curves_of("errors", errors, None, ("products", spent.size), rule=">= 0", gaps=True)
    check_labels("predicted", predicted, "errors", errors)
    curves_of("predicted", predicted or None, ("products", spent.size), rule="> 0")
    ax = axes_for(ax)
    for (name, values), color in zip(curves.items(), _COLORS, strict=False):
        runs = np.maximum(values, 1e-17)
        label = f"{name} (n = {len(runs)})" if len(runs) > 1 else name
        ax.plot(spent, np.exp(np.log(runs).mean(axis=0)), color=color, marker="o", ms=4, label=label)
        ax.fill_between(spent, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.18, lw=0)
        if name in predicted:
            ax.plot(spent, np.asarray(predicted[name], dtype=float), color=BLACK, linestyle="--", lw=1.2)
    if predicted:
        ax.plot([], [], color=BLACK, linestyle="--", lw=1.2, label="predicted")
    ax.set(xlabel="Hessian-vector products", ylabel=ylabel, yscale="log")
    ax.legend(fontsize=10)
    return ax


@styled
def plot_top_eigenvalues(
    steps: ArrayLike, eigenvalues: ArrayLike, *, limit: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the largest eigenvalues while a network trains, mean and range over seeds, below the line 2/lr.

    Args:
        steps: [points] at which they were measured.
        eigenvalues: [seeds, points, k], descending along the last axis; k <= 5.
        limit: 2/lr, a dashed line; None draws none.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if there are not three axes, more than five eigenvalues, or one that is not finite.
    """
    where = numbers("steps", steps, None, rule=">= 0")
    values = numbers("eigenvalues", eigenvalues)
    if values.ndim != 3 or values.shape[1] != where.size or values.shape[2] > len(_COLORS):
        raise ValueError(
            f"eigenvalues needs shape (seeds, {where.size} as in steps, k <= {len(_COLORS)}), got {values.shape}."
        )
    if values.max() <= 0:
        raise ValueError("eigenvalues are all <= 0: there is nothing to draw above 0.")
    check_numbers("> 0", limit=limit)
    ax = axes_for(ax)
    for k, color in zip(range(values.shape[2]), _COLORS, strict=False):
        draw_mean_and_range(ax, where, values[:, :, k], label=f"λ{k + 1}", color=color)
    if limit is not None:
        ax.axhline(limit, color=BLACK, linestyle="--", lw=1.3, label=f"2/lr = {limit:g}")
    ax.set(xlabel="step", ylabel="eigenvalue of the Hessian", ylim=(0, None))
    ax.legend(fontsize=10)
    return ax
