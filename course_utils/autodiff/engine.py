r"""What is a gradient engine? A record of what was computed, walked backwards.

A `Node` knows its value, its parents, and for each parent the local derivative: the map that pulls the gradient of the
result back to that parent. `backward` applies these along every path and adds over paths. What is unusual here: float64
only; a local derivative uses nothing but what it declares as kept, so that the memory of the backward pass can be
counted; and shapes are un-broadcast in one place. What is left out: second derivatives, in-place operations, speed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from course_utils._types import checked

Array = NDArray[np.float64]


class Pull(NamedTuple):
    """One edge of the graph: how the gradient of a result returns to one of its parents."""

    parent: "Node"
    vjp: Callable[
        ..., Array
    ]  # (gradient of the result, *kept) -> gradient of the parent, before un-broadcasting
    kept: tuple[Any, ...]  # forward values the vjp needs; empty where the parent needs no gradient


class Node:
    """An array that remembers where it came from: what `course_utils.autodiff.Variable` adds operators to.

    Args:
        value: array of any shape, converted to float64. A float64 array is not copied: changing it later changes what
            the backward pass sees.
        name: how graphs and reports call it; optional.
        requires_grad: whether `backward` should reach it. False for data and constants.

    Attributes:
        grad: gradient of what `backward` was called on, shape of `value`; None before the first call.
        op: the operation that made it, "" for a leaf.
    """

    @checked
    def __init__(self, value: ArrayLike, name: str = "", *, requires_grad: bool = True) -> None:
        self.value: Array = np.asarray(value, dtype=np.float64)
        self.grad: Array | None = None
        self.name = name
        self.op = ""
        self.pulls: tuple[Pull, ...] = ()
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @checked
    def named(self, name: str) -> Self:
        """Give the node a name for graphs and reports, and return it."""
        self.name = name
        return self

    def item(self) -> float:
        """Return the value of a node with one entry as a float."""
        return float(self.value.item())

    @checked
    def backward(self, seed: ArrayLike | None = None) -> None:
        r"""Add the gradient of this node to `grad` of everything it was computed from.

        .. math:: \bar v = \sum_{u \in \mathrm{children}(v)} \left(\frac{\partial u}{\partial v}\right)^{\!\top} \bar u

        Called twice, it adds twice, as in torch: set `grad = None` between two steps of training.

        Args:
            seed: gradient to start from, shape of `value`; None means 1 and needs a single number.
        Raises: ValueError: without a seed on more than one number, with a seed of another shape, or where nothing
            upstream requires a gradient.
        Source: Linnainmaa 1976 (BIT 16, p. 146-160); Baydin et al. 2018, arXiv:1502.05767, section 3.2.
        """
        adjoints: dict[int, Array] = {id(self): _starting_gradient(self, seed)}
        for node in reversed(topological_order(self)):
            if not node.requires_grad:
                continue
            # Every child was visited before, so the sum over all paths that lead here is complete.
            adjoint = adjoints.pop(id(node))
            node.grad = adjoint.copy() if node.grad is None else node.grad + adjoint
            for parent, vjp, kept in node.pulls:
                if parent.requires_grad:
                    term = vjp(adjoint, *kept)
                    if getattr(term, "shape", None) != parent.shape:
                        term = unbroadcast(term, parent.shape)
                    adjoints[id(parent)] = adjoints[id(parent)] + term if id(parent) in adjoints else term

    def __repr__(self) -> str:
        made_by = f", op={self.op!r}" if self.op else ""
        return f"{type(self).__name__}({self.name!r}, shape={self.shape}{made_by})"


@checked
def topological_order(node: Node) -> list[Node]:
    """Return everything `node` depends on, parents before children, `node` last.

    A stack of our own instead of recursion: Python stops a recursion at depth 1000, a network need not.
    """
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        current, parents_done = stack.pop()
        if parents_done:
            order.append(current)
        elif id(current) not in seen:
            seen.add(id(current))
            stack.append((current, True))
            stack.extend((pull.parent, False) for pull in reversed(current.pulls))
    return order


@checked
def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum `gradient` down to `shape`: an entry that was used several times collects from every use.

    Args:
        gradient: of a result to which an array of `shape` was broadcast.
        shape: of that array.
    Raises: ValueError: if an array of `shape` is not broadcast to that of the gradient.
    """
    added = gradient.ndim - len(shape)
    if added < 0 or any(n not in (1, m) for n, m in zip(shape, gradient.shape[added:], strict=True)):
        raise ValueError(f"gradient of shape {gradient.shape} cannot come from an array of shape {shape}.")
    stretched = tuple(added + i for i, n in enumerate(shape) if n == 1 and gradient.shape[added + i] != 1)
    summed: Array = gradient.sum(axis=(*range(added), *stretched), keepdims=True)
    return summed.reshape(shape)


def _starting_gradient(node: Node, seed: ArrayLike | None) -> Array:
    if not node.requires_grad:
        raise ValueError(f"{node!r} depends on no variable that requires a gradient: nothing to go back to.")
    if seed is None:
        if node.value.size != 1:
            raise ValueError(
                f"backward() starts from one number, got shape {node.shape}. Reduce it with .sum() or .mean(), "
                "or pass the gradient to start from as seed."
            )
        return np.ones_like(node.value)
    start = np.asarray(seed, dtype=np.float64)
    if start.shape != node.shape:
        raise ValueError(f"seed needs the shape of the variable, {node.shape}, got {start.shape}.")
    return start
