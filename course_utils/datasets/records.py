"""What is a data set to a training loop? Three splits of uint8 images in memory, and one pair of numbers to scale them.

Images are normalised as whole tensors, once, and not one by one in every epoch: a batch is then an index into a tensor.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from course_utils._checks import check_choice, check_labels, check_shape, naming
from course_utils._types import checked

Moments = tuple[tuple[float, ...], tuple[float, ...]]  # means and standard deviations, one number a channel

_CHUNK = 256  # images that are counted or scaled at a time: what is made of them stays in a CPU's cache
_CACHE_LINE = 64  # bytes; where torch's own tensors begin


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes, in a fixed order.

    `images` has shape (N, C, H, W) and dtype uint8, 0 to 255; `labels` has shape (N,) and dtype int64.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        _check_split(self.images, self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield images, then labels, so that `images, labels = data.train` works."""
        return iter((self.images, self.labels))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits of one data set, and the names of its classes (`classes[label]`).

    `known_moments` saves a pass over the pixels where the digests of the files fix them; None counts the pixels.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    known_moments: Moments | None = None

    def __post_init__(self) -> None:
        _check_dataset(self.name, self.train, self.val, self.test, self.classes, self.known_moments)

    @cached_property
    def _moments(self) -> Moments:
        return self.known_moments or mean_and_std(self.train.images)

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

    @checked
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
        Raises: ValueError: if there is no such split or device, dtype is not of real numbers, or a channel of the
            training images is the same everywhere.
        """
        if not dtype.is_floating_point:
            raise ValueError(f"dtype must be one of real numbers, such as torch.float32, got dtype={dtype}.")
        if not all(std > 0 for std in self.std):
            raise ValueError(f"{self.name} cannot be scaled: in train, a channel is the same everywhere.")
        images, labels = self.split(split)
        with naming(f"device={device!r}"):
            pixels = images.to(device).flatten(2)  # (N, C, H * W)
        x = _empty(pixels.shape, dtype, pixels.device)
        for rows, some in zip(torch.split(x, _CHUNK), torch.split(pixels, _CHUNK), strict=True):
            rows.copy_(some)
            for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
                rows[:, channel].sub_(255 * mean).div_(255 * std)
        return x.flatten(1), labels.to(device, copy=True)


def _empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a new tensor whose entries are yet to be written; on a CPU its memory is NumPy's.

    At the first write to each page of new memory the kernel steps in, and for a whole data set that takes longer than
    the arithmetic. NumPy asks Linux for pages of 2 MB where torch takes 4 kB. The first entry lies at the start of a
    cache line, as in torch's own tensors: elsewhere, a product could round its sums differently.

    Source: NumPy reference, "Global state", on madvise and huge pages.
    """
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    size = math.prod(shape) * dtype.itemsize
    memory = torch.from_numpy(np.empty(size + _CACHE_LINE, np.uint8))
    start = -memory.data_ptr() % _CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@checked
def _check_split(images: Tensor, labels: Tensor) -> None:
    _check_images(images)
    check_shape("labels, one for each of the images,", labels.shape, (len(images),))
    if labels.dtype is not torch.int64:
        raise TypeError(f"labels must be class numbers, int64, got {labels.dtype}: use labels.long().")


def _check_images(images: Tensor) -> None:
    check_shape("images", images.shape, (None, None, None, None))
    if images.dtype is not torch.uint8:
        raise TypeError(f"images must be bytes, uint8 from 0 to 255, got {images.dtype}.")


@checked
def _check_dataset(
    name: str, train: Split, val: Split, test: Split, classes: tuple[str, ...], known_moments: Moments | None
) -> None:
    for words, split in (("train", train), ("val", val), ("test", test)):
        check_shape(f"{words}.images", split.images.shape, (None, *train.images.shape[1:]))
        check_labels(f"{words}.labels, by the classes,", split.labels, len(classes))
    channels = train.images.shape[1]
    for numbers in known_moments or ():
        if len(numbers) != channels or not all(0 <= number <= 1 for number in numbers):
            raise ValueError(
                f"known_moments needs {channels} means and standard deviations in [0, 1], got {known_moments}."
            )


@checked
def mean_and_std(images: Tensor) -> Moments:
    """Return mean and std of uint8 images per channel, from counts of the 256 values: exact, so the same everywhere.

    Raises: ValueError: if `images` is not of shape (N, C, H, W) or is empty. TypeError: if it is not of uint8.
    """
    _check_images(images)
    if not images.numel():
        raise ValueError(f"images must hold at least one pixel, got shape {tuple(images.shape)}.")
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
