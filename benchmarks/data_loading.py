"""How long until the images are there? Our reader beside torchvision's, each in fresh processes.

Timed is what a notebook waits for after `import torch`: imports, reading Fashion-MNIST, and all 70,000 images as
normalised float32. Ours also compares every file with its hash and divides the training images; torchvision does
neither. The floor reads the bytes and makes them float32, in NumPy's large pages of memory, as ours does. CPU seconds
of the child process, one thread. Each process writes to as much memory as it will need and gives it back before the
clock starts: a virtual machine fetches memory from its host at the first write, and without this the ratio was 6 to 12.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

from networks import fashion_folder
from records import Record, compare, label_of

_MEMORY = 400_000_000  # bytes; ours needs 55 MB of files, 55 MB of images and 220 MB of floats
_TIMED = """
import sys, time, numpy, torch
torch.set_num_threads(1)
torch.ones(8).sum()
numpy.ones({memory}, numpy.uint8)
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
_BYTES = """
import numpy, pathlib
files = sorted(pathlib.Path(sys.argv[1], "FashionMNIST", "raw").glob("*-ubyte"))
tensors = [torch.from_numpy(numpy.fromfile(file, numpy.uint8).astype(numpy.float32)) for file in files]
"""


def seconds_of(body: str, folder: Path) -> float:
    """Return the CPU seconds that `body` takes in a new interpreter that has imported torch."""
    command = [sys.executable, "-c", _TIMED.format(body=body, memory=_MEMORY), str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(rounds: int = 5) -> dict[str, list[float]]:
    """Return CPU seconds of every reader, one number a round; the first round warms the file cache and is dropped."""
    folder = fashion_folder()
    bodies = {"torchvision": _TORCHVISION, 'load("fashion-mnist")': _OURS, 'load("mnist-5k")': _EMBEDDED,
              "bytes": _BYTES}  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in bodies}
    for round_number in range(rounds + 1):
        for name in list(bodies)[:: 1 if round_number % 2 else -1]:
            taken = seconds_of(bodies[name], folder)
            if round_number:
                seconds[name].append(taken)
    return seconds


def rows() -> list[Record]:
    """Return a row per set of ours."""
    seconds = measure()
    compare_with_torchvision = partial(
        compare, seconds, peer="torchvision", peer_version=label_of("torchvision")
    )
    return [
        compare_with_torchvision(
            what="Fashion-MNIST ready in memory, first call", ours='load("fashion-mnist")', goal=10.0, floor="bytes",
            note="ours includes the hashes and the split, each a pass over the bytes, which the peer leaves out"),
        compare_with_torchvision(
            what="5,000 digits ready, beside torchvision's 70,000 images", ours='load("mnist-5k")',
            note="what a lesson waits for; another set, so no goal"),
    ]  # fmt: skip


if __name__ == "__main__":
    for record in rows():
        print(record)
