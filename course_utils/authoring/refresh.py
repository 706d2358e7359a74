"""What is stored in a notebook, besides what its author wrote?

The outputs of one clean run from the top, with the default parameters, in one canonical form: this module is the only
writer of outputs. A second refresh on the same machine gives the same bytes. A notebook that does not run to its end
stays as it was.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.execute import OnCell, Outcome, execute
from course_utils.authoring.kernel import KernelPool, kernel_environment
from course_utils.authoring.library import read_notebook
from course_utils.authoring.run import in_threads


def refresh_all(
    notebooks: Sequence[Path],
    output: Path,
    *,
    jobs: int = 2,
    timeout: float = 600.0,
    on_cell: OnCell | None = None,
    on_done: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Execute a copy of each notebook in `output`, and replace those that ran to the end with all claims held."""
    with tempfile.TemporaryDirectory(prefix="course-") as scratch:
        environment = kernel_environment(Path(scratch))

        def refresh_one(notebook: Path, kernels: KernelPool) -> Outcome:
            copy = output / notebook.name
            outcome = execute(
                notebook, copy, environment=environment, kernels=kernels, timeout=timeout, on_cell=on_cell
            )
            if outcome.holds:
                replace(notebook, dumps(normalize(read_notebook(notebook), read_notebook(copy))))
            return outcome

        done = in_threads(refresh_one, notebooks, KernelPool(Path(scratch)), jobs, on_done)
    return [done[notebook] for notebook in notebooks]


def replace(path: Path, text: str) -> None:
    """Put `text` in place of the file in one step: a reader sees the old whole or the new whole."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
