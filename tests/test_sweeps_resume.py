"""A sweep that is cut off, by whatever, keeps what had ended; a second call computes the rest and nothing else."""

import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from course_utils.seeding import make_generator
from course_utils.sweeps import (
    ResultsFile,
    grid,
    run_sweep,
    score_network,
    score_replicates,
    stop_workers,
    workers,
)

ONLY_UNIX = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and resource limits")


def half(*, seed, x, calls=None, **options):
    """Return x / 2, and leave a line in the file `calls`."""
    if calls:
        with open(calls, "a", encoding="ascii") as file:
            file.write(f"{x}\n")
    return x / 2


def other_half(*, seed, x):
    """Return the same under another name."""
    return x / 2


def same(*, seed, value):
    """Return what is given."""
    return value


def once(*, seed, x, folder):
    """Raise when it is called for the first time for x = 3; later return x."""
    if x == 3 and not (mark := Path(folder, "mark")).exists():
        mark.touch()
        raise OSError("no space left")
    return x


def deadly(*, seed, x):
    """Take the process down for x = 29."""
    if x == 29:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return x / 7


def slow(*, seed, x):
    """Take a while."""
    time.sleep(0.05)
    return x / 7


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


@pytest.fixture
def calls(tmp_path):
    """Return a function that says which x were computed since it was last asked."""
    file = tmp_path / "calls"

    def since():
        seen = [int(line) for line in file.read_text().split()] if file.exists() else []
        file.unlink(missing_ok=True)
        return seen

    since.path = str(file)
    return since


# What is finished is not computed again


def test_a_second_call_computes_nothing_and_returns_the_same(path, calls):
    jobs = grid(x=range(5), calls=[calls.path])
    first = run_sweep(half, jobs, results=path)
    assert calls() == [0, 1, 2, 3, 4]
    before = path.read_bytes()
    assert run_sweep(half, jobs, results=path) == first == run_sweep(half, jobs)
    assert calls() == [0, 1, 2, 3, 4]  # those of the call without a file
    assert path.read_bytes() == before


def test_a_list_that_grows_keeps_its_jobs_and_one_that_shrinks_loses_none(path, calls):
    jobs = grid(x=range(5), calls=[calls.path])
    run_sweep(half, jobs[:3], results=path)
    calls()
    assert [r.result for r in run_sweep(half, jobs, results=path)] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert calls() == [3, 4]
    assert [r.result for r in run_sweep(half, jobs[1:2], seed=0, results=path)] != []
    assert (
        len(path.read_text().splitlines()) == 1 + 5 + 1
    )  # jobs[1] alone has another seed: it is another job


def test_a_configuration_is_the_same_job_only_with_the_same_seed(path, calls):
    run_sweep(half, [{"x": 1, "seed": 7, "calls": calls.path}], results=path)
    run_sweep(half, [{"calls": calls.path, "seed": 8, "x": 1}], results=path)
    assert calls() == [1, 1]
    run_sweep(half, [{"x": 1, "seed": 8, "calls": calls.path}], results=path)  # in another order
    assert calls() == []


def test_records_have_the_configuration_that_was_given_and_the_order_of_the_list(path):
    jobs = [{"x": x, "shape": (x, 2), "seed": x + 5} for x in (3, 1, 2)]
    run_sweep(half, jobs[2:], results=path)
    fresh, resumed = run_sweep(half, jobs), run_sweep(half, jobs, results=path)
    assert fresh == resumed
    assert [r.configuration for r in resumed] == [{"x": x, "shape": (x, 2)} for x in (3, 1, 2)]
    assert [(r.seed, r.result) for r in resumed] == [(8, 1.5), (6, 0.5), (7, 1.0)]


def test_what_failed_is_run_again_and_what_ended_is_not(path, tmp_path):
    jobs = grid(x=range(5), folder=[str(tmp_path)])
    first = run_sweep(once, jobs, results=path)
    assert [r.error for r in first if r.failed] == ["OSError: no space left"]
    num_lines = len(path.read_text().splitlines())
    assert [r.result for r in run_sweep(once, jobs, results=path)] == [0, 1, 2, 3, 4]
    assert len(path.read_text().splitlines()) == num_lines + 1
    assert not any(r.failed for r in run_sweep(once, jobs, results=path))


def test_the_progress_begins_with_what_is_known(path, capsys):
    run_sweep(half, grid(x=range(3)), results=path)
    run_sweep(half, grid(x=range(4)), results=path, progress=True)
    assert "75%" in capsys.readouterr().err


# Numbers


def test_every_float_comes_back_with_all_its_bits(path, monkeypatch):
    drawn = random.Random(0)
    values = [struct.unpack("<d", struct.pack("<Q", drawn.getrandbits(64)))[0] for _ in range(3000)]
    values = [v for v in values if not math.isnan(v)] + [
        -0.0,
        5e-324,
        math.inf,
        -math.inf,
        1 / 3,
        1.0,
        2.0**53 + 2,
    ]
    monkeypatch.setattr(sys.modules[__name__], "answers", {0: values}, raising=False)
    run_sweep(answer, [{"x": 0}], results=path)
    monkeypatch.setattr(sys.modules[__name__], "answers", {0: "computed again"})
    (record,) = run_sweep(answer, [{"x": 0}], results=path)
    assert struct.pack(f"<{len(values)}d", *record.result) == struct.pack(f"<{len(values)}d", *values)


def test_results_of_every_kind_that_json_has_come_back_equal_and_of_their_type(path):
    value = {"a": [1, 1.0, True, None, "ß\n\u2028\ud800", {"": []}], "large": 2**70}
    for _ in range(2):
        (record,) = run_sweep(same, [{"value": value}], results=path)
        assert record.result == value
        assert [type(v) for v in record.result["a"]] == [int, float, bool, type(None), str, dict]
    assert math.isnan(run_sweep(same, [{"value": math.nan}], results=path)[0].result)


def test_training_comes_back_to_the_last_digit(path):
    jobs = [dict(lr=lr, batch_size=50, num_epochs=1, num_replicates=2) for lr in (0.02, 0.1)]
    run_sweep(score_replicates, jobs[:1], results=path)
    assert run_sweep(score_replicates, jobs, results=path) == run_sweep(score_replicates, jobs)


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, {1.5}, b"x", 1 + 2j, [[{"a": (1,)}]]])
def test_a_result_that_json_would_change_is_refused_by_name_and_the_others_are_kept(path, value, monkeypatch):
    answers = {0: "zero", 1: value}
    monkeypatch.setattr(sys.modules[__name__], "answers", answers, raising=False)
    with pytest.raises(TypeError, match=r"not result.*of \{'x': 1\} with seed \d+"):
        run_sweep(answer, [{"x": 0}, {"x": 1}], results=path)
    assert len(path.read_text().splitlines()) == 2


def answer(*, seed, x):
    """Return what the test has put there."""
    return answers[x]  # noqa: F821


def test_a_configuration_that_json_cannot_hold_is_refused_before_anything_runs(path):
    with pytest.raises(TypeError, match=r"not configuration\['x'\]: Generator, of configuration 1"):
        run_sweep(half, [{"x": 1}, {"x": make_generator(0)}], results=path)
    assert not path.exists()


def test_a_rate_of_numpy_is_the_job_of_the_same_rate_of_python(path, calls):
    run_sweep(half, [{"x": np.float64(3), "calls": calls.path}], results=path)
    assert run_sweep(half, [{"x": 3.0, "calls": calls.path}], results=path)[0].result == 1.5
    assert Path(calls.path).read_text() == "3.0\n"


# Files that were cut, damaged, or are of something else


def test_a_file_cut_at_any_byte_of_its_last_line_is_mended_and_ends_as_if_it_had_not_been(path, calls, tally):
    jobs = grid(x=range(4), calls=[calls.path])
    whole = run_sweep(half, jobs, results=path)
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    calls()
    for length in range(start, len(content)):
        path.write_bytes(content[:length])
        assert run_sweep(half, jobs, results=path) == whole
        assert calls() == [3]
        assert path.read_bytes() == content
    tally.note("sweeps", "results cut at each byte of the last line", tried=len(content) - start)


def test_a_file_cut_within_its_header_begins_again(path, tally):
    whole = run_sweep(half, [{"x": 1}], results=path)
    content = path.read_bytes()
    for length in range(content.index(b"\n") + 1):
        path.write_bytes(content[:length])
        assert run_sweep(half, [{"x": 1}], results=path) == whole
        assert path.read_bytes() == content
    tally.note("sweeps", "results cut at each byte of the header", tried=content.index(b"\n") + 1)


def test_a_tail_of_zeros_as_a_power_cut_leaves_them_is_cut_off(path):
    whole = run_sweep(half, grid(x=range(3)), results=path)
    content = path.read_bytes()
    path.write_bytes(content + bytes(4096))
    assert run_sweep(half, grid(x=range(3)), results=path) == whole
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    ['{"configuration"', "[]", "", '{"seed": 1}', '{"configuration":1,"seed":1,"result":1,"error":""}', "\0"],
)
def test_a_damaged_line_in_the_middle_is_named_and_nothing_is_written(path, damage, tally):
    run_sweep(half, grid(x=range(4)), results=path)
    lines = path.read_text().splitlines()
    lines[2] = damage
    path.write_text("\n".join(lines) + "\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"results.jsonl, line 3 is damaged.*Delete the line") as caught:
        run_sweep(half, grid(x=range(4)), results=path)
    assert path.read_bytes() == before
    message = str(caught.value).replace(f"{path.parent}{os.sep}", "")
    tally.note("sweeps", f"a line of the results replaced by {damage!r}", tried=1, message=message)


@pytest.mark.parametrize(("function", "seed"), [(other_half, 0), (half, 1)])
def test_results_of_another_function_or_seed_are_not_mixed_in(path, function, seed):
    run_sweep(half, [{"x": 1}], results=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Name another file"):
        run_sweep(function, [{"x": 1}], seed=seed, results=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes", b"a,b\n1,2\n", b'{"function": 1}'])
def test_a_file_of_something_else_is_left_as_it_is(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Name another"):
        run_sweep(half, [{"x": 1}], results=path)
    assert path.read_bytes() == content


def test_a_function_that_its_name_does_not_identify_is_refused(path):
    with pytest.raises(ValueError, match=r"<lambda>.*Put the function into a module"):
        run_sweep(lambda seed: 1, [{}], results=path)


def test_the_function_of_a_script_has_the_name_of_the_script(tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    monkeypatch.setattr(half, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/somewhere/rates.py", raising=False)
    run_sweep(half, [{"x": 1}], results=path)
    assert json.loads(path.read_text().splitlines()[0])["function"] == "rates.half"
    monkeypatch.delattr(sys.modules["__main__"], "__file__")  # as in a notebook
    with pytest.raises(ValueError, match="half of a notebook may be any"):
        run_sweep(half, [{"x": 1}], results=path)


# Two at once, a full disk, a coordinator that dies


def test_two_sweeps_into_one_file_at_once_are_refused_and_the_second_may_go_on_afterwards(path):
    with (
        ResultsFile(path, half, 0),
        pytest.raises(BlockingIOError, match=r"Another sweep writes .*results\.jsonl"),
    ):
        run_sweep(half, [{"x": 1}], results=path)
    assert run_sweep(half, [{"x": 1}], results=path)[0].result == 0.5


@ONLY_UNIX
@pytest.mark.parametrize("missing", [5, 200])  # bytes: within the last line, and before it
def test_a_disk_that_fills_up_ends_the_sweep_and_keeps_what_was_written(path, calls, missing, tally):
    import resource

    jobs = grid(x=range(20), calls=[calls.path])
    whole = run_sweep(half, jobs, results=path)
    content = path.read_bytes()
    path.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) - missing, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            run_sweep(half, jobs, results=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == content[:-missing]
    calls()
    assert run_sweep(half, jobs, results=path) == whole
    assert calls() == list(range(content[:-missing].count(b"\n") - 1, 20))
    assert path.read_bytes() == content
    tally.note("sweeps", f"disk full, {missing} bytes short", tried=1)


@ONLY_UNIX
def test_the_death_of_the_coordinating_process_loses_nothing_that_had_ended(path, tally):
    code = f"""
from course_utils.sweeps import grid, run_sweep
from test_sweeps_resume import slow
run_sweep(slow, grid(x=range(200)), results={str(path)!r})
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") > 5)
        process.kill()
    content = path.read_bytes()
    assert content.count(b"\n") < 200
    kept = content[: content.rindex(b"\n") + 1]
    jobs = grid(x=range(kept.count(b"\n") + 4))
    assert [r.result for r in run_sweep(slow, jobs, results=path)] == [x / 7 for x in range(len(jobs))]
    assert path.read_bytes().startswith(kept)
    tally.note("sweeps", "the sweeping process killed", tried=1)


def wait_until(holds, seconds=60.0):
    """Wait until it holds, or fail."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# Processes that die


@ONLY_UNIX
def test_a_process_that_dies_of_its_job_costs_that_job_and_none_that_ended(path, monkeypatch, tally):
    monkeypatch.setattr(workers, "ATTEMPTS", 1)  # each costs the seconds of two processes that import torch
    jobs = grid(x=range(30))
    try:
        records = run_sweep(deadly, jobs, num_jobs=2, results=path)
    finally:
        stop_workers()
    assert [r.result for r in records] == [x / 7 for x in range(29)] + [None]
    assert records[-1].error.startswith("WorkerDied: configuration 29, {'x': 29} with seed")
    assert len(path.read_text().splitlines()) == 1 + 30
    tally.note("sweeps", "a process killed by its job", tried=1, message=records[-1].error)


def test_what_was_in_a_dead_process_runs_again_in_company_and_then_alone(monkeypatch):
    """x = 2 always kills, x = 5 once; joblib is replaced by what it would do."""
    companies, alone, deaths = [], [], Counter()

    def parallel(function, jobs, num_jobs, taken):
        (alone if len(jobs) == 1 else companies).append([job.configuration["x"] for job in jobs])
        for k in range(0, len(jobs), 3):
            taken += jobs[k : k + 3]  # three are handed out at a time
            for job in jobs[k : k + 3]:
                x = job.configuration["x"]
                deaths[x] += 1
                if x == 2 or (x == 5 and deaths[x] == 1):
                    raise BrokenProcessPool
                yield job, workers.run_job(function, job)

    monkeypatch.setattr(workers, "_side_by_side", parallel)
    records = run_sweep(half, grid(x=range(9)), num_jobs=3)
    assert [r.result for r in records] == [0, 0.5, None, 1.5, 2, 2.5, 3, 3.5, 4]
    assert companies == [list(range(9)), [3, 4, 5, 6, 7, 8, 2], [6, 7, 8, 5, 2]]
    assert alone == [[2]] * 2
    assert "4 processes died of it, the last 2" in records[2].error


# The job that is ready to be swept


def test_a_network_with_sgd_is_the_network_of_the_replicates():
    options = dict(lr=0.05, batch_size=50, num_epochs=2, seed=5)
    one = score_network(optimizer="SGD", **options)
    many = score_replicates(num_replicates=1, **options)
    assert one["val_loss"] == pytest.approx(many["val_loss"][-1][0], rel=1e-4)
    assert one["test_accuracy"] == pytest.approx(many["test_accuracy"][0], abs=2 / 3000)
    assert not one["diverged"]


def test_the_optimizer_matters_and_so_does_its_option():
    losses = {
        score_network(optimizer=name, lr=0.01, seed=0, **options)["val_loss"]
        for name, options in [("SGD", {}), ("Adam", {}), ("Momentum", {}), ("Momentum", {"momentum": 0.5})]
    }
    assert len(losses) == 4


def test_a_network_that_diverges_has_infinite_losses_and_an_unknown_optimizer_is_named():
    score = score_network(optimizer="SGD", lr=1e30, seed=0)
    assert (score["diverged"], score["train_loss"], score["val_loss"]) == (True, math.inf, math.inf)
    with pytest.raises(ValueError, match="Unknown optimizer 'Sgd'; known: AdaGrad"):
        score_network(optimizer="Sgd", lr=0.1, seed=0)
