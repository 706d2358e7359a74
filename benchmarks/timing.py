"""How much faster is A than B on a machine that others use too? As a ratio, from one process, in CPU time.

Wall time on a shared machine measures the neighbours. Process CPU time with one thread does not wait for them, and a
ratio of two timings of the same round sees the same clock speed and the same caches.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Ratio(NamedTuple):
    """How many times longer the peer took: median of the ratios of single rounds, and their extremes."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return '2.84 [2.70, 3.10]'."""
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def interleave(
    functions: Mapping[str, Callable[[], object]], rounds: int, *, calls: int = 1, warmup: int = 1
) -> dict[str, list[float]]:
    """Call every function in every round and return its process CPU seconds per call, one number a round.

    The order is reversed from round to round, so that none always runs after the one that warms or cools the caches.

    Args:
        functions: name -> function without arguments.
        rounds: how many times each function is timed.
        calls: how many calls one timing holds; enough for a timing of some milliseconds.
        warmup: rounds that run first and are not counted (allocators, lazily created state).
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for round_number in range(-warmup, rounds):
        names = list(functions) if round_number % 2 == 0 else list(functions)[::-1]
        for name in names:
            function = functions[name]
            start = time.process_time()
            for _ in range(calls):
                function()
            if round_number >= 0:
                seconds[name].append((time.process_time() - start) / calls)
    return seconds


def ratio_of(seconds: Mapping[str, Sequence[float]], *, peer: str, ours: str) -> Ratio:
    """Return peer / ours round by round: above 1 where ours is the faster one."""
    ratios = [slow / fast for slow, fast in zip(seconds[peer], seconds[ours], strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def share_of(seconds: Mapping[str, Sequence[float]], *, part: str, whole: str) -> str:
    """Return how much of the time of `whole` is that of `part`, such as '57%'."""
    return f"{ratio_of(seconds, peer=part, ours=whole).median:.0%}"
