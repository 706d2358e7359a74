"""What is one job of a sweep, and what does it leave? A configuration and a seed; a result, or the reason for none."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from course_utils._checks import check_at_least
from course_utils._types import checked
from course_utils.devices import one_thread
from course_utils.seeding import fork_seeds


class Job(NamedTuple):
    """One entry of the list, and what the function is called with."""

    number: int  # its place
    configuration: dict[str, Any]  # without the seed
    seed: int

    def __str__(self) -> str:
        return f"configuration {self.number}, {self.configuration} with seed {self.seed}"


@dataclass(frozen=True)
class SweepRecord:
    """One job: what it was given, and what it returned or why it did not."""

    configuration: dict[str, Any]
    seed: int
    result: Any  # None where the job raised
    error: str = ""  # "ValueError: lr must be ..."; empty where it did not

    @property
    def failed(self) -> bool:
        """Say whether the job raised, or took every worker that tried it down."""
        return bool(self.error)


@checked
def number_jobs(configurations: Sequence[Mapping[str, Any]], seed: int) -> list[Job]:
    """Return the jobs of a list; a configuration with a "seed" keeps it, the others get one each from `fork_seeds`.

    The first seeds do not depend on how many follow: a list that grows at its end keeps its jobs.
    """
    seeds = fork_seeds(seed, len(configurations)) if configurations else []
    jobs = []
    for number, (own, given) in enumerate(zip(seeds, configurations, strict=True)):
        configuration = {name: value for name, value in given.items() if name != "seed"}
        jobs.append(Job(number, configuration, given.get("seed", own)))
    return jobs


@checked
def run_job(function: Callable[..., Any], job: Job) -> SweepRecord:
    """Call the function on one thread, so that its sums have one order on every machine; errors are recorded."""
    with one_thread():
        try:
            return SweepRecord(job.configuration, job.seed, function(seed=job.seed, **job.configuration))
        except Exception as error:
            return SweepRecord(job.configuration, job.seed, None, f"{type(error).__name__}: {error}")


@checked
def run_batch(
    function: Callable[..., Any], jobs: Sequence[Job], seconds: float
) -> tuple[list[SweepRecord], float]:
    """Run the first job, and further ones until `seconds` are over; return their records and the seconds it took.

    Raises: ValueError: if there is no job, or `seconds` is negative.
    """
    check_at_least("jobs", len(jobs), 1)
    check_at_least("seconds", seconds, 0)
    start = time.perf_counter()
    records: list[SweepRecord] = []
    while not records or (len(records) < len(jobs) and time.perf_counter() - start < seconds):
        records.append(run_job(function, jobs[len(records)]))
    return records, time.perf_counter() - start
