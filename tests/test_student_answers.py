"""The checks of the student edition: every stub fails, every solution passes, every wrong answer gets its own hint.

The wrong answers are in tests/planted, one file per notebook, written as a student would write them. An exercise runs
on those statements of its lesson that it needs, so a check that depended on what was drawn before would fail here.
"""

import ast
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from course_utils.authoring.form.base import parse
from course_utils.authoring.library import read_notebook
from course_utils.authoring.names import needed_statements
from course_utils.authoring.student.assignment import BEGIN, END, assignment
from course_utils.exercises import WrongAnswer

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTION = re.compile(rf"^{BEGIN}\n(.*?)^{END}\n", re.DOTALL | re.MULTILINE)


class Exercise(NamedTuple):
    stub: str
    solution: str
    check: str
    lesson: list[ast.stmt]  # all statements of the lesson, in order


def exercises_of(path):
    """Return {name: exercise} of a notebook, with the checks as students get them."""
    lesson, stubs, found = [], {}, {}
    for cell in assignment(read_notebook(path)).cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution"):
            stubs[about["grade_id"]] = cell.source
        elif about.get("grade"):
            name = about["grade_id"].removesuffix("-check")
            solution = SOLUTION.search(stubs[name])[1]
            found[name] = Exercise(SOLUTION.sub("", stubs[name]), solution, cell.source, list(lesson))
        elif cell.cell_type == "code":
            lesson += parse(cell.source).body
    return found


EXERCISES = {path.stem: exercises_of(path) for path in NOTEBOOKS}
PLANTED = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "tests/planted").glob("*")
}
EACH = [(notebook, name) for notebook, found in EXERCISES.items() for name in found]


def diagnosis(exercise, answer):
    """Run lesson, answer and check, and return what a student reads."""
    code = ast.parse(f"{exercise.stub}\n{answer}\n{exercise.check}")
    needed = ast.Module(needed_statements(exercise.lesson, code.body), type_ignores=[])
    namespace = {}
    exec(compile(needed, "lesson", "exec"), namespace)
    try:
        exec(compile(code, "answer", "exec"), namespace)
    except WrongAnswer as wrong:
        return str(wrong)
    return "Right."


@pytest.mark.parametrize("notebook", EXERCISES)
def test_every_notebook_has_three_to_eight_exercises_and_planted_mistakes_for_each(notebook):
    assert 3 <= len(EXERCISES[notebook]) <= 8
    assert PLANTED[notebook].keys() == EXERCISES[notebook].keys()
    assert min(map(len, PLANTED[notebook].values())) >= 3


@pytest.mark.parametrize(("notebook", "name"), EACH)
def test_stubs_fail_solutions_pass_and_every_mistake_gets_its_hint(notebook, name):
    exercise = EXERCISES[notebook][name]
    assert diagnosis(exercise, exercise.stub).startswith("Nothing filled in yet")
    assert diagnosis(exercise, exercise.solution) == "Right."
    planted = PLANTED[notebook][name]
    hints = [f"Not yet. {wrong['hint']}" for wrong in planted]
    found = [diagnosis(exercise, wrong["answer"]) for wrong in planted]
    assert [text[: len(hint)] for text, hint in zip(found, hints, strict=True)] == hints
    assert len(set(found)) == len(found), "two planted mistakes get the same hint"
