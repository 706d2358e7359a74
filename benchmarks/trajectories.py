"""What does one path on a surface cost? Many runs as one batched tensor, beside a loop that walks one run at a time.

The peer is the usual way (row S0-080): a parameter of two numbers, a forward pass, `backward()`, a step, and a
record with `.item()`, a hundred times. Ours is `course_utils.landscapes.trajectories`. Both walk the ravine with Adam.
The floor is the gradient at every step, without rule and record. Run it with OMP_NUM_THREADS=1:
`python benchmarks/trajectories.py`.
"""

from collections.abc import Callable
from functools import partial

import torch
from records import Record, compare, label_of
from timing import interleave, ratio_of
from torch import nn

from course_utils.landscapes import trajectories
from course_utils.objectives import RAVINE
from course_utils.optimizers import RULES
from course_utils.seeding import make_generator
from course_utils.speedrun import TextbookAdam

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
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return path


def make_starts(number: int) -> torch.Tensor:
    """Return points of the square on which the ravine is drawn."""
    return 10 * torch.rand(number, 2, generator=make_generator(0), dtype=torch.float64) - 5


def only_gradients(number: int) -> None:
    """Take as many gradients at as many points, and nothing else: the floor of any batched walk."""
    w = make_starts(number).requires_grad_()
    for _ in range(NUM_STEPS):
        values = RAVINE(w)
        torch.autograd.grad(values, w, torch.ones_like(values))


def walk_all(number: int) -> torch.Tensor:
    """Walk `number` paths at once, with ours."""
    return trajectories(RULES["Adam"], RAVINE, make_starts(number), [1.0], NUM_STEPS)


def measure(rounds: int = 25) -> dict[str, list[float]]:
    """Return CPU seconds per PATH of both ways, one number a round; of nine rounds the median moved by 4 %."""
    walks: dict[str, Callable[[], object]] = {"one run at a time": partial(walk_one, make_starts(1)[0])}
    for number in GOALS:
        walks[f"trajectories, {number:,} at once"] = partial(walk_all, number)
        walks[f"gradients of {number:,}"] = partial(only_gradients, number)
    seconds = interleave(walks, rounds, calls=5)
    paths = [1, *(number for number in GOALS for _ in range(2))]
    return {name: [s / n for s in values] for (name, values), n in zip(seconds.items(), paths, strict=True)}


def rows() -> list[Record]:
    """Return a row per batch size."""
    torch.set_num_threads(1)
    seconds = measure()
    return [row(seconds, number, goal) for number, goal in GOALS.items()]


def row(seconds: dict[str, list[float]], number: int, goal: float) -> Record:
    """Return the row of so many paths at once."""
    peer, ours = "one run at a time", f"trajectories, {number:,} at once"
    whole = number / ratio_of(seconds, peer=peer, ours=ours).median
    return compare(seconds, what=f"one path of {NUM_STEPS} Adam steps", peer=peer, peer_version=label_of("torch"),
                   ours=ours, goal=goal, floor=f"gradients of {number:,}",
                   note=f"all {number:,} together take {whole:.1f} times as long as the one")  # fmt: skip


if __name__ == "__main__":
    for record in rows():
        print(record)
