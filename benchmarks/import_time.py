"""What does `import course_utils` cost on top of `import torch`? Measured in fresh processes, as CPU seconds."""

import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether run as a file or imported by run.py

from timing import ratio_of

_BODY = """
import time, torch
start = time.process_time()
import course_utils, course_utils.training, course_utils.landscapes, course_utils.initializers
print(time.process_time() - start)
"""
_TORCH = "import time; start = time.process_time(); import torch; print(time.process_time() - start)"
LIMIT = 0.1  # seconds that our import may add


def seconds_of(body: str) -> float:
    """Return what a fresh interpreter prints."""
    command = [sys.executable, "-c", body]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(rounds: int = 5) -> dict[str, list[float]]:
    """Return CPU seconds of both imports, one number a round; the first round warms the file cache and is dropped."""
    seconds = [(seconds_of(_TORCH), seconds_of(_BODY)) for _ in range(rounds + 1)][1:]
    return {"torch": [s[0] for s in seconds], "course_utils": [s[1] for s in seconds]}


def rows() -> list[dict[str, object]]:
    """Return one record: how many times longer torch takes to import than what we add to it."""
    seconds = measure()
    ratio = ratio_of(seconds, peer="torch", ours="course_utils")
    goal = statistics.median(seconds["torch"]) / LIMIT
    return [{"what": "import, on top of torch", "peer": "import torch", "ours": "import course_utils",
             "ratio": ratio.median, "low": ratio.low, "high": ratio.high,
             "goal": round(goal, 1)}]  # fmt: skip


if __name__ == "__main__":
    for name, values in measure().items():
        print(f"import {name:14} {statistics.median(values):.3f} s CPU")
