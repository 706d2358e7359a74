"""The ledger of the sources says what covers each row, and the command notices when it no longer does."""

import csv

import pytest
from conftest import code, text

HEADER = "id,source,notebook,topic,statement,covered_by,declined\n"
LEDGER = HEADER + (
    'S0-001,S0,01_first,data,"a, b",,\nS0-002,S0,01_first,data,c,,\nS1-003,S1,02_second,numerics,d,,\n'
)


@pytest.fixture
def ledger(course):
    """A course of one notebook, 01, that claims S0-001 twice and cites it and S0-002 in prose."""
    claims = [code(f'check("01.{i}", "x", measured=1, equal=1, rows=("S0-001",))') for i in (1, 2)]
    course.write("01_first", text("As said (S0-001), and (S0-002).") | {"id": "prose"}, *claims)
    path = course.root / "notebooks" / "sources.csv"
    path.write_text(LEDGER)
    return path


def covered_by(path):
    with path.open(newline="") as file:
        return {row["id"]: row["covered_by"] for row in csv.DictReader(file)}


def test_claims_cover_a_row_before_cells_do_and_rows_of_absent_notebooks_wait(course, ledger):
    exit_code, output = course.command("coverage", "--write")
    assert exit_code == 0
    assert covered_by(ledger) == {"S0-001": "01.1 01.2", "S0-002": "01#prose", "S1-003": ""}
    assert output.splitlines()[-1] == "2 of 3 rows are covered or declined, 0 declined."


def test_writing_changes_no_other_column_and_twice_is_once(course, ledger):
    course.command("coverage", "--write")
    written = ledger.read_text()
    assert written.startswith(HEADER + 'S0-001,S0,01_first,data,"a, b",01.1 01.2,\n')
    course.command("coverage", "--write")
    assert ledger.read_text() == written


def test_outdated_column_is_a_problem_with_its_way_out(course, ledger):
    exit_code, output = course.command("coverage")
    assert exit_code == 1
    assert (
        "S0-001 is covered by 01.1 01.2, sources.csv says nothing: course coverage --write"
        in output.splitlines()
    )
    assert ledger.read_text() == LEDGER


def test_claim_that_does_not_exist_is_a_problem(course, ledger):
    course.command("coverage", "--write")
    ledger.write_text(ledger.read_text().replace("01.1 01.2", "01.1 01.7"))
    exit_code, output = course.command("coverage")
    assert (exit_code, "S0-001 is covered by 01.1 01.2, sources.csv says 01.1 01.7" in output) == (1, True)


def test_open_row_of_a_notebook_that_is_there_is_a_problem_until_it_is_declined(course, ledger):
    ledger.write_text(LEDGER + "S0-004,S0,01_first,tooling,e,,\n")
    exit_code, output = course.command("coverage", "--write")
    assert exit_code == 1
    assert output.splitlines()[-1] == "S0-004 is neither covered nor declined: cite it in notebook 01_first"
    ledger.write_text(ledger.read_text().replace("tooling,e,,", "tooling,e,,the style is gone"))
    exit_code, output = course.command("coverage")
    assert exit_code == 0
    assert output.splitlines()[-2:] == [
        "S0-004 declined: the style is gone",
        "3 of 4 rows are covered or declined, 1 declined.",
    ]


def test_row_both_covered_and_declined_is_a_problem(course, ledger):
    ledger.write_text(LEDGER.replace('"a, b",,', '"a, b",,no longer there'))
    exit_code, output = course.command("coverage", "--write")
    assert exit_code == 1
    assert output.splitlines()[-1] == "S0-001 is declined and covered: empty its column `declined`"


@pytest.mark.parametrize("content", [None, "id,source\n"], ids=["missing", "other columns"])
def test_ledger_that_is_none_is_one_line(course, ledger, content):
    ledger.unlink()
    if content:
        ledger.write_text(content)
    exit_code, output = course.command("coverage")
    assert exit_code == 2
    assert output.startswith("course: ")
    assert output.endswith("Restore it from git.\n")
