"""Who descends from whom, and who beats whom? The family of rules on a map, and their ranks over tasks."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from course_utils.plotting._base import BLACK, BLUE, GREY, METHOD_COLORS, axes_for, styled
from course_utils.plotting._records import (
    check_filled,
    check_labels,
    check_numbers,
    curves_of,
    numbers,
)


@styled
def plot_family(
    places: Mapping[str, tuple[int, int]],
    *,
    columns: Sequence[str],
    rows: Sequence[str],
    descents: Sequence[tuple[str, str]] = (),
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw methods as boxes on a map of two choices, with arrows from a method to what was made of it.

    Args:
        places: method -> (column, row), from 0; several in one place lie below each other.
        columns: the choices along the horizontal axis, from the left.
        rows: the choices along the vertical axis, from the top.
        descents: pairs (from, to) of methods in `places`.
        xlabel: what is chosen along the horizontal axis.
        ylabel: what is chosen along the vertical axis.
        ax: where to draw; None makes a new figure, which grows with both.
    Raises: ValueError: if there is no method or no choice, a place is none of the choices, or a descent no method.
    """
    for name, record in {"places": places, "columns": columns, "rows": rows}.items():
        check_filled(name, record)
    for name, place in curves_of("places", places, 2, rule="whole and >= 0").items():
        for number, choices, side in zip(place, (columns, rows), ("columns", "rows"), strict=True):
            if number >= len(choices):
                raise ValueError(
                    f"places[{name!r}] must lie on one of {len(choices)} {side}, got {number:g}."
                )
    check_labels("descents", itertools.chain.from_iterable(descents), "places", places)
    ax = axes_for(ax, figsize=(2.1 * len(columns) + 1.6, 0.8 * len(rows) + 1.0))
    spots = _spots(places)
    for start, end in descents:
        across = abs(spots[end][0] - spots[start][0]) > 0
        shrink = (
            {"shrinkA": _half_width(start), "shrinkB": _half_width(end) + 2}
            if across
            else {"shrinkA": 16, "shrinkB": 17}
        )
        bend = 0.5 if _is_hidden(spots, start, end) else 0.12
        ax.annotate(
            "", spots[end], spots[start], zorder=1,
            arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 1.2, **shrink,
                        "connectionstyle": f"arc3,rad={bend}"},
        )  # fmt: skip
    for name, spot in spots.items():
        color = METHOD_COLORS.get(name, BLACK)
        ax.text(
            *spot, name, ha="center", va="center", fontsize=10.5, color=BLACK, zorder=2,
            bbox={"boxstyle": "round,pad=0.32", "facecolor": "white", "edgecolor": color, "linewidth": 2.0},
        )  # fmt: skip
    ax.set_xticks(range(len(columns)), columns, fontsize=10)
    ax.set_yticks(range(len(rows)), rows, fontsize=10)
    for edge in np.arange(1, len(rows)) - 0.5:
        ax.axhline(edge, color=GREY, lw=0.5, alpha=0.4, zorder=0)
    ax.set(xlim=(-0.55, len(columns) - 0.45), ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=False)
    return ax


def _spots(places: Mapping[str, tuple[int, int]]) -> dict[str, tuple[float, float]]:
    """Return where the box of each method is drawn: those that share a place stand below each other."""
    shared: dict[tuple[int, int], list[str]] = {}
    for name, (column, row) in places.items():
        shared.setdefault((int(column), int(row)), []).append(name)
    spots = {}
    for (column, row), names in shared.items():
        for name, shift in zip(
            names, np.linspace(-0.24, 0.24, len(names)) if len(names) > 1 else [0.0], strict=True
        ):
            spots[name] = (float(column), float(row + shift))
    return spots


def _half_width(name: str) -> float:
    """Return about half of the width of a method's box, in points."""
    return 3.1 * len(name) + 7


def _is_hidden(spots: Mapping[str, tuple[float, float]], start: str, end: str) -> bool:
    """Say whether a third method stands on the straight line down or across from one to the other."""
    (x0, y0), (x1, y1) = spots[start], spots[end]
    between = [spot for name, spot in spots.items() if name not in (start, end)]
    down = x0 == x1 and any(x == x0 and min(y0, y1) < y < max(y0, y1) for x, y in between)
    return down or (y0 == y1 and any(y == y0 and min(x0, x1) < x < max(x0, x1) for x, y in between))


@styled
def plot_ranks(
    ranks: Mapping[str, Sequence[float]],
    *,
    critical_difference: float,
    tasks: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw the rank of each method on each task, its mean, and how far means must lie apart to be told apart.

    Methods are ordered by their mean, the best at the top. The bar above is as long as the critical difference; the
    shaded strip holds all methods that it does not separate from the best.

    Args:
        ranks: method -> [tasks], each >= 1.
        critical_difference: >= 0, in ranks; see `course_utils.ranks.critical_difference`.
        tasks: names, one for each rank, at most six.
        ax: where to draw; None makes a new figure, which grows with the number of methods.
    Raises: ValueError: if a method has another number of ranks, or a number is out of range.
    """
    check_filled("tasks", tasks)
    if len(tasks) > len(_TASK_MARKS):
        raise ValueError(
            f"tasks may have {len(_TASK_MARKS)} entries, more cannot be told apart, got {len(tasks)}."
        )
    table = curves_of("ranks", ranks, ("tasks", len(tasks)), rule="> 0")
    check_numbers(">= 0", critical_difference=critical_difference)
    means = {name: float(numbers(f"ranks[{name!r}]", values).mean()) for name, values in table.items()}
    order = sorted(means, key=lambda name: means[name])
    ax = axes_for(ax, figsize=(8.6, 0.29 * len(order) + 1.5))
    best = means[order[0]]
    ax.axvspan(best, best + critical_difference, color=BLUE, alpha=0.10, lw=0)
    for row, name in enumerate(order):
        color = METHOD_COLORS.get(name, BLACK)
        ax.plot([table[name].min(), table[name].max()], [row, row], color=color, lw=1.2, alpha=0.5)
        for mark, value in zip(_TASK_MARKS, table[name], strict=False):
            ax.plot(value, row, mark, color=color, mfc="white", ms=6.5, mew=1.5)
        ax.plot(means[name], row, "|", color=color, ms=17, mew=3.5)
    for mark, task in zip(_TASK_MARKS, tasks, strict=False):
        ax.plot([], [], mark, color=BLACK, mfc="white", ms=6.5, mew=1.5, label=task)
    ax.plot([], [], "|", color=BLACK, ms=13, mew=3.5, ls="", label="mean")
    ax.annotate("", (best, -1.1), (best + critical_difference, -1.1), annotation_clip=False,
                arrowprops={"arrowstyle": "|-|,widthA=0.3,widthB=0.3", "color": BLUE, "lw": 1.8})  # fmt: skip
    ax.text(best + critical_difference / 2, -1.25, f"critical difference {critical_difference:.1f}", color=BLUE,
            ha="center", va="bottom", fontsize=10.5)  # fmt: skip
    ax.set_yticks(range(len(order)), order)
    right = max(len(order), float(np.max(list(table.values()))), best + critical_difference) + 0.6
    ax.set(xlabel="rank (1 is the lowest loss)", ylim=(len(order) - 0.4, -2.2), xlim=(0.4, right))
    ax.grid(visible=False, axis="y")
    ax.legend(fontsize=10, loc="upper left", bbox_to_anchor=(0, -0.11), ncols=len(tasks) + 1)
    return ax


_TASK_MARKS = ("o", "s", "^", "D", "v", "P")
