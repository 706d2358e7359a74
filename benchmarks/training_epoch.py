"""What does one epoch cost? Our loop beside the per-image recipe of many tutorials, on the network of the sources.

Both sides train 784-512-256-256-128-10 for one epoch over 50,000 images of Fashion-MNIST and then validate on 10,000.
The recipe (row S0-055 and its neighbours) is written anew from its description: a torchvision data set that turns and
normalises one image at a time, a DataLoader, an Adam that allocates a tensor for every operation, three `.item()` a
step. Ours is `course_utils.training.train` on tensors in memory. The floor is the matrix products of the epoch. Run it
with OMP_NUM_THREADS=1; BENCH_ROUNDS sets the number of rounds.
"""

import itertools
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from networks import FLOORS, fashion, fashion_folder, half_precision_note
from optimizer_step import WIDTHS, TextbookAdam
from records import Record, compare, label_of
from timing import interleave
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, random_split

from course_utils.models import MLP
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator
from course_utils.training import has_fast_bfloat16, train
from course_utils.training.loop import EVALUATION_BATCH

GOALS = {256: (2.3, 5.0), 64: (3.0, 5.0)}  # batch size -> ratio wanted in float32 and with bfloat16
NUM_TRAIN, NUM_VALIDATION = 50_000, 10_000
MEAN, STD = 0.2860, 0.3530  # of Fashion-MNIST's training images, as the recipe has them
OURS, FUSED, HALF = "train, course_utils Adam", "train, torch fused Adam", "train, torch fused Adam, bfloat16"


NOTES = {
    OURS: "ten Python calls a step, which small batches feel; the compiled form of optimizer_step.py has one",
    FUSED: "",
}


class Recipe:
    """The peer: everything one image, one parameter, one number at a time."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        from torchvision import transforms
        from torchvision.datasets import FashionMNIST

        each = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
        images = FashionMNIST(str(folder), train=True, transform=each)
        train_set, val_set = random_split(images, [NUM_TRAIN, NUM_VALIDATION], make_generator(42))
        self.train_loader = DataLoader(train_set, batch_size, shuffle=True, generator=make_generator(0))
        self.val_loader = DataLoader(val_set, batch_size)
        self.model = MLP(WIDTHS, generator=make_generator(0))
        self.optimizer = TextbookAdam(list(self.model.parameters()))

    def epoch(self) -> float:
        """Train and validate once; return the validation accuracy."""
        self.model.train()
        losses, correct, shown = [], 0.0, ""
        for x, y in self.train_loader:
            self.model.zero_grad()
            logits = self.model(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            correct += (logits.argmax(1) == y).sum().item()
            losses.append(loss.item())
            shown = f"loss {loss.item():6.3f}"  # what its progress bar says
        assert shown
        return self.validate()

    @torch.no_grad()
    def validate(self) -> float:
        """Return the validation accuracy."""
        self.model.eval()
        correct = sum((self.model(x).argmax(1) == y).sum().item() for x, y in self.val_loader)
        return float(correct) / NUM_VALIDATION


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
        "recipe of S0": Recipe(fashion_folder(), batch_size).epoch,
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
        seconds = measure(batch_size, int(os.environ.get("BENCH_ROUNDS", "3")))
        records += [
            compare(seconds, what=f"training epoch with validation, batch {batch_size}", peer="recipe of S0",
                    peer_version=label_of("torchvision"), ours=name, goal=goal_half if name == HALF else goal,
                    floor=FLOORS[name == HALF],
                    note=NOTES.get(name, half_precision_note(seconds)))
            for name in (OURS, FUSED, HALF) if name in seconds
        ]  # fmt: skip
    return records


if __name__ == "__main__":
    for record in rows():
        print(record)
