"""Copies of notebooks start on Colab, and installing the package there replaces nothing that Colab has."""

import importlib.util
import json
import subprocess
import sys
import tomllib
import types
import venv
from pathlib import Path

import nbformat
import pytest
from conftest import code, text
from packaging.requirements import Requirement

from course_utils.authoring.colab import (
    BADGE_ID,
    SETUP_ID,
    Publication,
    badge_cell,
    read_publication,
    setup_cell,
    with_colab,
)
from course_utils.authoring.form import RULES
from course_utils.authoring.form.outputs import wrong_counts
from course_utils.authoring.library import CourseError, find_notebooks, read_notebook

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOMEWHERE = Publication("Why Deep Networks Train", "owner/name", "v1.2.3")
NOWHERE = SOMEWHERE._replace(repository="")
TABLE = '[tool.course]\ntitle = "T"\nrepository = "{}"\nref = "{}"\n'


def ids(notebook):
    return [cell.id for cell in notebook.cells]


def small_notebook():
    cells = [
        text("# 5 · Start"),
        code("seed = 0", "parameters"),
        code("import math", "setup"),
        text("And so on."),
    ]
    for name, cell in zip(("title", "parameters", "imports", "rest"), cells, strict=True):
        cell["id"] = name
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def broken_rules(notebook):
    """Return the rules of the form that the notebook breaks; that of counts is left out: the set-up has not run."""
    return [finding.rule for rule in RULES if rule is not wrong_counts for finding in rule(notebook)]


# The table in pyproject.toml


def test_the_table_is_read_and_may_name_no_repository_yet(tmp_path):
    for repository in ("", "owner/name.of-it"):
        (tmp_path / "pyproject.toml").write_text(TABLE.format(repository, "v0.1.0"), encoding="utf-8")
        assert read_publication(tmp_path) == Publication("T", repository, "v0.1.0")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (TABLE.format("https://github.com/owner/name", "v1"), "repository in .* is OWNER/NAME"),
        (TABLE.format("owner/name", 'v1\\"); bad('), "ref in .* is a tag"),
        (TABLE.format("owner/name", ""), "ref in .* is a tag"),
        ('[tool.course]\ntitle = "T"\n', "has title, repository, ref; got title"),
        ("", "got nothing"),
    ],
)
def test_a_wrong_table_is_refused_with_the_way_out(tmp_path, written, message):
    (tmp_path / "pyproject.toml").write_text(written, encoding="utf-8")
    with pytest.raises(CourseError, match=message):
        read_publication(tmp_path)


# The cells


def test_the_badge_leads_to_the_file_at_the_tag_and_says_so_without_its_picture():
    source = badge_cell("05_start", SOMEWHERE, folder="student/").source
    assert "https://colab.research.google.com/github/owner/name/blob/v1.2.3/student/05_start.ipynb)" in source
    assert source.startswith("[![Open 05_start of Why Deep Networks Train on Google Colab](")


def test_the_badge_follows_the_title_and_the_setup_the_parameters():
    made = with_colab(small_notebook(), "05_start", SOMEWHERE, folder="notebooks")
    assert ids(made) == ["title", BADGE_ID, "parameters", SETUP_ID, "imports", "rest"]
    nbformat.validate(made)


def test_a_notebook_without_parameters_gets_both_below_its_title():
    notebook = small_notebook()
    del notebook.cells[1]
    made = with_colab(notebook, "05_start", SOMEWHERE, folder="notebooks")
    assert ids(made) == ["title", BADGE_ID, SETUP_ID, "imports", "rest"]


def test_a_second_call_changes_the_tag_and_adds_nothing():
    once = with_colab(small_notebook(), "05_start", SOMEWHERE, folder="notebooks")
    again = with_colab(once, "05_start", SOMEWHERE._replace(ref="v2.0.0"), folder="notebooks")
    assert ids(again) == ids(once)
    assert "v1.2.3" in nbformat.writes(once)
    assert "v1.2.3" not in nbformat.writes(again)


def test_without_a_repository_the_cells_go_and_the_argument_is_left_alone():
    notebook = small_notebook()
    made = with_colab(notebook, "05_start", SOMEWHERE, folder="notebooks")
    assert with_colab(made, "05_start", NOWHERE, folder="notebooks") == notebook == small_notebook()
    assert len(made.cells) == len(notebook.cells) + 2


@pytest.mark.parametrize("path", find_notebooks([], ROOT)[:2], ids=lambda path: path.stem)
def test_a_lesson_with_the_cells_keeps_the_form(path):
    plain = read_notebook(path)
    made = with_colab(plain, path.stem, SOMEWHERE, folder="notebooks")
    assert broken_rules(made) == broken_rules(plain)


def test_the_form_would_refuse_the_setup_before_the_parameters():
    made = with_colab(small_notebook(), "05_start", SOMEWHERE, folder="notebooks")
    made.cells.insert(1, made.cells.pop(3))
    assert "the parameters cell is the first code cell" in broken_rules(made)


# The set-up, as text


@pytest.fixture
def run_setup(monkeypatch):
    """A function that runs the cell and returns the commands it started; `there` says whether the package is found."""

    def run(*, on_colab, there):
        started, found = [], [object() if there else None]

        def install(command, *, check):
            started.append((command, check))
            found[0] = object()

        monkeypatch.delitem(sys.modules, "google.colab", raising=False)
        if on_colab:
            monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found[0])
        monkeypatch.setattr(subprocess, "run", install)
        for _ in range(2):
            exec(compile(setup_cell(SOMEWHERE).source, "cell", "exec"), {})
        return started

    return run


def test_on_colab_the_setup_installs_the_base_package_of_the_tag_once_and_says_so(run_setup, capsys):
    [(command, check)] = run_setup(on_colab=True, there=False)
    wanted = Requirement(command[-1])
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert "--quiet" in command
    assert check
    assert (wanted.name, wanted.extras) == (PROJECT["name"], set())
    assert wanted.url == "git+https://github.com/owner/name@v1.2.3"
    assert capsys.readouterr().out == "Installed course_utils v1.2.3 from owner/name.\n"


@pytest.mark.parametrize(("on_colab", "there"), [(False, False), (False, True), (True, True)])
def test_elsewhere_and_where_the_package_is_the_setup_does_nothing(run_setup, capsys, on_colab, there):
    assert run_setup(on_colab=on_colab, there=there) == []
    assert capsys.readouterr().out == ""


# What Colab has


def versions_on_colab():
    lines = (ROOT / ".github/constraints/colab.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def what_pip_would_install(folder, installed):
    """Return {name: version} of what pip would add to an environment that has `installed`; skips without a registry.

    The packages of that environment are names and versions only: pip compares, and downloads what is missing.
    """
    venv.create(folder)
    packages = next(folder.rglob("site-packages"))
    for name, version in installed.items():
        record = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(folder), "install", "--dry-run", "--report", "-", "--quiet",
         "--disable-pip-version-check", "--only-binary", ":all:", *PROJECT["dependencies"]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "from versions: none" in done.stderr:
        pytest.skip("no package registry within reach")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout[done.stdout.index("{") :])["install"]
    return {entry["metadata"]["name"].lower(): entry["metadata"]["version"] for entry in planned}


def test_installing_on_colab_replaces_no_version_that_colab_has(tmp_path):
    added = what_pip_would_install(tmp_path / "environment", versions_on_colab())
    # Colab has networkx and Pillow too, in versions that are not listed.
    assert set(added) <= {"torchinfo", "networkx", "pillow"}
    assert "torchinfo" in added


def test_a_version_that_the_package_refuses_would_be_noticed(tmp_path):
    old = versions_on_colab() | {"tqdm": "4.60.0"}
    assert "tqdm" in what_pip_would_install(tmp_path / "environment", old)
