"""Does the whole course run, how long does it take, and which claims held?

Notebooks run some at a time, those that took longest last time first, so that no long one is left over at the end.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from course_utils.authoring.execute import OnCell, Outcome, execute
from course_utils.authoring.kernel import KernelPool, kernel_environment
from course_utils.authoring.library import CourseError

T = TypeVar("T")


def run_all(
    notebooks: Sequence[Path],
    output: Path,
    *,
    settings: Mapping[Path, Mapping[str, Any]] | None = None,
    jobs: int = 2,
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
        scheduler: address of a running Dask cluster, whose workers run the notebooks instead; they see the same folder.
        timeout: seconds that one cell may take.
        on_cell: called from the threads, before each cell.
        on_done: called here, as each notebook ends.
    Raises: CourseError: if there is a `scheduler`, and it or its workers cannot be had.
    """
    settings = settings or {}
    if scheduler is not None:
        on_cluster = _import_cluster()
        done = on_cluster(
            longest_first(notebooks, output), output, scheduler,
            settings=settings, timeout=timeout, on_cell=on_cell, on_done=on_done,
        )  # fmt: skip
        return [done[notebook] for notebook in notebooks]
    with tempfile.TemporaryDirectory(prefix="course-") as scratch:
        environment = kernel_environment(Path(scratch))

        def run_one(notebook: Path, kernels: KernelPool) -> Outcome:
            return execute(
                notebook, output / notebook.name, environment=environment, kernels=kernels,
                parameters=settings.get(notebook), timeout=timeout, on_cell=on_cell,
            )  # fmt: skip

        done = in_threads(run_one, longest_first(notebooks, output), KernelPool(Path(scratch)), jobs, on_done)
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
        for future in as_completed(futures):
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
        notebooks, key=lambda path: (seconds.get(path.stem, float("inf")), path.stat().st_size), reverse=True
    )


def write_records(outcomes: Sequence[Outcome], output: Path) -> None:
    """Write claims.json beside `output`, and the durations that order the next run into it."""
    claims = [claim for outcome in outcomes for claim in outcome.claims]
    text = json.dumps(claims, ensure_ascii=False, indent=1)
    (output.parent / "claims.json").write_text(text + "\n", encoding="utf-8")
    seconds = _read_durations(output) | {
        outcome.notebook: round(outcome.seconds, 1) for outcome in outcomes if not outcome.error
    }
    (output / "durations.json").write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")


def _read_durations(output: Path) -> dict[str, float]:
    path = output / "durations.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # no run yet, or one that was cut off: the order is a convenience
        return {}
