"""Which configurations are tried? A grid, or draws from a space that says on which scale an axis is uniform."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_utils._checks import check_positive

Configuration = dict[str, Any]


@dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high): for what acts by differences, such as a momentum or a dropout probability."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"Uniform needs low < high, got {self.low} and {self.high}.")

    def at(self, u: float) -> float:
        """Return the value below which a fraction u of the draws lie."""
        return self.low + u * (self.high - self.low)


@dataclass(frozen=True)
class LogUniform:
    """Uniform in the logarithm on [low, high): for what acts by factors, such as a learning rate."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_positive("low", self.low)
        if not self.low < self.high:
            raise ValueError(f"LogUniform needs low < high, got {self.low} and {self.high}.")

    def at(self, u: float) -> float:
        """Return the value below which a fraction u of the draws lie."""
        return math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))


@dataclass(frozen=True)
class Choice:
    """One of a list, each with the same probability."""

    options: Sequence[Any]

    def __post_init__(self) -> None:
        if len(self.options) == 0:
            raise ValueError("Choice needs at least one option.")

    def at(self, u: float) -> Any:
        """Return the option at the fraction u of the list."""
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]


def grid(**axes: Iterable[Any]) -> list[Configuration]:
    """Return every combination of the axes' values, the last axis running fastest.

    Raises: ValueError: if an axis is empty: there would be no combination.
    """
    values = {name: list(axis) for name, axis in axes.items()}
    if empty := [name for name, axis in values.items() if not axis]:
        raise ValueError(f"every axis of a grid needs a value, {', '.join(empty)} has none.")
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def random_search(
    space: Mapping[str, Uniform | LogUniform | Choice], n: int, generator: torch.Generator
) -> list[Configuration]:
    """Return n configurations, every axis drawn anew for each of them.

    Args:
        space: name -> where its values come from.
        n: number of configurations; the first m of n are those that n = m gives.
        generator: source of the draws, one per axis and configuration.
    Raises: ValueError: if n is below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got n={n}.")
    draws = torch.rand(n, len(space), generator=generator, dtype=torch.float64).tolist()
    return [{name: axis.at(u) for (name, axis), u in zip(space.items(), row, strict=True)} for row in draws]
