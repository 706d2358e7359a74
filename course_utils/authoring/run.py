"""Does the whole course run, how long does it take, and which claims held?

Notebooks run some at a time, those that took longest last time first, so that no long one is left over at the end. Each
runs in a scratch folder, and its copy is put in place when it has ended: two runs at once do not read each other's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from course_utils.authoring.execute import OnCell, Outcome, execute
from course_utils.authoring.guard import SCRATCH
from course_utils.authoring.kernel import KernelPool, kernel_environment
from course_utils.authoring.library import CourseError
from course_utils.authoring.writing import make_folder, replace, scratch_folder

T = TypeVar("T")
_LOOK_UP = 0.5  # seconds; on Windows a thread that waits without an end does not hear Ctrl-C


def run_all(
    notebooks: Sequence[Path],
    output: Path,
    *,
    settings: Mapping[Path, Mapping[str, Any]] | None = None,
    jobs: int = 2,
    threads: int = 1,
    scheduler: str | None = None,
    timeout: float = 600.0,
    on_cell: OnCell | None = None,
    on_done: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Execute copies of `notebooks` into `output`, `jobs` at a time, and return the outcomes in the order given.

    Args:
        notebooks: stored notebooks; read only.
        output: folder of the copies.
        settings: the parameters of each notebook, from `share_settings`.
        jobs: how many kernels run at a time here.
        threads: how many threads a kernel shares its sums by.
        scheduler: address of a running Dask cluster, whose workers run the notebooks instead; they see the same folder.
        timeout: seconds that one cell may take.
        on_cell: called from the threads, before each cell.
        on_done: called here, as each notebook ends.
    Raises: CourseError: if nothing can be written into `output`, or there is a `scheduler`, and it or its workers
        cannot be had.
    """
    settings = settings or {}
    make_folder(output)
    if scheduler is not None:
        on_cluster = _import_cluster()
        done = on_cluster(
            longest_first(notebooks, output), output, scheduler,
            settings=settings, threads=threads, timeout=timeout, on_cell=on_cell, on_done=on_done,
        )  # fmt: skip
        return [done[notebook] for notebook in notebooks]
    with scratch_folder() as scratch:
        environment = kernel_environment(scratch, threads) | {SCRATCH: str(scratch)}

        def run_one(notebook: Path, kernels: KernelPool) -> Outcome:
            outcome = execute(
                notebook, scratch / "copies" / notebook.name, environment=environment, kernels=kernels,
                parameters=settings.get(notebook), timeout=timeout, on_cell=on_cell,
            )  # fmt: skip
            return outcome.brought(output)

        done = in_threads(run_one, longest_first(notebooks, output), KernelPool(scratch), jobs, on_done)
    return [done[notebook] for notebook in notebooks]


def _import_cluster() -> Callable[..., dict[Path, Outcome]]:
    try:
        from course_utils.authoring.cluster import run_on_cluster
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        raise CourseError("--scheduler needs Dask: pip install 'course-utils[sweep]'.") from None
    return run_on_cluster


def in_threads(
    work: Callable[[Path, KernelPool], T],
    notebooks: Sequence[Path],
    kernels: KernelPool,
    jobs: int,
    on_done: Callable[[T], None] | None = None,
) -> dict[Path, T]:
    """Return {notebook: work(notebook, kernels)}, `jobs` at a time; when it is interrupted no kernel is left."""
    executor = ThreadPoolExecutor(max_workers=jobs)
    done: dict[Path, T] = {}
    try:
        futures: dict[Future[T], Path] = {executor.submit(work, path, kernels): path for path in notebooks}
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, timeout=_LOOK_UP, return_when=FIRST_COMPLETED)
            for future in ended:
                done[futures[future]] = future.result()
                if on_done is not None:
                    on_done(future.result())
    except (
        BaseException
    ):  # Ctrl-C above all: kernels lead their own groups, so the terminal's signal misses them
        kernels.stop_all()
        executor.shutdown(wait=True, cancel_futures=True)
        raise
    executor.shutdown()
    return done


def longest_first(notebooks: Sequence[Path], output: Path) -> list[Path]:
    """Return the notebooks by the seconds of the last run into `output`; those never run come first, large files first.

    A first run knows no seconds. The size of a file, most of it figures, is the best guess there is.
    """
    seconds = _read_durations(output)
    return sorted(
        notebooks, key=lambda path: (seconds.get(path.stem, float("inf")), _size(path)), reverse=True
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was moved away: its run will say so
        return 0


def write_records(outcomes: Sequence[Outcome], output: Path) -> None:
    """Write claims.json beside `output`, and the durations that order the next run into it.

    Raises: CourseError: if one of them cannot be written.
    """
    claims = [claim for outcome in outcomes for claim in outcome.claims]
    text = json.dumps(claims, ensure_ascii=False, indent=1)
    replace(output.parent / "claims.json", (text + "\n").encode("utf-8", "backslashreplace"))
    seconds = _read_durations(output) | {
        outcome.notebook: round(outcome.seconds, 1) for outcome in outcomes if not outcome.error
    }
    replace(output / "durations.json", json.dumps(seconds, indent=1) + "\n")


def _read_durations(output: Path) -> dict[str, float]:
    path = output / "durations.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no run yet, or a file that somebody damaged: the order is a convenience
        return {}
    numbers = stored.items() if isinstance(stored, dict) else ()
    return {name: seconds for name, seconds in numbers if isinstance(seconds, int | float)}
