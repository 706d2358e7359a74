"""Which configurations are tried? A grid, or draws from a space that says on which scale an axis is uniform."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_utils._checks import check_at_least, check_finite, check_positive, check_probability
from course_utils._types import checked, describe

Configuration = dict[str, Any]


@dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high): for what acts by differences, such as a momentum or a dropout probability."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Raise ValueError unless low and high are finite numbers, low the smaller one."""
        _check_ends("Uniform", self.low, self.high)

    def at(self, u: float) -> float:
        """Return the value below which a fraction u of the draws lie. Raises: ValueError: if u is not in [0, 1]."""
        check_probability("u", u)
        return self.low + u * (self.high - self.low)


@dataclass(frozen=True)
class LogUniform:
    """Uniform in the logarithm on [low, high): for what acts by factors, such as a learning rate."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Raise ValueError unless low and high are finite numbers > 0, low the smaller one."""
        _check_ends("LogUniform", self.low, self.high)
        check_positive("low", self.low)

    def at(self, u: float) -> float:
        """Return the value below which a fraction u of the draws lie. Raises: ValueError: if u is not in [0, 1]."""
        check_probability("u", u)
        return math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))


@dataclass(frozen=True)
class Choice:
    """One of a list, each with the same probability."""

    options: Sequence[Any]

    def __post_init__(self) -> None:
        """Raise TypeError unless the options are a list or another sequence, ValueError if there is none."""
        if not isinstance(self.options, Sequence) or isinstance(self.options, str | bytes):
            raise TypeError(f"options of a Choice must be a list, got {describe(self.options)}.")
        if len(self.options) == 0:
            raise ValueError("options of a Choice must hold at least one option, got none.")

    def at(self, u: float) -> Any:
        """Return the option at the fraction u of the list. Raises: ValueError: if u is not in [0, 1]."""
        check_probability("u", u)
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]


def _check_ends(kind: str, low: float, high: float) -> None:
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool):
            raise TypeError(f"{name} of a {kind} must be a number, got {name}={value}.")
        check_finite(name, value)
    if not low < high or not math.isfinite(high - low):
        raise ValueError(f"{kind} needs low < high, and a difference that is finite, got {low} and {high}.")


def grid(**axes: Iterable[Any]) -> list[Configuration]:
    """Return every combination of the axes' values, the last axis running fastest.

    Raises: ValueError: if an axis is empty: there would be no combination. TypeError: if it is one value or one text
        instead of a list.
    """
    for name, axis in axes.items():
        if not isinstance(axis, Iterable) or isinstance(axis, str | bytes | Mapping):
            raise TypeError(
                f"{name} must be a list of values, got {name}={describe(axis)}. Write {name}=[...]."
            )
    values = {name: list(axis) for name, axis in axes.items()}
    if empty := [name for name, axis in values.items() if not axis]:
        raise ValueError(f"every axis of a grid needs a value, {', '.join(empty)} has none.")
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


@checked
def random_search(
    space: Mapping[str, Uniform | LogUniform | Choice], n: int, generator: torch.Generator
) -> list[Configuration]:
    """Return n configurations, every axis drawn anew for each of them.

    Args:
        space: name -> where its values come from.
        n: number of configurations; the first m of n are those that n = m gives.
        generator: source of the draws, one per axis and configuration.
    Raises: ValueError: if n is below 1 or the space has no axis.
    """
    check_at_least("n", n, 1)
    if not space:
        raise ValueError("space must have an axis, got an empty one.")
    draws = torch.rand(n, len(space), generator=generator, dtype=torch.float64).tolist()
    return [{name: axis.at(u) for (name, axis), u in zip(space.items(), row, strict=True)} for row in draws]
