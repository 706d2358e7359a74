"""Does the gradient remember its neighbour? Gradients against the input, and how their correlation dies with depth."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, GREY, axes_for, draw_mean_and_range, new_grid, styled
from course_utils.plotting._records import (
    check_filled,
    check_labels,
    check_numbers,
    curves_of,
    numbers,
)


@styled
def plot_input_gradients(
    x: ArrayLike, gradients: Mapping[str, Mapping[str, ArrayLike]], *, xlabel: str = "input x"
) -> Axes:
    """Draw dy/dx against x in a grid of panels: a row per network, a column per depth; return the first Axes.

    Each curve is divided by its root mean square, because what is compared is the shape.

    Args:
        x: [points].
        gradients: name of the network -> name of the column -> [points]; every network has the same columns.
        xlabel: of the lowest panels.
    Raises: ValueError: if the networks do not have the same columns, or a curve is not finite or 0 everywhere.
    """
    places = numbers("x", x, None)
    check_filled("gradients", gradients)
    for name, row in gradients.items():
        for column, curve in curves_of(f"gradients[{name!r}]", row, ("x", places.size)).items():
            if not curve.any():
                raise ValueError(f"gradients[{name!r}][{column!r}] is 0 everywhere: it has no shape to draw.")
    columns = list(next(iter(gradients.values())))
    if odd := [name for name, row in gradients.items() if list(row) != columns]:
        raise ValueError(
            f"each of gradients needs the columns {columns}, {odd[0]!r} has {list(gradients[odd[0]])}."
        )
    axes = new_grid(
        len(gradients), len(columns), figsize=(10.0, 1.9 * len(gradients) + 0.4), sharex=True, sharey=True
    )
    panels = [(name, column) for name in gradients for column in columns]
    for ax, (name, column) in zip(axes, panels, strict=True):
        curve = np.asarray(gradients[name][column], dtype=float)
        ax.plot(places, curve / np.sqrt(np.mean(curve**2)), lw=0.9)
        ax.axhline(0, color=GREY, lw=0.8)
        if name == panels[0][0]:
            ax.set_title(column, fontsize=12)
        if column == columns[0]:
            ax.set_ylabel(f"{name}\n(dy/dx) / rms", fontsize=10)
        if name == panels[-1][0]:
            ax.set_xlabel(xlabel)
    return axes[0]


@styled
def plot_autocorrelation(
    depths: ArrayLike,
    measured: Mapping[str, ArrayLike],
    *,
    predicted: Mapping[str, ArrayLike] | None = None,
    num_points: int | None = None,
    ylabel: str = "autocorrelation at lag 1",
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the autocorrelation of a gradient against depth: mean over seeds as a line, their range as a band.

    Args:
        depths: [D], numbers of layers.
        measured: network -> [seeds, D].
        predicted: network of `measured` -> [D], a dashed line in the colour of that network.
        num_points: n inputs that the autocorrelation is taken over: white noise stays within ±1.96/√n, a grey strip.
        ylabel: what is drawn.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a prediction has no measurement to stand beside, or an autocorrelation lies outside [-1, 1].
    """
    side = ("depths", numbers("depths", depths, None, rule="whole and > 0").size)
    curves = curves_of("measured", measured, None, side, rule="in [-1, 1]")
    check_labels("predicted", predicted, "measured", measured)
    curves_of("predicted", predicted or None, side, rule="in [-1, 1]")
    check_numbers("> 0", num_points=num_points)
    ax = axes_for(ax)
    if num_points is not None:
        limit = 1.96 / np.sqrt(num_points)
        ax.axhspan(-limit, limit, color=GREY, alpha=0.25, lw=0, label="white noise, 95 %")
    for name, runs in measured.items():
        line = draw_mean_and_range(ax, depths, runs, label=name)
        if predicted is not None and name in predicted:
            ax.plot(depths, np.asarray(predicted[name]), "--", color=line.get_color(), lw=1.4)
    if predicted:
        ax.plot([], [], "--", color=BLACK, lw=1.4, label="from the co-activation")
    ax.set(
        xlabel="depth (layers)",
        ylabel=ylabel,
        ylim=(1.05 * min(-0.3 / 1.05, *map(np.min, curves.values())), 1.05),
    )
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=10)
    return ax
