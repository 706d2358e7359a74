"""Where do the jobs run? In this process, in processes beside it, or on a Dask cluster: the results are the same.

Each job computes with one thread, so that its sums have one order wherever it runs, and takes its randomness from a
seed of its own, so that it does not matter who runs before whom. A sweep with a results file may be cut off:
the next call computes what is missing.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from course_utils._types import checked
from course_utils.sweeps.jobs import Job, SweepRecord, number_jobs
from course_utils.sweeps.store import ResultsFile, check_storable
from course_utils.sweeps.workers import compute


@checked
def run_sweep(
    function: Callable[..., Any],
    configurations: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    num_jobs: int = 1,
    results: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> list[SweepRecord]:
    """Call `function(seed=..., **configuration)` for each configuration and return the records, in the order given.

    Inside `with joblib.parallel_config("dask"):` the connected cluster runs the jobs instead, whatever `num_jobs` says;
    nothing else changes. A job that raises becomes a record with its error, and so does one whose workers die of it:
    the others are not lost. A worker that dies of something else costs the time of what it was at.

    Args:
        function: importable by the workers (a module's function); returns what can be pickled.
        configurations: keyword arguments. One with a "seed" of its own keeps it, for runs that are to be paired.
        seed: the others get a seed each from `fork_seeds(seed, n)`.
        num_jobs: processes; 1 stays in this one, -1 takes one for each core.
        results: a file that gets a line for each job that ends (see `ResultsFile`). What it holds already is not
            computed again, except what failed; the file knows the function by its name, so that a function that was
            changed needs another file. Configurations and results are then of numbers, text, lists and dicts.
        progress: show a bar over the jobs.

    Raises:
        ValueError: if num_jobs is 0, or `results` is damaged or of another function or seed.
        TypeError: if JSON cannot hold a configuration or a result as it is, and `results` is given.
        BlockingIOError: if another sweep writes `results`.
        ConnectionError: if the Dask scheduler is lost; `results` keeps what had ended.
    """
    if num_jobs == 0:
        raise ValueError("num_jobs counts processes, 1 for this one alone or -1 for one a core, got 0.")
    jobs = number_jobs(configurations, seed)
    if not jobs:
        return []
    if results is None:
        return _run(function, jobs, num_jobs, None, progress)
    check_storable(jobs)
    with ResultsFile(results, function, seed) as store:
        return _run(function, jobs, num_jobs, store, progress)


def _run(
    function: Callable[..., Any],
    jobs: Sequence[Job],
    num_jobs: int,
    store: ResultsFile | None,
    progress: bool,
) -> list[SweepRecord]:
    """Compute what the store does not know, and return everything in the order of the jobs."""
    from tqdm import tqdm

    known = ((job, store.find(job)) for job in jobs) if store else ()
    records = {job.number: record for job, record in known if record is not None}
    missing = [job for job in jobs if job.number not in records]
    with tqdm(total=len(jobs), initial=len(records), disable=not progress, leave=False) as bar:
        for ended in compute(function, missing, num_jobs):
            records.update({job.number: record for job, record in ended})
            if store:
                store.append(record for _, record in ended)
            bar.update(len(ended))
    return [records[job.number] for job in jobs]


def stop_workers() -> None:
    """End the processes that joblib keeps waiting for the next sweep; by themselves they end after five minutes."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


@checked
@contextlib.contextmanager
def local_dask(num_workers: int = 2) -> Iterator[None]:
    """Run the sweeps of the block on a Dask scheduler of its own with `num_workers` processes, all on the loopback.

    A real cluster needs two lines instead: `client = distributed.Client(address)`, then
    `with joblib.parallel_config("dask"):`. Here the system chooses the ports, there is no dashboard, and scheduler and
    workers are gone when the block ends, also after an error.

    Raises: ImportError: where dask and distributed are not installed (extra `sweep`).
    """
    import distributed
    import joblib

    loopback = "127.0.0.1"  # no other machine can connect
    with (
        _quiet("distributed"),
        distributed.LocalCluster(
            host=loopback, n_workers=num_workers, threads_per_worker=1, processes=True, scheduler_port=0,
            dashboard_address=None, memory_limit=0, silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard_address": f"{loopback}:0"},  # without a dashboard too, it would listen on 8787
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):  # fmt: skip
        yield


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger to what is critical: a worker that is told to stop complains about the connection it loses."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
