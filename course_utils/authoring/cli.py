"""The `course` command: run, validate, refresh, coverage, slides, site, student, speedrun, new, doctor.

Exit codes: 0 all is well; 1 a notebook, a claim or a stored output fails; 2 the request cannot be met; 130 interrupted.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from course_utils.authoring.library import (
    CourseError,
    find_notebooks,
    find_root,
    parse_settings,
    share_settings,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = make_parser().parse_args(arguments)
    for name in (
        "papermill",
        "traitlets",
        "asyncio",
    ):  # what they log about a dead kernel, the table says better
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        return int(options.command(options))
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("course: interrupted; no kernel is left running.", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; each subcommand sets `command` to its function."""
    parser = argparse.ArgumentParser(
        prog="course",
        description="Run, check and refresh the notebooks of the course, and make its other editions.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="execute the notebooks into build/executed")
    _add_common(run)
    _add_set(run)
    run.add_argument("--output", type=Path, help="folder of the executed copies (default: build/executed)")
    run.add_argument(
        "--scheduler", metavar="ADDRESS", help="let the workers of this Dask cluster run them, one a thread"
    )
    run.set_defaults(command=_run)

    refresh = commands.add_parser("refresh", help="rewrite the stored outputs from a clean run")
    _add_common(refresh)
    refresh.set_defaults(command=_refresh)

    validate = commands.add_parser("validate", help="compare the stored outputs with those of a new run")
    _add_common(validate)
    _add_set(validate)
    validate.add_argument("--rtol", type=float, help="relative tolerance of decimal numbers (default: 1e-4)")
    validate.add_argument("--atol", type=float, help="absolute tolerance of decimal numbers (default: 1e-8)")
    validate.set_defaults(command=_validate)

    coverage = commands.add_parser("coverage", help="say which claim or cell answers each row of the sources")
    coverage.add_argument("--write", action="store_true", help="bring notebooks/sources.csv up to date")
    coverage.set_defaults(command=_coverage)

    slides = commands.add_parser("slides", help="make lecture slides from the stored outputs, HTML and PDF")
    _add_notebooks(slides)
    slides.add_argument("--output", type=Path, help="folder of the decks (default: build/slides)")
    slides.add_argument("--no-pdf", action="store_true", help="leave the PDF handouts out")
    slides.set_defaults(command=_slides)

    site = commands.add_parser("site", help="make the website from the stored outputs")
    site.add_argument("--output", type=Path, help="folder of the pages (default: build/site)")
    site.set_defaults(command=_site)

    student = commands.add_parser(
        "student", help="make the edition without solutions, from the stored outputs"
    )
    _add_notebooks(student)
    student.add_argument("--output", type=Path, help="folder of the notebooks (default: build/student)")
    student.add_argument(
        "--nbgrader", type=Path, metavar="FOLDER",
        help="write a course folder for nbgrader instead, solutions included, to grade from",
    )  # fmt: skip
    student.set_defaults(command=_student)

    speedrun = commands.add_parser(
        "speedrun", help="judge a recipe on fresh seeds; the leaderboard takes what passes"
    )
    speedrun.add_argument(
        "recipe", nargs="?", help="a level such as gold, or a Python file (default: show the leaderboard)"
    )
    speedrun.add_argument("--dataset", help="fashion-mnist (default) or mnist-5k, the small race")
    speedrun.add_argument("--seeds", type=_positive, help="runs (default: 10, which the rule asks for)")
    speedrun.add_argument("--leaderboard", type=Path, help="file of the entries (default: the repository's)")
    speedrun.set_defaults(command=_speedrun)

    new = commands.add_parser("new", help="make a notebook from the form")
    new.add_argument("name", help="such as 10_normalization")
    new.set_defaults(command=_new)

    doctor = commands.add_parser(
        "doctor", help="say what this machine has, and what is skipped for lack of it"
    )
    doctor.set_defaults(command=_doctor)
    return parser


def _add_notebooks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help="number, name or path (default: all)"
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_notebooks(parser)
    parser.add_argument("--jobs", type=_positive, default=2, help="notebooks at a time (default: 2)")
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds one cell may take (default: 600)"
    )


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
        help="replace a parameter in the notebooks that have it; may be repeated",
    )  # fmt: skip


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number of at least 1, got {text}")
    return value


def _run(options: argparse.Namespace) -> int:
    from course_utils.authoring.report import Watcher, make_console, print_outcomes
    from course_utils.authoring.run import run_all, write_records

    root = find_root()
    notebooks = find_notebooks(options.notebooks, root)
    settings = share_settings(parse_settings(options.settings), notebooks)
    notebooks = _with_their_data(notebooks, options)
    if not notebooks:
        return _nothing_there(root)
    output = (options.output or root / "build" / "executed").resolve()
    console = make_console()
    watcher = Watcher(console)
    with watcher.watching():
        outcomes = run_all(
            notebooks, output, settings=settings, jobs=options.jobs, scheduler=options.scheduler,
            timeout=options.timeout, on_cell=watcher.on_cell, on_done=watcher.on_done,
        )  # fmt: skip
    write_records(outcomes, output)
    print_outcomes(outcomes, console)
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def _refresh(options: argparse.Namespace) -> int:
    from course_utils.authoring.form import problems
    from course_utils.authoring.refresh import refresh_all
    from course_utils.authoring.report import Watcher, make_console, print_outcomes
    from course_utils.authoring.start import write_start

    root = find_root()
    notebooks = _with_their_data(find_notebooks(options.notebooks, root), options)
    if not notebooks:
        return _nothing_there(root)
    console = make_console()
    watcher = Watcher(console)
    with watcher.watching():
        outcomes = refresh_all(
            notebooks, root / "build" / "refresh", jobs=options.jobs, timeout=options.timeout,
            on_cell=watcher.on_cell, on_done=watcher.on_done,
        )  # fmt: skip
    print_outcomes(outcomes, console)
    write_start(root)
    for path, outcome in zip(notebooks, outcomes, strict=True):
        for problem in problems(path) if outcome.holds else ():
            print(f"form: {problem}")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def _validate(options: argparse.Namespace) -> int:
    from course_utils.authoring.checking import validate_all
    from course_utils.authoring.run import longest_first

    root = find_root()
    notebooks = find_notebooks(options.notebooks, root)
    share_settings(parse_settings(options.settings), notebooks)  # refuses names that no notebook knows
    notebooks = _with_their_data(notebooks, options)
    if not notebooks:
        return _nothing_there(root)
    code = validate_all(
        longest_first(notebooks, root / "build" / "executed"), root, rtol=options.rtol, atol=options.atol,
        settings=options.settings, jobs=options.jobs, timeout=options.timeout,
    )  # fmt: skip
    return (
        code if code in (0, 1) else 2
    )  # pytest's 2 to 5: interrupted, internal error, wrong usage, nothing collected


def _coverage(options: argparse.Namespace) -> int:
    from course_utils.authoring.coverage import dumps, print_coverage, problems, read_ledger, with_coverage
    from course_utils.authoring.report import make_console

    root = find_root()
    path = root / "notebooks" / "sources.csv"
    ledger = read_ledger(path)
    if options.write:
        ledger = with_coverage(ledger, root)
        path.write_text(dumps(ledger), encoding="utf-8", newline="")
    print_coverage(ledger.rows, make_console())
    found = problems(ledger, root)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def _slides(options: argparse.Namespace) -> int:
    from course_utils.authoring.slides.make import make_slides

    root = find_root()
    output = (options.output or root / "build" / "slides").resolve()
    notebooks = find_notebooks(options.notebooks, root)
    make_slides(notebooks, output, web=root / "web", with_pdf=not options.no_pdf, say=print)
    return 0


def _site(options: argparse.Namespace) -> int:
    from course_utils.authoring.site.make import make_site

    root = find_root()
    output = (options.output or root / "build" / "site").resolve()
    pages = make_site(root, output)
    print(f"{pages} pages; open {os.path.relpath(output / 'index.html')}")
    return 0


def _student(options: argparse.Namespace) -> int:
    from course_utils.authoring.colab import read_publication
    from course_utils.authoring.student.make import make_assignments, make_student

    root = find_root()
    notebooks = find_notebooks(options.notebooks, root)
    if options.nbgrader:
        make_assignments(notebooks, options.nbgrader.resolve(), say=print)
        return 0
    output = (options.output or root / "build" / "student").resolve()
    make_student(notebooks, output, publication=read_publication(root), say=print)
    return 0


def _speedrun(options: argparse.Namespace) -> int:
    from course_utils.authoring.speedrun import run_speedrun

    given = {"--dataset": options.dataset, "--seeds": options.seeds}
    arguments = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    recipe = [options.recipe] if options.recipe else []
    return run_speedrun(find_root(), [*recipe, *arguments], options.leaderboard)


def _new(options: argparse.Namespace) -> int:
    from course_utils.authoring.new import write_new

    path = write_new(options.name, find_root())
    print(f"{os.path.relpath(path)} is there; write it, then `course refresh {path.stem[:2]}` runs it.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from course_utils.authoring.doctor import describe, examine

    print(describe(examine()))
    return 0


def _with_their_data(notebooks: list[Path], options: argparse.Namespace) -> list[Path]:
    """Leave what needs absent data out of a run of everything, and say so; who names a notebook or a set gets it."""
    if options.notebooks or "dataset" in parse_settings(getattr(options, "settings", [])):
        return notebooks
    from course_utils.authoring.data import waiting_for_data

    waiting = waiting_for_data(notebooks)
    for path, name in waiting.items():
        print(
            f"{path.stem} is skipped: {name} is not on this machine; `course run {path.stem[:2]}` downloads it."
        )
    return [path for path in notebooks if path not in waiting]


def _nothing_there(root: Path) -> int:
    if not find_notebooks([], root):
        print(
            f"{os.path.relpath(root / 'notebooks')} holds no notebook yet: `course new 01_title` makes one."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
