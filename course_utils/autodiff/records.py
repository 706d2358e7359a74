"""What does the record of a computation hold? The graph to draw, and the arrays kept for the way back, in bytes."""

from typing import Any, NamedTuple

import numpy as np

from course_utils._checks import check_choice
from course_utils._types import checked
from course_utils.autodiff.engine import Array, Node, topological_order


class StoredArray(NamedTuple):
    """One array that the backward pass needs. Views of one buffer (a transpose, a row) are one array."""

    name: str  # of the node that holds it; "?" where none does, as for the probabilities of a cross-entropy
    kind: str  # "input", "parameter" or "intermediate": only the last is memory that the forward pass added
    shape: tuple[int, ...]
    nbytes: int
    needed_by: tuple[str, ...]  # the operations that kept it


@checked
def stored_arrays(node: Node) -> list[StoredArray]:
    """Return what the graph of `node` keeps for `backward`, each buffer once, in the order of the forward pass."""
    order = topological_order(node)
    owners: dict[int, Node] = {}
    for owner in order:  # the first node on a buffer names it: a reshaped copy is a view
        owners.setdefault(id(_buffer(owner.value)), owner)
    needed_by: dict[int, list[str]] = {}
    buffers: dict[int, Array] = {}
    for result in order:
        for array in _kept_arrays(result):
            buffer = _buffer(array)
            buffers[id(buffer)] = buffer
            needed_by.setdefault(id(buffer), []).append(result.op)
    return [_describe(buffer, owners.get(key), needed_by[key]) for key, buffer in buffers.items()]


@checked
def stored_bytes(node: Node, *kinds: str) -> int:
    """Return the bytes kept for `backward`, of the given kinds ("input", "parameter", "intermediate") or of all.

    Raises: ValueError: if there is no such kind.
    """
    for kind in kinds:
        check_choice("kinds", kind, ("input", "parameter", "intermediate"))
    return sum(stored.nbytes for stored in stored_arrays(node) if not kinds or stored.kind in kinds)


@checked
def graph(node: Node) -> Any:
    """Return the computation of `node` as a networkx.DiGraph of variables and operators, edges in forward direction.

    Nodes are integers, in topological order. Attributes of a variable: kind="variable", label (its name), shape, role
    ("input", "parameter", "intermediate" or "output"), stored (whether the backward pass needs its value).
    Attributes of an operator: kind="operator", label.
    """
    import networkx as nx

    order = topological_order(node)
    kept = {id(_buffer(array)) for result in order for array in _kept_arrays(result)}
    result = nx.DiGraph()
    numbers: dict[int, int] = {}
    for current in order:
        number = numbers[id(current)] = len(result)
        role = "output" if current is node else _role(current)
        stored = id(_buffer(current.value)) in kept
        result.add_node(
            number, kind="variable", label=current.name, shape=current.shape, role=role, stored=stored
        )
        if current.pulls:
            operator = len(result)
            result.add_node(operator, kind="operator", label=current.op)
            result.add_edges_from((numbers[id(pull.parent)], operator) for pull in current.pulls)
            result.add_edge(operator, number)
    return result


def _role(node: Node) -> str:
    if node.pulls:
        return "intermediate"
    return "parameter" if node.requires_grad else "input"


def _buffer(array: Array) -> Array:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _kept_arrays(node: Node) -> list[Array]:
    return [value for pull in node.pulls for value in pull.kept if isinstance(value, np.ndarray)]


def _describe(buffer: Array, owner: Node | None, needed_by: list[str]) -> StoredArray:
    ops = tuple(dict.fromkeys(needed_by))
    if owner is None:
        return StoredArray("?", "intermediate", buffer.shape, buffer.nbytes, ops)
    return StoredArray(owner.name or "?", _role(owner), owner.shape, buffer.nbytes, ops)
