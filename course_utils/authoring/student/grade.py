"""`course grade`: points and hints for a folder of submissions, none of which is trusted.

A submission gives its cells; the checks come from this course. Both run where `contain` keeps them, and what comes out
is the value that each check asks about. The seal is opened here, by this process, where no submission has ever run. So
a point is given for a right value and for nothing else, whatever the notebook prints, patches or writes.
"""

import ast
import contextlib
import csv
import hashlib
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from course_utils.authoring.library import CourseError, Notebook, parse_notebook, read_notebook
from course_utils.authoring.student.assignment import assignment
from course_utils.authoring.student.contain import Contained, Limits, run_contained
from course_utils.authoring.student.walls import Walls, find_walls
from course_utils.authoring.writing import make_folder, replace
from course_utils.exercises import RIGHT, _opened

_LARGEST = 20 << 20  # bytes of a submitted notebook; those of the course have at most one million
_UNSEEN = re.compile(
    r"[^\x20-\x7e\xa0-\u2027\u2030-\ufffd]|[\ud800-\udfff]"
)  # control characters, line breaks too


class Check(NamedTuple):
    """The check of one exercise: `source` computes what it needs, `answer` is the expression it asks about."""

    name: str
    source: str
    answer: str
    sealed: str


class Score(NamedTuple):
    """A row of the scores, and what the student reads about it."""

    student: str
    notebook: str
    exercise: str
    points: int
    of: int
    words: str


class Submission(NamedTuple):
    """A file that a student handed in."""

    student: str
    path: Path


def grade(
    submissions: Path,
    output: Path,
    notebooks: Sequence[Path],
    *,
    limits: Limits | None = None,
    walls: Walls | None = None,
    say: Callable[[str], None] = print,
) -> list[Score]:
    """Grade <submissions>/<student>/**/<notebook>.ipynb; write scores.csv and feedback/<student>/<notebook>.txt.

    Args:
        submissions: folder with a folder for each student.
        output: is made where it is missing; must not lie among the submissions. It is brought up to date after each.
        notebooks: of the course, with stored outputs; files of other names are mentioned and left alone.
        limits: what one submission may take.
        walls: how they are kept apart (default: the best this machine has).
        say: takes a line of report for each submission.
    Raises: CourseError: if there is nothing to grade, or a submission has changed the package: grading ends there.
    """
    walls, output = walls or find_walls(), output.resolve()
    checks = {path.stem: read_checks(path) for path in notebooks}
    found = []
    if submissions.is_dir():
        found = list(find_submissions(submissions, {name for name in checks if checks[name]}, say))
    if not found or output.is_relative_to(submissions.resolve()):
        there = (
            "<student>/<notebook>.ipynb, named as in the course"
            if submissions.is_dir()
            else "a folder of submissions"
        )
        lacking = f"a folder outside of {submissions.name}" if found else there
        raise CourseError(
            f"{submissions} cannot be graded: `course grade SUBMISSIONS --output FOLDER` needs {lacking}."
        )
    say(walls.describe())
    make_folder(output)
    scores: list[Score] = []
    for one in found:
        before = "" if walls.kind else _fingerprint()
        made = grade_one(
            one, checks[one.path.stem], walls, limits or Limits(), hidden=[submissions.resolve(), output]
        )
        if not walls.kind and _fingerprint() != before:
            raise CourseError(
                f"{one.path} changed files of course_utils: grading ends here. Install the course again."
            )
        scores += made
        _write_scores(scores, walls, output)  # all of them, after each: an interrupt keeps those there are
        _write_feedback(made, output)
        say(f"{one.student}, {one.path.stem}: {sum(score.points for score in made)} of {len(made)}")
    return scores


def find_submissions(folder: Path, known: set[str], say: Callable[[str], None]) -> Iterator[Submission]:
    """Yield the notebooks of each student in order; links to folders are not followed, unknown names are said."""
    for student in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
        for where, folders, names in os.walk(student):
            folders[:] = sorted(name for name in folders if not name.startswith("."))  # checkpoints
            for path in (Path(where, name) for name in sorted(names) if name.endswith(".ipynb")):
                if path.stem in known:
                    yield Submission(_visible(student.name), path)
                else:
                    say(f"{_visible(str(path))} is left alone: no notebook with exercises has this name.")


def read_checks(path: Path) -> dict[str, Check]:
    """Return {name of its cell: check} of a notebook of the course, as students get them."""
    cells = assignment(read_notebook(path)).cells
    return {_id_of(cell): _check(cell) for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")}


def _check(cell: Notebook) -> Check:
    statement: Any = ast.parse(cell.source).body[-1]
    call = statement.value
    before = "\n".join(cell.source.splitlines()[: statement.lineno - 1])
    answer = ast.get_source_segment(cell.source, call.args[0]) or ""
    return Check(_id_of(cell), before, answer, ast.literal_eval(call.keywords[0].value))


def grade_one(
    one: Submission, checks: Mapping[str, Check], walls: Walls, limits: Limits, *, hidden: Sequence[Path] = ()
) -> list[Score]:
    """Return a score for each check; a file that is no notebook gets none of the points."""
    try:
        steps = steps_of(_read(one.path), checks)
    except CourseError as error:
        words = _visible(str(error)).replace("Restore it from git.", "Hand it in again.")
        return [_score(one, check, False, words) for check in checks.values()]
    told = _told(run := run_contained(steps, walls, limits, hidden=hidden))
    return [_score(one, check, *judge(check, told, run.stopped)) for check in checks.values()]


def _read(path: Path) -> Notebook:
    """Return the submitted notebook; what else may lie under its name is refused unread."""
    if path.is_symlink():
        raise CourseError(f"{path.name} is a link, not a notebook: hand in the file.")
    if path.lstat().st_size > _LARGEST:
        raise CourseError(
            f"{path.name} is larger than {_LARGEST >> 20} MB: clear its outputs and hand it in again."
        )
    if not path.is_file():
        raise CourseError(f"{path.name} is not a file: hand in the notebook.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}. Hand it in again.") from None
    return parse_notebook(content, path.name)


def steps_of(submitted: Notebook, checks: Mapping[str, Check]) -> list[dict[str, str]]:
    """Return the code cells of a submission in order, with the course's checks in the place of its own.

    Of a check that stands there twice the last place counts; one that is gone comes after its answer, or at the end.
    """
    cells = [(_id_of(cell), cell.source) for cell in submitted.cells if cell.cell_type == "code"]
    after = defaultdict(list)
    for name in checks:
        places = [i for i, (other, _) in enumerate(cells) if other == name]
        places = places or [i for i, (other, _) in enumerate(cells) if other == _exercise(name)]
        after[places[-1] if places else len(cells) - 1].append(name)
    steps = _steps(checks, after[-1])
    for index, (name, source) in enumerate(cells):
        if name not in checks:
            steps.append({"name": name, "source": source})
        steps += _steps(checks, after[index])
    return steps


def _steps(checks: Mapping[str, Check], names: Sequence[str]) -> list[dict[str, str]]:
    return [{"name": name, "source": checks[name].source, "answer": checks[name].answer} for name in names]


def _id_of(cell: Notebook) -> str:
    about = cell.get("metadata", {}).get("nbgrader", {})
    return str(about.get("grade_id", "")) if isinstance(about, dict) else ""


def _exercise(check: str) -> str:
    return check.removesuffix("-check")


def _told(run: Contained) -> dict[str, dict[str, Any]]:
    """Return {name of a cell: what was handed over about it}; what does not read like that is passed over."""
    told: dict[str, dict[str, Any]] = {}
    for line in run.lines:
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(line)
            if isinstance(said, dict) and isinstance(said.get("name"), str):
                told[said["name"]] = said
    return told


def judge(check: Check, told: Mapping[str, Mapping[str, Any]], stopped: str = "") -> tuple[bool, str]:
    """Return (whether the value opens the seal as the right one, what the student reads)."""
    said = told.get(check.name, {})
    first = told.get(_exercise(check.name), {}).get("error")
    cause = _visible(f"Its answer stopped with {first}. ") if first else ""
    if "error" in said:
        return False, cause or _visible(f"The check stopped with {said['error']}")
    if "shape" in said:
        right, words = _open(said, check)
        return right, words if right else cause + words
    if stopped:
        return False, f"{cause}Not reached: the notebook was stopped, it {stopped}."
    return False, f"{cause}Not reached: the notebook ended itself before this check."


def _open(said: Mapping[str, Any], check: Check) -> tuple[bool, str]:
    """Try the seal with a value that came from outside."""
    try:
        text = _opened(None if said["shape"] is None else _array(said), check.sealed)
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        return False, _visible(f"The value cannot be read: {error}")
    return text == RIGHT, text


def _array(said: Mapping[str, Any]) -> Any:
    numbers, shape = said["numbers"], said["shape"]
    lists = isinstance(numbers, list) and isinstance(shape, list)
    # Without `lists` an empty text would pass for an empty list.
    if not lists or any(type(n) not in (int, float) for n in [*numbers, *shape]) or any(n < 0 for n in shape):
        raise ValueError("it has other things than numbers in it.")
    return np.array(numbers, dtype=np.float64).reshape(shape)


def _score(one: Submission, check: Check, right: bool, words: str) -> Score:
    return Score(one.student, one.path.stem, _exercise(check.name), int(right), 1, words)


def _visible(text: str) -> str:
    """Return a stranger's text on one line, without characters that a terminal would obey."""
    return _UNSEEN.sub("?", text)


def _fingerprint() -> str:
    """Return a hash of the sources of the installed package, read from the disk."""
    import course_utils

    total = hashlib.sha256()
    for path in sorted(Path(course_utils.__file__).parent.rglob("*.py")):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def _write_scores(scores: Sequence[Score], walls: Walls, output: Path) -> None:
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(Score._fields[:5])
    # A spreadsheet would compute a name that begins like a formula.
    rows.writerows([re.sub(r"^(?=[=+\-@])", "'", score.student), *score[1:5]] for score in scores)
    replace(output / "scores.csv", table.getvalue())
    replace(output / "isolation.txt", walls.describe() + "\n")


def _write_feedback(scores: Sequence[Score], output: Path) -> None:
    first = scores[0]
    lines = [f"{first.notebook}: {sum(score.points for score in scores)} of {len(scores)} points", ""]
    lines += [f"{score.exercise}: {score.points} of {score.of}. {score.words}" for score in scores]
    folder = output / "feedback" / first.student
    make_folder(folder)
    replace(folder / f"{first.notebook}.txt", "\n".join(lines) + "\n")
