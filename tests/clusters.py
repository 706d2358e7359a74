"""Dask clusters on the loopback, for the tests of sweeps and of `course run --scheduler`."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import distributed
import joblib

HERE = str(Path(__file__).parent)


def wait_until(holds, seconds=60.0):
    """Wait until it holds, or fail."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@contextlib.contextmanager
def threads_of_this_process(num_workers=1, threads_per_worker=2):
    """A cluster within this process, for what needs no process."""
    with (
        distributed.LocalCluster(
            host="127.0.0.1", protocol="tcp", n_workers=num_workers, processes=False,
            threads_per_worker=threads_per_worker,
            dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            worker_dashboard_address="127.0.0.1:0",
        ) as found,
        distributed.Client(found),
        joblib.parallel_config("dask"),
    ):  # fmt: skip
        yield found


@contextlib.contextmanager
def commands(tmp_path):
    """Start a scheduler and a worker as on a cluster, by their commands; yield the scheduler and its file."""
    file = tmp_path / "scheduler.json"
    quiet = dict(env=os.environ | {"PYTHONPATH": HERE}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    start = [sys.executable, "-m", "dask"]
    options = ["--scheduler-file", file, "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*start, "scheduler", "--host", "127.0.0.1", "--port", "0", *options], **quiet
    )
    life = ["--no-nanny", "--death-timeout", "60", "--local-directory", tmp_path]
    worker = subprocess.Popen([*start, "worker", "--nthreads", "1", *life, *options], **quiet)
    try:
        # the file is there before it is written
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        yield scheduler, file
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()
