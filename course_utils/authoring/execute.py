"""Does a notebook run from the top, and does every claim in it hold?

Papermill runs a copy, in a thread; the kernel is a process of its own, so threads are no limit. The stored notebook is
read once, at the start, and never touched. Whatever happens, the copy is on disk afterwards, with the error in it where
there was one.
"""

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from course_utils.authoring.copies import bring, keep, meanwhile, read_claims, records_of
from course_utils.authoring.kernel import KernelPool, own_event_loop
from course_utils.authoring.library import CourseError, Notebook, parameters_of, parse_notebook, read_bytes

REPORTED = ("device", "dataset", "seed")  # the parameters that a claim's record carries

OnCell = Callable[[str, int, int], None]  # (notebook, cells done, cells in all)


@dataclass(frozen=True)
class CellTime:
    """How long one cell took: its index among all cells, seconds, and its first line."""

    index: int
    seconds: float
    first_line: str


@dataclass(frozen=True)
class Outcome:
    """What came of one run: `error` is empty where the notebook ran to its end, `claims` are the records it wrote.

    `note` says what happened to the stored file meanwhile; it is empty where nothing did.
    """

    notebook: str
    seconds: float
    num_cells: int
    claims: tuple[dict[str, Any], ...]
    slowest: CellTime | None
    error: str
    copy: Path
    note: str = ""

    def brought(self, output: Path) -> "Outcome":
        """Put the copy into the folder `output`, and return this outcome with its place there."""
        failure = bring(self.copy, output)
        error = " ".join(filter(None, [self.error, failure]))
        return dataclasses.replace(self, copy=output / self.copy.name, error=error)

    @property
    def num_failed_claims(self) -> int:
        """Count the claims that did not hold."""
        return sum(not claim["holds"] for claim in self.claims)

    @property
    def holds(self) -> bool:
        """Say whether the notebook ran to its end and every claim held."""
        return not self.error and self.num_failed_claims == 0


def execute(
    source: Path,
    target: Path,
    *,
    environment: Mapping[str, str],
    kernels: KernelPool,
    parameters: Mapping[str, Any] | None = None,
    timeout: float = 600.0,
    on_cell: OnCell | None = None,
    content: bytes | None = None,
) -> Outcome:
    """Run a copy of `source` in its folder, write it to `target`, and return what came of it; errors are recorded.

    Args:
        source: the stored notebook; read once, here.
        target: the executed copy, overwritten. Its claims are written beside it, as <name>.claims.jsonl.
        environment: that of the kernel, from `kernel_environment`.
        kernels: the pool that starts the kernel and can end it.
        parameters: values that replace the defaults of the parameters cell.
        timeout: seconds that one cell may take.
        on_cell: called before each cell and once at the end.
        content: what was read from `source` already.
    """
    try:
        content = read_bytes(source) if content is None else content
        stored = parse_notebook(content, source.name)
    except CourseError as error:  # somebody has moved it since the command began
        return Outcome(source.stem, 0.0, 0, (), None, str(error), target)
    target.parent.mkdir(parents=True, exist_ok=True)
    records = records_of(target)
    records.unlink(missing_ok=True)
    run = _Run(source, stored, on_cell)
    start = time.perf_counter()
    given = dict(parameters or {})
    error_line = run.papermill(
        content, given, timeout, kernels, {**environment, "COURSE_CLAIMS": str(records)}
    )
    seconds = time.perf_counter() - start
    error_line = " ".join(filter(None, [error_line, keep(run.notebook, target)]))
    used = parameters_of(stored) | given
    said = {"notebook": source.stem, "parameters": {name: used[name] for name in REPORTED if name in used}}
    claims = tuple(claim | said for claim in read_claims(records))
    slowest = _slowest_cell(run.notebook)
    return Outcome(
        source.stem, seconds, run.num_cells, claims, slowest, error_line, target, meanwhile(source, content)
    )


class _Run:
    """One call of papermill, and what its hooks saw."""

    def __init__(self, source: Path, stored: Notebook, on_cell: OnCell | None) -> None:
        self.source = source.resolve()
        self.num_cells = len(stored.cells)
        self.notebook: Notebook = stored
        self._on_cell = on_cell or (lambda name, done, total: None)
        self._index = 0

    def papermill(
        self,
        content: bytes,
        parameters: dict[str, Any],
        timeout: float,
        kernels: KernelPool,
        environment: dict[str, str],
    ) -> str:
        """Execute a notebook of that content and return the error in one line, "" without one."""
        import papermill  # a second of imports, and only here

        options: dict[str, Any] = {
            "kernel_name": "python3",
            "language": "python",
            "progress_bar": False,
            "request_save_on_cell_execute": False,
            "execution_timeout": timeout,
            # papermill's own cwd= changes the directory of the whole process: not for threads.
            "resources": {"metadata": {"path": str(self.source.parent)}},
            "shutdown_kernel": "immediate",
            "record_timing": False,
            "store_widget_state": False,
            "coalesce_streams": False,  # see `copies.coalesced`
            "on_notebook_start": self._started,
            "on_cell_start": self._cell_started,
        }
        with contextlib.ExitStack() as stack:
            try:
                # A copy of its own: the stored file may be saved, or another run may begin, while this one reads.
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="read-", dir=kernels.scratch))
                snapshot = Path(folder, self.source.name)
                snapshot.write_bytes(content)
                stack.enter_context(own_event_loop())
                manager = stack.enter_context(kernels.manager_class(environment))
                papermill.execute_notebook(
                    str(snapshot), None, parameters, kernel_manager_class=manager, **options
                )
            except papermill.PapermillExecutionError as error:
                # The error is in the copy, with a banner above the cell.
                return _one_line(error.cell_index, error.ename, error.evalue)
            except Exception as error:
                # A cell that takes too long, a kernel that died, no room for a socket.
                died = type(error).__name__ == "DeadKernelError"
                words = manager.how_it_died() if died else str(error)
                self._add_error(type(error).__name__, words)
                return _one_line(self._index, type(error).__name__, words)
        self._on_cell(self.source.stem, self.num_cells, self.num_cells)
        return self._left_early()

    def _started(self, notebook: Notebook) -> None:
        self.notebook = notebook

    def _cell_started(self, cell: Notebook, cell_index: int) -> None:
        self._index = cell_index
        self._on_cell(self.source.stem, cell_index, self.num_cells)

    def _left_early(self) -> str:
        """Return the error of a cell that ended the notebook by `sys.exit(0)`: papermill counts that as success."""
        for index, cell in enumerate(self.notebook.cells):
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    return _one_line(index, output.ename, output.evalue)
        return ""

    def _add_error(self, name: str, words: str) -> None:
        cell = self.notebook.cells[self._index] if self.notebook.cells else None
        if cell is not None and cell.cell_type == "code":
            text = {"ename": name, "evalue": words, "traceback": words.splitlines()}
            cell.outputs.append(nbformat.v4.new_output("error", **text))


def _one_line(index: int, name: str, words: str) -> str:
    line = _first_line(words)
    if name == "CellExecutionError" and not line:
        line = "it could not say why, as where memory runs out"
    return f"cell {index}: {name}" + (f": {line}" if line else "")


def _slowest_cell(notebook: Notebook) -> CellTime | None:
    """Return the cell that took longest, from the times that papermill notes in the copy (stored ones have none)."""
    times = [
        CellTime(index, cell.metadata.papermill.get("duration") or 0.0, _first_line(cell.source))
        for index, cell in enumerate(cell for cell in notebook.cells if "papermill" in cell.metadata)
        if cell.cell_type == "code"
    ]
    return max(times, key=lambda time: time.seconds, default=None)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
