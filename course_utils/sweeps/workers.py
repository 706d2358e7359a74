"""Who computes? This process, processes beside it, or a Dask cluster. A worker that dies costs time and nothing else.

joblib serves the first two. Of a Dask cluster the client is used as it is: joblib's own backend hands out as many jobs
as the workers that are there at the start can take, and gives up when a job has killed its worker too often.

Who dies while several jobs are at hand does not say which of them is to blame. So what was in a dead worker's hands
runs again in company, and what is still under suspicion then runs alone: only what kills its worker alone is given up.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool  # what joblib raises when a process is gone
from typing import Any

from course_utils._types import checked
from course_utils.sweeps.jobs import Job, SweepRecord, run_batch, run_job

ATTEMPTS = 2  # of joblib's processes: in company, and again alone. Dask's scheduler counts by itself
BATCH_SECONDS = 0.2  # a Dask task costs 2 ms of the scheduler's time: 1 % of a batch of this length
LARGEST_BATCH = 100  # jobs; beyond, the scheduler's share is too small to be measured
FIRST_WIDTH = 256  # tasks at the scheduler, and one more for each that ends: workers may come later

Ended = Iterator[list[tuple[Job, SweepRecord]]]


@checked
def compute(function: Callable[..., Any], jobs: Sequence[Job], num_jobs: int) -> Ended:
    """Yield jobs with their records as they end, in any order.

    Inside `with joblib.parallel_config("dask"):` the connected cluster runs them, else `num_jobs` processes.
    """
    from joblib.parallel import get_active_backend

    client = getattr(get_active_backend()[0], "client", None)  # joblib's Dask backend has one, and it alone
    return _on_dask(function, jobs, client) if client else _in_processes(function, jobs, num_jobs)


# joblib


def _in_processes(function: Callable[..., Any], jobs: Sequence[Job], num_jobs: int) -> Ended:
    deaths: Counter[int] = Counter()
    suspects: list[Job] = []
    while jobs:
        taken: list[Job] = []
        ended: set[int] = set()
        try:
            for job, record in _side_by_side(function, jobs, num_jobs, taken):
                ended.add(job.number)
                yield [(job, record)]
        except BrokenProcessPool:
            deaths.update(job.number for job in taken if job.number not in ended)
        left = [job for job in jobs if job.number not in ended]
        suspects += [job for job in left if deaths[job.number] >= ATTEMPTS]
        jobs = [job for job in left if deaths[job.number] < ATTEMPTS]
        jobs.sort(key=lambda job: deaths[job.number])  # those under suspicion last
    for job in suspects:
        yield [(job, _alone_in_a_process(function, job))]


def _side_by_side(
    function: Callable[..., Any], jobs: Sequence[Job], num_jobs: int, taken: list[Job]
) -> Iterator[tuple[Job, SweepRecord]]:
    """Yield what joblib returns, and note in `taken` which jobs it has been given."""
    import joblib

    def calls() -> Iterator[Any]:
        for job in jobs:
            taken.append(job)
            yield joblib.delayed(_with_its_job)(function, job)

    yield from joblib.Parallel(n_jobs=num_jobs, return_as="generator_unordered")(calls())


def _with_its_job(function: Callable[..., Any], job: Job) -> tuple[Job, SweepRecord]:
    return job, run_job(function, job)


def _alone_in_a_process(function: Callable[..., Any], job: Job) -> SweepRecord:
    for _ in range(ATTEMPTS):
        try:
            # with num_jobs=1 joblib would run it in this process
            ((_, record),) = _side_by_side(function, [job], 2, [])
            return record
        except BrokenProcessPool:
            continue
    return _given_up(
        job, f"{2 * ATTEMPTS} processes died of it, the last {ATTEMPTS} of them ran nothing else"
    )


# Dask


def _on_dask(function: Callable[..., Any], jobs: Sequence[Job], client: Any) -> Ended:
    suspects: list[Job] = []
    address = client.scheduler.address
    try:
        yield from _flow(function, jobs, client, FIRST_WIDTH, suspects.extend)
        for job in suspects:
            yield from _flow(function, [job], client, 1, None)
    except Exception as error:  # a closed connection is an OSError, what was waited for is cancelled
        if client.status == "running" and not isinstance(error, (OSError, CancelledError)):
            raise
        raise ConnectionError(
            f"The Dask scheduler at {address} is gone. What had ended is in the file of results=..., where one was "
            "given. Start a scheduler and call run_sweep again with the same file: the rest is computed then."
        ) from error


def _flow(
    function: Callable[..., Any],
    jobs: Sequence[Job],
    client: Any,
    width: int,
    suspect: Callable[[list[Job]], None] | None,
) -> Ended:
    """Keep tasks of a batch each at the scheduler, small at first, longer while they take less than BATCH_SECONDS.

    Args:
        function: as in `run_sweep`.
        jobs: to be computed.
        client: connected to the scheduler.
        width: how many tasks there are to begin with.
        suspect: told the jobs of a task whose workers have died too often; None records that as their error.
    """
    from distributed import KilledWorker, as_completed

    waiting, size = deque(jobs), 1
    running: dict[Any, list[Job]] = {}
    ready = as_completed(loop=client.loop)
    try:
        while waiting or running:
            while waiting and len(running) < width:
                batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                future = client.submit(run_batch, function, batch, BATCH_SECONDS, pure=False)
                running[future] = batch
                ready.add(future)
            for future, answer in _answers(ready, client):
                batch = running.pop(future)
                width += 1
                if isinstance(answer, KilledWorker):
                    if suspect:
                        suspect(batch)
                    else:
                        yield [(job, _given_up(job, _attempts(answer))) for job in batch]
                else:
                    records, seconds = answer
                    waiting.extendleft(reversed(batch[len(records) :]))  # its time was over
                    fitting = int(BATCH_SECONDS * len(records) / seconds)
                    size = max(1, min(2 * size, fitting, LARGEST_BATCH))
                    yield list(zip(batch, records, strict=False))
    finally:
        for future in running:
            future.release()  # the scheduler forgets what nobody waits for


def _answers(ready: Any, client: Any) -> list[tuple[Any, Any]]:
    """Return tasks that have ended, at least one, each with what it returned or the KilledWorker that it met.

    Raises: what else a task failed of, such as a package that the workers lack; CancelledError: if a task was lost.
    """
    from distributed import KilledWorker

    ended = ready.next_batch()
    failures = {future: future.exception() for future in ended if future.status == "error"}
    if others := [error for error in failures.values() if not isinstance(error, KilledWorker)]:
        raise others[0]
    finished = [future for future in ended if future not in failures]
    try:
        return [*failures.items(), *zip(finished, client.gather(finished), strict=True)]
    except KilledWorker:  # a worker had died with a result, and so did those that were to compute it again
        ready.update(ended)
        return []


def _attempts(error: Any) -> str:
    return f"{error.allowed_failures + 1} workers died of it, and ran nothing else"


def _given_up(job: Job, reason: str) -> SweepRecord:
    return SweepRecord(job.configuration, job.seed, None, f"WorkerDied: {job}: {reason}")
