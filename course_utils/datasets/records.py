"""What is a data set to a training loop? Three splits of uint8 images in memory, and one pair of numbers to scale them.

Images are normalised as whole tensors, once, and not one by one in every epoch: a batch is then an index into a tensor.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from course_utils._checks import check_choice

_CHUNK = 256  # images counted at a time: bincount makes int64 of them, which then stay in a CPU's cache


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes, in a fixed order.

    `images` has shape (N, C, H, W) and dtype uint8, 0 to 255; `labels` has shape (N,) and dtype int64.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield images, then labels, so that `images, labels = data.train` works."""
        return iter((self.images, self.labels))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits of one data set, and the names of its classes (`classes[label]`)."""

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return _mean_and_std(self.train.images)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean pixel of the training split, one number a channel, on the scale where 255 is 1."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of the training split's pixels (divided by their number), as `mean`."""
        return self._moments[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def split(self, name: str) -> Split:
        """Return the split called "train", "val" or "test". Raises: ValueError: if there is no such split."""
        check_choice("split", name, ("train", "val", "test"))
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    def tensors(
        self, split: str, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        r"""Return (x, y) of a split, each image one normalised row.

        .. math:: x = \frac{\text{pixel}/255 - \text{mean}}{\text{std}},

        with mean and std of the TRAINING split whatever the split: validation and test images are scaled by what was
        known before they were seen.

        Args:
            split: "train", "val" or "test".
            device: where the tensors are to live; images travel as uint8, a quarter of the bytes.
            dtype: of x; y is int64.
        Returns: x of shape (N, C * H * W) and y of shape (N,), new tensors.
        """
        images, labels = self.split(split)
        x = images.to(device).to(dtype).flatten(2)  # (N, C, H * W)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            x[:, channel].sub_(255 * mean).div_(255 * std)
        return x.flatten(1), labels.to(device, copy=True)


def _mean_and_std(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std of uint8 images per channel, from counts of the 256 values: exact, so the same everywhere."""
    values = torch.arange(256, dtype=torch.float64)
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.zeros(256, dtype=torch.float64)
        for start in range(0, len(channel), _CHUNK):
            counts += torch.bincount(channel[start : start + _CHUNK].flatten(), minlength=256)
        mean = float(counts @ values) / channel.numel()
        mean_square = float(counts @ values.square()) / channel.numel()
        means.append(mean / 255)
        stds.append(math.sqrt(mean_square - mean**2) / 255)
    return tuple(means), tuple(stds)
