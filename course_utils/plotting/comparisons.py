"""Which of many, and by how much? Figures for more methods than there are colours: told apart by place and label."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, BLUE, GREY, SKY, VERMILION, axes_for, grid_for, styled
from course_utils.plotting._records import (
    check_filled,
    check_most,
    check_numbers,
    curves_of,
    line_of,
    list_of,
    numbers,
)

_MARKERS = ("o", "D", "s", "^")
_BINS = 41  # odd, so that the middle bin is centred on zero
_PREDICTIONS = ((VERMILION, "-"), (BLACK, "--"), (GREY, ":"))  # of curves over a histogram
_SPREAD = 0.5  # of a row, over which several series are laid out


@styled
def plot_intervals(
    series: Mapping[str, Mapping[str, Sequence[float]]],
    half_widths: Mapping[str, Mapping[str, float]],
    *,
    xlabel: str,
    reference: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one row per method: a faint dot per seed, the mean and its interval; several series lie below each other.

    Args:
        series: label of the series -> {method: one value per seed}; methods are ordered as they first appear, from
            the top. A series may leave methods out.
        half_widths: label of `series` -> {method: half of the 95 % interval of the mean}.
        xlabel: what the values are, with their unit.
        reference: a value to compare with, drawn as a dashed line.
        ax: where to draw; None makes a new figure, which grows with the number of rows.
    Raises: ValueError: if a method has no half width, or a value is not finite.
    """
    check_filled("series", series)
    for label, group in series.items():
        curves_of(f"series[{label!r}]", group, None)
        if missing := sorted(set(group) - set(half_widths.get(label, {}))):
            raise ValueError(
                f"every method of {label!r} in series needs half_widths, missing: {', '.join(missing)}."
            )
        curves_of(f"half_widths[{label!r}]", half_widths[label], rule=">= 0")
    check_numbers("finite", reference=reference)
    names = list(dict.fromkeys(name for group in series.values() for name in group))
    ax = axes_for(ax, figsize=(8, 0.34 * len(names) + 1.2))
    shifts = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(series)) if len(series) > 1 else np.zeros(1)
    for number, (label, group) in enumerate(series.items()):
        color, marker = f"C{number}", _MARKERS[number % len(_MARKERS)]
        counts = {len(values) for values in group.values()}
        entry = f"{label} (n = {counts.pop()})" if len(counts) == 1 else label
        for name, values in group.items():
            row = names.index(name) + shifts[number]
            ax.plot(values, np.full(len(values), row), "o", color=color, alpha=0.25, ms=6, mew=0)
            ax.errorbar(
                float(np.mean(values)), row, xerr=half_widths[label][name], fmt=marker, color=color, ms=5,
                capsize=4, lw=1.8, label=entry,
            )  # fmt: skip
            entry = "_nolegend_"
    if reference is not None:
        ax.axvline(reference, color=GREY, linestyle="--", lw=1.2)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=xlabel, ylim=(len(names) - 0.4, -0.6))
    ax.legend(fontsize=10)
    return ax


@styled
def plot_before_after(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    columns: int = 4,
    xlabel: str = "weight",
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw what training did to a distribution: filled bars after it, a black outline before; return the first Axes.

    Each panel has its own axis, which holds both distributions, and says both standard deviations.

    Args:
        panels: title -> (values before, values after), any shapes.
        columns: panels per row of a new figure.
        xlabel: what is counted, with its unit.
        axes: one Axes per panel; None makes a new figure.
    Raises: ValueError: if there is no panel, or a panel has a value that is not finite.
    """
    check_filled("panels", panels)
    check_numbers("from 1 to 50", columns=columns)
    pairs = {title: list_of(f"panels[{title!r}]", pair) for title, pair in panels.items()}
    rows = -(-len(panels) // columns)
    size = (2.7 * columns, 1.75 * rows + 0.3)
    grid = grid_for(axes, rows, columns, of="panels", least=len(panels), figsize=size)
    for ax, (title, pair) in zip(grid, pairs.items(), strict=False):
        _draw_before_after(ax, *(values.ravel() for values in pair))
        ax.set_title(title, fontsize=11)
    for ax in grid[len(panels) :]:
        ax.set_visible(False)
    for ax in grid[max(0, len(panels) - columns) : len(panels)]:
        ax.set_xlabel(xlabel, fontsize=10)
    grid[0].legend(fontsize=8.5, loc="upper left", handlelength=1.2)
    return grid[0]


def _draw_before_after(ax: Axes, before: np.ndarray, after: np.ndarray) -> None:
    both = np.concatenate([before, after])
    low, high = np.quantile(both, 0.001), np.quantile(both, 0.999)
    margin = 0.08 * (high - low) or 0.1
    bins = np.linspace(low - margin, high + margin, _BINS + 1).tolist()
    ax.hist(after, bins=bins, density=True, color=SKY, label="after")
    ax.hist(before, bins=bins, density=True, histtype="step", color=BLACK, lw=1.1, label="before")
    ax.set(yticks=[], xlim=(bins[0], bins[-1]))
    # A constant is one bar as high as the panel: leave the place above it for the numbers.
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])
    ax.text(
        0.98, 0.97, f"std {before.std():.2g} → {after.std():.2g}", transform=ax.transAxes, ha="right", va="top",
        fontsize=9,
    )  # fmt: skip
    ax.tick_params(labelsize=9)
    ax.grid(visible=False)


@styled
def plot_spread(
    values: ArrayLike,
    *,
    predicted: Mapping[str, tuple[float, float]],
    xlabel: str,
    bins: int | Sequence[float] = 30,
    ax: Axes | None = None,
) -> Axes:
    """Draw a histogram of repeated measurements under the bell curves that were predicted for it.

    Args:
        values: [N] measurements.
        predicted: label -> (mean, standard deviation > 0) of a normal distribution; one to three.
        xlabel: what was measured, with its unit.
        bins: number of bins, 1 to 1000, or their edges, which suits values that come in steps.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a value is not finite, lies beyond the edges, or a deviation is not positive.
    """
    values = numbers("values", values, None)
    check_most("predicted", predicted, len(_PREDICTIONS))
    for name, moments in curves_of("predicted", predicted, 2).items():
        check_numbers("> 0", **{f"deviation of predicted[{name!r}]": moments[1]})
    if isinstance(bins, int | np.integer):
        check_numbers("from 1 to 1000", bins=bins)
    elif not ((edges := line_of("bins", bins))[0] <= values.min() and values.max() <= edges[-1]):
        raise ValueError(f"bins from {edges[0]:g} to {edges[-1]:g} do not hold all of values.")
    ax = axes_for(ax)
    heights, edges = np.histogram(values, bins, density=True)
    ax.stairs(heights, edges, fill=True, color=BLUE, alpha=0.45, label=f"measured (n = {len(values):,})")
    reach = max(4 * max(sd for _, sd in predicted.values()), float(np.ptp(edges)) / 2)
    middle = float(values.mean())
    grid = np.linspace(middle - reach, middle + reach, 1001)
    for (label, (mean, sd)), (color, style) in zip(predicted.items(), _PREDICTIONS, strict=False):
        density = np.exp(-(((grid - mean) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi))
        ax.plot(grid, density, color=color, linestyle=style, label=label)
    ax.set(xlabel=xlabel, ylabel="density", xlim=(grid[0], grid[-1]), ylim=(0, 1.45 * heights.max()))
    ax.legend(fontsize=9.5)
    return ax


@styled
def plot_seed_and_image_intervals(
    accuracies: Sequence[float],
    *,
    image_half_widths: Sequence[float],
    seed_half_width: float,
    xlabel: str = "test accuracy (%)",
    ax: Axes | None = None,
) -> Axes:
    """Draw every run with the interval of its test images, and the mean of the runs with the interval of the seeds.

    Args:
        accuracies: one for each seed.
        image_half_widths: half of the 95 % interval that the number of test images gives, one for each seed.
        seed_half_width: half of the 95 % interval of the mean over seeds.
        xlabel: what is drawn, with its unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if an accuracy is not finite, or a half width is missing or negative.
    """
    num_seeds = numbers("accuracies", accuracies, None).size
    numbers("image_half_widths", image_half_widths, ("accuracies", num_seeds), rule=">= 0")
    check_numbers(">= 0", seed_half_width=seed_half_width)
    ax = axes_for(ax)
    rows, mean = np.arange(len(accuracies)), float(np.mean(accuracies))
    ax.axvspan(mean - seed_half_width, mean + seed_half_width, color=BLUE, alpha=0.15, lw=0)
    ax.errorbar(accuracies, rows, xerr=image_half_widths, fmt="o", color=GREY, ecolor=GREY, capsize=3,
                label="one seed, 95 % over test images")  # fmt: skip
    ax.errorbar(mean, len(accuracies) + 0.4, xerr=seed_half_width, fmt="D", color=BLUE, capsize=5, lw=2.4,
                label=f"mean, 95 % over seeds (n = {len(accuracies)})")  # fmt: skip
    ax.set_yticks([*rows, len(accuracies) + 0.4], [*(f"seed {k + 1}" for k in rows), "mean"])
    ax.set(xlabel=xlabel, ylim=(len(accuracies) + 1.1, -0.7))
    ax.legend(fontsize=9.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax
