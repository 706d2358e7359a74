"""Which values meet where, which are kept, and how much memory is that? Graphs, memory bars, step errors."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from course_utils.plotting._base import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, axes_for, styled
from course_utils.plotting._records import (
    check_filled,
    check_labels,
    check_most,
    check_numbers,
    curves_of,
    numbers,
)

# Faces are pale so that black text stays legible on them; a red edge marks what the backward pass needs.
_FACES = {"input": "#E5E5E5", "parameter": "#CFE6F5", "intermediate": "#FFFFFF", "output": "#D5EDE4"}
_OPERATOR = "#F6E3EE"
_MEBIBYTE = 2**20
_SWEEPS = 24  # chosen: rows of graphs of some 30 nodes no longer move

Point = tuple[float, float]


@styled
def plot_computation_graph(graph: Any, *, ax: Axes | None = None) -> Axes:
    """Draw a computation from left to right: squares are variables, circles operators, red edges what is kept.

    Args:
        graph: from `course_utils.autodiff.graph`: nodes with kind, label and, for variables, shape, role and stored.
        ax: where to draw; None makes a new figure that grows with the graph.
    Returns: the Axes. The shape of a value stands under its square; a number has none.
    Raises: TypeError, ValueError: if the graph is of another kind, or a node lacks what is drawn of it.
    """
    positions, routes = layered_layout(graph)
    for node, data in graph.nodes(data=True):
        wanted = {"kind", "label"} | (
            {"shape", "role", "stored"} if data.get("kind") == "variable" else set()
        )
        if wanted - data.keys() or data.get("role", "input") not in _FACES:
            raise ValueError(
                f"node {node!r} of graph needs {sorted(wanted)} and a role among {list(_FACES)}, got {dict(data)}; "
                "take the graph from course_utils.autodiff.graph."
            )
    rows = [y for _, y in positions.values()]
    columns, height = 1 + max(x for x, _ in positions.values()), 1 + max(rows) - min(rows)
    ax = axes_for(ax, figsize=(max(5.0, 0.95 * columns), max(2.4, 0.9 * height)))
    for route in routes:
        _draw_edge(ax, route)
    for node, data in graph.nodes(data=True):
        _draw_node(ax, positions[node], data)
    ax.set(xlim=(-0.6, columns - 0.4), ylim=(min(rows) - 0.75, max(rows) + 0.6))
    ax.set_axis_off()
    ax.legend(handles=_graph_legend(), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=6, handletextpad=0.2,
              columnspacing=1.1)  # fmt: skip
    return ax


def layered_layout(graph: Any) -> tuple[dict[Any, Point], list[list[Point]]]:
    """Return a position (column, row) for every node of an acyclic graph, and the points that every edge runs through.

    Columns: an operator's result stands right of the operator, a leaf directly left of its first use. A long edge gets
    a place in every column it crosses, so that it runs around other nodes and not through them. Rows: each place moves
    to the mean row of its neighbours, keeping its distance in the column; repeated a fixed number of times.
    Raises: TypeError: if it is no networkx.DiGraph. ValueError: if it has no node or a cycle.
    Source: the three steps of Sugiyama, Tagawa and Toda 1981 (IEEE Trans. Syst. Man Cybern. 11(2), p. 109-125).
    """
    _check_graph(graph)
    column = _columns(graph)
    chains = [[tail, *((tail, head, c) for c in range(column[tail] + 1, column[head])), head]
              for tail, head in graph.edges]  # fmt: skip
    neighbours: dict[Any, list[Any]] = {node: [] for node in graph}
    members: dict[int, list[Any]] = {}
    for chain in chains:
        for tail, head in itertools.pairwise(chain):
            neighbours.setdefault(tail, []).append(head)
            neighbours.setdefault(head, []).append(tail)
    for place in neighbours:
        members.setdefault(column[place] if place in column else place[2], []).append(place)
    row = {place: float(i) for places in members.values() for i, place in enumerate(places)}
    for sweep in range(_SWEEPS):
        for c in sorted(members, reverse=bool(sweep % 2)):
            _relax(members[c], neighbours, row, graph)
    points = {p: (float(c), -row[p]) for c, places in members.items() for p in places}
    return {node: points[node] for node in graph}, [[points[place] for place in chain] for chain in chains]


def _check_graph(graph: Any) -> None:
    import networkx as nx

    if not isinstance(graph, nx.DiGraph):
        raise TypeError(
            f"graph must be a networkx.DiGraph, as course_utils.autodiff.graph makes it, got {graph!r:.80}."
        )
    if not len(graph) or not nx.is_directed_acyclic_graph(graph):
        raise ValueError(
            f"graph must have a node and no cycle, got {len(graph)} nodes and {len(graph.edges)} edges."
        )


def _columns(graph: Any) -> dict[Any, int]:
    import networkx as nx

    column: dict[Any, int] = {}
    for node in nx.topological_sort(graph):
        column[node] = max((column[parent] + 1 for parent in graph.predecessors(node)), default=0)
    for node in graph:
        if graph.in_degree(node) == 0 and graph.out_degree(node) > 0:
            column[node] = min(column[child] for child in graph.successors(node)) - 1
    return column


def _relax(places: list[Any], neighbours: Mapping[Any, list[Any]], row: dict[Any, float], graph: Any) -> None:
    """Move the places of one column to the mean row of their neighbours, keeping their distance; in place."""
    target = {p: sum(row[n] for n in neighbours[p]) / max(len(neighbours[p]), 1) for p in places}
    places.sort(key=lambda p: (target[p], row[p]))
    placed: list[float] = []
    for i, place in enumerate(places):
        # A line needs less room than a node with its shape under it.
        gap = 1.0 if place in graph and places[i - 1] in graph else 0.7
        placed.append(max(target[place], placed[-1] + gap) if placed else target[place])
    # Pushing one way only would let the column drift: put its centre back where its members wanted to be.
    drift = sum(p - target[place] for p, place in zip(placed, places, strict=True)) / len(places)
    row.update({place: p - drift for p, place in zip(placed, places, strict=True)})


def _draw_edge(ax: Axes, route: list[Point]) -> None:
    *_, before, last = route
    ax.plot(*zip(*route[:-1], strict=True), color="0.35", linewidth=1.3, zorder=1)
    arrow = {"arrowstyle": "-|>", "color": "0.35", "shrinkA": 0, "shrinkB": 15, "linewidth": 1.3}
    ax.annotate("", last, before, arrowprops=arrow, zorder=1)


def _draw_node(ax: Axes, position: tuple[float, float], data: Mapping[str, Any]) -> None:
    is_variable = data["kind"] == "variable"
    stored = is_variable and data["stored"]
    ax.scatter(
        *position, s=760 if is_variable else 620, marker="s" if is_variable else "o", zorder=2,
        color=_FACES[data["role"]] if is_variable else _OPERATOR,
        edgecolor=VERMILION if stored else "0.35", linewidth=2.8 if stored else 1.1,
    )  # fmt: skip
    size = {0: 13, 1: 13, 2: 13, 3: 12, 4: 9.5}.get(len(data["label"]), 8.5)
    ax.text(*position, data["label"], ha="center", va="center", fontsize=size, zorder=3)
    if is_variable and data["shape"]:
        shape = "×".join(map(str, data["shape"]))
        ax.annotate(shape, position, (0, -17), textcoords="offset points", ha="center", va="top", fontsize=9.5,
                    color="0.25", zorder=3)  # fmt: skip


def _graph_legend() -> list[Line2D]:
    common: dict[str, Any] = {"linestyle": "", "markersize": 11, "markeredgecolor": "0.35"}
    squares = [Line2D([], [], marker="s", color=face, label=role, **common) for role, face in _FACES.items()]
    circle = Line2D([], [], marker="o", color=_OPERATOR, label="operator", **common)
    kept = Line2D([], [], marker="s", color="white", label="kept for the way back", linestyle="", markersize=11,
                  markeredgecolor=VERMILION, markeredgewidth=2.8)  # fmt: skip
    return [*squares, circle, kept]


@styled
def plot_memory(
    bytes_by_bar: Mapping[str, Mapping[str, int]],
    *,
    predicted: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one stacked bar per entry, in MiB.

    Args:
        bytes_by_bar: {bar: {part: bytes >= 0}}; the parts in the same order in every bar, five at most.
        predicted: {bar: total bytes >= 0} drawn as a black line across the bar, one for each.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if there are more parts than colours, an amount is negative, or a bar has no prediction.
    """
    bars = list(bytes_by_bar)
    bottom = [0.0] * len(bars)
    parts = list(dict.fromkeys(part for values in bytes_by_bar.values() for part in values))
    check_filled("bytes_by_bar", parts)
    check_most("parts of bytes_by_bar", parts, 5)
    for bar, values in bytes_by_bar.items():
        curves_of(f"bytes_by_bar[{bar!r}]", values, rule=">= 0")
    check_labels("predicted", predicted, "bytes_by_bar", bars, every=predicted is not None)
    curves_of("predicted", predicted or None, rule=">= 0")
    ax = axes_for(ax)
    for part, color in zip(parts, [BLUE, ORANGE, SKY, GREEN, GREY], strict=False):
        heights = [bytes_by_bar[bar].get(part, 0) / _MEBIBYTE for bar in bars]
        ax.bar(range(len(bars)), heights, 0.6, bottom, label=part, color=color)
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    if predicted is not None:
        for i, bar in enumerate(bars):
            ax.plot([i - 0.38, i + 0.38], [predicted[bar] / _MEBIBYTE] * 2, color="black", linestyle="--",
                    label="predicted" if i == 0 else None)  # fmt: skip
    ax.set_xticks(range(len(bars)), bars)
    ax.set_ylabel("memory (MiB)")
    ax.grid(visible=False, axis="x")
    ax.legend()
    return ax


@styled
def plot_step_error(
    steps: Sequence[float],
    errors: Mapping[str, Sequence[float]],
    *,
    predicted: Mapping[str, Sequence[float]] | None = None,
    best: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the error of a difference quotient against its step, both axes logarithmic, with the predicted lines.

    Args:
        steps: h > 0.
        errors: {method: one absolute error per step}, three methods at most; a 0 leaves a gap.
        predicted: {label: one value > 0 per step}, drawn dashed, six at most; clipped to the range of the errors.
        best: the step where truncation and rounding are predicted to balance, a vertical line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a step or a prediction is not positive, an error negative, or all errors are 0.
    """
    side = ("steps", numbers("steps", steps, None, rule="> 0").size)
    check_most("errors", errors, 3)
    if not any((values > 0).any() for values in curves_of("errors", errors, side, rule=">= 0").values()):
        raise ValueError("errors are all 0: there is nothing to draw on a logarithmic axis.")
    if predicted:
        check_most("predicted", predicted, 6)
        curves_of("predicted", predicted, side, rule="> 0")
    check_numbers("> 0", best=best)
    ax = axes_for(ax, figsize=(9.5, 4.4))
    for (label, values), color, marker in zip(errors.items(), [BLUE, ORANGE, GREEN], "os^", strict=False):
        ax.loglog(steps, values, marker, color=color, markersize=5, markerfacecolor="none", label=label)
    for (label, values), style in zip((predicted or {}).items(), ["--", ":", "-."] * 2, strict=False):
        ax.loglog(steps, values, color="black", linestyle=style, linewidth=1.5, label=label)
    if best is not None:
        ax.axvline(best, color=VERMILION, linewidth=1.2, label="predicted best step")
    positive = [value for values in errors.values() for value in values if value > 0]
    ax.set(
        xlabel="step h", ylabel="absolute error of the gradient", ylim=(min(positive) / 5, max(positive) * 5)
    )
    # Beside the axes: the V leaves no corner free.
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
