"""The `course` command: run, validate, refresh, coverage, slides, site, student, grade, speedrun, new, doctor.

Exit codes: 0 all is well; 1 a notebook, a claim or a stored output fails; 2 the request cannot be met; 130 interrupted,
143 asked to end, 129 the terminal was closed, 141 nobody reads the output: 128 and the number of the signal.
"""

import argparse
import contextlib
import errno
import logging
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from course_utils.authoring import commands
from course_utils.authoring.interrupts import closed_pipe, exit_code, stoppable, words
from course_utils.authoring.library import CourseError
from course_utils.authoring.writing import reason


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    _open_standard_streams()
    options = make_parser().parse_args(arguments)
    # What they log about a dead kernel, the table says better.
    for name in ("papermill", "traitlets", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with stoppable():
            code = int(options.command(options))
            print(end="", flush=True)  # here, where it can still be said that there is no room
            return code
    except CourseError as error:
        return _end(f"course: {error}", 2)
    except BrokenPipeError:
        return _end("", exit_code(closed_pipe()))
    except OSError as error:
        about = f"{os.path.relpath(error.filename)}: " if isinstance(error.filename, str) else ""
        full = errno.errorcode.get(error.errno or 0) in ("ENOSPC", "EDQUOT")
        way_out = " Make room; TMPDIR may name another place for what is not kept." if full else ""
        return _end(f"course: {about}{reason(error)}.{way_out}", 2)
    except KeyboardInterrupt as stop:
        return _end(words(stop), exit_code(stop))


def _open_standard_streams() -> None:
    """Let a standard stream that is closed, as by `>&-`, lead nowhere: the next file would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(opened, True)


def _end(message: str, code: int) -> int:
    """Say why the command ends, if anybody can still read it, and return its exit code.

    Where a stream is gone, both lead nowhere from now on: Python would end with 120 if at its exit it could not write
    what is left for them, and the thread of a progress display may still add to that.
    """
    gone = False
    for stream, text in ((sys.stderr, f"{message}\n" if message else ""), (sys.stdout, "")):
        try:
            print(text, end="", file=stream, flush=True)
        except (OSError, ValueError):  # the terminal is closed, or nobody reads, or the disk is full
            gone = True
    for stream in (sys.stderr, sys.stdout) if gone else ():
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; each subcommand sets `command` to its function."""
    parser = argparse.ArgumentParser(
        prog="course",
        description="Run, check and refresh the notebooks of the course, and make its other editions.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    run = subparsers.add_parser("run", help="execute the notebooks into build/executed")
    _add_common(run)
    _add_variations(run)
    run.add_argument("--output", type=Path, help="folder of the executed copies (default: build/executed)")
    run.add_argument(
        "--scheduler", metavar="ADDRESS", help="let the workers of this Dask cluster run them, one a thread"
    )
    run.set_defaults(command=commands.run)

    refresh = subparsers.add_parser("refresh", help="rewrite the stored outputs from a clean run")
    _add_common(refresh)
    refresh.set_defaults(command=commands.refresh)

    validate = subparsers.add_parser("validate", help="compare the stored outputs with those of a new run")
    _add_common(validate)
    _add_variations(validate)
    validate.add_argument("--rtol", type=float, help="relative tolerance of decimal numbers (default: 1e-4)")
    validate.add_argument("--atol", type=float, help="absolute tolerance of decimal numbers (default: 1e-8)")
    validate.set_defaults(command=commands.validate)

    coverage = subparsers.add_parser(
        "coverage", help="say which claim or cell answers each row of the sources"
    )
    coverage.add_argument("--write", action="store_true", help="bring notebooks/sources.csv up to date")
    coverage.set_defaults(command=commands.coverage)

    slides = subparsers.add_parser("slides", help="make lecture slides from the stored outputs, HTML and PDF")
    _add_notebooks(slides)
    slides.add_argument("--output", type=Path, help="folder of the decks (default: build/slides)")
    slides.add_argument("--no-pdf", action="store_true", help="leave the PDF handouts out")
    slides.set_defaults(command=commands.slides)

    site = subparsers.add_parser("site", help="make the website from the stored outputs")
    site.add_argument("--output", type=Path, help="folder of the pages (default: build/site)")
    site.set_defaults(command=commands.site)

    student = subparsers.add_parser(
        "student", help="make the edition without solutions, from the stored outputs"
    )
    _add_notebooks(student)
    student.add_argument("--output", type=Path, help="folder of the notebooks (default: build/student)")
    student.add_argument(
        "--nbgrader", type=Path, metavar="FOLDER",
        help="write a course folder for nbgrader instead, solutions included, to grade from",
    )  # fmt: skip
    student.set_defaults(command=commands.student)

    grade = subparsers.add_parser(
        "grade", help="score submitted notebooks, each closed in as well as this machine can"
    )
    grade.add_argument("submissions", type=Path, help="folder of <student>/<notebook>.ipynb")
    grade.add_argument("--output", type=Path, required=True, help="folder of the scores and the feedback")
    grade.set_defaults(command=commands.grade)

    speedrun = subparsers.add_parser(
        "speedrun", help="judge a recipe on fresh seeds; the leaderboard takes what passes"
    )
    speedrun.add_argument(
        "recipe", nargs="?", help="a level such as gold, or a Python file (default: show the leaderboard)"
    )
    speedrun.add_argument("--dataset", help="fashion-mnist (default) or mnist-5k, the small race")
    speedrun.add_argument("--seeds", type=_positive, help="runs (default: 10, which the rule asks for)")
    speedrun.add_argument("--leaderboard", type=Path, help="file of the entries (default: the repository's)")
    speedrun.set_defaults(command=commands.speedrun)

    new = subparsers.add_parser("new", help="make a notebook from the form")
    new.add_argument("name", help="such as 10_normalization")
    new.set_defaults(command=commands.new)

    doctor = subparsers.add_parser(
        "doctor", help="say what this machine has, and what is skipped for lack of it"
    )
    doctor.set_defaults(command=commands.doctor)
    return parser


def _add_notebooks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help="number, name or path (default: all)"
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_notebooks(parser)
    parser.add_argument("--jobs", type=_positive, default=2, help="notebooks at a time (default: 2)")
    parser.add_argument(
        "--timeout", type=_seconds, default=600.0, help="seconds one cell may take (default: 600)"
    )


def _add_variations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
        help="replace a parameter in the notebooks that have it; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=_positive, default=1, help="threads of each notebook (default: 1, as for the stored outputs)"
    )  # fmt: skip


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number of at least 1, got {text}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"needs a number of seconds above 0, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
