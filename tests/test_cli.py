"""The command answers in one line where a request cannot be met, and makes a notebook that has the form."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import code

from course_utils.authoring import checking, data, doctor, refresh, run
from course_utils.authoring.execute import Outcome
from course_utils.authoring.form import problems
from course_utils.authoring.library import CourseError, find_root


@pytest.mark.parametrize("command", ["run", "refresh", "validate"])
def test_unknown_notebook_is_one_line_that_lists_the_known(course, command):
    course.write("01_first")
    exit_code, output = course.command(command, "07")
    assert exit_code == 2
    assert output == "course: No notebook '07'; known: 01_first.\n"


@pytest.mark.parametrize("command", ["run", "refresh", "validate"])
def test_empty_course_is_no_error(course, command):
    exit_code, output = course.command(command)
    assert exit_code == 0
    assert output == "notebooks holds no notebook yet: `course new 01_title` makes one.\n"


@pytest.mark.parametrize("command", ["run", "validate"])
def test_unknown_parameter_is_refused_before_anything_runs(course, command):
    course.command("new", "01_first")
    exit_code, output = course.command(command, "--set", "sede=1")
    assert (exit_code, output) == (2, "course: No notebook here has a parameter sede; known: seed.\n")
    assert not (course.root / "build").exists()


def test_damaged_notebook_is_one_line(course):
    (course.root / "notebooks" / "01_bad.ipynb").write_text("{")
    exit_code, output = course.command("run")
    assert exit_code == 2
    assert output.startswith("course: 01_bad.ipynb is not valid JSON")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("run", "--jobs", "0"), ("run", "--jobs", "x"), ("play",), ()])
def test_wrong_usage_exits_with_2(course, arguments):
    exit_code, output = course.command(*arguments)
    assert exit_code == 2
    assert "usage: course" in output


def test_outside_of_a_course_the_message_says_where_to_go(tmp_path):
    with pytest.raises(CourseError, match="Change into the repository"):
        find_root(tmp_path)


def test_root_is_found_from_below(course):
    assert find_root(course.root / "notebooks") == course.root.resolve()


@pytest.mark.parametrize("name", ["normalization", "1_x", "10-x", "10_X", "10_x.ipynb"])
def test_new_refuses_other_names(course, name):
    exit_code, output = course.command("new", name)
    assert exit_code == 2
    assert "A notebook is called like 10_normalization" in output


def test_new_refuses_a_number_that_is_taken(course):
    course.command("new", "10_normalization")
    exit_code, output = course.command("new", "10_other")
    assert (exit_code, output) == (
        2,
        "course: Number 10 is taken by 10_normalization.ipynb. Choose another.\n",
    )


def test_new_notebook_has_the_form_and_its_claims_hold(course):
    assert course.command("new", "10_batch_size")[0] == 0
    exit_code, output = course.command("refresh", "10")
    assert exit_code == 0
    assert "1 of 1 claims hold" in output
    path = course.root / "notebooks" / "10_batch_size.ipynb"
    assert problems(path) == []
    assert json.loads(path.read_text())["cells"][0]["source"][0] == "# 10 · Batch size\n"


REPORT = {"torch": "2.15.0", "threads": 2, "capability": "AVX2", "device": "", "bf16": False}
DATA = {"mnist-5k": True, "fashion-mnist": False}


def probed(monkeypatch, report, returncode=0, error=""):
    done = subprocess.CompletedProcess([], returncode, json.dumps(report), error)
    monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **kwargs: done)
    monkeypatch.setattr(doctor, "data_at_hand", lambda: DATA)
    return {entry.name: entry for entry in doctor.examine()}


def test_doctor_says_what_is_skipped_on_a_machine_without_gpu(monkeypatch):
    entries = probed(monkeypatch, REPORT)
    assert entries["GPU"] == ("GPU", "none", "make gpu")
    assert (entries["data mnist-5k"].found, entries["data mnist-5k"].skipped) == ("found", "")
    assert "downloaded" in entries["data fashion-mnist"].skipped
    assert "Skipped here:\n  GPU: make gpu" in doctor.describe(list(entries.values()))


def test_doctor_skips_nothing_where_everything_is_there(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: name)
    monkeypatch.setitem(DATA, "fashion-mnist", True)
    entries = probed(monkeypatch, REPORT | {"device": "GPU 1", "bf16": True})
    assert doctor.describe(list(entries.values())).endswith("Nothing is skipped here.")


def test_doctor_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name == "nbval" else object()
    )
    entries = probed(monkeypatch, {}, returncode=1, error="Traceback\nImportError: no torch")
    assert entries["torch"].found == "does not work: ImportError: no torch"
    assert entries["library nbval"].skipped == "course validate"
    assert entries["browser"].found == "none"


def test_doctor_runs_here(course):
    exit_code, output = course.command("doctor")
    assert exit_code == 0
    assert "data mnist-5k" in output


# What needs data that are not here

OUTCOME = Outcome("01_small", 1.0, 1, (), None, "", Path())


@pytest.fixture
def two_notebooks(course, monkeypatch):
    """01 needs the embedded set, 02 one that is absent; nothing is executed."""
    for name, dataset in (("01_small", "mnist-5k"), ("02_large", "fashion-mnist")):
        course.write(name, code(f'dataset = "{dataset}"', "parameters"))
    monkeypatch.setattr(data, "data_at_hand", lambda names: {name: DATA[name] for name in names})
    return course


def asked(monkeypatch, module, name, returned):
    """Return a list that will hold the names of the notebooks that the function is called with."""
    called = []
    monkeypatch.setattr(
        module, name, lambda notebooks, *_, **__: called.extend(path.stem for path in notebooks) or returned
    )
    return called


@pytest.mark.parametrize(
    ("command", "module", "function", "returned"),
    [
        ("run", run, "run_all", [OUTCOME]),
        ("refresh", refresh, "refresh_all", [OUTCOME]),
        ("validate", checking, "validate_all", 0),
    ],
)
def test_run_of_everything_leaves_out_what_needs_absent_data_and_says_so(
    two_notebooks, monkeypatch, command, module, function, returned
):
    called = asked(monkeypatch, module, function, returned)
    monkeypatch.setattr(run, "write_records", lambda *_: None)
    exit_code, output = two_notebooks.command(command)
    assert (exit_code, called) == (0, ["01_small"])
    assert output.startswith(
        "02_large is skipped: fashion-mnist is not on this machine; `course run 02` downloads it.\n"
    )


@pytest.mark.parametrize("arguments", [("02",), ("--set", "dataset=fashion-mnist")])
def test_who_names_the_notebook_or_the_data_gets_it(two_notebooks, monkeypatch, arguments):
    called = asked(monkeypatch, checking, "validate_all", 0)
    exit_code, output = two_notebooks.command("validate", *arguments)
    assert (exit_code, "skipped" in output) == (0, False)
    assert "02_large" in called


def test_data_are_looked_for_as_the_notebooks_will_do_it():
    assert data.data_at_hand()["mnist-5k"] is True
    assert data.data_at_hand(["mnist-5k", "no-such-set"]) == {"mnist-5k": True}


def test_package_that_cannot_be_imported_is_one_line(monkeypatch):
    done = subprocess.CompletedProcess([], 1, "", "Traceback\nImportError: no torch")
    monkeypatch.setattr(data.subprocess, "run", lambda *args, **kwargs: done)
    with pytest.raises(CourseError, match=r"ImportError: no torch\. Install the package again"):
        data.data_at_hand()
