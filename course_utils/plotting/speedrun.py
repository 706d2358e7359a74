"""Where does the time go, and who reaches the target at which cost? Figures of the race of notebook 16."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    styled,
)
from course_utils.plotting._records import (
    check_filled,
    check_interval,
    check_labels,
    check_most,
    check_numbers,
    curves_of,
    numbers,
    pairs_of,
)

_PART_COLORS = (ORANGE, SKY, BLUE, VERMILION, GREEN, PURPLE, GREY)
_DARK = {BLUE}  # white text on these, black on the others
_NARROW = 0.055  # of the longest bar: what is shorter has no room for its share
_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 40)
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
_POINT_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK, SKY, GREY)


@styled
def plot_parts(
    bars: Mapping[str, Mapping[str, float]],
    *,
    xlabel: str,
    marks: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what something consists of: one horizontal bar each, its parts in a row, the same colour for the same part.

    A part says its share of its own bar in percent where it has room for it.

    Args:
        bars: label -> {part: amount >= 0}; parts are ordered as they first appear.
        xlabel: what the amounts are, with their unit.
        marks: label of `bars` -> a predicted length, drawn as a thick black stroke across the bar.
        ax: where to draw; None makes a new figure, which grows with the number of bars.
    Raises: ValueError: if there are more parts than colours, an amount is negative, all are 0, or a mark has no bar.
    """
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    check_filled("bars", parts)
    check_most("parts of bars", parts, len(_PART_COLORS))
    for label, bar in bars.items():
        curves_of(f"bars[{label!r}]", bar, rule=">= 0")
    check_labels("marks", marks, "bars", bars)
    curves_of("marks", marks or None, rule=">= 0")
    longest = max(sum(bar.values()) for bar in bars.values())
    check_numbers("> 0", **{"longest of bars": longest})
    ax = axes_for(ax, figsize=(8, 0.62 * len(bars) + 1.7))
    labelled: set[str] = set()
    for row, bar in enumerate(bars.values()):
        left, total = 0.0, sum(bar.values())
        for part, amount in bar.items():
            color = _PART_COLORS[parts.index(part)]
            label = "_nolegend_" if part in labelled else part
            labelled.add(part)
            ax.barh(row, amount, left=left, height=0.62, color=color, edgecolor="white", label=label)
            if amount > _NARROW * longest:
                ax.text(
                    left + amount / 2, row, f"{100 * amount / total:.0f}", ha="center", va="center", fontsize=10,
                    color="white" if color in _DARK else BLACK,
                )  # fmt: skip
            left += amount
    for row, label in enumerate(bars):
        if marks is not None and label in marks:
            ax.vlines(marks[label], row - 0.42, row + 0.42, color=BLACK, lw=3)
    ax.set_yticks(range(len(bars)), list(bars))
    ax.set(xlabel=xlabel, ylim=(len(bars) - 0.4, -0.6))
    ax.grid(visible=False, axis="y")
    ax.legend(fontsize=9.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(4, len(parts)))
    return ax


@styled
def plot_race(
    costs: Mapping[str, float],
    accuracies: Mapping[str, Sequence[float]],
    half_widths: Mapping[str, float],
    *,
    target: float,
    levels: Mapping[str, float] | None = None,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    xlabel: str = "cost of one training (epochs of S0's recipe)",
    ylabel: str = "test accuracy (%)",
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against cost, each recipe with the interval of its mean, the target as a line across.

    Args:
        costs: recipe -> cost > 0; the axis is logarithmic.
        accuracies: recipe -> one value per seed.
        half_widths: recipe -> half of the interval of the mean.
        target: what has to be reached, in the unit of the accuracies.
        levels: name -> largest cost, drawn as dotted lines with the name above.
        curves: label -> (costs [points], accuracies [seeds, points]) of a training watched as it goes on.
        xlabel: unit of the costs.
        ylabel: unit of the accuracies.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a recipe lacks accuracies or a half width, or a cost is not positive.
    """
    curves_of("costs", costs, rule="> 0")
    for record, of in ((accuracies, "accuracies"), (half_widths, "half_widths")):
        check_labels("costs", costs, of, record)
    curves_of("accuracies", accuracies, None)
    curves_of("half_widths", half_widths, rule=">= 0")
    check_numbers("finite", target=target)
    curves_of("levels", levels or None, rule="> 0")
    pairs_of("curves", curves or None, x_rule="> 0")
    ax = axes_for(ax, figsize=(9.2, 4.6))
    for k, (label, (places, runs)) in enumerate((curves or {}).items()):
        draw_mean_and_range(ax, places, runs, label=label, color=GREY, linestyle=("-", "--", ":")[k % 3])
    for k, (name, cost) in enumerate(costs.items()):
        values = accuracies[name]
        ax.errorbar(
            cost, float(np.mean(values)), yerr=half_widths[name], fmt=_MARKERS[k % len(_MARKERS)],
            color=_POINT_COLORS[k % len(_POINT_COLORS)], ms=7, capsize=4, lw=1.8, label=f"{name} (n = {len(values)})",
        )  # fmt: skip
    ax.axhline(target, color=BLACK, linestyle="--", lw=1.3, label=f"target, {target:.2f}")
    for name, most in (levels or {}).items():
        ax.axvline(most, color=GREY, linestyle=":", lw=1.3)
        ax.annotate(name, (most, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 4),
                    textcoords="offset points", ha="center", va="bottom", rotation=90, fontsize=9.5)  # fmt: skip
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    low, high = (0.88 * ax.get_xlim()[0], 1.12 * ax.get_xlim()[1])
    ax.set_xlim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=9.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


@styled
def plot_iterates(
    s: ArrayLike,
    iterates: Mapping[str, ArrayLike],
    *,
    band: tuple[float, float],
    xlabel: str = "singular value before, of a norm of 1",
    ylabel: str = "singular value after",
    ax: Axes | None = None,
) -> Axes:
    """Draw what a polynomial, applied again and again, makes of each singular value; the band is where they should end.

    Args:
        s: singular values > 0 [points]; the axis is logarithmic.
        iterates: label -> values [points], from the first step to the last: light to dark.
        band: (lowest, highest) that is promised.
        xlabel: what `s` is.
        ylabel: what the values are.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a singular value is not positive, a label has not one value for each, or the band descends.
    """
    side = ("s", numbers("s", s, None, rule="> 0").size)
    curves_of("iterates", iterates, side)
    check_interval("band", band)
    ax = axes_for(ax)
    ax.axhspan(*band, color=GREEN, alpha=0.18, lw=0, label=f"{band[0]:g} to {band[1]:g}")
    for k, (label, values) in enumerate(iterates.items(), start=1):
        last = k == len(iterates)
        ax.plot(
            s, values, label=label, color=BLACK if last else BLUE,
            alpha=1.0 if last else 0.25 + 0.6 * k / len(iterates), lw=2.4 if last else 1.3,
        )  # fmt: skip
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.3))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
