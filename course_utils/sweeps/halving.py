"""How is a budget spent on many configurations? A little on all, then eta times as much on the best of every eta."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from course_utils._types import checked, describe
from course_utils.seeding import fork_seeds
from course_utils.sweeps.jobs import SweepRecord
from course_utils.sweeps.running import run_sweep


@dataclass(frozen=True)
class Rung:
    """One round: which configurations (by their index) were run for how many units, with which losses."""

    units: int
    indices: tuple[int, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Halving:
    """What successive halving did and what it cost, in units of training."""

    rungs: tuple[Rung, ...]
    best: int  # index of the configuration with the lowest loss of the last rung
    units_spent: int  # every rung trains from the start
    units_if_resumed: int  # every rung goes on where the last one stopped
    units_of_all: int  # every configuration trained to the end


@checked
def successive_halving(
    function: Callable[..., float],
    configurations: Sequence[Mapping[str, Any]],
    *,
    budget: int,
    eta: int = 3,
    seed: int = 0,
    num_jobs: int = 1,
) -> Halving:
    r"""Run all n configurations for few units, keep the best of every `eta`, give those eta times as many, and so on.

    With :math:`n = \eta^k` rung r = 0 ... k has :math:`\eta^{k-r}` configurations of :math:`\eta^{r-k} R` units each:
    R units a rung, (k + 1) R in all, instead of n R (eq. 12.20).

    Args:
        function: `function(units=..., seed=..., **configuration)` -> a number; NaN or an error counts as infinite.
        configurations: keyword arguments; each keeps its seed over all rungs.
        budget: units R of the last rung; divisible by eta to the power of the rungs before it.
        eta: of how many the best is kept, at least 2.
        seed: of the seeds of the configurations.
        num_jobs: as in `run_sweep`, for the jobs of one rung.
    Raises: ValueError: if eta is below 2, there are fewer than eta configurations, the budget does not divide, or no
        configuration has a finite loss. TypeError: if the function returns no number.
    Source: K. Jamieson, A. Talwalkar 2015, arXiv:1502.07943.
    """
    n = len(configurations)
    if eta < 2 or n < eta:
        raise ValueError(f"halving needs eta >= 2 and at least eta configurations, got eta={eta}, {n} given.")
    depth = 0
    while eta ** (depth + 1) <= n:
        depth += 1
    if budget < 1 or budget % eta**depth:
        raise ValueError(
            f"budget must be a multiple of eta**{depth} = {eta**depth} for {n} configurations, got {budget}."
        )
    seeds = fork_seeds(seed, n)
    alive, rungs = list(range(n)), []
    for level in range(depth + 1):
        units = budget // eta ** (depth - level)
        jobs = [{"seed": seeds[i], **configurations[i], "units": units} for i in alive]
        records = run_sweep(function, jobs, num_jobs=num_jobs)
        losses = [_loss(record) for record in records]
        if not any(map(math.isfinite, losses)):
            reason = next((record.error for record in records if record.failed), "all are infinite or NaN")
            raise ValueError(f"function gave none of {len(losses)} configurations a finite loss: {reason}.")
        rungs.append(Rung(units, tuple(alive), tuple(losses)))
        order = sorted(range(len(alive)), key=losses.__getitem__)  # stable: of two equal ones the earlier
        alive = [alive[i] for i in sorted(order[: len(alive) // eta])]
    last = rungs[-1]
    best = last.indices[min(range(len(last.losses)), key=last.losses.__getitem__)]
    spent = sum(rung.units * len(rung.indices) for rung in rungs)
    before = [0, *(rung.units for rung in rungs[:-1])]
    resumed = sum((rung.units - old) * len(rung.indices) for rung, old in zip(rungs, before, strict=True))
    return Halving(tuple(rungs), best, spent, resumed, n * budget)


def _loss(record: SweepRecord) -> float:
    if record.failed:
        return math.inf
    if not isinstance(record.result, Real):
        raise TypeError(f"function must return its loss, a number, got {describe(record.result)}.")
    return math.inf if math.isnan(record.result) else float(record.result)
