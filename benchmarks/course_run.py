"""How long does the whole course take? `course run`, two notebooks at a time, in wall seconds.

It takes minutes, so that it is run by itself, on an idle machine: `python benchmarks/course_run.py` runs the course and
stores the time in results/course.json, which `rows()` reads.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from records import Limit, Record, Skipped

STORED = Path(__file__).resolve().parent / "results" / "course.json"
COMMAND = "python benchmarks/course_run.py"
AT_MOST = 12.0  # minutes on two cores
WHAT = "the whole course, make run"


def rows() -> list[Record]:
    """Return the stored time, or that there is none."""
    try:
        stored = json.loads(STORED.read_text(encoding="utf-8"))
    except OSError:
        return [Skipped(WHAT, f"no time is stored; measure it with `{COMMAND}`")]
    note = f"measured on {stored['date']}, {stored['cores']} cores, load {stored['load']} before"
    return [Limit(WHAT, "course run", stored["minutes"], AT_MOST, "wall minutes", note)]


def main() -> int:
    """Run the course and store the minutes; where a notebook fails, store nothing and return its exit code."""
    from run import describe_machine

    machine = describe_machine()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    command = [sys.executable, "-m", "course_utils.authoring.cli", "run"]
    code = subprocess.run(command, env=environment, check=False).returncode
    if code == 0:
        minutes = round((time.perf_counter() - start) / 60, 1)
        STORED.write_text(json.dumps({**machine, "minutes": minutes}, indent=1) + "\n", encoding="utf-8")
        print(f"{WHAT}: {minutes} minutes")
    return code


if __name__ == "__main__":
    sys.exit(main())
