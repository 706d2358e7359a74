"""The student's copy: nbgrader cuts the solutions out and locks the checks."""

import copy
from typing import Any

from course_utils.authoring.library import CourseError, Notebook

CODE_STUB = {"python": ""}  # our stubs stand before the solution; nbgrader's own would raise an error


def release(source: Notebook) -> Notebook:
    """Return the source of an assignment without solutions, with checks that cannot be edited or deleted.

    Raises: CourseError: if the `grade` extra is missing.
    """
    try:
        from nbgrader.preprocessors import CheckCellMetadata, ClearSolutions, LockCells
    except ImportError as error:
        raise CourseError(
            f"The student edition needs the package {error.name}: pip install 'course-utils[grade]'."
        ) from error
    notebook, resources = copy.deepcopy(source), dict[str, Any]()
    for step in (CheckCellMetadata(), ClearSolutions(code_stub=CODE_STUB), LockCells()):
        notebook, resources = step.preprocess(notebook, resources)
    for cell in notebook.cells:
        cell.source = cell.source.rstrip("\n")
    return notebook
