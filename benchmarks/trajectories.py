"""What does one path on a surface cost? Many runs as one batched tensor, beside a loop that walks one run at a time.

The peer is the usual way (row S0-080): a parameter of two numbers, a forward pass, `backward()`, a step, and a
record with `.item()`, a hundred times. Ours is `course_utils.landscapes.trajectories`. Both walk the ravine with Adam.
Run it with OMP_NUM_THREADS=1: `python benchmarks/trajectories.py`.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether run as a file or imported by run.py

from optimizer_step import TextbookAdam
from timing import interleave, ratio_of

from course_utils.landscapes import trajectories
from course_utils.objectives import RAVINE
from course_utils.optimizers import RULES
from course_utils.seeding import make_generator

NUM_STEPS = 100
GOALS = {64: 50.0, 1024: 600.0}  # times faster per path, by the number of paths


def walk_one(start: torch.Tensor) -> list[tuple[float, float, float]]:
    """Walk one path from `start` and return its points, recorded before each step."""
    w = nn.Parameter(start.clone())
    optimizer = TextbookAdam([w], lr=1.0)
    path = []
    for _ in range(NUM_STEPS):
        loss = RAVINE(w)
        path.append((w[0].item(), w[1].item(), loss.item()))
        w.grad = None
        loss.backward()
        optimizer.step()
    return path


def make_starts(number: int) -> torch.Tensor:
    """Return points of the square on which the ravine is drawn."""
    return 10 * torch.rand(number, 2, generator=make_generator(0), dtype=torch.float64) - 5


def measure(rounds: int = 9) -> dict[str, list[float]]:
    """Return CPU seconds per PATH of both ways, one number a round."""
    walks: dict[str, Callable[[], object]] = {"one at a time": partial(walk_one, make_starts(1)[0])}
    for number in GOALS:
        walks[str(number)] = partial(
            trajectories, RULES["Adam"], RAVINE, make_starts(number), [1.0], NUM_STEPS
        )
    seconds = interleave(walks, rounds, calls=5)
    return {
        name: [s / int(name) if name.isdigit() else s for s in values] for name, values in seconds.items()
    }


def rows() -> list[dict[str, object]]:
    """Return one record per batch size: what, peer, ours, ratio, low, high, goal."""
    torch.set_num_threads(1)
    seconds = measure()
    records: list[dict[str, object]] = []
    for number, goal in GOALS.items():
        ratio = ratio_of(seconds, peer="one at a time", ours=str(number))
        records.append({"what": f"one path of {NUM_STEPS} Adam steps", "peer": "one run at a time",
                        "ours": f"trajectories, {number} at once", "ratio": ratio.median, "low": ratio.low,
                        "high": ratio.high, "goal": goal})  # fmt: skip
    return records


if __name__ == "__main__":
    for row in rows():
        print(
            f"{row['ours']:>28}: {row['ratio']:.0f} [{row['low']:.0f}, {row['high']:.0f}]   goal >= {row['goal']:.0f}"
        )
