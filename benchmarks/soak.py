"""What is left behind when the whole course runs again and again? Memory of the runner, processes, files, results.

One process runs `course run` several times in a row. It takes an hour, writes results/soak.json and results/soak.svg,
and is no part of `make bench`:

    python benchmarks/soak.py                (--times 2 01 to try it: with other arguments than none it stores nothing)
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import matplotlib.pyplot as plt
import psutil
from run import describe_machine

from course_utils.authoring.cli import main as course
from course_utils.plotting._base import STYLE

RESULTS = Path(__file__).resolve().parent / "results"
BUILD = Path(__file__).resolve().parents[1] / "build" / "executed"
TIMES = 10
Row = dict[str, Any]


def soak(times: int, notebooks: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Run the course so many times in this process; return what was there after each run, and the claims that differed.

    Claims that measure time differ from run to run, and no others should.
    """
    rows: list[Row] = []
    first: list[Any] = []
    changed: set[str] = set()
    others = scratch_folders()  # of whatever else runs on this machine
    for number in range(1, times + 1):
        start = time.perf_counter()
        code = course(["run", *notebooks])
        claims = json.loads((BUILD.parent / "claims.json").read_text(encoding="utf-8"))
        first = first or claims
        differing = differences(first, claims)
        changed |= differing
        rows.append({"run": number, "exit code": code, "minutes": round((time.perf_counter() - start) / 60, 1),
                     "claims": len(claims), "claims that differ from the first run": len(differing),
                     **left_behind(), "scratch folders left": len(scratch_folders() - others)})  # fmt: skip
        print(*(f"{name} {value}" for name, value in rows[-1].items()), sep=", ", flush=True)
    return rows, sorted(changed)


def left_behind() -> Row:
    """Count what outlives a run: memory of this process, its threads, files and children, and what the build holds."""
    process = psutil.Process()
    files = [path for path in BUILD.parent.rglob("*") if path.is_file()]
    return {"megabytes of the runner": round(process.memory_info().rss / 2**20), "threads": process.num_threads(),
            "open files": process.num_fds() if hasattr(process, "num_fds") else len(process.open_files()),
            "processes left": len(process.children(recursive=True)), "files in build": len(files),
            "megabytes in build": round(sum(path.stat().st_size for path in files) / 2**20, 1)}  # fmt: skip


def scratch_folders() -> set[Path]:
    """Return the folders that a run makes for its kernels and removes again."""
    return set(Path(tempfile.gettempdir()).glob("course-*"))


def differences(first: Sequence[Row], second: Sequence[Row]) -> set[str]:
    """Return which claims of two runs differ, in any digit of anything that was recorded of them."""
    return {a["id"] for a, b in zip(first, second, strict=True) if a != b}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the memory of the runner after each run; the same bytes for the same data."""
    memory = [row["megabytes of the runner"] for row in rows]
    with plt.style.context([STYLE, {"svg.hashsalt": "soak", "svg.fonttype": "none"}]):
        fig, ax = plt.subplots(figsize=(8, 4))
        ax.plot([row["run"] for row in rows], memory, marker="o")
        ax.axhline(memory[0], color="0.4", linestyle="--", linewidth=1.2)
        ax.annotate(
            "after the first run", (1, memory[0]), xytext=(0, -16), textcoords="offset points", color="0.3"
        )
        ax.set(xlabel="run of the whole course", ylabel="memory of the runner (MB)", ylim=(0, 1.25 * max(memory)),
               xticks=range(1, len(rows) + 1), title="The course, again and again: the runner's memory")  # fmt: skip
        fig.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(fig)


def main() -> int:
    """Soak, store what a full run measured, and return 1 if a run failed or a process was left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("notebooks", nargs="*")
    options = parser.parse_args()
    machine = describe_machine()
    rows, changed = soak(options.times, options.notebooks)
    if options.times == TIMES and not options.notebooks:
        stored = {"machine": machine, "rows": rows, "claims that differed": changed}
        (RESULTS / "soak.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        draw(rows, RESULTS / "soak.svg")
    bad = ("exit code", "processes left")
    return int(any(row[name] for row in rows for name in bad))


if __name__ == "__main__":
    sys.exit(main())
