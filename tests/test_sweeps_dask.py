"""Sweeps on a real Dask cluster of the loopback: equal to sequential, and workers and scheduler may die."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from course_utils.sweeps import grid, local_dask, run_sweep
from course_utils.sweeps import workers as sweep_workers
from course_utils.sweeps.jobs import Job, run_batch, run_job

pytest.importorskip("distributed", reason="needs the extra 'sweep'")
import dask
import distributed
import joblib
import psutil
from clusters import commands, threads_of_this_process, wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills processes by SIGKILL")


def fraction(*, seed, x, sleep=0.0, die=False):
    """Return x / 7 + seed / 3, some time later, or take the process down."""
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(sleep)
    return x / 7 + seed / 3


def held(*, seed, entered, leave):
    """Return with how many threads torch multiplies, once it may."""
    entered.set()
    leave.wait(5)
    torch.ones(200, 200) @ torch.ones(200, 200)
    return torch.get_num_threads()


THREE = threading.Barrier(3)


def together(*, seed, x):
    """Return when two others run at the same time."""
    THREE.wait(timeout=5)
    return x


def lock(*, seed):
    """Return what cannot be sent."""
    return threading.Lock()


def pids():
    """Return the workers among the processes below this one, the oldest first."""
    below = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return [
        p.pid for p in sorted(below, key=lambda p: p.create_time()) if "spawn_main" in " ".join(p.cmdline())
    ]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, processes; a job that has taken one worker down is under suspicion at once."""
    before = pids()
    folder = str(tmp_path_factory.mktemp("dask"))  # a worker that is killed leaves its own there
    settings = {"distributed.scheduler.allowed-failures": 0, "temporary-directory": folder}
    with dask.config.set(settings), local_dask(num_workers=2):
        yield
    assert pids() == before


# Equal to sequential


def test_six_hundred_jobs_equal_those_of_one_process_and_so_does_their_file(tmp_path, cluster):
    path = tmp_path / "results.jsonl"
    jobs = grid(x=range(300), sleep=[0.0, 0.001])
    on_dask = run_sweep(fraction, jobs, results=path)
    with joblib.parallel_config("sequential"):
        assert run_sweep(fraction, jobs) == on_dask == run_sweep(fraction, jobs, results=path)
    assert len(path.read_text().splitlines()) == 601


def test_a_local_cluster_takes_no_port_that_others_may_want(cluster):
    ports = [c.laddr.port for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(ports) >= 2
    assert not {8786, 8787} & set(ports)


# Workers die


@pytest.mark.parametrize("num_ended", [0, 30, 90])
def test_a_worker_that_is_killed_at_any_moment_loses_nothing_that_had_ended(
    tmp_path, cluster, num_ended, tally
):
    path = tmp_path / "results.jsonl"
    jobs = grid(x=range(120), sleep=[0.01])
    kept, killed = [], []

    def kill():
        wait_until(lambda: path.exists() and num_lines(path) > num_ended)
        kept.append(path.read_bytes())
        killed.append(pids()[-1])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    records = run_sweep(fraction, jobs, results=path)
    killer.join()
    assert killed[0] not in pids()
    assert [r.result for r in records] == [fraction(seed=r.seed, x=x) for x, r in enumerate(records)]
    assert path.read_bytes().startswith(kept[0][: kept[0].rindex(b"\n") + 1])
    assert len(path.read_text().splitlines()) == 121  # nothing was computed twice and written twice
    tally.note("sweeps", f"a Dask worker killed when {num_ended} of 120 jobs had ended", tried=1)


def test_a_job_that_takes_its_workers_down_becomes_a_record_and_its_neighbours_do_not(cluster, tally):
    jobs = [{"x": x, "die": x == 5} for x in range(40)]
    records = run_sweep(fraction, jobs)
    (failed,) = [r for r in records if r.failed]
    assert failed.error.startswith("WorkerDied: configuration 5, {'x': 5, 'die': True} with seed ")
    assert failed.error.endswith(": 1 workers died of it, and ran nothing else")
    assert [r.result for r in records if not r.failed] == [
        fraction(seed=r.seed, x=x) for x, r in enumerate(records) if x != 5
    ]
    tally.note("sweeps", "a job that kills every worker", tried=1, message=failed.error)


def test_what_cannot_be_sent_back_is_an_error_and_no_waiting(cluster):
    with pytest.raises(TypeError, match="serialize"):
        run_sweep(lock, [{}])


def num_lines(path):
    """Return how many lines are whole."""
    return path.read_bytes().count(b"\n")


# The scheduler is gone


def test_a_scheduler_that_dies_ends_the_sweep_with_its_address_and_the_rest_is_computed_without_it(
    tmp_path, tally
):
    path = tmp_path / "results.jsonl"
    jobs = grid(x=range(400), sleep=[0.01])
    with (
        commands(tmp_path) as (scheduler, file),
        distributed.Client(scheduler_file=str(file), timeout=30) as client,
    ):
        address = client.scheduler.address
        path.touch()
        killer = threading.Timer(0, lambda: (wait_until(lambda: num_lines(path) > 20), scheduler.kill()))
        killer.start()
        with (
            joblib.parallel_config("dask", client=client),
            pytest.raises(ConnectionError, match=f"scheduler at {address} is gone") as caught,
        ):
            run_sweep(fraction, jobs, results=path)
        lost = time.monotonic()
        killer.join()
    kept = path.read_bytes()
    assert 20 < kept.count(b"\n") < 400
    records = run_sweep(fraction, jobs[: kept.count(b"\n") + 5], results=path)
    assert [r.result for r in records] == [fraction(seed=r.seed, x=x) for x, r in enumerate(records)]
    assert path.read_bytes().startswith(kept)
    assert time.monotonic() - lost < 30
    tally.note(
        "sweeps", "the scheduler killed", tried=1, message=str(caught.value).replace(address, "tcp://...")
    )


# Batches, threads, workers that come later


def test_a_batch_ends_with_its_time_and_has_at_least_one_job():
    jobs = [Job(k, {"x": k, "sleep": 0.02}, 0) for k in range(50)]
    records, seconds = run_batch(fraction, jobs, 0.1)
    assert 1 < len(records) <= 5
    assert seconds >= 0.1
    assert len(run_batch(fraction, jobs, 0.0)[0]) == 1
    assert len(run_batch(fraction, jobs[:3], 60.0)[0]) == 3


def test_short_jobs_travel_together_and_long_ones_alone(monkeypatch):
    sizes = []
    submit = distributed.Client.submit

    def noted(client, run, function, batch, seconds, **options):
        sizes.append(len(batch))
        return submit(client, run, function, batch, seconds, **options)

    monkeypatch.setattr(distributed.Client, "submit", noted)
    monkeypatch.setattr(sweep_workers, "FIRST_WIDTH", 4)
    monkeypatch.setattr(sweep_workers, "BATCH_SECONDS", 0.05)
    with threads_of_this_process():
        jobs = [*grid(x=range(500)), *grid(x=range(500, 520), sleep=[0.06])]
        records = run_sweep(fraction, jobs)
    assert [r.result for r in records] == [fraction(seed=r.seed, x=x) for x, r in enumerate(records)]
    assert max(sizes) > 20  # while they are short
    assert sizes[-1] == 1  # what a batch had no time for came back to the queue, and travels alone


def test_jobs_that_share_a_process_compute_with_one_thread_each_and_the_number_is_put_back():
    def begin(thread):
        entered, leave = threading.Event(), threading.Event()
        future = thread.submit(run_job, held, Job(0, {"entered": entered, "leave": leave}, 0))
        entered.wait(5)
        return lambda: (leave.set(), future.result().result)[1]

    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two, ThreadPoolExecutor(1) as new:
            end_one, end_two = begin(one), begin(two)
            assert (end_one(), end_two()) == (
                1,
                1,
            )  # the second multiplies after the first has put a number back
            end_one, end_two = begin(one), begin(two)
            assert (end_two(), end_one()) == (1, 1)
            assert begin(two)() == 1  # alone, in a thread that was left while another job ran
            assert [thread.submit(torch.get_num_threads).result() for thread in (one, two, new)] == [2, 2, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_sweep_waits_for_workers_and_those_that_come_later_take_part_at_once():
    with threads_of_this_process(num_workers=0, threads_per_worker=1) as found:
        timer = threading.Timer(0.2, lambda: found.scale(3))
        timer.start()
        records = run_sweep(together, grid(x=range(6)))
        timer.join()
    assert [r.result for r in records] == list(range(6))


def test_an_interrupted_sweep_leaves_no_task_at_the_scheduler(tmp_path):
    path = tmp_path / "results.jsonl"
    with threads_of_this_process() as found:
        path.touch()
        is_over = threading.Event()

        def interrupt():
            wait_until(lambda: num_lines(path) > 5)
            os.kill(os.getpid(), signal.SIGINT)
            while not is_over.wait(5):  # again, as a person would: a first one may fall into a destructor
                os.kill(os.getpid(), signal.SIGINT)

        def sweep():
            try:
                run_sweep(fraction, grid(x=range(2000), sleep=[0.01]), results=path)
            finally:
                is_over.set()

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            sweep()
        wait_until(lambda: not found.scheduler.tasks)
    assert 5 < num_lines(path) < 2000
