"""Which of many, and by how much? Figures for more methods than there are colours: told apart by place and label."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, GREY, SKY, new_axes, new_grid, styled

_MARKERS = ("o", "D", "s", "^")
_BINS = 41  # odd, so that the middle bin is centred on zero
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
    Raises: ValueError: if a method has no half width.
    """
    names = list(dict.fromkeys(name for group in series.values() for name in group))
    ax = new_axes(figsize=(8, 0.34 * len(names) + 1.2)) if ax is None else ax
    shifts = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(series)) if len(series) > 1 else np.zeros(1)
    for number, (label, group) in enumerate(series.items()):
        if missing := sorted(set(group) - set(half_widths.get(label, {}))):
            raise ValueError(f"every method of {label!r} needs a half width, missing: {', '.join(missing)}.")
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
    if not panels:
        raise ValueError("panels is empty: there is nothing to draw.")
    rows = -(-len(panels) // columns)
    size = (2.7 * columns, 1.75 * rows + 0.3)
    grid = new_grid(rows, columns, figsize=size) if axes is None else list(axes)
    for ax, (title, pair) in zip(grid, panels.items(), strict=False):
        before, after = (np.asarray(values, dtype=float).ravel() for values in pair)
        if not (np.isfinite(before).all() and np.isfinite(after).all()):
            raise ValueError(f"the values of {title!r} are not all finite: leave a run that diverged out.")
        _draw_before_after(ax, before, after)
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
