"""How near does a network of one input come? Functions with their approximations, rates, pieces and switch patterns."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREY,
    METHOD_COLORS,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    styled,
)
from course_utils.plotting._records import (
    check_interval,
    check_labels,
    check_numbers,
    curves_of,
    line_of,
    numbers,
    pairs_of,
)


@styled
def plot_approximations(
    x: ArrayLike,
    target: ArrayLike,
    approximations: Mapping[str, ArrayLike],
    *,
    knots: ArrayLike | None = None,
    promised: tuple[float, float] | None = None,
    target_name: str = "target f",
    ax: Axes | None = None,
) -> Axes:
    """Draw a function of one variable as a broad grey line, and what approximates it on top.

    Args:
        x: positions [points], increasing.
        target: f at these positions.
        approximations: label -> [points], or [seeds, points]: mean over seeds with their range as a band.
        knots: places where an approximation may bend or jump, as small marks on the horizontal axis.
        promised: the interval on which something is promised; everything outside of it is shaded.
        target_name: of the grey line, for the legend.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if an approximation has not one finite value per position, or the positions do not increase.
    """
    where = line_of("x", x)
    numbers("target", target, ("x", len(where)))
    curves_of("approximations", approximations, None, ("x", len(where)))
    if knots is not None:
        numbers("knots", knots, None)
    if promised is not None:
        check_interval("promised", promised)
    ax = axes_for(ax)
    ax.plot(where, np.asarray(target, dtype=float), color=GREY, lw=5, alpha=0.45, label=target_name)
    for name, values in approximations.items():
        draw_mean_and_range(ax, where, values, label=name, lw=1.6, **_color(name))
    if knots is not None:
        places = np.asarray(knots, dtype=float)
        ax.plot(places, np.full(len(places), 0.012), "|", color=BLACK, ms=9, mew=1.0, clip_on=False,
                transform=ax.get_xaxis_transform())  # fmt: skip
    if promised is not None:
        for low, high in ((where[0], promised[0]), (promised[1], where[-1])):
            if high > low:
                ax.axvspan(low, high, color=GREY, alpha=0.15, lw=0)
    ax.set(xlabel="x", ylabel="f(x)", xlim=(where[0], where[-1]))
    ax.legend()
    return ax


@styled
def plot_scaling(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    predicted: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw a quantity against a size on two logarithmic axes, where a power law is a straight line.

    Args:
        series: label -> (sizes, values), all positive: values are [sizes], or [seeds, sizes] with mean and range.
        predicted: label -> (sizes, values) of a formula, all positive, thin and dashed.
        xlabel: what the size is.
        ylabel: what the values are, with their unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a size or a value is not positive, or there are not as many of one as of the other.
    """
    pairs_of("series", series, x_rule="> 0", rule="> 0")
    pairs_of("predicted", predicted or None, x_rule="> 0", rule="> 0", runs=False)
    ax = axes_for(ax)
    for marker, (name, (sizes, values)) in zip(itertools.cycle("osD^vP"), series.items(), strict=False):
        draw_mean_and_range(ax, sizes, values, label=name, marker=marker, **_color(name))
    for dashes, (name, (sizes, values)) in zip(
        itertools.cycle(("--", ":", "-.")), (predicted or {}).items(), strict=False
    ):
        ax.plot(np.asarray(sizes), np.asarray(values, dtype=float), dashes, color=BLACK, lw=1.2, label=name)
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax


@styled
def plot_runs(
    results: Mapping[str, Sequence[float]],
    *,
    intervals: Mapping[str, tuple[float, float, float]] | None = None,
    references: Mapping[str, float] | None = None,
    ylabel: str,
    log: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw every run of several groups as a dot, so that a run that got stuck is seen and not averaged away.

    Args:
        results: group -> one result per seed; a group of one is drawn as a diamond.
        intervals: group -> (lower end, middle, upper end), drawn beside its dots.
        references: label -> a value that is drawn as a dashed line across, with its label right of the axes.
        ylabel: what the results are, with their unit.
        log: whether the vertical axis is logarithmic.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if an interval belongs to no group or does not ascend, or the axis cannot show a number.
    """
    rule = "> 0" if log else "finite"
    curves_of("results", results, None, rule=rule)
    check_labels("intervals", intervals, "results", results)
    for name, ends in (intervals or {}).items():
        check_interval(f"intervals[{name!r}]", ends, rule=rule)
    curves_of("references", references or None, rule=rule)
    ax = axes_for(ax)
    for column, (name, values) in enumerate(results.items()):
        color = _color(name).get("color", BLUE)
        marker = "o" if len(values) > 1 else "D"
        ax.plot(
            np.full(len(values), column - 0.1), values, marker, color=color, alpha=0.55, ms=8, mec="white"
        )
        if intervals is not None and name in intervals:
            low, middle, high = intervals[name]
            ax.errorbar(column + 0.15, middle, yerr=[[middle - low], [high - middle]], fmt="D", color=color,
                        capsize=5, ms=6)  # fmt: skip
    for label, value in (references or {}).items():
        ax.axhline(value, color=BLACK, linestyle="--", lw=1.2)
        ax.text(1.01, value, label, transform=ax.get_yaxis_transform(), va="center", fontsize=10.5)
    labels = [f"{name}\n(n = {len(values)})" if len(values) > 1 else name for name, values in results.items()]
    ax.set_xticks(range(len(labels)), labels)
    ax.set(ylabel=ylabel, yscale="log" if log else "linear", xlim=(-0.5, len(labels) - 0.5))
    ax.grid(visible=False, axis="x")
    return ax


@styled
def plot_missing(
    steps: ArrayLike,
    missing: Mapping[str, ArrayLike],
    *,
    level: float = 0.5,
    ax: Axes | None = None,
) -> Axes:
    """Draw which share of each component of the target a network has not learnt yet, against the step.

    Args:
        steps: step numbers [times], positive: the axis is logarithmic.
        missing: component -> [seeds, times]; 1 before anything is learnt, 0 when all of it is.
        level: the share that counts as half-way, drawn as a dashed line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a step is not positive, or a component has not one finite share per step.
    """
    times = ("steps", numbers("steps", steps, None, rule="> 0").size)
    curves_of("missing", missing, None, times)
    check_numbers("finite", level=level)
    ax = axes_for(ax)
    for name, shares in missing.items():
        draw_mean_and_range(ax, steps, shares, label=name)
    ax.axhline(level, color=BLACK, linestyle="--", lw=1.0)
    ax.axhline(0.0, color=GREY, lw=1.0)
    ax.set(xscale="log", xlabel="training step", ylabel="share still missing")
    ax.legend(loc="upper right")
    return ax


@styled
def plot_pieces(
    knots: ArrayLike, heights: ArrayLike, *, ylabel: str = "output", ax: Axes | None = None
) -> Axes:
    """Draw a piecewise linear function through its knots, rising pieces in one colour and falling ones in another.

    Args:
        knots: both ends and all places where the slope changes, ascending.
        heights: the function there.
        ylabel: what the function is.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the knots do not ascend, or there is not one finite height for each.
    """
    x = line_of("knots", knots)
    y = numbers("heights", heights, ("knots", x.size))
    ax = axes_for(ax)
    for piece in range(len(x) - 1):
        style, color = ("-", BLUE) if y[piece + 1] >= y[piece] else ("--", VERMILION)
        ax.plot(x[piece : piece + 2], y[piece : piece + 2], style, color=color)
    ax.plot(x, y, ".", color=BLACK, ms=4)
    ax.set(xlabel="x", ylabel=ylabel)
    return ax


@styled
def plot_patterns(
    patterns: ArrayLike,
    *,
    extent: tuple[float, float] | None = None,
    borders: Mapping[str, float] | None = None,
    xlabel: str = "x",
    ylabel: str = "hidden unit",
    ax: Axes | None = None,
) -> Axes:
    """Draw which hidden units are on (dark) and which are off (light), one row per unit.

    Args:
        patterns: booleans [units, columns], or their share in [0, 1].
        extent: where the first column begins and the last one ends; None numbers the columns.
        borders: label -> where its group of columns ends; a line is drawn there and the label below the group.
        xlabel: what the columns are.
        ylabel: what the rows are.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a pattern is neither on nor off, or the extent or the borders do not increase.
    """
    on = numbers("patterns", patterns, None, None, rule="in [0, 1]")
    low, high = line_of("extent", extent or (0.0, float(on.shape[1])))
    if borders:
        line_of("borders", [low, *borders.values()])
    ax = axes_for(ax)
    ax.imshow(on, aspect="auto", cmap="Blues", vmin=-0.1, vmax=1.25, interpolation="nearest",
              extent=(low, high, len(on) + 0.5, 0.5))  # fmt: skip
    ax.grid(visible=False)
    ax.yaxis.set_major_locator(MultipleLocator(5))
    if borders:
        ends = [low, *borders.values()]
        for end in ends[1:-1]:
            ax.axvline(end, color=BLACK, lw=1.0)
        middles = [(left + right) / 2 for left, right in itertools.pairwise(ends)]
        ax.set_xticks(middles, list(borders))
        ax.tick_params(axis="x", length=0)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def _color(name: str) -> dict[str, str]:
    """Return the colour of the first method that the label names, such as ReLU in '3x64 ReLU'."""
    words = name.replace(",", " ").split()
    return next(({"color": METHOD_COLORS[word]} for word in words if word in METHOD_COLORS), {})
