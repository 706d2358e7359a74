"""A stored output passes where only noise differs, and fails where a number, a word or a figure does."""

import re

import pytest
from conftest import ALT, PNG, code, figure, printed, text

from course_utils.authoring.checking import pytest_arguments
from course_utils.authoring.tolerance import Tolerance, snap

TIGHT = Tolerance(1e-4, 1e-8)
DATA, METADATA = {"image/png": PNG}, {"image/png": {"alt": ALT}}
SHOW = f"display({DATA}, metadata={METADATA}, raw=True)"


def agrees(test, reference, tolerance=TIGHT):
    return snap(test, reference, tolerance) == reference


@pytest.mark.parametrize(
    ("test", "reference"),
    [
        ("loss 0.123456", "loss 0.123457"),
        ("tensor([1.00001, -2.0000])", "tensor([1.00002, -2.0001])"),
        ("residual 3.1e-17", "residual -4.4e-16"),
        ("1.0e-03 and nan", "1.00001e-03 and nan"),
        ("array([1., 2.])", "array([1.00001, 2.])"),
        ("−1.50001", "−1.50002"),
        ("<td>0.50001</td>", "<td>0.50002</td>"),
        ("12.3401x", "12.3402x"),
    ],
)
def test_noise_agrees(test, reference):
    assert agrees(test, reference)


@pytest.mark.parametrize(
    ("test", "reference"),
    [
        ("loss 0.1235", "loss 0.1234"),
        ("10 steps", "11 steps"),
        ("it took 10.", "it took 11."),
        ("loss 0.5", "loss -0.5"),
        ("0.5 0.5", "0.5"),
        ("0.500001 down", "0.500002 up"),
        ("nan", "0.5"),
        ("1e-03", "1e-02"),
    ],
)
def test_differences_disagree(test, reference):
    assert not agrees(test, reference)


@pytest.mark.parametrize(
    ("test", "reference"),
    [
        ("version 2.15.0", "version 2.15.1"),
        ("2026-11-21", "2026-11-22"),
        ("cuda:0", "cuda:1"),
        ("fc1.50", "fc1.51"),
    ],
)
def test_versions_dates_and_names_are_words_whatever_the_tolerance(test, reference):
    assert not agrees(test, reference, Tolerance(1.0, 10.0))


def test_whole_numbers_are_exact_whatever_the_tolerance():
    assert not agrees("10 of 2.0", "11 of 2.0", Tolerance(1.0, 10.0))
    assert not agrees("it took 10. Then", "it took 11. Then", Tolerance(1.0, 10.0))


def test_columns_may_become_wider_and_nothing_else():
    loose = Tolerance(0.01, 0.0)
    assert agrees("| 10.0 | a |\n|------|---|", "|  9.99 | a |\n|-------|---|", loose)
    assert not agrees("| 10.0 | b |\n|------|---|", "|  9.99 | a |\n|-------|---|", loose)
    assert not agrees("a b 9.99", "ab 10.0", loose)
    assert not agrees("a  0.5", "a 0.5", loose), "spaces count where no number differs"


def test_report_of_a_difference_shows_the_real_one_only():
    assert snap("0.500001 0.7", "0.500002 0.8", TIGHT) == "0.500002 0.7"


CELLS = {
    "noise": code("print(f'{0.123456:.6f} {3e-17:.1e} {7}')", outputs=(printed("0.123457 -1.0e-18 7\n"),)),
    "number": code("print(0.5)", outputs=(printed("0.501\n"),)),
    "integer": code("print(10)", outputs=(printed("11\n"),)),
    "word": code("print('up')", outputs=(printed("down\n"),)),
    "missing figure": code("pass", outputs=(figure(),)),
    "new figure": code(SHOW),
    "same figure": code(SHOW.replace("iVBORw0KGgo", "iVBORw0KGgoA"), outputs=(figure(),)),
    "semicolon": code("(1, 2);"),
    "column": code("print(f'|{9.99:6.2f}|')", "measure", "rtol=0.01", outputs=(printed("| 10.00|\n"),)),
    "integer with a tag": code("print(10)", "measure", "rtol=0.5", outputs=(printed("11\n"),)),
    "number with a tag": code("print(0.5)", "measure", "atol=0.01", outputs=(printed("0.501\n"),)),
    "ignored": code("print(0.5)", "measure", "nbval-ignore-output", outputs=(printed("0.7\n"),)),
    "error": code("raise ValueError('x')"),
    "warning": code("import sys\nprint('w', file=sys.stderr)"),
    "parameter": code("print(seed, seed / 4)", outputs=(printed("2 0.5\n"),)),
}
FAILING = {
    "number",
    "integer",
    "word",
    "missing figure",
    "new figure",
    "integer with a tag",
    "error",
    "warning",
    "parameter",
}


def failing_cells(output, names):
    """Return the names of the code cells that pytest's summary lists, and whether the form failed."""
    numbers = re.findall(r"^FAILED \S+::Cell (\d+)", output, flags=re.MULTILINE)
    return {names[int(number)] for number in numbers}, "::form" in output


def test_exactly_the_real_differences_fail(course, tmp_path, capsys):
    names = ["parameters", *CELLS]
    cells = code("seed = 1", "parameters"), *CELLS.values()
    path = course.write("01_cells", text("# 1"), *cells, canonical=True)
    exit_code = pytest.main(pytest_arguments([path], course.root, tmp_path))
    output = capsys.readouterr().out
    failed, form_failed = failing_cells(output, names)
    assert exit_code == 1
    assert failed == FAILING
    assert form_failed, "the form of this notebook has problems, and the report should say so"
    assert "the notebook has a cell tagged 'predict'" in output


def test_cells_of_a_notebook_stay_on_one_worker(tmp_path):
    two = pytest_arguments([tmp_path / "01_a.ipynb", tmp_path / "02_b.ipynb"], tmp_path, tmp_path, jobs=8)
    assert two[two.index("-n") : two.index("-n") + 4] == ["-n", "2", "--dist", "loadscope"]
    one = pytest_arguments([tmp_path / "01_a.ipynb"], tmp_path, tmp_path, jobs=8)
    assert one[one.index("-n") + 1] == "0"


def test_the_command_passes_tolerance_and_parameters_on_and_ends_on_pytests_line(course, capfd):
    first = code("seed = 1\nname = 'a'", "parameters"), CELLS["parameter"], CELLS["number"]
    second = code("name = 'b'", "parameters"), CELLS["number"], CELLS["integer"]
    course.write("01_a", text("# 1"), *first, canonical=True)
    course.write("02_b", text("# 2"), *second, canonical=True)
    exit_code, _ = course.command("validate", "--rtol", "0.01", "--set", "seed=2", "--jobs", "1")
    output = capfd.readouterr().out
    failed = re.findall(r"^FAILED notebooks/(\S+)", output, flags=re.MULTILINE)
    assert exit_code == 1
    assert sorted(failed) == ["01_a.ipynb::form", "02_b.ipynb::Cell", "02_b.ipynb::form"]
    assert re.search(r"^3 failed, 5 passed in [\d.]+s", output, flags=re.MULTILINE), "no closing line"
