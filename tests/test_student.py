"""The student edition: nothing of a solution is left in it, all of the lesson is, and nbgrader can grade it."""

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import code, printed, text

from course_utils.authoring.colab import read_publication
from course_utils.authoring.form.exercises import kind_of, telling_lines
from course_utils.authoring.library import read_notebook
from course_utils.authoring.student.assignment import BEGIN, sealed_source
from course_utils.authoring.student.make import make_assignments, make_student
from course_utils.exercises import SEAL

pytest.importorskip("nbgrader", reason="the grade extra is not installed")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STUB = 'def square(x):\n    return ...\n\n\nprint("so far:", square(2))'
SOLUTION = "def square(x):\n    return x**2 + 0 * x"
CHECK = (
    'given = 3.0\nhidden = given + 6\ncheck_answer(square(given), hidden, mistakes={"That is twice x.": 6.0})'
)
SEALED = {"output_type": "display_data", "data": {"text/plain": "Right.", SEAL: "{}"}, "metadata": {}}


def write(course, outputs):
    """Store a lesson with one exercise whose check has these outputs."""
    cells = [
        text("# 1 · First"),
        code("x = 1", outputs=[printed("1\n")], count=1),
        text("### Exercise", "exercise"),
        code(STUB, "exercise", outputs=[printed("so far: Ellipsis\n")], count=2),
        text("The solution says it.", "solution"),
        code(SOLUTION, "solution", count=3),
        code(CHECK, "exercise", outputs=outputs, count=4),
        text("The end."),
    ]
    (course.root / "pyproject.toml").write_text(
        '[tool.course]\ntitle = "Tiny"\nrepository = ""\nref = "v1"\n'
    )
    return course.write("01_first", *cells)


def released(course):
    """Return the cells of the student edition of that lesson."""
    write(course, [SEALED])
    assert course.command("student", "--output", "student") == (0, "01_first.ipynb: 1 exercises\n")
    return nbformat.read(course.root / "student" / "01_first.ipynb", as_version=4).cells


def test_a_released_notebook_has_the_lesson_the_stub_and_a_check_that_tells_nothing(course):
    title, lesson, task, stub, check, end = released(course)
    assert [cell.source for cell in (title, lesson, task, end)] == [
        "# 1 · First",
        "x = 1",
        "### Exercise",
        "The end.",
    ]
    assert lesson.outputs == [printed("1\n")]
    assert stub.source == STUB
    assert check.source.startswith("given = 3.0\n#")
    assert check.source.endswith("check_answer(square(given), sealed='{}')")
    assert stub.outputs == check.outputs == []


def test_checks_are_locked_and_answers_are_not(course):
    _, _, _, stub, check, _ = released(course)
    assert (check.metadata.editable, check.metadata.deletable, stub.metadata.deletable) == (
        False,
        False,
        False,
    )
    assert "editable" not in stub.metadata
    assert stub.metadata.nbgrader.grade_id == "exercise-1"
    assert check.metadata.nbgrader.grade_id == "exercise-1-check"


def test_the_source_for_nbgrader_holds_the_solution_between_its_marks(course):
    write(course, [SEALED])
    assert course.command("student", "--nbgrader", "grading") == (0, "01_first: 1 points\n")
    (path,) = (course.root / "grading" / "source").rglob("*.ipynb")
    stub = next(cell for cell in nbformat.read(path, as_version=4).cells if BEGIN in cell.source)
    assert stub.source == f"{STUB}\n### BEGIN SOLUTION\n{SOLUTION}\n### END SOLUTION\n"


def test_a_check_without_a_seal_names_its_file_and_cell(course):
    write(course, [printed("Right.\n")])
    exit_code, output = course.command("student")
    assert exit_code == 2
    assert output.startswith(
        "course: 01_first.ipynb: A check leaves one seal in its stored output, cell 6 has 0: run"
    )


def test_a_check_keeps_what_its_question_needs_and_drops_what_its_answer_needs():
    kept = ["a = 1", "def twice(x):\n    return 2 * x"]
    source = "\n".join(
        [kept[0], "b = 2", "wrong = a - b", kept[1], "check_answer(g(twice(a)), a + b)", "print(b)"]
    )
    made = sealed_source(source, "SEAL\nAND LINE")
    assert made.startswith("\n".join([*kept, "# The answer and the hints are locked"]))
    assert made.endswith("check_answer(g(twice(a)), sealed='SEAL AND LINE')")


def test_the_answer_of_a_check_may_go_over_lines():
    made = sealed_source("a = 1\nb = 2\ncheck_answer(\n    a\n    + 1, b\n)", "SEAL")
    assert made.startswith("a = 1\n#")


@pytest.mark.parametrize("source", ["check_answer(1, mistakes={", "print('check_answer(')", "check_answer()"])
def test_a_check_that_is_none_is_named_by_its_cell(course, source):
    write(course, [SEALED])
    path = course.root / "notebooks" / "01_first.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[6].source = source
    nbformat.write(notebook, path)
    exit_code, output = course.command("student")
    assert exit_code == 2
    assert output.startswith(
        "course: 01_first.ipynb: In cell 6 a check has to be Python and to call check_answer("
    )


def test_a_published_copy_begins_on_colab_and_links_to_itself(course):
    write(course, [SEALED])
    (course.root / "pyproject.toml").write_text(
        '[tool.course]\ntitle = "Tiny"\nrepository = "a/b"\nref = "v1"\n'
    )
    assert course.command("student", "--output", "student")[0] == 0
    cells = nbformat.read(course.root / "student" / "01_first.ipynb", as_version=4).cells
    assert "/github/a/b/blob/v1/student/01_first.ipynb" in cells[1].source
    assert any("git+https://github.com/a/b@v1" in cell.source for cell in cells)


# The whole course


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    make_student(NOTEBOOKS, folder, publication=read_publication(ROOT), say=lambda line: None)
    return folder


def hints_of(check):
    calls = [
        node
        for node in ast.walk(ast.parse(check))
        if isinstance(node, ast.keyword) and node.arg == "mistakes"
    ]
    return [ast.literal_eval(key) for call in calls for key in call.value.keys]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_solution_and_no_hint_leaks_into_sources_outputs_or_metadata(edition, path):
    teacher, student = read_notebook(path), read_notebook(edition / path.name)
    whole = json.dumps(student.cells, ensure_ascii=False)
    exercises = json.dumps([c for c in student.cells if "exercise" in c.metadata.tags], ensure_ascii=False)
    assert [word for word in ("SOLUTION", SEAL, "mistakes=", '"solution"]') if word in whole] == []
    for cell in teacher.cells:
        lines = telling_lines(cell.source) if kind_of(cell) == "solution" else []
        assert [line for line in lines if json.dumps(line, ensure_ascii=False)[1:-1] in exercises] == []
        hints = hints_of(cell.source) if kind_of(cell) == "check" else []
        assert [hint for hint in hints if hint in whole] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_lesson_is_untouched(edition, path):
    teacher, student = read_notebook(path), read_notebook(edition / path.name)
    lesson = [cell for cell in teacher.cells if not {"exercise", "solution"} & set(cell.metadata.tags)]
    assert [cell for cell in student.cells if "exercise" not in cell.metadata.tags] == lesson


# A whole cycle of nbgrader

LESSON = "02_backpropagation"  # the shortest run
PLANTED = {  # exercise -> (wrong answer, what the student reads about it)
    "exercise-2": ("def residual_backward(delta, h, W):\n    return delta + W @ (delta * (1 - np.tanh(W @ h) ** 2))",
                   "W needs a transpose."),
    "exercise-3": ("def bias_gradient(P, Y):\n    return (P - Y).sum(axis=0)", "The loss is the MEAN over the batch"),
    "exercise-5": ("one_sided_step = ...", "Nothing filled in yet"),
}  # fmt: skip


def submit(folder, student, answers):
    """Put the released notebook, with these answers, where nbgrader finds submissions."""
    notebook = read_notebook(folder / "release" / LESSON / f"{LESSON}.ipynb")
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    place = folder / "submitted" / student / LESSON
    place.mkdir(parents=True)
    nbformat.write(notebook, place / f"{LESSON}.ipynb")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A folder in which nbgrader has released the lesson, graded two submissions and written feedback."""
    folder = tmp_path_factory.mktemp("grading")
    (lesson,) = (path for path in NOTEBOOKS if path.stem == LESSON)
    make_assignments([lesson], folder, say=lambda line: None)
    programs = Path(sys.executable).parent  # nbgrader calls alembic by its name
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}

    def grader(*arguments):
        command = [programs / "nbgrader", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    grader("generate_assignment", LESSON, "--create")
    source = read_notebook(folder / "source" / LESSON / f"{LESSON}.ipynb")
    solutions = {c.metadata.nbgrader.grade_id: c.source for c in source.cells if BEGIN in c.source}
    submit(folder, "right", solutions)
    submit(folder, "planted", solutions | {name: answer for name, (answer, _) in PLANTED.items()})
    for step in ("autograde", "generate_feedback"):
        grader(step, LESSON)
    grader("export", "--to", "grades.csv")
    return folder


def test_nbgrader_gives_the_planned_scores(graded):
    rows = csv.DictReader((graded / "grades.csv").read_text(encoding="utf-8").splitlines())
    scores = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in rows}
    assert scores == {"right": (5.0, 5.0), "planted": (2.0, 5.0)}


def test_feedback_holds_the_planned_hints_and_no_others(graded):
    read = {
        path.parent.parent.name: path.read_text(encoding="utf-8")
        for path in (graded / "feedback").rglob("*.html")
    }
    assert read.keys() == {"right", "planted"}
    assert [hint for _, hint in PLANTED.values() if hint not in read["planted"]] == []
    assert "WrongAnswer</span>: " not in read["right"]
    assert read["planted"].count("WrongAnswer</span>: ") == len(PLANTED)
