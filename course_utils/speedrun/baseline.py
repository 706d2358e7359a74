"""Where does the time of a common recipe go? S0's loop, one image, one parameter, one number at a time.

Written anew from its description (rows S0-055 and its neighbours): a torchvision data set that turns and normalizes
one image at a time, a DataLoader, an Adam that allocates a tensor for every operation, three `.item()` a step, a
validation after each epoch. A stopwatch runs along.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils._checks import check_at_least, check_floating, check_positive
from course_utils._types import checked
from course_utils.datasets import Dataset
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.speedrun.rules import WIDTHS


class TextbookAdam:
    """Adam as a book prints it: a loop over parameters that allocates a tensor for every operation.

    Args:
        params: tensors of floating-point numbers, any shapes; as in a book, one that comes twice moves twice.
        lr: learning rate >= 0.
    Raises: ValueError: if lr is negative or no number. TypeError: if a parameter holds no floating-point numbers.
    """

    @checked
    def __init__(self, params: list[Tensor], lr: float = 1e-3) -> None:
        check_positive("lr", lr, strict=False)
        check_floating(**{f"params[{k}]": p for k, p in enumerate(params)})
        self.params, self.lr, self.t = params, lr, 0
        self.m = [torch.zeros_like(p) for p in params]
        self.v = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter once. Raises: ValueError: if one has no gradient; then none has moved."""
        if any(p.grad is None for p in self.params):
            raise ValueError("params must all have a gradient, one has none: call backward() before step().")
        self.t += 1
        for k, p in enumerate(self.params):
            grad: Any = p.grad
            self.m[k] = 0.9 * self.m[k] + (1 - 0.9) * grad
            self.v[k] = 0.999 * self.v[k] + (1 - 0.999) * grad**2
            m_hat = self.m[k] / (1 - 0.9**self.t)
            v_hat = self.v[k] / (1 - 0.999**self.t)
            p.add_(-self.lr * m_hat / (v_hat.sqrt() + 1e-8))


class PublishedRecipe:
    """S0's training of S0's network: `epoch()` trains for one more epoch and validates.

    Args:
        data: with splits "train" and "val" of 28x28 images.
        batch_size: images a step; 256 in S0.
        seed: of the initial weights and of the order of the images.
    Raises: ValueError: if batch_size or seed is out of its range.
    """

    @checked
    def __init__(self, data: Dataset, batch_size: int = 256, seed: int = 0) -> None:
        from torch.utils.data import DataLoader

        check_at_least("batch_size", batch_size, 1)
        train, val = (_OneByOne(data, split) for split in ("train", "val"))
        # a DataLoader takes any object with len() and [index]; its annotation asks for a subclass of Dataset
        loader: Any = partial(DataLoader, batch_size=batch_size, generator=make_generator(seed))
        self.train_loader, self.val_loader = loader(train, shuffle=True), loader(val)
        self.model = MLP(WIDTHS, generator=make_generator(seed))
        self.optimizer = TextbookAdam(list(self.model.parameters()))
        self.num_val = len(val)
        self.step_losses: list[float] = []

    def epoch(self) -> dict[str, float]:
        """Train and validate once; return the CPU seconds of each part, their sum being those of the epoch."""
        watch = _Stopwatch()
        self.model.train()
        correct, shown = 0.0, ""
        for x, y in watch.over(self.train_loader, "images"):
            self.model.zero_grad()
            logits = self.model(x)
            loss = F.cross_entropy(logits, y)
            watch.lap("forward")
            loss.backward()  # type: ignore[no-untyped-call]
            watch.lap("backward")
            self.optimizer.step()
            watch.lap("update")
            correct += (logits.argmax(1) == y).sum().item()
            self.step_losses.append(loss.item())
            shown = f"loss {loss.item():6.3f}"  # what its progress bar says
            watch.lap("bookkeeping")
        if not shown:
            raise ValueError("An epoch needs at least one batch of training images, got none.")
        self.validate()
        watch.lap("validation")
        return dict(watch.seconds)

    @torch.no_grad()
    def validate(self) -> float:
        """Return the validation accuracy."""
        self.model.eval()
        correct = sum((self.model(x).argmax(1) == y).sum().item() for x, y in self.val_loader)
        return float(correct) / self.num_val


class _OneByOne:
    """A split as torchvision serves it: each image becomes a picture, a tensor, a normalized tensor."""

    def __init__(self, data: Dataset, split: str) -> None:
        from torchvision import transforms

        self.images, self.labels = data.split(split)
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        picture = Image.fromarray(self.images[index, 0].numpy())
        return self.transform(picture), int(self.labels[index])


class _Stopwatch:
    """CPU seconds since the last lap, added up by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.seconds[name] += now - self.last
        self.last = now

    def over(self, loader: Any, name: str) -> Iterator[Any]:
        """Yield the batches; what it takes to make them is a lap of its own."""
        for batch in loader:
            self.lap(name)
            yield batch
        self.lap(name)
