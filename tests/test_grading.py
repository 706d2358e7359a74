"""Submissions are somebody else's code: what they must not do they cannot, and honest ones get what they earned."""

import csv
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from conftest import code, text

import course_utils
from course_utils._seals import seal
from course_utils.authoring.data import waiting_for_data
from course_utils.authoring.library import CourseError, read_notebook
from course_utils.authoring.student.assignment import BEGIN, assignment
from course_utils.exercises import NEARLY, RIGHT, SEAL

psutil = pytest.importorskip("psutil", reason="psutil, which comes with ipykernel, is not installed")
pytest.importorskip("IPython", reason="IPython is not installed")

from course_utils.authoring.student import contain, grade, walls  # noqa: E402

ROOT = Path(__file__).parents[1]
ATTACKS = tomllib.loads((ROOT / "tests/hostile/attacks.toml").read_text(encoding="utf-8"))
LIMITS = contain.Limits(seconds=8, cell_seconds=1.5, memory=4 << 30, processes=12, disk=64 << 20)
RELAXED = contain.Limits(cell_seconds=600, seconds=1800)
BEST = walls.find_walls()
needs_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has neither signals nor resource limits"
)
needs_walls = pytest.mark.skipif(
    not BEST.kind, reason="this machine has neither bubblewrap nor user namespaces"
)
SHORTEST = ("02", "91")
ANSWERS = {"exercise-1": "def square(x):\n    return x**2", "exercise-2": "cube = 8.0"}


def sealed_output(right, mistakes, shape=()):
    made = seal({RIGHT: right} | mistakes, near=NEARLY, shape=shape, rtol=1e-6, atol=1e-12)
    return {"output_type": "display_data", "data": {"text/plain": RIGHT, SEAL: made}, "metadata": {}}


@pytest.fixture
def lesson(course):
    """A lesson of the course with two exercises, solutions and stored seals."""
    hint = {"That is twice x.": 6.0}
    return course.write(
        "01_first",
        code("from course_utils.exercises import check_answer"),
        code("def square(x):\n    return ...", "exercise"),
        code(ANSWERS["exercise-1"], "solution"),
        code("check_answer(square(3.0), 9.0)", "exercise", outputs=[sealed_output(9.0, hint)]),
        text("Another one."),
        code("cube = ...", "exercise"),
        code(ANSWERS["exercise-2"], "solution"),
        code("check_answer(cube, 8.0)", "exercise", outputs=[sealed_output(8.0, {})]),
    )


@needs_walls
def test_within_the_walls_stands_the_package_that_grades_though_python_would_find_another(
    tmp_path, monkeypatch
):
    other = tmp_path / "other" / "course_utils"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    monkeypatch.setattr(course_utils, "__file__", str(other / "__init__.py"))
    environment = contain._environment("/place", BEST)
    ask = [sys.executable, "-c", "import course_utils; print(course_utils.__file__)"]
    done = subprocess.run(ask, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == other / "__init__.py"


def submit(path, folder, student, answers):
    """Hand in the notebook with these answers, and return the file."""
    notebook = assignment(read_notebook(path))
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    place = folder / student / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, place)
    return place


def graded(lesson, path, kind=None, limits=LIMITS, hidden=()):
    """Return the scores of one submission."""
    chosen = BEST if kind is None else walls.Walls(kind)
    one = grade.Submission("ada", path)
    return grade.grade_one(one, grade.read_checks(lesson), chosen, limits, hidden=hidden)


def points(scores):
    return [score.points for score in scores]


def running_with(mark):
    """Return the processes that still run with this word on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if mark in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture
def outside(tmp_path):
    """A server on loopback that stands for the rest of the world, and files that are nobody's business."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        neighbour = tmp_path / "submissions" / "bob" / "01_first.ipynb"
        neighbour.parent.mkdir(parents=True)
        neighbour.write_text("{}", encoding="utf-8")
        (tmp_path / "scores.csv").write_text("student", encoding="utf-8")
        yield {
            "PORT": str(server.getsockname()[1]), "NEIGHBOUR": str(neighbour), "GRADER": str(os.getpid()),
            "SCORES": str(tmp_path / "scores.csv"), "PACKAGE": str(Path(walls.course_utils.__file__).parent),
        }  # fmt: skip


def attacked(attack, lesson, outside, tmp_path, kind, name):
    """Grade a submission with this attack in it; return its scores after asserting that nothing of it still runs."""
    mark = f"attack-{os.getpid()}-{name}"
    source = attack["code"]
    for word, value in ({"MARK": mark, "SOLUTION": str(lesson)} | outside).items():
        source = source.replace(word, value)
    stub = "def square(x):\n    return ...\n"
    path = submit(lesson, tmp_path / "submissions", "ada", ANSWERS | {"exercise-1": stub + source})
    scores = graded(lesson, path, kind, hidden=[tmp_path])
    assert running_with(mark) == []
    return scores


def attacks(part, *, walled):
    """Return the attacks of a part of the report that can be withstood with walls, or also without."""
    return {name: a for name, a in ATTACKS.items() if a["part"] == part and (walled or not a.get("walls"))}


PARTS = sorted({attack["part"] for attack in ATTACKS.values()})


def withstand(part, kind, lesson, outside, tmp_path, monkeypatch, tally):
    monkeypatch.setenv("FAKE_TOKEN", "hush")
    for name, attack in attacks(part, walled=bool(kind)).items():
        first, second = attacked(attack, lesson, outside, tmp_path, kind, name)
        assert re.match(attack["says"], first.words), f"{name}: {first.words}"
        if attack["rest"] >= 0:
            assert second.points == attack["rest"], f"{name}: {second.words}"
        where = kind or "no walls, limits only"
        tally.note(
            "grading",
            f"{part}: {name.replace('_', ' ')} ({where})",
            tried=1,
            lost=first.points,
            message=first.words,
        )


@needs_posix
@needs_walls
@pytest.mark.parametrize("part", PARTS)
def test_within_walls_no_attack_gets_a_point_or_leaves_a_process(
    part, lesson, outside, tmp_path, monkeypatch, tally
):
    withstand(part, BEST.kind, lesson, outside, tmp_path, monkeypatch, tally)


@needs_posix
@pytest.mark.parametrize("part", [part for part in PARTS if attacks(part, walled=False)])
def test_without_walls_limits_hold_and_verdicts_cannot_be_forged(
    part, lesson, outside, tmp_path, monkeypatch, tally
):
    withstand(part, "", lesson, outside, tmp_path, monkeypatch, tally)


# A package that can be written to


@needs_posix
def test_without_walls_a_submission_that_changes_the_package_ends_the_grading(
    lesson, tmp_path, monkeypatch, tally
):
    package = tmp_path / "installed" / "course_utils"
    shutil.copytree(ROOT / "course_utils", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(walls.course_utils, "__file__", str(package / "__init__.py"))
    attack = f"open({str(package / 'exercises.py')!r}, 'a').write('#')\n"
    for student, source in (("a", attack), ("b", "")):
        answers = ANSWERS | {"exercise-1": source + ANSWERS["exercise-1"]}
        submit(lesson, tmp_path / "in", student, answers)
    said = []
    with pytest.raises(CourseError, match="changed files of course_utils: grading ends here") as error:
        grade.grade(
            tmp_path / "in", tmp_path / "out", [lesson], limits=LIMITS, walls=walls.Walls(""), say=said.append
        )
    assert said[0].startswith("not isolated: files and network")
    tally.note("grading", "files: the package is overwritten (no walls)", tried=1,
               lost=int((tmp_path / "out" / "scores.csv").exists()), message=str(error.value))  # fmt: skip


@needs_posix
@needs_walls
def test_honest_submissions_are_not_disturbed_by_a_hostile_neighbour(lesson, tmp_path, tally):
    poison = """
import os, site, sys
for folder in (*sys.path, os.environ["HOME"], os.environ["HOME"] + "/ipython/profile_default/startup", "/tmp", "."):
    for name in ("sitecustomize.py", "usercustomize.py", "IPython.py", "torch.py", "00-first.py"):
        try:
            os.makedirs(folder, exist_ok=True)
            open(os.path.join(folder, name), "w").write("raise SystemExit")
        except OSError: pass
"""
    folder = tmp_path / "in"
    submit(lesson, folder, "=a-hostile", ANSWERS | {"exercise-1": poison + "def square(x):\n    return 6.0"})
    submit(lesson, folder, "b-honest", ANSWERS)
    (folder / "b-honest" / ".ipynb_checkpoints").mkdir()
    shutil.copy(folder / "b-honest" / lesson.name, folder / "b-honest" / ".ipynb_checkpoints")
    (folder / "b-honest" / "notes.ipynb").write_text("{}", encoding="utf-8")
    said = []
    grade.grade(folder, tmp_path / "out", [lesson], limits=LIMITS, say=said.append)
    rows = list(csv.reader((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert rows == [
        ["student", "notebook", "exercise", "points", "of"],
        ["'=a-hostile", "01_first", "exercise-1", "0", "1"],  # no formula for a spreadsheet
        ["'=a-hostile", "01_first", "exercise-2", "1", "1"],
        ["b-honest", "01_first", "exercise-1", "1", "1"],
        ["b-honest", "01_first", "exercise-2", "1", "1"],
    ]
    feedback = (tmp_path / "out" / "feedback" / "=a-hostile" / "01_first.txt").read_text(encoding="utf-8")
    assert feedback == (
        "01_first: 1 of 2 points\n\nexercise-1: 0 of 1. Not yet. That is twice x.\nexercise-2: 1 of 1. Right.\n"
    )
    assert BEST.describe() in said
    assert any(
        line.endswith("notes.ipynb is left alone: no notebook with exercises has this name.") for line in said
    )
    tally.note("grading", "an honest submission after a hostile one", tried=2)


# Notebooks that are none, or not as they were handed out

MALFORMED = {
    "invalid JSON": (b'{"nbformat": 4, "cells": [', "is not valid JSON"),
    "brackets in brackets": (b"[" * 200_000, "is not valid JSON"),
    "bytes that are no text": (bytes(range(256)) * 9, "is not valid JSON"),
    "an empty file": (b"", "is not valid JSON"),
    "an old format": (b'{"nbformat": 3, "worksheets": []}', "is not a notebook of format 4"),
    "cells that are none": (
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1]}',
        "01_first.ipynb",
    ),
    "21 MB": (b" " * (21 << 20), "is larger than 20 MB"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_file_that_is_no_notebook_gets_no_points_and_says_why(name, lesson, tmp_path, tally):
    content, message = MALFORMED[name]
    path = tmp_path / lesson.name
    path.write_bytes(content)
    scores = graded(lesson, path)
    assert points(scores) == [0, 0]
    assert message in scores[0].words
    tally.note("grading", f"malformed: {name}", tried=1, message=scores[0].words)


@needs_posix
@pytest.mark.parametrize("kind", ["link to the solution", "link to nothing", "pipe", "folder"])
def test_what_is_no_file_is_not_followed(kind, lesson, tmp_path, tally):
    path = tmp_path / lesson.name
    match kind:
        case "link to the solution":
            path.symlink_to(lesson)
        case "link to nothing":
            path.symlink_to(tmp_path / "nothing")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    scores = graded(lesson, path)
    assert points(scores) == [0, 0]
    says = (
        "a link, not a notebook: hand in the file." if "link" in kind else "not a file: hand in the notebook."
    )
    assert scores[0].words == f"01_first.ipynb is {says}"
    tally.note("grading", f"submitted as a {kind}", tried=1, message=scores[0].words)


def test_a_linked_folder_is_no_student(lesson, tmp_path):
    submit(lesson, tmp_path / "elsewhere", "ada", ANSWERS)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "eve").symlink_to(tmp_path / "elsewhere" / "ada", target_is_directory=True)
    with pytest.raises(CourseError, match=r"needs <student>/<notebook>\.ipynb"):
        grade.grade(tmp_path / "in", tmp_path / "out", [lesson], walls=walls.Walls(""), say=lambda line: None)


def checks_deleted(cells):
    return [cell for cell in cells if "check_answer(" not in cell.source]


def checks_doubled(cells):
    return [cell for cell in cells for _ in range(1 + ("check_answer(" in cell.source))]


def answers_doubled(cells):
    return [
        cell for cell in cells for _ in range(1 + (cell.metadata.get("nbgrader", {}).get("solution", False)))
    ]


def names_changed(cells):
    for number, cell in enumerate(cells):
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"]["grade_id"] = f"mine-{number}"
    return cells


def metadata_gone(cells):
    for cell in cells:
        cell.metadata = {}
    return cells


def metadata_odd(cells):
    for cell, odd in zip(cells, [[], 1, {"grade_id": {"a": 1}}, {"grade_id": None}], strict=False):
        cell.metadata["nbgrader"] = odd
    return [*cells[1:], cells[0]]  # the import comes last: the checks of the course do not need it


def checks_edited(cells):
    for cell in cells:
        if "check_answer(" in cell.source:
            cell.source = "check_answer = lambda *a, **k: None\nraise SystemExit"
    return cells


CHANGES = (
    checks_deleted,
    checks_doubled,
    answers_doubled,
    names_changed,
    metadata_gone,
    metadata_odd,
    checks_edited,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("right", [True, False])
def test_what_is_done_to_the_check_cells_neither_gives_nor_costs_a_point(
    change, right, lesson, tmp_path, tally
):
    wrong = {"exercise-1": "def square(x):\n    return 2 * x", "exercise-2": "cube = 27.0"}
    path = submit(lesson, tmp_path, "ada", ANSWERS if right else wrong)
    notebook = read_notebook(path)
    notebook.cells = change([cell for cell in notebook.cells if cell.cell_type == "code"])
    path.write_text(json.dumps(notebook), encoding="utf-8")  # nbformat would mend it
    scores = graded(lesson, path)
    assert points(scores) == [int(right)] * 2, scores
    name = change.__name__.replace("_", " ")
    tally.note(
        "grading", f"{name}, answers {'right' if right else 'wrong'}", tried=1, message=scores[0].words
    )


# The judge alone


def nonsense(rng, depth=0):
    """Return a random value of JSON, also of what no answer is."""
    leaves = [
        None, True, 0, -1, 9, 9.0, 6.0, 10**400, 1e308, -1e308, 1e-320, float("nan"), float("inf"), "Right.", "",
        "exercise-1-check", 2**63, [], {},
    ]  # fmt: skip
    kind = rng.random()
    if depth > 2 or kind < 0.6:
        return rng.choice(leaves)
    if kind < 0.8:
        return [nonsense(rng, depth + 1) for _ in range(rng.randrange(4))]
    names = ["name", "shape", "numbers", "error", "verdict", "points"]
    return {name: nonsense(rng, depth + 1) for name in rng.sample(names, rng.randrange(4))}


def test_nothing_but_the_right_value_in_the_right_shape_is_judged_right(lesson, tally):
    check = grade.read_checks(lesson)["exercise-1-check"]
    rng = random.Random(0)
    count, lost = tally.number(each_time=1500, weekly=100_000), 0
    for _ in range(count):
        said = {"shape": nonsense(rng), "numbers": nonsense(rng)}
        if rng.random() < 0.5:
            said |= {"shape": [rng.choice([0, 1, 2, -1, 10**9]) for _ in range(rng.randrange(3))],
                     "numbers": [nonsense(rng, 3) for _ in range(rng.randrange(4))]}  # fmt: skip
        if rng.random() < 0.1:
            said["error"] = nonsense(rng)
        right, words = grade.judge(check, {check.name: said})
        is_right = said.get("shape") == [] and said["numbers"] in ([9], [9.0]) and "error" not in said
        lost += right != is_right
        assert words.isprintable()
    assert grade.judge(check, {check.name: {"shape": [], "numbers": [9]}})[0]
    assert not grade.judge(check, {check.name: {"shape": "", "numbers": [9]}})[0], "an empty text is no list"
    tally.note("grading", "values at random handed to the judge", tried=count, lost=lost, message=words)


def test_lines_at_random_tell_the_judge_nothing(tally):
    rng, count = random.Random(1), tally.number(each_time=500, weekly=20_000)
    lines = [rng.randbytes(rng.randrange(60)) for _ in range(count)] + [
        b"[" * 100_000,
        b'{"name": []}',
        b"\xff\n",
    ]
    run = contain.Contained()
    run.lines = lines
    assert grade._told(run) == {}
    tally.note("grading", "lines at random handed to the judge", tried=len(lines))


def test_a_limit_that_lets_nothing_run_is_refused():
    with pytest.raises(CourseError, match="needs seconds above 0, got 0"):
        contain.Limits(seconds=0)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"gone cannot be graded: .* needs a folder of submissions\.$"):
        grade.grade(tmp_path / "gone", tmp_path / "out", [], say=lambda line: None)


def test_scores_do_not_go_among_the_submissions(lesson, tmp_path):
    submit(lesson, tmp_path, "ada", ANSWERS)
    with pytest.raises(CourseError, match="needs a folder outside of "):
        grade.grade(tmp_path, tmp_path / "out", [lesson], walls=walls.Walls(""), say=lambda line: None)


def test_a_machine_without_walls_says_what_is_not_isolated(monkeypatch):
    monkeypatch.setenv("PATH", "")
    walls.find_walls.cache_clear()
    assert walls.find_walls().describe().startswith("not isolated: files and network.")
    walls.find_walls.cache_clear()


# Whole notebooks


def whole(path):
    """Return the solutions of a notebook, and its planted wrong answers with their hints, by exercise."""
    solutions = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in assignment(read_notebook(path)).cells
        if BEGIN in cell.source
    }
    planted = ROOT / "tests" / "planted" / f"{path.stem}.toml"
    return solutions, tomllib.loads(planted.read_text(encoding="utf-8")) if planted.is_file() else {}


def test_whole_notebooks_get_full_points_and_planted_mistakes_their_hints(tmp_path, tally):
    paths = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    paths = [path for path in paths if BEGIN in "".join(whole(path)[0].values())]
    waiting = waiting_for_data(paths)
    paths = [path for path in paths if path not in waiting]
    short = [path for path in paths if path.stem[:2] in SHORTEST]
    paths = short[: tally.number(each_time=2, weekly=0)] or paths
    hints = {}
    for path in paths:
        solutions, planted = whole(path)
        submit(path, tmp_path / "in", "honest", solutions)
        if planted:  # a mistake for each exercise; tests of the exercises try them all
            wrong = {name: mistakes[0] for name, mistakes in planted.items()}
            stubs = {c.metadata.nbgrader.grade_id: c.source.split(BEGIN)[0]
                     for c in assignment(read_notebook(path)).cells if BEGIN in c.source}  # fmt: skip
            answers = {name: stubs[name] + mistake["answer"] for name, mistake in wrong.items()}
            submit(path, tmp_path / "in", "planted", answers)
            hints |= {("planted", path.stem, name): w["hint"] for name, w in wrong.items()}
    scores = grade.grade(tmp_path / "in", tmp_path / "out", paths, limits=RELAXED, say=lambda line: None)
    honest = [score for score in scores if score.student == "honest"]
    assert [score for score in honest if not score.points] == []
    tally.note("grading", "exercises of whole notebooks, solved", tried=len(honest))
    wrong = [score for score in scores if score.student != "honest"]
    missed = [s for s in wrong if not s.words.startswith(f"Not yet. {hints[s[:3]]}") or s.points]
    assert missed == []
    tally.note(
        "grading",
        "exercises of whole notebooks, with planted mistakes",
        tried=len(wrong),
        message=wrong[0].words,
    )
