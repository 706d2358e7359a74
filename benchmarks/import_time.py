"""What does `import course_utils` cost on top of `import torch`? Measured in fresh processes, as CPU seconds."""

import statistics
import subprocess
import sys

from records import Limit, Record

_BODY = """
import time, torch
start = time.process_time()
import course_utils, course_utils.training, course_utils.landscapes, course_utils.curvature, course_utils.sweeps
print(time.process_time() - start)
"""
_TORCH = "import time; start = time.process_time(); import torch; print(time.process_time() - start)"


def seconds_of(body: str) -> float:
    """Return what a fresh interpreter prints."""
    command = [sys.executable, "-c", body]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(rounds: int = 5) -> dict[str, list[float]]:
    """Return CPU seconds of both imports, one number a round; the first round warms the file cache and is dropped."""
    seconds = [(seconds_of(_TORCH), seconds_of(_BODY)) for _ in range(rounds + 1)][1:]
    return {"torch": [s[0] for s in seconds], "course_utils": [s[1] for s in seconds]}


def rows() -> list[Record]:
    """Return what our import adds."""
    seconds = measure()
    ours, torch = (statistics.median(seconds[name]) for name in ("course_utils", "torch"))
    note = (
        f"[{min(seconds['course_utils']):.3f}, {max(seconds['course_utils']):.3f}]; import torch: {torch:.2f}"
    )
    return [Limit("import, on top of import torch", "import course_utils", ours, 0.1, "CPU seconds", note)]


if __name__ == "__main__":
    for record in rows():
        print(record)
