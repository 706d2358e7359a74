"""What is one line of the tables? A ratio to a peer, a number with a bound, how a cost grows, or what was not measured.

Every benchmark module has `rows()`, which returns such records; `run.py` prints them and writes them as JSON.
"""

import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from timing import ratio_of

INSTALL = 'pip install --constraint constraints.txt --editable ".[bench]"'


@dataclass(frozen=True)
class Row:
    """How many times longer the peer takes: median of the ratios of single rounds, and their extremes."""

    what: str
    peer: str
    peer_version: str
    ours: str
    ratio: float
    low: float
    high: float
    goal: float | None  # the ratio wanted; None where a peer stands for comparison only
    floor: (
        float | None
    )  # the ratio that work which nobody can leave out would reach; None where there is no such part
    note: str = ""

    @property
    def peer_label(self) -> str:
        """Return the peer with its version, its name once."""
        own = self.peer_version.startswith(self.peer)
        return self.peer_version if own else ", ".join(filter(None, (self.peer, self.peer_version)))

    @property
    def missed(self) -> bool:
        """Say whether there is a goal above the ratio."""
        return self.goal is not None and self.ratio < self.goal


@dataclass(frozen=True)
class Limit:
    """A number that is no ratio to a peer, such as an error, and what it may be at most."""

    what: str
    ours: str
    measured: float
    at_most: float
    unit: str = ""
    note: str = ""

    @property
    def missed(self) -> bool:
        """Say whether the number is above its bound, or no number at all."""
        return not self.measured <= self.at_most


@dataclass(frozen=True)
class Growth:
    """How a cost grows with a size: the exponent fitted in every round, and what theory says."""

    what: str
    size: str  # what is counted
    sizes: tuple[int, ...]
    costs: tuple[float, ...]  # medians, in units of the cost of the smallest size
    exponent: float
    low: float
    high: float
    theory: float
    note: str = ""


@dataclass(frozen=True)
class Skipped:
    """What was not measured, why, and how it can be."""

    what: str
    reason: str


Record = Row | Limit | Growth | Skipped


class MissingPeerError(ImportError):
    """A package to compare with is not installed; the message has its name and the way out."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what a peer's own use of torch warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def require(module: str, distribution: str) -> ModuleType:
    """Return the module of a peer.

    Args:
        module: import name, such as "loss_landscapes".
        distribution: name under which it is installed, such as "loss-landscapes".

    Raises:
        MissingPeerError: if it is not installed.
    """
    try:
        with quiet():
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # the peer is there, and one of its own imports fails: that is to be seen
        raise MissingPeerError(f"{distribution} is not installed: {INSTALL}", name=module) from None


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution without its local part, or "" where it is not installed."""
    try:
        return version(distribution).partition("+")[0]
    except PackageNotFoundError:
        return ""


def label_of(distribution: str) -> str:
    """Return name and version of an installed distribution, such as "torch 2.14.1"."""
    return f"{distribution} {version_of(distribution)}".strip()


def compare(
    seconds: Mapping[str, Sequence[float]],
    *,
    what: str,
    peer: str,
    ours: str,
    peer_version: str = "",
    goal: float | None = None,
    floor: str | None = None,
    note: str = "",
) -> Row:
    """Return the row of two of the timed functions.

    Args:
        seconds: name -> seconds of the rounds, as `timing.interleave` returns them.
        what: what both do.
        peer: name of the peer in `seconds`.
        ours: name of ours in `seconds`.
        peer_version: name and version of the package it comes from or runs on; "" where it is written here.
        goal: the ratio wanted.
        floor: name in `seconds` of the work that nobody can leave out.
        note: what a reader has to know to read the number rightly.
    """
    ratio = ratio_of(seconds, peer=peer, ours=ours)
    bound = None if floor is None else ratio_of(seconds, peer=peer, ours=floor).median
    return Row(what, peer, peer_version, ours, ratio.median, ratio.low, ratio.high, goal, bound, note)
