"""A notebook runs in a copy, with one thread, its parameters and this interpreter; what fails is shown and kept."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import nbformat
import pytest
from conftest import code, text

from course_utils.authoring.execute import execute
from course_utils.authoring.kernel import KernelPool, kernel_environment
from course_utils.authoring.library import CourseError, find_notebooks, parse_settings, share_settings
from course_utils.authoring.run import in_threads, longest_first

CLAIM = (
    "from course_utils.claims import check\ncheck('{id}', 'a value', measured={value}, expected=1.0, rel=0.1)"
)
ENVIRONMENT = """import os, sys
print(os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"])
print(os.path.basename(os.getcwd()))
print(sys.executable)
print(seed, name)"""


@pytest.fixture(scope="module")
def finished(shared_course, tmp_path_factory):
    """One run of five notebooks, two at a time, with a home that has never seen Jupyter."""
    course = shared_course
    good = [
        text("# 1 · Good"),
        code("seed = 0\nname = 'default'", "parameters"),
        code(ENVIRONMENT),
        code(CLAIM.format(id="01.1", value=1.05)),
        code("import time\n\ntime.sleep(0.5)"),
    ]
    paths = [
        course.write("01_good", *good),
        course.write(
            "02_claim", text("# 2"), code(CLAIM.format(id="02.1", value=2.0)), code("print('never')")
        ),
        course.write("03_error", text("# 3"), code("seed = 0", "parameters"), code("1 / 0")),
        course.write("04_slow", text("# 4"), code("import time"), code("time.sleep(60)")),
        course.write(
            "05_dies", text("# 5"), code("import os, signal"), code("os.kill(os.getpid(), signal.SIGKILL)")
        ),
    ]
    before = [path.read_bytes() for path in paths]
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        exit_code, output = course.command("run", "--set", "seed=3", "--set", "name=other", "--timeout", "5")
    assert [path.read_bytes() for path in paths] == before, "a stored notebook was touched"
    assert list(home.iterdir()) == [], "the run wrote into the user's home"
    return course, exit_code, output


def executed(course, name):
    return nbformat.read(course.root / "build" / "executed" / f"{name}.ipynb", as_version=4)


def outputs_of(course, name):
    cells = executed(course, name).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def test_kernel_is_this_interpreter_with_one_thread_in_the_notebooks_folder(finished):
    lines = outputs_of(finished[0], "01_good").splitlines()
    assert lines[:3] == ["1 PASSIVE", "notebooks", sys.executable]


@pytest.mark.parametrize("command", ["run", "validate"])
def test_threads_reach_the_kernels(course, command):
    seen = course.root / "seen"
    ask = f"import pathlib, torch\n_ = pathlib.Path({str(seen)!r}).write_text(str(torch.get_num_threads()))"
    course.write("01_asks", text("# 1"), code(ask, count=1))
    for options, threads in {("--threads", "3"): "3", (): "1"}.items():
        course.command(command, *options)
        assert seen.read_text() == threads


def test_settings_reach_the_notebook_that_has_them(finished):
    course, _, _ = finished
    assert outputs_of(course, "01_good").splitlines()[3] == "3 other"
    # 03 has a seed and no name; injecting the name too would define what nobody reads.
    injected = [c for c in executed(course, "03_error").cells if "injected-parameters" in c.metadata.tags]
    assert [cell.source for cell in injected] == ["# Parameters\nseed = 3\n"]


def test_table_has_seconds_claims_and_the_slowest_cell(finished):
    _, _, output = finished
    row = next(line for line in output.splitlines() if line.startswith("│ 01_good"))
    columns = [column.strip() for column in row.strip("│").split("│")]
    assert columns[2:5] == ["5", "1", "0"]
    assert columns[5].startswith("[5] 0.5 s  import time")
    assert float(columns[1]) >= 0.5


def test_failing_claim_fails_the_run_and_says_so(finished):
    _, exit_code, output = finished
    assert exit_code == 1
    assert "FAILED 02_claim: cell 1: ClaimFailed" in output
    assert "claim 02.1: a value: measured 2.0, within 10 % of 1.0" in output
    assert "1 of 5 notebooks ran to the end; 1 of 2 claims hold." in output


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("02_claim", "ClaimFailed"),
        ("03_error", "ZeroDivisionError"),
        ("04_slow", "CellTimeoutError"),
        ("05_dies", "DeadKernelError"),
    ],
)
def test_copy_of_a_failing_notebook_shows_the_error(finished, name, error):
    course, _, output = finished
    errors = [
        o.ename
        for c in executed(course, name).cells
        for o in c.get("outputs", [])
        if o.output_type == "error"
    ]
    assert errors == [error]
    assert f"FAILED {name}: cell" in output
    assert "never" not in outputs_of(course, name)


def test_claims_are_gathered_with_the_parameters_of_the_run(finished):
    records = json.loads((finished[0].root / "build" / "claims.json").read_text())
    assert [(record["id"], record["holds"]) for record in records] == [("01.1", True), ("02.1", False)]
    assert records[0]["notebook"] == "01_good"
    assert records[0]["parameters"] == {"seed": 3}


def test_durations_order_the_next_run_longest_first(tmp_path):
    paths = [tmp_path / f"{name}.ipynb" for name in ("01_a", "02_b", "03_c", "04_d")]
    for path, size in zip(paths, (400, 300, 10, 20), strict=True):
        path.write_text(" " * size)
    (tmp_path / "durations.json").write_text('{"01_a": 1.0, "02_b": 5.0}')
    assert [path.stem for path in longest_first(paths, tmp_path)] == ["04_d", "03_c", "02_b", "01_a"]


def test_error_in_one_thread_ends_the_kernels_of_the_others(tmp_path, course):
    paths = [course.write("01_wait", text("# 1"), code("import time\ntime.sleep(60)")),
             course.write("02_stops", text("# 2"), code("1"), code("2"), code("3"))]  # fmt: skip
    pool = KernelPool(tmp_path)
    environment = kernel_environment(tmp_path)
    waiting = threading.Event()

    def on_cell(name, done, total):
        if name == "01_wait" and done == 1:
            waiting.set()
        if name == "02_stops" and done == 2:
            assert waiting.wait(30)
            raise KeyboardInterrupt

    def work(path, kernels):
        return execute(path, tmp_path / path.name, environment=environment, kernels=kernels, on_cell=on_cell)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_threads(work, paths, pool, 2)
    assert time.monotonic() - start < 50, "the other notebook slept on"
    with pytest.raises(RuntimeError, match="no further kernel is started"):
        in_threads(lambda path, kernels: kernels._register(None), paths[:1], pool, 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single process")
def test_interrupt_leaves_no_kernel(course):
    course.write("01_wait", text("# 1"), code(
        "import os\nwith open('pid', 'w') as file:\n    file.write(str(os.getpid()))"),
                 code("import time\ntime.sleep(60)"))  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "course_utils.authoring.cli", "run"], cwd=course.root,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # A shell that runs the tests in the background may have set the signal to be ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    pid_file = course.root / "notebooks" / "pid"
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; no kernel is left running" in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_settings_are_literals_or_strings():
    values = parse_settings(["seed=1", "device=cuda", "lrs=[0.1, 0.2]", "text=a=b", "flag=False"])
    assert values == {"seed": 1, "device": "cuda", "lrs": [0.1, 0.2], "text": "a=b", "flag": False}


@pytest.mark.parametrize("setting", ["seed", "=1", "a b=1", "1x=2"])
def test_settings_without_a_name_are_refused(setting):
    with pytest.raises(CourseError, match="--set takes name=value"):
        parse_settings([setting])


def test_setting_unknown_to_all_notebooks_is_refused_with_those_known(course):
    path = course.write("01_a", text("# 1"), code("seed: int = 0\ndevice = 'cpu'\nx = f(2)", "parameters"))
    with pytest.raises(CourseError, match=r"No notebook here has a parameter sed; known: device, seed, x\."):
        share_settings({"sed": 1}, [path])
    assert share_settings({"seed": 1}, [path]) == {path: {"seed": 1}}


def test_notebooks_are_found_by_number_name_and_path(course, monkeypatch):
    a, b = course.write("01_a"), course.write("02_b")
    assert find_notebooks([], course.root) == [a, b]
    assert find_notebooks(["02", "01_a", str(b)], course.root) == [b, a]
    with pytest.raises(CourseError, match=r"No notebook '03'; known: 01_a, 02_b\."):
        find_notebooks(["03"], course.root)
