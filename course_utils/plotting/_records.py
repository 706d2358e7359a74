"""Are the records fit to be drawn? What is missing, not finite or off a logarithmic axis would be a hole in a figure.

It is refused by name, before there is a figure. A side of a shape is a number, None for any, or (name, length) where
it has to be that of another argument, which the message then names too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]
Side = int | None | tuple[str, int]

LARGEST = 1e150  # sums and squares of what is drawn stay finite
LARGEST_LOG = 1e300  # on a logarithmic axis of means there are no squares; an exploding signal gets there
ROUNDING = 1e-6  # a share that was summed in single precision may be a little above 1
RULES: dict[str, Callable[[Numbers], NDArray[np.bool_]]] = {
    "finite": lambda x: np.abs(x) <= LARGEST,
    "> 0": lambda x: (x > 0) & (x <= LARGEST),
    "positive": lambda x: (x > 0) & (x <= LARGEST_LOG),
    ">= 0": lambda x: (x >= 0) & (x <= LARGEST),
    "> 1": lambda x: (x > 1) & (x <= LARGEST),
    "in [0, 1]": lambda x: (x >= -ROUNDING) & (x <= 1 + ROUNDING),
    "in [-1, 1]": lambda x: np.abs(x) <= 1 + ROUNDING,
    "in [0, 100]": lambda x: (x >= 0) & (x <= 100),
    "whole and >= 0": lambda x: (x >= 0) & (x <= LARGEST) & (x % 1 == 0),
    "whole and > 0": lambda x: (x > 0) & (x <= LARGEST) & (x % 1 == 0),
    "from 1 to 50": lambda x: (x >= 1) & (x <= 50),
    "from 1 to 1000": lambda x: (x >= 1) & (x <= 1000),
}


def numbers(name: str, values: ArrayLike, *shape: Side, rule: str = "finite", gaps: bool = False) -> Numbers:
    """Return an array of floats that has this shape and keeps the rule everywhere.

    Args:
        name: of the argument, for the message.
        values: what is to be drawn.
        shape: its sides; none at all stand for any shape.
        rule: a key of `RULES`.
        gaps: whether numbers that are not finite are kept, as NaN: they leave a gap. One has to be finite.
    Raises: ValueError: if the array is empty, has another shape, or breaks the rule.
    """
    array = np.asarray(values, dtype=float)
    if shape:
        _check_shape(name, array, shape)
    if array.size == 0:
        raise ValueError(f"{name} is empty: there is nothing to draw.")
    good = RULES[rule](np.where(np.isfinite(array), array, np.nan))
    if gaps and good.any():
        good |= ~np.isfinite(array)
        array = np.where(np.isfinite(array), array, np.nan)
    if not good.all():
        place = tuple(int(i) for i in np.argwhere(~good)[0])
        where = f" at {place if len(place) > 1 else place[0]}" if place else ""
        largest = LARGEST_LOG if rule == "positive" else LARGEST
        too_large = largest < abs(array[place]) < np.inf
        words = f"at most {largest:g} in size" if too_large else rule
        raise ValueError(f"{name} must be {words}, got {array[place]:g}{where}.")
    return array


def _check_shape(name: str, array: Numbers, shape: tuple[Side, ...]) -> None:
    lengths = [side[1] if isinstance(side, tuple) else side for side in shape]
    if array.ndim != len(shape) or any(w not in (None, s) for s, w in zip(array.shape, lengths, strict=True)):
        words = ", ".join(
            f"{side[1]} as in {side[0]}" if isinstance(side, tuple) else "any" if side is None else str(side)
            for side in shape
        )
        raise ValueError(f"{name} needs shape ({words}), got {array.shape}.")


def runs_of(
    name: str, values: ArrayLike, points: Side, *, rule: str = "finite", gaps: bool = False
) -> Numbers:
    """Return `numbers` as [seeds, points]; [points] is one seed."""
    return numbers(name, np.atleast_2d(np.asarray(values, dtype=float)), None, points, rule=rule, gaps=gaps)


def curves_of(
    name: str, curves: Mapping[str, Any] | None, *shape: Side, rule: str = "finite", gaps: bool = False
) -> dict[str, Numbers]:
    """Return label -> `numbers`, of a record that is None or filled; [points] stands for one run of (None, points)."""
    if curves is None:
        return {}
    check_filled(name, curves)
    if len(shape) == 2 and shape[0] is None:
        return {k: runs_of(f"{name}[{k!r}]", v, shape[1], rule=rule, gaps=gaps) for k, v in curves.items()}
    return {k: numbers(f"{name}[{k!r}]", v, *shape, rule=rule, gaps=gaps) for k, v in curves.items()}


def list_of(name: str, values: Iterable[ArrayLike], *shape: Side) -> list[Numbers]:
    """Return `numbers` for each entry of a sequence."""
    return [numbers(f"{name}[{k}]", value, *shape) for k, value in enumerate(values)]


def pairs_of(
    name: str,
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]] | None,
    *,
    x_rule: str = "finite",
    rule: str = "finite",
    runs: bool = True,
) -> dict[str, tuple[Numbers, Numbers]]:
    """Return label -> (x [points], y [points] or, with `runs`, [seeds, points]) of a record that is None or filled."""
    if pairs is None:
        return {}
    check_filled(name, pairs)
    found = {}
    for label, (x, y) in pairs.items():
        places = numbers(f"x of {name}[{label!r}]", x, None, rule=x_rule)
        check = runs_of if runs else numbers
        found[label] = (places, check(f"{name}[{label!r}]", y, ("its x", places.size), rule=rule))
    return found


def check_scale(name: str, scale: str) -> str:
    """Return the rule for what is drawn on an axis of this scale; raise ValueError if there is none such."""
    if scale not in ("linear", "log"):
        raise ValueError(f"{name} must be 'linear' or 'log', got {scale!r}.")
    return "> 0" if scale == "log" else "finite"


def check_filled(name: str, record: Collection[Any]) -> None:
    """Raise ValueError if the record is empty."""
    if not len(record):
        raise ValueError(f"{name} is empty: there is nothing to draw.")


def check_most(name: str, record: Collection[Any], most: int) -> None:
    """Raise ValueError if there are more entries than looks to tell them apart."""
    if len(record) > most:
        raise ValueError(f"{name} may have {most} entries, more cannot be told apart, got {len(record)}.")


def check_numbers(rule: str, **values: float | None) -> None:
    """Raise ValueError if a number breaks the rule; None is not drawn and breaks none."""
    for name, value in values.items():
        if value is not None:
            numbers(name, value, rule=rule)


def line_of(name: str, values: ArrayLike, *, rule: str = "finite") -> Numbers:
    """Return `numbers` in a row, checked to be two or more and to increase: the ends of an axis."""
    array = numbers(name, values, None, rule=rule)
    if array.size < 2:
        raise ValueError(f"{name} needs two or more values to span an axis, got {array.size}.")
    if not (np.diff(array) > 0).all():
        place = int(np.argmin(np.diff(array) > 0))
        raise ValueError(f"{name} must increase, got {array[place]:g} before {array[place + 1]:g}.")
    return array


def check_interval(name: str, ends: Sequence[float], *, rule: str = "finite") -> None:
    """Raise ValueError unless the ends of an interval, and what lies between them, ascend."""
    array = numbers(name, ends, None, rule=rule)
    if not (np.diff(array) >= 0).all():
        raise ValueError(f"{name} must ascend from its lower to its upper end, got {tuple(array.tolist())}.")


def check_length(name: str, values: Collection[Any], wanted: int, of: str) -> None:
    """Raise ValueError unless there is one value for each of the `wanted` things in the argument `of`."""
    if len(values) != wanted:
        raise ValueError(f"{name} needs {wanted} entries, one for each of {of}, got {len(values)}.")


def check_some(name: str, labels: Iterable[Any] | None, of: str, known: Collection[Any]) -> None:
    """Raise ValueError if there are labels and none is among `known`: a record of more than is drawn is fine."""
    given = set(labels or ())
    if given and not given & set(known):
        raise ValueError(f"{name} has an entry for none of {of}: {sorted(known)}, got {sorted(given)}.")


def check_labels(
    name: str, labels: Iterable[Any] | None, of: str, known: Collection[Any], *, every: bool = False
) -> None:
    """Raise ValueError if a label is none of `known`, those of the argument `of`, or if `every` and one is missing."""
    given = set(labels or ())
    if strangers := sorted(given - set(known)):
        raise ValueError(f"{name} has {strangers}, which {of} lacks; known: {sorted(known)}.")
    if every and (missing := sorted(set(known) - given)):
        raise ValueError(f"{name} needs an entry for each of {of}; missing: {missing}.")
