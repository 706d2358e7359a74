"""Every notebook of the course has its form."""

from pathlib import Path

import pytest

from course_utils.authoring import coverage
from course_utils.authoring.form import problems

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_the_form(path):
    assert [str(problem) for problem in problems(path)] == []


def test_numbers_of_notebooks_are_unique():
    numbers = [path.stem[:2] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)


def test_ledger_of_the_sources_says_what_covers_each_row():
    assert coverage.problems(coverage.read_ledger(ROOT / "notebooks" / "sources.csv"), ROOT) == []
