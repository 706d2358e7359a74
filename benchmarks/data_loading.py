"""How long until the images are there? Our reader beside torchvision's, each in fresh processes.

Timed is what a notebook waits for after `import torch`: imports, reading Fashion-MNIST, and all 70,000 images as
normalised float32. Ours also compares every file with its hash and divides the training images; torchvision does
neither. CPU seconds of the child process, one thread.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether run as a file or imported by run.py

from timing import ratio_of
from training_epoch import fashion_folder

_TIMED = """
import sys, time, torch
torch.set_num_threads(1)
torch.ones(8).sum()
start = time.process_time()
{body}
print(time.process_time() - start)
"""
_TORCHVISION = """
from torchvision.datasets import FashionMNIST
tensors = [(s.data.float().flatten(1).div_(255).sub_(0.286).div_(0.353), s.targets)
           for s in (FashionMNIST(sys.argv[1], train=True), FashionMNIST(sys.argv[1], train=False))]
"""
_OURS = """
from course_utils.datasets import load
data = load("fashion-mnist", root=sys.argv[1], download=False)
tensors = [data.tensors(split) for split in ("train", "val", "test")]
"""
_EMBEDDED = """
from course_utils.datasets import load
data = load("mnist-5k")
tensors = [data.tensors(split) for split in ("train", "val", "test")]
"""


def seconds_of(body: str, folder: Path) -> float:
    """Return the CPU seconds that `body` takes in a new interpreter that has imported torch."""
    command = [sys.executable, "-c", _TIMED.format(body=body), str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(rounds: int = 5) -> dict[str, list[float]]:
    """Return CPU seconds of every reader, one number a round; the first round warms the file cache and is dropped."""
    folder = fashion_folder()
    bodies = {"torchvision": _TORCHVISION, "fashion-mnist": _OURS, "mnist-5k": _EMBEDDED}
    seconds: dict[str, list[float]] = {name: [] for name in bodies}
    for round_number in range(rounds + 1):
        for name in list(bodies)[:: 1 if round_number % 2 else -1]:
            taken = seconds_of(bodies[name], folder)
            if round_number:
                seconds[name].append(taken)
    return seconds


def rows() -> list[dict[str, object]]:
    """Return one record per set of ours: what, peer, ours, ratio, low, high, goal."""
    seconds = measure()
    records: list[dict[str, object]] = []
    for name in ("fashion-mnist", "mnist-5k"):
        ratio = ratio_of(seconds, peer="torchvision", ours=name)
        records.append({"what": "images ready, after import torch", "peer": "torchvision, Fashion-MNIST",
                        "ours": f'load("{name}")', "ratio": ratio.median, "low": ratio.low, "high": ratio.high,
                        "goal": None})  # fmt: skip
    return records


if __name__ == "__main__":
    for row in rows():
        print(f"{row['ours']:>24}: {row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
