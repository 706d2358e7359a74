"""`course run --scheduler`: the notebooks run on the workers of a Dask cluster, and all comes back as from here."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import code

pytest.importorskip("distributed", reason="needs the extra 'sweep'")
import dask
import distributed
import psutil
from clusters import commands, wait_until

from course_utils.authoring import cluster as cluster_module
from course_utils.authoring import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills processes by SIGKILL")
CLAIM = """from course_utils.claims import check
print(seed)
check("01.1", "the seed is small", measured=seed, expected=0, abs=5)"""
SLEEPER = """import os, pathlib, time
pathlib.Path(folder, f"kernel-{os.getpid()}").touch()
time.sleep(0.0 if pathlib.Path(folder, "go").exists() else 60.0)"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers with one thread each, as `dask worker` starts them, on the loopback."""
    folder = str(tmp_path_factory.mktemp("dask"))  # a worker that is killed leaves its own there
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1, "temporary-directory": folder}),
        distributed.LocalCluster(
            host="127.0.0.1", n_workers=2, threads_per_worker=1, scheduler_port=0, dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, memory_limit=0, silence_logs=100,
        ) as found,
    ):  # fmt: skip
        yield found


def said(output):
    """Return the rows of the table without seconds and slowest cells, and what stands below it."""
    table = [line.split("│") for line in output.splitlines() if "│" in line]
    below = output[output.rindex("┘") :].splitlines()
    return [row[1:2] + row[3:6] for row in table], below


def test_outcomes_claims_settings_durations_and_exit_code_are_those_of_a_local_run(course, cluster):
    course.write("01_holds", code("seed = 0", "parameters"), code(CLAIM, "claim"))
    course.write("02_fails", code("1 / 0"))
    here = course.command("run", "--set", "seed=3")
    claims = (course.root / "build" / "claims.json").read_text()
    copies = {path.name for path in (course.root / "build" / "executed").iterdir()}
    there = course.command(
        "run", "--set", "seed=3", "--scheduler", cluster.scheduler_address, "--output", "out/put"
    )
    assert here[0] == there[0] == 1
    assert said(there[1].replace("out/put", "build/executed")) == said(here[1])
    assert "ZeroDivisionError" in there[1]
    assert (course.root / "out" / "claims.json").read_text() == claims
    assert '"measured": 3' in claims
    output = course.root / "out" / "put"
    assert {path.name for path in output.iterdir()} == copies
    assert "01_holds" in (output / "durations.json").read_text()
    assert "ZeroDivisionError" in (output / "02_fails.ipynb").read_text()


def test_threads_reach_the_workers(course, cluster):
    course.write("01_asks", code("import torch\nassert torch.get_num_threads() == 3"))
    there = ("run", "--scheduler", cluster.scheduler_address)
    assert (course.command(*there, "--threads", "3")[0], course.command(*there)[0]) == (0, 1)


@pytest.fixture
def sleeper(course, tmp_path):
    """A notebook that says in a folder which kernels ran it, and sleeps until a file `go` is there when it begins."""
    course.write("01_sleeps", code(f'folder = "{tmp_path}"', "parameters"), code(SLEEPER))
    return course


def kernels(folder):
    """Return the processes that have run the notebook."""
    return [int(path.name.removeprefix("kernel-")) for path in folder.glob("kernel-*")]


def alive(pid):
    """Say whether a process is there and no zombie."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_worker_that_is_killed_leaves_no_kernel_and_its_notebook_runs_elsewhere(sleeper, cluster, tmp_path):
    def kill():
        wait_until(lambda: kernels(tmp_path))
        (tmp_path / "go").touch()
        psutil.Process(kernels(tmp_path)[0]).parent().kill()

    killer = threading.Thread(target=kill)
    killer.start()
    exit_code, output = sleeper.command("run", "--scheduler", cluster.scheduler_address)
    killer.join()
    assert (exit_code, "1 of 1 notebooks ran to the end" in output) == (0, True)
    assert len(kernels(tmp_path)) == 2
    wait_until(lambda: not any(alive(pid) for pid in kernels(tmp_path)), seconds=10)


def test_a_notebook_that_takes_its_workers_down_has_failed_and_the_others_have_not(course, cluster):
    course.write("01_deadly", code("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"))
    course.write("02_calm", code("1"))
    exit_code, output = course.command("run", "--scheduler", cluster.scheduler_address)
    assert exit_code == 1
    assert "FAILED 01_deadly: KilledWorker: Attempted to run task" in output
    assert "1 of 2 notebooks ran to the end" in output


def test_an_interrupted_run_leaves_no_kernel_on_the_workers(sleeper, cluster, tmp_path):
    stop = threading.Timer(
        0, lambda: (wait_until(lambda: kernels(tmp_path)), os.kill(os.getpid(), signal.SIGINT))
    )
    stop.start()
    exit_code, output = sleeper.command("run", "--scheduler", cluster.scheduler_address)
    assert exit_code == 130
    assert output.endswith("course: interrupted; no kernel is left running.\n")
    wait_until(lambda: not any(alive(pid) for pid in kernels(tmp_path)), seconds=2)


def test_a_run_whose_own_process_is_killed_leaves_no_kernel_on_the_workers(sleeper, cluster, tmp_path):
    command = [
        sys.executable,
        "-m",
        "course_utils.authoring.cli",
        "run",
        "--scheduler",
        cluster.scheduler_address,
    ]
    with subprocess.Popen(command, cwd=sleeper.root, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: kernels(tmp_path))
        process.kill()
    wait_until(lambda: not any(alive(pid) for pid in kernels(tmp_path)), seconds=10)


def test_a_scheduler_that_dies_is_one_line_and_leaves_no_kernel(sleeper, tmp_path, caplog):
    with commands(tmp_path) as (scheduler, file):
        address = json.loads(file.read_text())["address"]
        killer = threading.Timer(0, lambda: (wait_until(lambda: kernels(tmp_path)), scheduler.kill()))
        killer.start()
        exit_code, output = sleeper.command("run", "--scheduler", address)
        assert exit_code == 2
        first, last = output.splitlines()
        assert first == "01_sleeps starts"
        assert last.startswith(f"course: The Dask scheduler at {address} is gone. What had ended is in ")
        wait_until(lambda: not any(alive(pid) for pid in kernels(tmp_path)), seconds=10)
    assert [record for record in caplog.records if record.name == "distributed.client"] == []


def test_nobody_at_the_address_is_one_line_within_seconds(course, monkeypatch):
    assert cluster_module._ANSWER_WITHIN <= 5
    monkeypatch.setattr(cluster_module, "_ANSWER_WITHIN", 0.5)
    course.write("01_first", code("1"))
    start = time.monotonic()
    exit_code, output = course.command("run", "--scheduler", "tcp://127.0.0.1:9")
    assert time.monotonic() - start < 8, "distributed itself would wait ten seconds and more"
    assert exit_code == 2
    assert output.startswith("course: No Dask scheduler answers at 'tcp://127.0.0.1:9': ")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:1", ""])
def test_what_is_no_address_is_one_line_at_once(course, address, monkeypatch):
    monkeypatch.setattr(distributed, "Client", None)  # one that was begun keeps the process for ten seconds
    course.write("01_first", code("1"))
    start = time.monotonic()
    exit_code, output = course.command("run", "--scheduler", address)
    assert (exit_code, len(output.splitlines())) == (2, 1)
    assert output.startswith(f"course: No Dask scheduler answers at {address!r}: ")
    assert time.monotonic() - start < 8


def test_a_scheduler_without_workers_is_one_line_that_says_how_to_start_some(course, monkeypatch):
    monkeypatch.setattr(cluster_module, "_WORKERS_WITHIN", 0.1)
    course.write("01_first", code("1"))
    with distributed.LocalCluster(
        host="127.0.0.1", protocol="tcp", n_workers=0, processes=False, dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as empty:  # fmt: skip
        exit_code, output = course.command("run", "--scheduler", empty.scheduler_address)
    assert exit_code == 2
    assert output == (
        f"course: The scheduler at {empty.scheduler_address} has no worker. Start some: "
        f"`dask worker {empty.scheduler_address} --nthreads 1`.\n"
    )


def test_without_dask_the_message_names_the_extra(course, monkeypatch):
    monkeypatch.delitem(sys.modules, "course_utils.authoring.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    course.write("01_first", code("1"))
    exit_code, output = course.command("run", "--scheduler", "tcp://127.0.0.1:9")
    assert (exit_code, output) == (2, "course: --scheduler needs Dask: pip install 'course-utils[sweep]'.\n")


def test_a_worker_that_does_not_see_the_repository_is_one_line(course, cluster, monkeypatch):
    path = course.write("01_first", code("1"))
    order = run.longest_first
    monkeypatch.setattr(run, "longest_first", lambda *args: (order(*args), path.unlink())[0])
    exit_code, output = course.command("run", "--scheduler", cluster.scheduler_address)
    assert exit_code == 2
    assert f"does not see {path}. Give it the repository under that path." in output
