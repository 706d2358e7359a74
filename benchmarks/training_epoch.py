"""What does one epoch cost? Our loop beside the per-image recipe of many tutorials, on the network of the sources.

Both sides train 784-512-256-256-128-10 for one epoch over 50,000 images of Fashion-MNIST and then validate on 10,000.
The recipe is `course_utils.speedrun.PublishedRecipe`: torchvision's transforms on one image at a time, a DataLoader, an
Adam that allocates a tensor for every operation, three `.item()` a step. Ours is `course_utils.training.train` on
tensors in memory. The floor is the matrix products of the epoch. Run it with OMP_NUM_THREADS=1; BENCH_ROUNDS sets the
number of rounds.
"""

import itertools
import os
from collections.abc import Callable
from functools import partial

import torch
from networks import FLOORS, fashion, half_precision_note, products_note
from records import Record, compare, label_of
from timing import interleave
from torch import nn
from torch.optim import Optimizer

from course_utils.models import MLP
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator
from course_utils.speedrun import WIDTHS, PublishedRecipe
from course_utils.training import has_fast_bfloat16, train
from course_utils.training.evaluation import EVALUATION_BATCH

GOALS = {256: (2.3, 5.0), 64: (3.0, 5.0)}  # batch size -> ratio wanted in float32 and with bfloat16
NUM_TRAIN, NUM_VALIDATION = 50_000, 10_000
OURS, FUSED, HALF = "train, course_utils Adam", "train, torch fused Adam", "train, torch fused Adam, bfloat16"


def our_epoch(
    batch_size: int, make_optimizer: Callable[[list[nn.Parameter]], Optimizer], autocast: bool = False
) -> Callable[[], float]:
    """Return a function that trains a network of ours for one more epoch and returns its validation accuracy."""
    data, validation = fashion().tensors("train"), fashion().tensors("val")
    model, generator = MLP(WIDTHS, generator=make_generator(0)), make_generator(0)
    optimizer = make_optimizer(list(model.parameters()))

    def epoch() -> float:
        history = train(model, data, optimizer, num_epochs=1, batch_size=batch_size, generator=generator,
                        validation=validation, autocast=autocast)  # fmt: skip
        return history.epochs[-1].val_accuracy

    return epoch


def products(batch_size: int, dtype: torch.dtype) -> Callable[[], None]:
    """Return the matrix products of an epoch and its validation, and nothing else: the floor."""
    sizes = list(itertools.pairwise(WIDTHS))
    weights = [torch.randn(n, m, dtype=dtype) for m, n in sizes]
    inputs = {
        rows: [torch.randn(rows, m, dtype=dtype) for m, _ in sizes] for rows in (batch_size, EVALUATION_BATCH)
    }
    deltas = [torch.randn(batch_size, n, dtype=dtype) for _, n in sizes]

    def epoch() -> None:
        for _ in range(NUM_TRAIN // batch_size):
            for number, (h, weight, delta) in enumerate(
                zip(inputs[batch_size], weights, deltas, strict=True)
            ):
                torch.mm(h, weight.T)
                torch.mm(delta.T, h)
                if number:  # nobody asks for the gradient of the images
                    torch.mm(delta, weight)
        for _ in range(NUM_VALIDATION // EVALUATION_BATCH):
            for h, weight in zip(inputs[EVALUATION_BATCH], weights, strict=True):
                torch.mm(h, weight.T)

    return epoch


def measure(batch_size: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU seconds per epoch of every variant, one number a round."""
    fused = partial(torch.optim.Adam, fused=True)
    epochs: dict[str, Callable[[], object]] = {
        "recipe of S0": PublishedRecipe(fashion(), batch_size).epoch,
        OURS: our_epoch(batch_size, Adam),
        FUSED: our_epoch(batch_size, fused),
        FLOORS[0]: products(batch_size, torch.float32),
    }
    if has_fast_bfloat16():
        epochs[HALF] = our_epoch(batch_size, fused, autocast=True)
        epochs[FLOORS[1]] = products(batch_size, torch.bfloat16)
    return interleave(epochs, rounds)


def rows() -> list[Record]:
    """Return a row per batch size and variant of ours."""
    torch.set_num_threads(1)
    records: list[Record] = []
    for batch_size, (goal, goal_half) in GOALS.items():
        seconds = measure(batch_size, int(os.environ.get("BENCH_ROUNDS", "5")))
        records += [
            compare(seconds, what=f"training epoch with validation, batch {batch_size}", peer="recipe of S0",
                    peer_version=label_of("torchvision"), ours=name, goal=goal_half if name == HALF else goal,
                    floor=FLOORS[name == HALF],
                    note=half_precision_note(seconds, FUSED, HALF) if name == HALF else products_note(seconds, name))
            for name in (OURS, FUSED, HALF) if name in seconds
        ]  # fmt: skip
    return records


if __name__ == "__main__":
    for record in rows():
        print(record)
