"""What does a sweep cost beside its jobs, what do more workers bring, and what is lost when one of them is killed?

Wall seconds, because waiting is what is measured: run it on an idle machine. It takes minutes, writes
results/scale-out.json, which the site's page on clusters reads, and is no part of `make bench`:

    python benchmarks/scale_out.py           (add --small to try it in a minute; it writes no file then)
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from records import version_of
from run import describe_machine

from course_utils.claims import mean_and_half_width
from course_utils.datasets import DatasetUnavailableError, load
from course_utils.sweeps import SweepRecord, grid, local_dask, run_sweep, score_network, stop_workers

STORED = Path(__file__).resolve().parent / "results" / "scale-out.json"
OPTIMIZERS = ["SGD", "Momentum", "RMSProp", "Adam"]
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
NAP = 0.5  # seconds, of a job that is too long for a batch
ROUNDS = 3  # the fastest counts: a neighbour can only slow one down
Row = dict[str, Any]


def empty(*, seed: int, x: int) -> float:
    """Return at once: what such a job takes is overhead."""
    return x / 7


def nap(*, seed: int, x: int) -> float:
    """Return after NAP seconds, which need no core."""
    time.sleep(NAP)
    return x / 7


def timed(
    what: str,
    where: str,
    function: Callable[..., Any],
    jobs: Sequence[dict[str, Any]],
    *,
    rounds: int = 1,
    **options: Any,
) -> tuple[Row, list[SweepRecord]]:
    """Run a sweep, print and return its row, with the seconds of its fastest round, and its records."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        records = run_sweep(function, jobs, **options)
        seconds.append(time.perf_counter() - start)
    row = {"what": what, "where": where, "jobs": len(jobs), "seconds": round(min(seconds), 3)}
    print(f"{what:44} {where:20} {len(jobs):6} jobs {row['seconds']:8.2f} s", flush=True)
    assert not any(record.failed for record in records)
    return row, records


@contextlib.contextmanager
def workers(number: int) -> Iterator[None]:
    """Start Dask workers on the loopback, and let them import and load what the jobs need."""
    with local_dask(number):
        run_sweep(score_network, grid(optimizer=OPTIMIZERS, lr=[0.1], dataset=datasets(), seed=range(number)))
        yield


def datasets() -> list[str]:
    """Return the data sets of this machine that take part."""
    found = ["mnist-5k"]
    with contextlib.suppress(DatasetUnavailableError):
        load("fashion-mnist", download=False)
        found.append("fashion-mnist")
    return found


def overhead(num_jobs: int, folder: Path) -> list[Row]:
    """Time empty jobs here, in two processes and on two Dask workers, each with a results file."""
    jobs = grid(x=range(num_jobs))
    rows = [timed("empty job", "this process", empty, jobs, results=folder / "here.jsonl")[0]]
    rows.append(
        timed("empty job, known already", "this process", empty, jobs, results=folder / "here.jsonl")[0]
    )
    run_sweep(empty, jobs[:10], num_jobs=2)  # the processes start
    rows.append(timed("empty job", "2 processes", empty, jobs, num_jobs=2, results=folder / "two.jsonl")[0])
    stop_workers()
    with workers(2):
        rows.append(timed("empty job", "2 Dask workers", empty, jobs, results=folder / "dask.jsonl")[0])
        rows.append(timed(f"job of {NAP} s", "2 Dask workers", nap, grid(x=range(20)))[0])
    return rows


def throughput(num_seeds: int) -> list[Row]:
    """Time the same trainings in this process and on 1, 2 and 4 workers, each ROUNDS times."""
    jobs = grid(optimizer=OPTIMIZERS, lr=RATES[2:5], seed=range(num_seeds), num_epochs=[2])
    run_sweep(score_network, jobs[:4])
    row, expected = timed("training", "this process", score_network, jobs, rounds=ROUNDS)
    rows = [row]
    for number in (1, 2, 4):
        with workers(number):
            where = f"{number} Dask worker{'s' * (number > 1)}"
            row, records = timed("training", where, score_network, jobs, rounds=ROUNDS)
        assert records == expected
        rows.append(row)
    return rows


def kill_one(path: Path, after: int, kept: list[bytes]) -> None:
    """Kill a worker once the file has `after` lines, and keep what it holds at that moment."""
    while not path.exists() or path.read_bytes().count(b"\n") < after:
        time.sleep(0.05)
    kept.append(path.read_bytes())
    os.kill(worker_processes()[0].pid, signal.SIGKILL)


def worker_processes() -> list[psutil.Process]:
    """Return the processes below this one that run jobs."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if "spawn_main" in " ".join(process.cmdline())]


def sweep(num_seeds: int, folder: Path) -> tuple[list[Row], Row, list[Row]]:
    """Run optimizer x rate x data set x seed on two workers, one of them killed, and again in this process."""
    jobs = grid(optimizer=OPTIMIZERS, lr=RATES, dataset=datasets(), seed=range(num_seeds), num_epochs=[2])
    path, kept = folder / "sweep.jsonl", list[bytes]()
    killer = threading.Thread(target=kill_one, args=(path, len(jobs) // 3, kept))
    with workers(2):
        killer.start()
        row, records = timed("training, a worker killed", "2 Dask workers", score_network, jobs, results=path)
        killer.join()
        memory = max(worker.memory_info().rss for worker in worker_processes()) / 1e6
    again, resumed = timed("training, known already", "this process", score_network, jobs, results=path)
    here, expected = timed("training", "this process", score_network, jobs)
    whole = kept[0][: kept[0].rindex(b"\n") + 1]
    verdict = {
        "jobs": len(jobs), "lines when a worker was killed": whole.count(b"\n") - 1,
        "of these lost": 0 if path.read_bytes().startswith(whole) else "some",
        "lines at the end": path.read_bytes().count(b"\n") - 1,
        "megabytes of a worker": round(memory),
        "records that differ from those of one process": sum(a != b for a, b in zip(records, expected, strict=True))
        + sum(a != b for a, b in zip(resumed, expected, strict=True)),
    }  # fmt: skip
    print(json.dumps(verdict))
    return [row, again, here], verdict, best_rates(records)


def best_rates(records: Sequence[SweepRecord]) -> list[Row]:
    """Return for each data set and optimizer the rate with the best validation accuracy, and its test accuracy."""
    scores: dict[tuple[str, str], dict[float, list[SweepRecord]]] = {}
    for record in records:
        given = record.configuration
        scores.setdefault((given["dataset"], given["optimizer"]), {}).setdefault(given["lr"], []).append(
            record
        )
    rows = []
    for (dataset, optimizer), by_rate in scores.items():
        lr = max(by_rate, key=lambda rate: statistics.fmean(r.result["val_accuracy"] for r in by_rate[rate]))
        mean, half_width = mean_and_half_width([r.result["test_accuracy"] for r in by_rate[lr]])
        rows.append({"dataset": dataset, "optimizer": optimizer, "lr": lr, "seeds": len(by_rate[lr]),
                     "test_accuracy": round(mean, 4), "half_width": round(half_width or 0.0, 4)})  # fmt: skip
    return rows


def main() -> int:
    """Measure everything and store it; return 1 where a record was lost or differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the jobs, and no file")
    small = parser.parse_args().small
    machine = describe_machine() | {"dask": version_of("distributed"), "joblib": version_of("joblib")}
    with tempfile.TemporaryDirectory() as folder:
        rows = overhead(1_000 if small else 10_000, Path(folder))
        rows += throughput(2 if small else 16)
        swept, verdict, best = sweep(2 if small else 16, Path(folder))
    if not small:
        found = {"machine": machine, "rows": rows + swept, "killed": verdict, "best": best}
        STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    lost = verdict["of these lost"] or verdict["records that differ from those of one process"]
    return int(bool(lost) or verdict["lines at the end"] != verdict["jobs"])


if __name__ == "__main__":
    sys.exit(main())
