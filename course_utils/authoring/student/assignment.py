"""What is an exercise, its solution and its check in nbgrader's terms? The source form of an assignment.

A stub and the solution after it become one cell, with the solution between nbgrader's marks. A check keeps its answer
sealed, as the stored output has it. Everything else stays as it is, stored outputs included.
"""

import ast
import copy
import itertools
from collections.abc import Iterator
from typing import Any

from course_utils.authoring.form.exercises import CHECK, kind_of
from course_utils.authoring.library import CourseError, Notebook, body_of, tags_of
from course_utils.authoring.names import needed_statements
from course_utils.exercises import SEAL

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's marks
_LOCKED = "# The answer and the hints are locked: each opens for the value that it belongs to."
_POINTS = 1.0


def assignment(notebook: Notebook) -> Notebook:
    """Return the notebook in the form that nbgrader calls the source of an assignment; the argument is left alone.

    Raises: CourseError: if a check is none, or has no seal in its stored output; the message names the cell.
    """
    made = copy.deepcopy(notebook)
    made.cells = list(_cells(made.cells))
    return made


def _cells(cells: list[Notebook]) -> Iterator[Notebook]:
    """Yield the cells with each stub joined to the solution that follows it, in their order."""
    number = 0
    for index, cell in enumerate(cells):
        kind = kind_of(cell)
        if kind == "stub":
            number += 1
            after = itertools.takewhile(lambda other: kind_of(other) == "solution", cells[index + 1 :])
            solution = [other.source for other in after if other.cell_type == "code"]
            cell.source = "\n".join([cell.source, BEGIN, *solution, END, ""])
            yield _marked(cell, f"exercise-{number}", grade=False)
        elif kind == "check":
            yield _sealed_check(cell, index, number)
        elif kind != "solution":
            yield cell


def _sealed_check(cell: Notebook, index: int, number: int) -> Notebook:
    seals = [output.data[SEAL] for output in cell.outputs if SEAL in output.get("data", {})]
    if len(seals) != 1:
        raise CourseError(
            f"A check leaves one seal in its stored output, cell {index} has {len(seals)}: run `course refresh`."
        )
    try:
        cell.source = sealed_source(cell.source, seals[0])
    except ValueError as error:
        raise CourseError(f"In cell {index} {error}") from None
    return _marked(cell, f"exercise-{number}-check", grade=True)


def sealed_source(source: str, seal: str) -> str:
    """Return the code of a check without expected value and mistakes, with the seal in their place.

    Raises: ValueError: if it is no Python, or calls no check_answer with an answer.
    """
    statements = body_of(source)
    place = next((i for i, node in enumerate(statements) if _is_check(node)), None)
    if place is None:
        raise ValueError(f"a check has to be Python and to call {CHECK}answer, ...): mend it, and refresh.")
    call: Any = statements[place]
    answer = ast.get_source_segment(source, call.value.args[0])
    before = needed_statements(statements[:place], body_of(f"({answer})"))  # may go over lines
    lines = [ast.get_source_segment(source, statement) or "" for statement in before]
    one_line = " ".join(seal.split())  # an editor cuts it off at its edge
    return "\n".join([*lines, _LOCKED, f"check_answer({answer}, sealed={one_line!r})"])


def _is_check(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[_, *_])):
            return name == CHECK.rstrip("(")
    return False


def _marked(cell: Notebook, name: str, *, grade: bool) -> Notebook:
    """Give the cell nbgrader's metadata, and drop what it has put out."""
    about: dict[str, Any] = {
        "schema_version": 3, "grade_id": name, "grade": grade, "locked": grade, "solution": not grade, "task": False,
    }  # fmt: skip
    cell.metadata["nbgrader"] = about | ({"points": _POINTS} if grade else {})
    cell.metadata["tags"] = [tag for tag in tags_of(cell) if "=" not in tag]
    cell.outputs, cell.execution_count = [], None
    return cell
