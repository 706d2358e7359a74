"""All benchmarks: ours beside the peers as ratios, bounds on numbers that are no ratios, and how costs grow.

`make bench` prints the tables and writes results/latest.json, with the machine, the versions and the date, and
results/scaling.svg. `python benchmarks/run.py loss_plane scaling` runs these two and writes nothing. A missed goal ends
with exit code 1. Absolute seconds are not kept: they describe a machine, not a design.
"""

import datetime
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy
import torch
from figure import draw_growth
from records import Growth, Limit, Record, Row, Skipped, version_of

from course_utils.datasets import DatasetUnavailableError
from course_utils.devices import processor_name

RESULTS = Path(__file__).resolve().parent / "results"
BENCHMARKS = (
    "training_epoch", "trajectories", "loss_plane", "hessian_spectrum", "hessian_accuracy", "signal_statistics",
    "toy_networks", "data_loading", "import_time", "scaling", "optimizer_step", "course_run",
)  # fmt: skip


def describe_machine() -> dict[str, object]:
    """Return what the ratios may depend on: processor, cores, versions, load; nothing that names the machine."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": version_of("torch"),
        "numpy": numpy.__version__,
        "threads": 1,
        "load": _load(),
    }


def _load() -> str:
    """Return how many processes waited for a core in the last minute, where the system tells it."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def records_of(name: str) -> list[Record]:
    """Return the records of one benchmark, or that its data are not there."""
    try:
        found: list[Record] = importlib.import_module(name).rows()
    except DatasetUnavailableError as error:
        return [Skipped(name, str(error).splitlines()[0])]
    return found


def in_fresh_process(name: str) -> list[Record]:
    """Return the same from a process of its own.

    A process that has once freed large blocks keeps such blocks from then on, and a loop that allocates takes half the
    time in it: no benchmark may depend on the one before.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(records_of, name).result()


def run_all(
    names: Sequence[str], measure: Callable[[str], list[Record]] = in_fresh_process
) -> Iterator[Record]:
    """Yield the records of the benchmarks, saying when each starts and ends."""
    for number, name in enumerate(names, start=1):
        print(f"[{number:2}/{len(names)}] {name} starts", flush=True)
        start = time.perf_counter()
        yield from measure(name)
        print(f"[{number:2}/{len(names)}] {name} ends after {time.perf_counter() - start:.0f} s", flush=True)


def table(records: Sequence[Record]) -> str:
    """Return all records as text, one heading for each thing that is measured."""
    lines: list[str] = []
    head = f"{'ours':37} {'peer':33} {'times as fast [range]':24} {'goal':>5} {'floor':>6}"
    for record in records:
        if isinstance(record, Row):
            if not lines or record.what not in lines:
                lines += ["", record.what, f"  {head}"]
            lines += _of_row(record)
        elif isinstance(record, Limit):
            verdict = "MISSED" if record.missed else "holds"
            lines += ["", record.what, f"  {record.ours}: {record.measured:.3g} {record.unit}".rstrip()
                      + f", at most {record.at_most:g}: {verdict}"]  # fmt: skip
        elif isinstance(record, Growth):
            power = f"{record.exponent:.2f} [{record.low:.2f}, {record.high:.2f}], theory {record.theory:g}"
            lines += ["", f"{record.what}: cost ~ {record.size} to the power of {power}"]
        else:
            lines += ["", f"{record.what}: SKIPPED, {record.reason}"]
        if not isinstance(record, Skipped) and record.note:
            lines.append(f"    {record.note}")
    return "\n".join(lines)


def _of_row(row: Row) -> list[str]:
    goal = "" if row.goal is None else f"{row.goal:g}"
    floor = "" if row.floor is None else f"{row.floor:.1f}"
    spread = f"{row.ratio:.2f} [{row.low:.2f}, {row.high:.2f}]"
    verdict = "  MISSED" if row.missed else ""
    return [f"  {row.ours:37} {row.peer_label:33} {spread:24} {goal:>5} {floor:>6}{verdict}"]


def as_json(records: Sequence[Record], machine: dict[str, object]) -> str:
    """Return the file of results: the machine, then the records by their kind."""
    kinds = {"rows": Row, "limits": Limit, "growth": Growth, "skipped": Skipped}
    listed = {
        name: [asdict(record) for record in records if isinstance(record, kind)]
        for name, kind in kinds.items()
    }
    return json.dumps({"machine": machine, **listed}, indent=1) + "\n"


def main(names: Sequence[str]) -> int:
    """Run the benchmarks named, or all; return 1 where a goal is missed, 2 where a name is unknown."""
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"there is no benchmark {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}.")
        return 2
    machine = describe_machine()
    records = list(run_all(names or BENCHMARKS))
    print(table(records))
    if not names:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "latest.json").write_text(as_json(records, machine), encoding="utf-8")
        draw_growth([record for record in records if isinstance(record, Growth)], RESULTS / "scaling.svg")
    return int(any(isinstance(record, Row | Limit) and record.missed for record in records))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
