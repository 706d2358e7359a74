"""What does a network look like from inside? One number, one histogram or one picture per layer or unit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from course_utils.plotting._base import (
    BLACK,
    GREY,
    SKY,
    axes_for,
    draw_mean_and_range,
    grid_for,
    styled,
)
from course_utils.plotting._records import (
    check_filled,
    check_labels,
    check_length,
    check_numbers,
    curves_of,
    line_of,
    list_of,
    numbers,
)

_MANY_LAYERS = 12
_BINS = 41  # odd, so that the middle bin is centred on zero


@styled
def plot_layer_profiles(
    measured: Mapping[str, ArrayLike],
    *,
    predicted: Mapping[str, ArrayLike] | None = None,
    target: float | None = None,
    ylabel: str = "variance",
    xlabel: str = "layer (1 = closest to the input)",
    log_x: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw one number per layer on a logarithmic axis: mean over seeds as a line, their range as a band.

    Args:
        measured: label -> [seeds, layers], all positive; layers are numbered from 1.
        predicted: label of `measured` -> [layers] of the formula, drawn as black crosses.
        target: what a good start would keep, drawn as a dashed line.
        ylabel: what the number is, with its unit.
        xlabel: what is counted along the layers.
        log_x: draw the layers on a logarithmic axis as well: a power law is then a straight line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a prediction has another number of layers than its measurement, or a number is not positive.
    """
    curves = curves_of("measured", measured, None, None, rule="positive")
    check_labels("predicted", predicted, "measured", measured)
    for label, values in (predicted or {}).items():
        numbers(
            f"predicted[{label!r}]", values, (f"measured[{label!r}]", curves[label].shape[1]), rule="positive"
        )
    check_numbers("positive", target=target)
    ax = axes_for(ax)
    for label, runs in curves.items():
        layers = np.arange(1, runs.shape[1] + 1)
        draw_mean_and_range(ax, layers, runs, label=label)
        if predicted is not None and label in predicted:
            ax.plot(layers, np.asarray(predicted[label]), zorder=3, **_prediction_look(layers.size))
    if predicted:
        ax.plot([], [], label="predicted", **_prediction_look(layers.size))
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", lw=1.2)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear", yscale="log")
    if not log_x and layers.size <= _MANY_LAYERS:
        ax.set_xticks(layers)
    ax.legend(fontsize=9)
    return ax


def _prediction_look(num_layers: int) -> dict[str, Any]:
    """Return crosses for a few layers, a dotted line for so many that crosses would hide the measurement."""
    if num_layers > _MANY_LAYERS:
        return {"color": BLACK, "linestyle": ":"}
    return {"color": BLACK, "linestyle": "", "marker": "x", "mew": 1.6, "ms": 6}


@styled
def plot_layer_distributions(
    rows: Mapping[str, Sequence[ArrayLike]],
    *,
    columns: Sequence[str],
    predicted_std: Mapping[str, Sequence[float]] | None = None,
    xlabel: str = "preactivation",
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw a histogram per start (row) and layer (column), and return the first Axes.

    Panels of a row share their horizontal axis, so that a signal that fades becomes a spike and one that grows spreads;
    heights are densities, each panel with its own scale.

    Args:
        rows: label of the row -> one array per layer, any shape.
        columns: title of each layer.
        predicted_std: label of `rows` -> standard deviation >= 0 of each layer's predicted normal density, black.
        xlabel: what is counted, with its unit.
        axes: rows x columns Axes, row by row; None makes a new figure.
    Raises: ValueError: if a row has not one array per column, or a value is not finite.
    """
    check_filled("rows", rows)
    check_filled("columns", columns)
    for label, layers in rows.items():
        check_length(f"rows[{label!r}]", layers, len(columns), "columns")
    values_of = {label: list_of(f"rows[{label!r}]", layers) for label, layers in rows.items()}
    check_labels("predicted_std", predicted_std, "rows", rows)
    curves_of("predicted_std", predicted_std or None, ("columns", len(columns)), rule=">= 0")
    size = (2.2 * len(columns), 1.35 * len(rows) + 0.8)
    grid = grid_for(axes, len(rows), len(columns), of="rows and columns", figsize=size, sharex="row")
    for row, (label, arrays) in enumerate(values_of.items()):
        panels = grid[row * len(columns) : (row + 1) * len(columns)]
        limit = 1.1 * max(np.quantile(np.abs(values), 0.997) for values in arrays) or 1.0
        stds: Sequence[float | None] = [None] * len(columns)
        if predicted_std is not None and label in predicted_std:
            stds = predicted_std[label]
        for ax, values, std in zip(panels, arrays, stds, strict=True):
            _draw_histogram(ax, values.ravel(), limit, std)
        panels[0].set_ylabel(label.replace(" (", "\n("), rotation=0, ha="right", va="center")
    for ax, title in zip(grid, columns, strict=False):
        ax.set_title(title, fontsize=11)
    for ax in grid[-len(columns) :]:
        ax.set_xlabel(xlabel, fontsize=10)
    return grid[0]


def _draw_histogram(ax: Axes, values: NDArray[np.float64], limit: float, std: float | None) -> None:
    ax.hist(values, bins=list(np.linspace(-limit, limit, _BINS + 1)), density=True, color=SKY)
    if std is not None and std > limit / 400:  # narrower than that it is a vertical line, which the bar shows
        x = np.linspace(-limit, limit, 401)
        ax.plot(x, np.exp(-(x**2) / (2 * std**2)) / (std * np.sqrt(2 * np.pi)), color=BLACK, lw=1.2)
    ax.set(yticks=[], xlim=(-limit, limit))
    ax.tick_params(labelsize=9)
    ax.grid(visible=False)


@styled
def plot_unit_images(
    rows: Mapping[str, ArrayLike], *, title: str = "unit", axes: Sequence[Axes] | None = None
) -> Axes:
    """Draw the incoming weights of single units as images, one row per run, and return the first Axes.

    Red is positive, blue negative, white zero; each row has its own scale, so that a row shows whether its units differ
    and not how large they are.

    Args:
        rows: label -> [units, height, width]; the same number of units in each.
        title: what a column is; it is numbered from 1.
        axes: rows x units Axes, row by row; None makes a new figure.
    Raises: ValueError: if the rows differ in their number of units, or a weight is not finite.
    """
    stacks = curves_of("rows", rows, None, None, None)
    units = {len(images) for images in stacks.values()}
    if len(units) != 1:
        raise ValueError(f"every entry of rows needs the same number of units, got {sorted(units)}.")
    columns = units.pop()
    size = (1.25 * columns + 2.2, 1.3 * len(rows) + 0.3)
    grid = grid_for(axes, len(rows), columns, of="rows", figsize=size)
    for row, (label, images) in enumerate(stacks.items()):
        limit = np.abs(images).max() or 1.0
        for column, image in enumerate(images):
            ax = grid[row * columns + column]
            ax.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if row == 0:
                ax.set_title(f"{title} {column + 1}", fontsize=11)
        grid[row * columns].set_ylabel(label, rotation=0, ha="right", va="center")
    return grid[0]


@styled
def plot_gains(
    std: ArrayLike,
    gains: Mapping[str, ArrayLike],
    *,
    torch_gains: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the gain that would keep the mean square against the size of the preactivation, one line per activation.

    Args:
        std: standard deviations of the preactivation [points], increasing, 1 among them or not.
        gains: activation -> gain at each of them [points].
        torch_gains: activation of `gains` -> the one number that PyTorch has for it, a dotted line of the same colour.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a standard deviation is not positive, a gain is not finite, or a torch gain has no curve.
    """
    where = line_of("std", std, rule="> 0")
    curves_of("gains", gains, None, ("std", where.size))
    check_labels("torch_gains", torch_gains, "gains", gains)
    curves_of("torch_gains", torch_gains or None)
    ax = axes_for(ax)
    for name, values in gains.items():
        line = draw_mean_and_range(ax, where, values, label=name)
        if torch_gains is not None and name in torch_gains:
            height, color = torch_gains[name], line.get_color()
            ax.axhline(height, color=color, linestyle=":", lw=1.4)
            ax.text(
                1.01, height, f"torch: {name} {height:.2f}", transform=ax.get_yaxis_transform(), va="center",
                color=color, fontsize=10,
            )  # fmt: skip
    ax.axvline(1.0, color=GREY, linestyle="--", lw=1.2)
    ax.set(
        xscale="log",
        xlabel="standard deviation of the preactivation",
        ylabel="gain that keeps the mean square",
    )
    ax.legend(fontsize=10)
    return ax
