"""The page on clusters: its text stands in site/cluster.md, its numbers in benchmarks/results/scale-out.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.authoring.site.tables import filled, simple_table

_NAP = 0.5  # seconds, of the long job in benchmarks/scale_out.py
_MEASURED = ("what", "where", "jobs", "seconds", "ms a job")
_BEST = ("data set", "optimizer", "learning rate", "test accuracy, 95 %", "seeds")


def cluster_page(text: str, results: Path) -> str:
    """Return the page with its numbers filled in.

    Raises: CourseError: if a number is asked for that was not measured, or one was measured and is not asked for.
    """
    return filled(text, _values(json.loads(results.read_text(encoding="utf-8"))), "cluster.md")


def _values(stored: Mapping[str, Any]) -> dict[str, str]:
    seconds = {(row["what"], row["where"]): row["seconds"] for row in stored["rows"]}
    jobs = {(row["what"], row["where"]): row["jobs"] for row in stored["rows"]}
    tiny, nap = ("empty job", "2 Dask workers"), (f"job of {_NAP} s", "2 Dask workers")
    one, two, four = (
        seconds["training", f"{number}"] for number in ("1 Dask worker", "2 Dask workers", "4 Dask workers")
    )
    killed = stored["killed"]
    return {
        "num_jobs": f"{killed['jobs']:,}",
        "measured": simple_table(_MEASURED, map(_measured, stored["rows"])),
        "empty_microseconds": f"{1e6 * seconds[tiny] / jobs[tiny]:.0f}",
        "nap_milliseconds": f"{1e3 * (2 * seconds[nap] / jobs[nap] - _NAP):.0f}",  # two of them at a time
        "two_by_one": f"{one / two:.2f}",
        "four_by_two": f"{two / four:.2f}",
        "cores": f"{stored['machine']['cores']}",
        "load": stored["machine"]["load"],
        "megabytes": f"{killed['megabytes of a worker']}",
        "killed": _killed(killed),
        "best": simple_table(_BEST, map(_best, stored["best"])),
        "machine": ", ".join(f"{name} {value}" for name, value in stored["machine"].items()),
    }  # fmt: skip


def _killed(killed: Mapping[str, Any]) -> str:
    return (
        f"A worker was killed when {killed['lines when a worker was killed']} of the {killed['jobs']:,} trainings had "
        f"ended. Of these {killed['of these lost']} were lost; in the end the file had {killed['lines at the end']:,} "
        f"lines, and {killed['records that differ from those of one process']} records differed from those of one "
        "process, in any digit."
    )


def _measured(row: Mapping[str, Any]) -> Sequence[str]:
    each = 1e3 * row["seconds"] / row["jobs"]
    return row["what"], row["where"], f"{row['jobs']:,}", f"{row['seconds']:.2f}", f"{each:.3g}"


def _best(row: Mapping[str, Any]) -> Sequence[str]:
    accuracy = f"{100 * row['test_accuracy']:.1f} ± {100 * row['half_width']:.1f} %"
    return row["dataset"], row["optimizer"], f"{row['lr']:g}", accuracy, f"{row['seeds']}"
