"""How do notebooks run on the workers of a Dask cluster, and who ends their kernels?

The workers see the repository under the same path. Each does what `course run` does here: its own interpreter, a kernel
beside it, one thread for sums. A worker that dies takes its kernel along (ipykernel looks for its parent every second),
and the scheduler gives the notebook to another.
"""

import dataclasses
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed
from distributed.comm import get_address_host_port, resolve_address

from course_utils.authoring.execute import OnCell, Outcome, execute
from course_utils.authoring.kernel import KernelPool, kernel_environment, thread_settings
from course_utils.authoring.library import CourseError

_ANSWER_WITHIN = 5.0  # seconds, of the scheduler
_WORKERS_WITHIN = 10.0  # seconds, for workers that are just being started


class _Kernels(distributed.WorkerPlugin):  # type: ignore[misc]
    """Kills the kernels of a task that nobody waits for any more, and all of them when the run is over."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pools: dict[str, KernelPool] = {}  # of each worker its own: the plugin travels there by pickle

    def transition(self, key: str, start: str, finish: str, **options: Any) -> None:
        """End the kernels of a task that was running and is given up; called by the worker."""
        if (start, finish) == ("executing", "released") and key in self.pools:
            self.pools[key].stop_all()

    def teardown(self, worker: Any) -> None:
        """End all kernels; called when the plugin is taken away, and when the worker closes."""
        for pool in list(self.pools.values()):
            pool.stop_all()


def run_on_cluster(
    notebooks: Sequence[Path],
    output: Path,
    address: str,
    *,
    settings: Mapping[Path, Mapping[str, Any]],
    threads: int,
    timeout: float,
    on_cell: OnCell | None,
    on_done: Callable[[Outcome], None] | None,
) -> dict[Path, Outcome]:
    """Return {notebook: its outcome}; the workers' threads say how many run at a time. See `run.run_all`.

    Raises: CourseError: if no scheduler answers at `address`, it has no worker, a worker lacks the repository or the
        package, or the scheduler is lost.
    """
    with _connected(address) as client, _kernels(client) as run:
        if on_cell is not None:
            client.subscribe_topic(run, lambda event: on_cell(*event[1]))
        ours = {name: value for name, value in os.environ.items() if name.startswith("COURSE_")}
        ours |= thread_settings(threads)

        def submit(path: Path, how: str) -> Any:
            key = f"{run}-{path.stem}{how}"
            given = (path.resolve(), output.resolve(), settings.get(path, {}), timeout, ours)
            return client.submit(_run_there, run, key, *given, key=key)

        done: dict[Path, Outcome] = {}

        def finish(path: Path, task: Any) -> None:
            done[path] = outcome = _outcome(task, path, output, address)
            if on_done is not None:
                on_done(outcome)

        tasks = {submit(path, ""): path for path in notebooks}
        suspects = []
        for task in distributed.as_completed(tasks, loop=client.loop):
            if task.status == "error" and isinstance(task.exception(), distributed.KilledWorker):
                suspects.append(tasks[task])
            else:
                finish(tasks[task], task)
        for path in suspects:  # the guilty and who waited beside them: each again, and nobody with it
            for task in distributed.as_completed([submit(path, "-alone")], loop=client.loop):
                finish(path, task)
    return done


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler that has workers."""
    try:
        get_address_host_port(resolve_address(address))  # a client would need ten seconds to close after it
        client = distributed.Client(address, timeout=_ANSWER_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:  # nobody there, or no address at all
        raise CourseError(
            f"No Dask scheduler answers at {address!r}: {_first_line(error)}. "
            "`dask scheduler` starts one and prints its address."
        ) from None
    with _silent("distributed.client"), client:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_WITHIN)
        except TimeoutError:
            raise CourseError(
                f"The scheduler at {address} has no worker. Start some: `dask worker {address} --nthreads 1`."
            ) from None
        yield client


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger from telling, in thirty lines, how a lost scheduler could not be found again."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _kernels(client: Any) -> Iterator[str]:
    """Give the workers what ends kernels, and take it away at the end; yield its name, which is that of the run."""
    name = f"course-run-{uuid.uuid4().hex[:12]}"
    client.register_plugin(_Kernels(name))
    try:
        yield name
    finally:
        if client.status == "running":  # else the scheduler is gone, and the workers' tasks with it
            client.unregister_worker_plugin(name)


def _run_there(
    run: str,
    key: str,
    source: Path,
    output: Path,
    parameters: Mapping[str, Any],
    timeout: float,
    ours: Mapping[str, str],
) -> Outcome:
    """Execute one notebook on a worker; what it writes reaches `output` when it has ended, and not in parts.

    A worker may be killed, and its kernel may write for another second: no other run may find that in its file.
    """
    worker = distributed.get_worker()
    if not source.is_file():
        raise CourseError(
            f"The worker {worker.address} does not see {source}. Give it the repository under that path."
        )
    pools = worker.plugins[run].pools
    with tempfile.TemporaryDirectory(prefix="course-") as scratch:
        pools[key] = KernelPool(Path(scratch))
        outcome = execute(
            source, Path(scratch) / source.name, environment={**kernel_environment(Path(scratch)), **ours},
            kernels=pools[key], parameters=parameters, timeout=timeout,
            on_cell=lambda *cell: worker.log_event(run, cell),
        )  # fmt: skip
        del pools[key]
        return dataclasses.replace(outcome, copy=_bring(outcome.copy, output))


def _bring(copy: Path, output: Path) -> Path:
    """Move an executed copy, and the claims beside it, into the output folder."""
    output.mkdir(parents=True, exist_ok=True)
    for path in (copy, copy.with_suffix(".claims.jsonl")):
        (output / path.name).unlink(missing_ok=True)
        if path.exists():
            shutil.move(path, output / path.name)
    return output / copy.name


def _outcome(task: Any, notebook: Path, output: Path, address: str) -> Outcome:
    """Return what came of a task that has ended; a notebook that took its workers down, or found no disk, has failed.

    Raises: CourseError: if the scheduler is lost, or the worker lacks the repository or a package.
    """
    if task.status == "error":
        error = task.exception()
        if isinstance(error, CourseError):
            raise error
        if isinstance(error, ImportError):
            raise CourseError(f"A worker lacks a package of the course: {error}. Install the same there.")
        failure = f"{type(error).__name__}: {_first_line(error)}"
        return Outcome(notebook.stem, 0.0, 0, (), None, failure, output / notebook.name)
    try:
        outcome: Outcome = task.result()
    except (OSError, CancelledError):
        raise CourseError(
            f"The Dask scheduler at {address} is gone. What had ended is in {output}; run the others again."
        ) from None
    return outcome


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
