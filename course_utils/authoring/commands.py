"""What does each subcommand of `course` do with its options?

Imports are made where they are used: some take seconds.
"""

import argparse
import os
from pathlib import Path

from course_utils.authoring.library import find_notebooks, find_root, parse_settings, share_settings


def run(options: argparse.Namespace) -> int:
    """Execute copies of the notebooks."""
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
            notebooks, output, settings=settings, jobs=options.jobs, threads=options.threads,
            scheduler=options.scheduler, timeout=options.timeout, on_cell=watcher.on_cell, on_done=watcher.on_done,
        )  # fmt: skip
    print_outcomes(outcomes, console)
    write_records(outcomes, output)  # last: where there is no room for it, the table has been seen
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def refresh(options: argparse.Namespace) -> int:
    """Rewrite the stored outputs of those that ran to their end."""
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


def validate(options: argparse.Namespace) -> int:
    """Compare stored outputs with those of a new run."""
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
        settings=options.settings, jobs=options.jobs, threads=options.threads, timeout=options.timeout,
    )  # fmt: skip
    return code if code in (0, 1) else 2  # pytest's 2 to 5: internal error, wrong usage, nothing collected


def coverage(options: argparse.Namespace) -> int:
    """Print, or write, what answers each row of the sources."""
    from course_utils.authoring.coverage import dumps, print_coverage, problems, read_ledger, with_coverage
    from course_utils.authoring.report import make_console
    from course_utils.authoring.writing import replace

    root = find_root()
    path = root / "notebooks" / "sources.csv"
    ledger = read_ledger(path)
    if options.write:
        ledger = with_coverage(ledger, root)
        replace(path, dumps(ledger))
    found = problems(ledger, root)
    print_coverage(ledger.rows, make_console())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def slides(options: argparse.Namespace) -> int:
    """Make the decks."""
    from course_utils.authoring.slides.make import make_slides

    root = find_root()
    output = (options.output or root / "build" / "slides").resolve()
    notebooks = find_notebooks(options.notebooks, root)
    make_slides(notebooks, output, web=root / "web", with_pdf=not options.no_pdf, say=print)
    return 0


def site(options: argparse.Namespace) -> int:
    """Make the website."""
    from course_utils.authoring.site.make import make_site

    root = find_root()
    output = (options.output or root / "build" / "site").resolve()
    pages = make_site(root, output)
    print(f"{pages} pages; open {os.path.relpath(output / 'index.html')}")
    return 0


def student(options: argparse.Namespace) -> int:
    """Make the edition without solutions, or nbgrader's folder."""
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


def grade(options: argparse.Namespace) -> int:
    """Score the notebooks that students handed in."""
    from course_utils.authoring.student.grade import grade as grade_all

    grade_all(options.submissions, options.output, find_notebooks([], find_root()))
    return 0


def speedrun(options: argparse.Namespace) -> int:
    """Judge a recipe."""
    from course_utils.authoring.speedrun import run_speedrun

    given = {"--dataset": options.dataset, "--seeds": options.seeds}
    arguments = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    recipe = [options.recipe] if options.recipe else []
    return run_speedrun(find_root(), [*recipe, *arguments], options.leaderboard)


def new(options: argparse.Namespace) -> int:
    """Make a notebook from the form."""
    from course_utils.authoring.new import write_new

    path = write_new(options.name, find_root())
    print(f"{os.path.relpath(path)} is there; write it, then `course refresh {path.stem[:2]}` runs it.")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Say what this machine has."""
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
