"""Does a notebook run from the top, and does every claim in it hold?

Papermill runs a copy, in a thread; the kernel is a process of its own, so threads are no limit. The stored notebook is
never touched. Whatever happens, the copy is on disk afterwards, with the error in it where there was one.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from course_utils.authoring.kernel import KernelPool, own_event_loop
from course_utils.authoring.library import Notebook, parameters_of, read_notebook

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
    """What came of one run: `error` is empty where the notebook ran to its end, `claims` are the records it wrote."""

    notebook: str
    seconds: float
    num_cells: int
    claims: tuple[dict[str, Any], ...]
    slowest: CellTime | None
    error: str
    copy: Path

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
) -> Outcome:
    """Run a copy of `source` in its folder, write it to `target`, and return what came of it; errors are recorded.

    Args:
        source: the stored notebook; read only.
        target: the executed copy, overwritten. Its claims are written beside it, as <name>.claims.jsonl.
        environment: that of the kernel, from `kernel_environment`.
        kernels: the pool that starts the kernel and can end it.
        parameters: values that replace the defaults of the parameters cell.
        timeout: seconds that one cell may take.
        on_cell: called before each cell and once at the end.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    records = target.with_suffix(".claims.jsonl")
    records.unlink(missing_ok=True)
    run = _Run(source, on_cell)
    start = time.perf_counter()
    given = dict(parameters or {})
    error = run.papermill(target, given, timeout, kernels, {**environment, "COURSE_CLAIMS": str(records)})
    seconds = time.perf_counter() - start
    used = parameters_of(read_notebook(source)) | given
    said = {"notebook": source.stem, "parameters": {name: used[name] for name in REPORTED if name in used}}
    claims = tuple(claim | said for claim in read_claims(records))
    return Outcome(source.stem, seconds, run.num_cells, claims, _slowest_cell(run.notebook), error, target)


class _Run:
    """One call of papermill, and what its hooks saw."""

    def __init__(self, source: Path, on_cell: OnCell | None) -> None:
        self.source = source.resolve()
        self.num_cells = len(read_notebook(source).cells)
        self.notebook: Notebook = None
        self._on_cell = on_cell or (lambda name, done, total: None)
        self._index = 0

    def papermill(
        self,
        target: Path,
        parameters: dict[str, Any],
        timeout: float,
        kernels: KernelPool,
        environment: dict[str, str],
    ) -> str:
        """Execute into `target` and return the error in one line, "" without one."""
        import papermill  # a second of imports, and only here

        options: dict[str, Any] = {
            "kernel_name": "python3",
            "progress_bar": False,
            "request_save_on_cell_execute": False,
            "execution_timeout": timeout,
            # papermill's own cwd= changes the directory of the whole process: not for threads.
            "resources": {"metadata": {"path": str(self.source.parent)}},
            "kernel_manager_class": kernels.manager_class(environment),
            "shutdown_kernel": "immediate",
            "record_timing": False,
            "store_widget_state": False,
            "coalesce_streams": True,
            "on_notebook_start": self._started,
            "on_cell_start": self._cell_started,
        }
        try:
            with own_event_loop():
                papermill.execute_notebook(str(self.source), str(target.resolve()), parameters, **options)
        except papermill.PapermillExecutionError as error:
            # The copy is written, with a banner above the cell.
            return f"cell {error.cell_index}: {error.ename}: {_first_line(error.evalue)}"
        except Exception as error:
            # A cell that takes too long, a kernel that died: papermill keeps nothing then.
            self._keep_copy(target, error)
            return f"cell {self._index}: {type(error).__name__}: {_first_line(str(error))}"
        self._on_cell(self.source.stem, self.num_cells, self.num_cells)
        return ""

    def _started(self, notebook: Notebook) -> None:
        self.notebook = notebook

    def _cell_started(self, cell: Notebook, cell_index: int) -> None:
        self._index = cell_index
        self._on_cell(self.source.stem, cell_index, self.num_cells)

    def _keep_copy(self, target: Path, error: Exception) -> None:
        notebook = self.notebook if self.notebook is not None else read_notebook(self.source)
        cell = notebook.cells[self._index]
        if cell.cell_type == "code":
            text = {"ename": type(error).__name__, "evalue": str(error), "traceback": str(error).splitlines()}
            cell.outputs.append(nbformat.v4.new_output("error", **text))
        nbformat.write(notebook, target)


def read_claims(path: Path) -> list[dict[str, Any]]:
    """Return the records that `claims.check` appended to `path`, none where the file is missing."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _slowest_cell(notebook: Notebook) -> CellTime | None:
    """Return the cell that took longest, from the times that papermill notes in the copy (stored ones have none)."""
    if notebook is None:
        return None
    times = [
        CellTime(index, cell.metadata.papermill.get("duration") or 0.0, _first_line(cell.source))
        for index, cell in enumerate(cell for cell in notebook.cells if "papermill" in cell.metadata)
        if cell.cell_type == "code"
    ]
    return max(times, key=lambda time: time.seconds, default=None)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
