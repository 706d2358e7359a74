"""One list of dependencies, one list of versions, no addresses; workflows that hold no logic of their own."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from course_utils.authoring.slides import javascript

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = [ROOT / "constraints.txt", *sorted((ROOT / ".github/constraints").glob("*.txt"))]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def requirements(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_conda_environment_holds_python_pip_and_our_own_lists_only():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, from_pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]
    assert pip == "pip"
    assert from_pip == {"pip": ["--constraint constraints.txt", "--editable .[all]"]}
    assert re.match(r"^python>=3\.11,<3\.\d+$", python)


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.name)
def test_constraints_hold_exact_versions_and_no_addresses(path):
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index" not in text.lower().replace("pytest-xdist", "")
    for requirement in requirements(path):
        assert requirement.url is None
        assert [s.operator for s in requirement.specifier] == ["=="], str(requirement)


def test_every_direct_dependency_has_a_constraint_it_allows():
    pinned = {}
    for requirement in requirements(CONSTRAINTS[0]):
        pinned.setdefault(requirement.name.lower(), []).append(next(iter(requirement.specifier)).version)
    extras = PROJECT["optional-dependencies"]
    direct = PROJECT["dependencies"] + extras["lab"] + extras["sweep"] + extras["test"]
    for requirement in map(Requirement, direct):
        versions = pinned[requirement.name.lower()]
        assert all(requirement.specifier.contains(version) for version in versions), str(requirement)


def test_base_install_stays_within_what_colab_has_and_pins_nothing_from_above():
    numerics = {"torch", "torchvision", "numpy", "safetensors", "networkx"}
    colab = numerics | {"matplotlib", "seaborn", "pillow", "tqdm", "joblib"}
    replaces_nothing = {"torchinfo"}  # pure Python without dependencies
    base = [Requirement(line) for line in PROJECT["dependencies"]]
    assert {requirement.name for requirement in base} <= colab | replaces_nothing
    assert all(s.operator == ">=" for requirement in base for s in requirement.specifier)


def test_colab_versions_satisfy_the_base_install():
    colab = {
        r.name: next(iter(r.specifier)).version for r in requirements(ROOT / ".github/constraints/colab.txt")
    }
    for requirement in map(Requirement, PROJECT["dependencies"]):
        if requirement.name in colab:
            assert requirement.specifier.contains(colab[requirement.name]), str(requirement)


def test_no_lock_file_with_addresses_is_committed():
    assert not (ROOT / "uv.lock").exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_step_of_a_workflow_is_an_action_or_one_command_of_ours(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands
    assert all(re.match(r"^(make|course|gh issue create|echo) ?[^\n;&|]*$", command) for command in commands)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_that_workflows_call_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"run: make (\w+)", text)
    targets += [t for line in re.findall(r"target: \[(.*)\]", text) for t in line.split(", ")]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def run_tool(*command):
    if shutil.which(command[0], path=str(Path(sys.executable).parent)) is None:
        pytest.skip(f"{command[0]} is not installed; it comes with the test extra, or `make audit`")
    program = Path(sys.executable).parent / command[0]
    return subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)


def test_workflows_follow_their_schema():
    result = run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))
    assert result.returncode == 0, result.stdout + result.stderr


def test_workflows_have_no_known_weakness():
    result = run_tool("zizmor", "--offline", "--no-progress", "--persona=auditor", ".github/workflows")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_jobs_may_read_only(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more in ({}, {"report": {"issues": "write"}})


def test_ci_runs_the_oldest_and_the_newest_set_and_every_version_of_python():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["course"]["strategy"]["matrix"]
    assert set(matrix["os"]) == {"ubuntu-latest", "macos-latest", "windows-latest"}
    assert {one["python"] for one in matrix["include"]} == {"3.11", "3.12", "3.13"}
    assert {one["constraints"] for one in matrix["include"]} == {
        "constraints.txt",
        ".github/constraints/oldest.txt",
    }


def test_the_package_has_no_known_weakness_in_its_code():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    allowed = re.search(r"^ALLOWED := (.*)$", makefile, re.MULTILINE)[1]
    result = run_tool("bandit", "--quiet", "--skip", allowed, "--recursive", "course_utils")
    assert result.returncode == 0, result.stdout + result.stderr


def test_weekly_faults_are_those_of_all_tests_that_keep_a_tally():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    patterns = re.search(r"^FAULTS = \$\(wildcard (.*)\)$", makefile, re.MULTILINE)[1].split()
    found = {path for pattern in patterns for path in ROOT.glob(pattern)}
    keeping = [
        p for p in (ROOT / "tests").glob("test_*.py") if re.search(r"\btally\.note\(", p.read_text("utf-8"))
    ]
    assert [path.name for path in keeping if path not in found] == []


def test_javascript_is_installed_by_hash_and_runs_nothing_while_it_is():
    lock = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))
    installed = {name: entry for name, entry in lock["packages"].items() if name}
    assert [
        name for name, entry in installed.items() if not entry.get("integrity", "").startswith("sha512-")
    ] == []
    assert [
        name for name, entry in installed.items() if entry.get("hasInstallScript") or "resolved" in entry
    ] == []
    wished = json.loads((ROOT / "web/package.json").read_text(encoding="utf-8"))
    versions = {**wished["dependencies"], **wished["devDependencies"]}
    assert {n: installed[f"node_modules/{n}"]["version"] for n in versions} == versions
    assert {"ci", "--ignore-scripts"} <= set(javascript.INSTALL)


def test_each_promise_of_the_security_page_names_tests_and_targets_that_exist():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promises = [row for row in text.splitlines() if re.match(r"\| (?!from whom)\w", row)]
    assert len(promises) >= 8
    named = [re.findall(r"`(tests/[\w/]+\.py)`", row) for row in promises]
    assert all(named)
    assert [name for row in named for name in row if not (ROOT / name).is_file()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`make (\w+)`", text))
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_audit_asks_for_options_that_pip_audit_has():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"^\t\$\(BIN\)/pip-audit (.*)$", makefile, re.MULTILINE)[1].split()
    result = run_tool("pip-audit", *options, "--dry-run")  # collects the packages, and asks nobody
    assert result.returncode == 0, result.stdout + result.stderr
