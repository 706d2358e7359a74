"""When does a product stop being a number, and what does a nonlinearity do to it? Formats, growth, slopes, curves.

Sizes are drawn in decades, that is as log10: a product of many factors is a sum there, and the ends of a number format
are two points on the line.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    grid_for,
    method_look,
    styled,
)
from course_utils.plotting._records import (
    check_filled,
    check_interval,
    check_labels,
    check_length,
    check_most,
    check_numbers,
    curves_of,
    line_of,
    list_of,
    numbers,
)


@styled
def plot_number_formats(
    formats: Mapping[str, tuple[float, float, float]],
    *,
    claimed: Mapping[str, tuple[float, float]] | None = None,
    xlabel: str = "decades, log10 of the size",
    ax: Axes | None = None,
) -> Axes:
    """Draw which sizes each number format can hold, one bar a format: normal numbers dark, subnormal ones light.

    To the left of a bar is 0, to its right infinity; the ends are written beside them.

    Args:
        formats: name -> log10 of (smallest subnormal, smallest normal, largest) number, ascending.
        claimed: name of a format -> the two ends that somebody states, an outlined bar below that of the format.
        xlabel: what the ends are measured in.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the numbers of a format do not ascend, or a claim is of no format.
    """
    for name, (subnormal, normal, largest) in curves_of("formats", formats, 3).items():
        if not subnormal <= normal < largest:
            raise ValueError(
                f"formats[{name!r}] needs smallest subnormal <= smallest normal < largest, "
                f"got {subnormal:g}, {normal:g}, {largest:g}."
            )
    check_labels("claimed", claimed, "formats", formats)
    for name, claim in (claimed or {}).items():
        check_interval(f"claimed[{name!r}]", claim)
    ax = axes_for(ax, figsize=(9, 0.62 * len(formats) + 1.6))
    for row, (name, (subnormal, normal, largest)) in enumerate(formats.items()):
        ax.barh(row, normal - subnormal, left=subnormal, height=0.42, color=SKY)
        ax.barh(row, largest - normal, left=normal, height=0.42, color=BLUE)
        for end, side in ((subnormal, "right"), (largest, "left")):
            gap = -4 if side == "right" else 4
            ax.annotate(
                f"{end:.1f}",
                (end, row),
                (gap, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=10,
            )
        if claimed is not None and name in claimed:
            low, high = claimed[name]
            ax.barh(row + 0.34, high - low, left=low, height=0.16, fill=False, ec=VERMILION, lw=1.4, ls="--")
    keys = [
        Patch(color=BLUE, label="normal"),
        Patch(color=SKY, label="subnormal (fewer digits)"),
        Patch(fill=False, ec=VERMILION, ls="--", label="as one source draws it"),
    ]
    ends = [end for parts in (*formats.values(), *(claimed or {}).values()) for end in parts]
    room = 0.12 * (max(ends) - min(ends))  # for the numbers beside the widest bar
    ax.set_yticks(range(len(formats)), list(formats))
    ax.set(xlabel=xlabel, ylim=(len(formats) - 0.35, -0.5), xlim=(min(ends) - room, max(ends) + room))
    ax.grid(visible=False, axis="y")
    ax.legend(
        handles=keys if claimed else keys[:2],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        fontsize=10,
    )
    return ax


@styled
def plot_log_growth(
    logs: ArrayLike,
    *,
    predicted: tuple[ArrayLike, ArrayLike] | None = None,
    lines: Mapping[str, ArrayLike] | None = None,
    limit: tuple[str, float] | None = None,
    num_shown: int = 12,
    ylabel: str = "log10 of the norm (decades)",
    ax: Axes | None = None,
) -> Axes:
    """Draw how the size of a random product grows with its factors: some runs, the range of 95 % of them, the formula.

    Args:
        logs: [runs, factors >= 2], log10 of the size after 1, 2, ... factors.
        predicted: (mean, standard deviation), each [factors]: a dashed line, dotted ones at 1.96 of it on both sides.
        lines: label -> [factors], further curves such as the growth of the root mean square; two at most.
        limit: (label, log10) beyond which the size is no number any more, a horizontal line.
        num_shown: how many single runs are drawn, the first ones.
        ylabel: what is drawn, with its unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a curve has another length or is not finite, or a standard deviation is negative.
    """
    runs = numbers("logs", logs, None, None)
    factors = line_of("the factors of logs", np.arange(1, runs.shape[1] + 1))
    if predicted is not None:
        mean = numbers("mean of predicted", predicted[0], ("logs", factors.size))
        spread = numbers("deviation of predicted", predicted[1], ("logs", factors.size), rule=">= 0")
    if lines:
        check_most("lines", lines, 2)
        curves_of("lines", lines, ("logs", factors.size))
    check_numbers("whole and >= 0", num_shown=num_shown)
    check_numbers("finite", limit=None if limit is None else limit[1])
    ax = axes_for(ax)
    low, high = np.quantile(runs, (0.025, 0.975), axis=0)
    ax.fill_between(factors, low, high, color=SKY, alpha=0.45, lw=0, label=f"95 % of {len(runs):,} runs")
    ax.plot(factors, runs[:num_shown].T, color=BLUE, lw=0.6, alpha=0.55)
    ax.plot([], [], color=BLUE, lw=0.8, label="single runs")
    if predicted is not None:
        ax.plot(factors, mean, color=BLACK, linestyle="--", lw=1.6, label="predicted mean")
        for sign in (-1.96, 1.96):
            label = "predicted 95 %" if sign > 0 else None
            ax.plot(factors, mean + sign * spread, color=BLACK, linestyle=":", lw=1.3, label=label)
    for (label, values), color in zip((lines or {}).items(), (VERMILION, GREY), strict=False):
        ax.plot(factors, np.asarray(values, dtype=float), color=color, linestyle="-.", lw=1.6, label=label)
    if limit is not None:
        ax.axhline(limit[1], color=GREY, lw=1.2)
        ax.annotate(limit[0], (0.01, limit[1]), xycoords=ax.get_yaxis_transform(), va="bottom", fontsize=10)
    ax.set(xlabel="number of factors", ylabel=ylabel, xlim=(1, factors[-1]))
    ax.legend(fontsize=9, loc="lower right")
    return ax


@styled
def plot_shares(
    x: ArrayLike,
    measured: Mapping[str, ArrayLike],
    *,
    predicted: tuple[ArrayLike, ArrayLike] | None = None,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw shares in percent against anything: mean over seeds as a line, their range as a band, the formula dashed.

    Args:
        x: [points].
        measured: label -> [seeds, points] or [points], fractions in [0, 1].
        predicted: (positions, fractions) of a formula, a dashed black line.
        xlabel: what the shares depend on.
        ylabel: which share; the axis goes from 0 to 100 %.
        log_x: draw x on a logarithmic axis.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a share lies outside [0, 1], or x does not fit to it or to its axis.
    """
    x_rule = "> 0" if log_x else "finite"
    places = numbers("x", x, None, rule=x_rule)
    curves = curves_of("measured", measured, None, ("x", places.size), rule="in [0, 1]")
    if predicted is not None:
        at = numbers("positions of predicted", predicted[0], None, rule=x_rule)
        share = numbers("fractions of predicted", predicted[1], ("its positions", at.size), rule="in [0, 1]")
    ax = axes_for(ax)
    for label, values in curves.items():
        draw_mean_and_range(ax, places, 100 * values, label=label, marker=".")
    if predicted is not None:
        ax.plot(at, 100 * share, color=BLACK, linestyle="--", lw=1.5, label="predicted")
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear", ylim=(-3, 103))
    ax.legend(fontsize=10)
    return ax


@styled
def plot_activation_gallery(
    x: ArrayLike,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    columns: int = 4,
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw each activation with its derivative, one panel each on shared axes, and return the first Axes.

    The derivative is dashed and black; the area under it is shaded, because where it is 0 no gradient comes back.

    Args:
        x: [points], the preactivation, increasing.
        curves: name -> (values [points], derivatives [points]); the name gives the colour, blue where it has none.
        columns: panels in a row, 1 to 50.
        axes: at least one Axes a curve; None makes a new figure.
    Raises: ValueError: if x does not increase, or a curve has another length or is not finite.
    """
    points = line_of("x", x)
    check_filled("curves", curves)
    for name, pair in curves.items():
        list_of(f"curves[{name!r}]", pair, ("x", points.size))
    check_numbers("from 1 to 50", columns=columns)
    rows, size = -(-len(curves) // columns), (2.9 * columns, 2.35 * -(-len(curves) // columns))
    grid = grid_for(
        axes, rows, columns, of="curves", least=len(curves), figsize=size, sharex=True, sharey=True
    )
    for ax, (name, (values, slopes)) in zip(grid, curves.items(), strict=False):
        slope = np.asarray(slopes, dtype=float)
        color = method_look(name).get("color", BLUE)
        ax.fill_between(points, 0, slope, color=GREY, alpha=0.25, lw=0)
        ax.plot(points, np.asarray(values, dtype=float), color=color, label="activation")
        ax.plot(points, slope, color=BLACK, linestyle="--", lw=1.4, label="derivative")
        ax.set(title=name, ylim=(-1.3, 2.3), xlim=(points[0], points[-1]))
        ax.tick_params(labelsize=10)
    for ax in grid[len(curves) :]:
        ax.set_visible(False)
    for ax in grid[-columns:]:
        ax.set_xlabel("preactivation z")
    grid[0].legend(fontsize=9, loc="upper left")
    return grid[0]


@styled
def plot_compositions(
    x: ArrayLike,
    rows: Mapping[str, Sequence[ArrayLike]],
    *,
    columns: Sequence[str],
    notes: Mapping[str, Sequence[str]] | None = None,
    xlabel: str = "position t on the line",
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw one function per panel, a row for each setting and a column for each number of compositions.

    Args:
        x: [points], shared by all panels.
        rows: label -> one [points] per column; each panel has a vertical scale of its own.
        columns: title of each column.
        notes: label of `rows` -> one short text per column, written above the curve.
        xlabel: what x is.
        axes: rows x columns Axes, row by row; None makes a new figure.
    Raises: ValueError: if a row has not one curve, or not one note, per column, or a curve not one value per point.
    """
    places = numbers("x", x, None)
    check_filled("rows", rows)
    for name, curves in rows.items():
        check_length(f"rows[{name!r}]", curves, len(columns), "columns")
        list_of(f"rows[{name!r}]", curves, ("x", places.size))
    check_labels("notes", notes, "rows", rows, every=notes is not None)
    for name, texts in (notes or {}).items():
        check_length(f"notes[{name!r}]", texts, len(columns), "columns")
    size = (3.0 * len(columns), 1.6 * len(rows) + 0.9)
    grid = grid_for(axes, len(rows), len(columns), of="rows and columns", figsize=size, sharex=True)
    for row, (label, curves) in enumerate(rows.items()):
        panels = grid[row * len(columns) : (row + 1) * len(columns)]
        for column, (ax, values) in enumerate(zip(panels, curves, strict=True)):
            ax.plot(places, np.asarray(values, dtype=float), color=BLUE, lw=0.9)
            ax.set(yticks=[])
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            if notes is not None:
                ax.annotate(notes[label][column], (0.5, 1.0), (0, 2), xycoords="axes fraction",
                            textcoords="offset points", ha="center", fontsize=10, color=VERMILION)  # fmt: skip
        panels[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(grid, columns, strict=False):
        ax.set_title(title, fontsize=12, pad=20 if notes is not None else 6)
    for ax in grid[-len(columns) :]:
        ax.set_xlabel(xlabel)
    return grid[0]
