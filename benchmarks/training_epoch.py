"""What does one epoch cost? Our loop beside the per-image recipe of many tutorials, on the network of the sources.

Both sides train 784-512-256-256-128-10 with batches of 256 for one epoch over 50,000 images of Fashion-MNIST and then
validate on 10,000. The recipe (row S0-055 and its neighbours) is written anew from its description: a torchvision data
set that turns and normalises one image at a time, a DataLoader, an Adam that allocates a tensor for every operation,
three `.item()` a step. Ours is `course_utils.training.train` on tensors in memory. Run it with OMP_NUM_THREADS=1.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, random_split

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether run as a file or imported by run.py

from optimizer_step import WIDTHS, TextbookAdam
from timing import interleave, ratio_of

from course_utils.datasets import DatasetUnavailableError, load
from course_utils.datasets.storage import folders
from course_utils.models import MLP
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator
from course_utils.training import has_fast_bfloat16, train

BATCH_SIZE = 256
MEAN, STD = 0.2860, 0.3530  # of Fashion-MNIST's training images, as the recipe has them


def fashion_folder() -> Path:
    """Return the folder that holds Fashion-MNIST as torchvision unpacks it."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "datasets"
    for folder in (*folders(), beside):
        if (folder / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return folder
    raise DatasetUnavailableError("Fashion-MNIST is not on this machine; name its folder in COURSE_DATA.")


class Recipe:
    """The peer: everything one image, one parameter, one number at a time."""

    def __init__(self, folder: Path) -> None:
        from torchvision import transforms
        from torchvision.datasets import FashionMNIST

        each = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
        images = FashionMNIST(str(folder), train=True, transform=each)
        train_set, val_set = random_split(images, [50_000, 10_000], make_generator(42))
        self.train_loader = DataLoader(train_set, BATCH_SIZE, shuffle=True, generator=make_generator(0))
        self.val_loader = DataLoader(val_set, BATCH_SIZE)
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
            loss.backward()
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
        return float(correct) / 10_000


def our_epoch(
    data: tuple[torch.Tensor, torch.Tensor],
    validation: tuple[torch.Tensor, torch.Tensor],
    make_optimizer: Callable[[list[nn.Parameter]], Optimizer],
    autocast: bool = False,
) -> Callable[[], float]:
    """Return a function that trains a network of ours for one more epoch and returns its validation accuracy."""
    model, generator = MLP(WIDTHS, generator=make_generator(0)), make_generator(0)
    optimizer = make_optimizer(list(model.parameters()))

    def epoch() -> float:
        history = train(model, data, optimizer, num_epochs=1, batch_size=BATCH_SIZE, generator=generator,
                        validation=validation, autocast=autocast)  # fmt: skip
        return history.epochs[-1].val_accuracy

    return epoch


def measure(rounds: int = 5) -> dict[str, list[float]]:
    """Return CPU seconds per epoch of every variant, one number a round."""
    folder = fashion_folder()
    data = load("fashion-mnist", root=folder, download=False)
    ours = partial(our_epoch, data.tensors("train"), data.tensors("val"))
    fused = partial(torch.optim.Adam, fused=True)
    epochs = {
        "recipe": Recipe(folder).epoch,
        "our loop, course_utils Adam": ours(Adam),
        "our loop, torch fused Adam": ours(fused),
    }
    if has_fast_bfloat16():
        epochs["our loop, torch fused Adam, bfloat16"] = ours(fused, autocast=True)
    return interleave(epochs, rounds)


def rows() -> list[dict[str, object]]:
    """Return one record per variant of ours: what, peer, ours, ratio, low, high, goal."""
    torch.set_num_threads(1)
    seconds = measure(int(os.environ.get("BENCH_ROUNDS", "5")))
    records: list[dict[str, object]] = []
    for name in list(seconds)[1:]:
        ratio = ratio_of(seconds, peer="recipe", ours=name)
        records.append({"what": "training epoch, batch 256, with validation", "peer": "per-image recipe",
                        "ours": name, "ratio": ratio.median, "low": ratio.low, "high": ratio.high,
                        "goal": 5.0 if "bfloat16" in name else 2.3})  # fmt: skip
    return records


if __name__ == "__main__":
    for row in rows():
        print(
            f"{row['ours']:>38}: {row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]   goal >= {row['goal']}"
        )
