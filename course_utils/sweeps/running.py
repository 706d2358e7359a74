"""Where do the jobs run? In this process, in processes beside it, or on a Dask cluster: the results are the same.

joblib does the work. Each job computes with one thread, so that its sums have one order wherever it runs, and takes its
randomness from a seed of its own, so that it does not matter who runs before whom.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_utils.seeding import fork_seeds


@dataclass(frozen=True)
class SweepRecord:
    """One job: what it was given, and what it returned or why it did not."""

    configuration: dict[str, Any]
    seed: int
    result: Any  # None where the job raised
    error: str = ""  # "ValueError: lr must be ..."; empty where it did not

    @property
    def failed(self) -> bool:
        """Say whether the job raised."""
        return bool(self.error)


def run_sweep(
    function: Callable[..., Any],
    configurations: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    num_jobs: int = 1,
    progress: bool = False,
) -> list[SweepRecord]:
    """Call `function(seed=..., **configuration)` for each configuration and return the records, in the order given.

    Inside `with joblib.parallel_config("dask"):` the connected cluster runs the jobs instead, whatever `num_jobs` says;
    nothing else changes. A job that raises becomes a record with its error: the others are not lost.

    Args:
        function: importable by the workers (a module's function); returns what can be pickled.
        configurations: keyword arguments. One with a "seed" of its own keeps it, for runs that are to be paired.
        seed: the others get a seed each from `fork_seeds(seed, n)`.
        num_jobs: processes; 1 stays in this one, -1 takes one for each core.
        progress: show a bar over the jobs.
    Raises: ValueError: if num_jobs is 0.
    """
    if num_jobs == 0:
        raise ValueError("num_jobs counts processes, 1 for this one alone or -1 for one a core, got 0.")
    if not configurations:
        return []
    import joblib
    from tqdm import tqdm

    seeds = fork_seeds(seed, len(configurations))
    jobs = (
        joblib.delayed(_run_one)(function, {"seed": own, **configuration})
        for own, configuration in zip(seeds, configurations, strict=True)
    )
    records = joblib.Parallel(n_jobs=num_jobs, return_as="generator")(jobs)
    with tqdm(records, total=len(configurations), disable=not progress, leave=False) as bar:
        return list(bar)


def _run_one(function: Callable[..., Any], arguments: dict[str, Any]) -> SweepRecord:
    """Run one job on one thread and put the number of threads back."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    configuration = {name: value for name, value in arguments.items() if name != "seed"}
    try:
        return SweepRecord(configuration, arguments["seed"], function(**arguments))
    except Exception as error:
        return SweepRecord(configuration, arguments["seed"], None, f"{type(error).__name__}: {error}")
    finally:
        torch.set_num_threads(num_threads)


def stop_workers() -> None:
    """End the processes that joblib keeps waiting for the next sweep; by themselves they end after five minutes."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


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
