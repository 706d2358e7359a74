"""What is stored in a notebook, besides what its author wrote?

The outputs of one clean run from the top, with the default parameters, in one canonical form: this module is the only
writer of outputs. A second refresh on the same machine gives the same bytes. A notebook that does not run to its end
stays as it was, and so does one that its author saves while it runs.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat

from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.execute import OnCell, Outcome, execute
from course_utils.authoring.guard import SCRATCH
from course_utils.authoring.kernel import KernelPool, kernel_environment
from course_utils.authoring.library import CourseError, parse_notebook, read_bytes, read_notebook
from course_utils.authoring.run import in_threads
from course_utils.authoring.writing import make_folder, replace, scratch_folder


def refresh_all(
    notebooks: Sequence[Path],
    output: Path,
    *,
    jobs: int = 2,
    timeout: float = 600.0,
    on_cell: OnCell | None = None,
    on_done: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Execute a copy of each notebook in `output`, and replace those that ran to the end with all claims held.

    Raises: CourseError: if nothing can be written into `output`, or beside the notebooks.
    """
    for folder in (output, *{notebook.parent for notebook in notebooks}):
        make_folder(folder)
    with scratch_folder() as scratch:
        environment = kernel_environment(scratch) | {SCRATCH: str(scratch)}

        def refresh_one(notebook: Path, kernels: KernelPool) -> Outcome:
            copy = scratch / "copies" / notebook.name
            try:
                content = read_bytes(notebook)
            except CourseError as error:
                return Outcome(notebook.stem, 0.0, 0, (), None, str(error), copy)
            outcome = execute(
                notebook, copy, environment=environment, kernels=kernels, timeout=timeout, on_cell=on_cell,
                content=content,
            )  # fmt: skip
            return _stored(outcome, notebook, content).brought(output)

        done = in_threads(refresh_one, notebooks, KernelPool(scratch), jobs, on_done)
    return [done[notebook] for notebook in notebooks]


def _stored(outcome: Outcome, notebook: Path, content: bytes) -> Outcome:
    """Put the outputs of a run that held into the notebook, and return the outcome, with the reason where not."""
    if not outcome.holds:
        return outcome
    try:
        fresh = dumps(normalize(parse_notebook(content, notebook.name), read_notebook(outcome.copy)))
        _put(notebook, fresh.encode("utf-8"), content)
    except nbformat.ValidationError as error:
        return dataclasses.replace(outcome, error=f"its outputs are not valid: {str(error).splitlines()[0]}")
    except CourseError as error:
        return dataclasses.replace(outcome, error=str(error), note="")
    return dataclasses.replace(outcome, note="")


def _put(notebook: Path, fresh: bytes, content: bytes) -> None:
    """Replace the notebook, unless it is no longer the file that was run: an edit is worth more than outputs."""
    now = read_bytes(notebook)
    if now == fresh:  # up to date, or another refresh was faster
        return
    if now != content:
        raise CourseError(
            f"{notebook.name} was changed while it ran and is left as it is. Refresh it again: "
            f"`course refresh {notebook.stem[:2]}`."
        )
    replace(notebook, fresh)
