"""The student edition of every notebook, or a folder of assignments for nbgrader."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat

from course_utils.authoring.colab import Publication, with_colab
from course_utils.authoring.library import CourseError, Notebook, read_notebook
from course_utils.authoring.student.assignment import assignment
from course_utils.authoring.student.release import CODE_STUB, release

FOLDER = "student"  # where a published version of the course has these copies
CONFIG = f'''"""What nbgrader has to know about the course."""

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "why-deep-networks-train"
c.ClearSolutions.code_stub = {CODE_STUB!r}  # the stubs of the course stand before their solutions
c.ExecutePreprocessor.timeout = 600  # seconds for one cell
'''


def make_student(
    notebooks: Sequence[Path], output: Path, *, publication: Publication, say: Callable[[str], None]
) -> None:
    """Write the student edition of each notebook into the folder `output`.

    Args:
        notebooks: with stored outputs.
        output: is made where it is missing.
        publication: where the course is to be had; it makes the cells that start a copy on Colab.
        say: takes a line of report for each notebook.
    Raises: CourseError: if nbgrader is missing, or a check has no seal in its stored output.
    """
    for path in notebooks:
        source = _assignment(path)
        _write(with_colab(release(source), path.stem, publication, folder=FOLDER), output / path.name)
        say(f"{path.name}: {_number_of_checks(source)} exercises")
    for ledger in {path.with_name("sources.csv") for path in notebooks}:  # the notebooks link to it
        if ledger.is_file():
            shutil.copy(ledger, output)


def make_assignments(notebooks: Sequence[Path], output: Path, *, say: Callable[[str], None]) -> None:
    """Write nbgrader's source folder of each notebook, solutions included, and its configuration, into `output`.

    Raises: CourseError: if a check has no seal in its stored output.
    """
    for path in notebooks:
        source = _assignment(path)
        if count := _number_of_checks(source):
            _write(source, output / "source" / path.stem / path.name)
            say(f"{path.stem}: {count} points")
    (output / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")


def _assignment(path: Path) -> Notebook:
    try:
        return assignment(read_notebook(path))
    except CourseError as error:
        raise CourseError(f"{path.name}: {error}") from None


def _number_of_checks(source: Notebook) -> int:
    return sum(cell.metadata.get("nbgrader", {}).get("grade", False) for cell in source.cells)


def _write(notebook: Notebook, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
