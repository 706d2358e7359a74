"""All benchmarks, one table: how many times longer the peer takes, median and range of the single rounds.

`make bench` prints the table and writes benchmarks/results/latest.json with the machine, the versions and the date. A
ratio below its goal ends with exit code 1. Absolute seconds are not kept: they describe a machine, not a design.
"""

import datetime
import importlib
import json
import platform
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

BENCHMARKS = ("optimizer_step", "trajectories", "training_epoch", "data_loading", "import_time")


def describe_machine() -> dict[str, object]:
    """Return what the ratios may depend on: processor, cores, versions; nothing that names the machine."""
    import numpy
    import torch

    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__.partition("+")[0],
        "numpy": numpy.__version__,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Return the model of the processor where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def main() -> int:
    """Run every benchmark, print and write the table; return 1 where a goal is missed."""
    from course_utils.datasets import DatasetUnavailableError

    records: list[dict[str, object]] = []
    for name in BENCHMARKS:
        try:
            records += importlib.import_module(name).rows()
        except DatasetUnavailableError as error:
            print(f"{name} is skipped: {str(error).splitlines()[0]}")
    print(f"{'what':46} {'ours':38} {'peer':28} ratio [range]            goal")
    for row in records:
        goal = "" if row["goal"] is None else f">= {row['goal']:g}"
        spread = f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        print(f"{row['what']:46} {row['ours']:38} {row['peer']:28} {spread:24} {goal}")
    path = FOLDER / "results" / "latest.json"
    path.parent.mkdir(exist_ok=True)
    text = json.dumps({"machine": describe_machine(), "rows": records}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    missed = [row for row in records if row["goal"] is not None and row["ratio"] < row["goal"]]  # type: ignore[operator]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
