"""Which network and which images do the benchmarks of landscapes and curvature look at? S0's, after three epochs."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from timing import ratio_of, share_of
from torch import Tensor

from course_utils.datasets import Dataset, DatasetUnavailableError, load
from course_utils.datasets.storage import folders
from course_utils.models import MLP
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator
from course_utils.speedrun import WIDTHS
from course_utils.training import train

FLOORS = ("products", "products, bfloat16")  # names under which matrix products alone are timed


def fashion_folder() -> Path:
    """Return the folder that holds Fashion-MNIST as torchvision unpacks it."""
    for folder in folders():
        if (folder / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return folder
    raise DatasetUnavailableError("Fashion-MNIST is not on this machine; name its folder in COURSE_DATA.")


@functools.cache
def fashion() -> Dataset:
    """Return Fashion-MNIST, read once for all benchmarks."""
    return load("fashion-mnist", root=fashion_folder(), download=False)


@functools.cache
def trained() -> MLP:
    """Return the network after three epochs over the 4,000 training images of the embedded set."""
    model = MLP(WIDTHS, generator=make_generator(0))
    data = load("mnist-5k").tensors("train")
    train(model, data, Adam(model.parameters()), num_epochs=3, batch_size=64, generator=make_generator(0))
    model.zero_grad()
    return model.eval()


def images(number: int) -> tuple[Tensor, Tensor]:
    """Return the first images of the embedded training set and their classes."""
    x, y = load("mnist-5k").tensors("train")
    return x[:number], y[:number]


def products_note(seconds: Mapping[str, Sequence[float]], ours: str) -> str:
    """Say how much of the time of `ours` are the matrix products, which nobody can leave out."""
    return f"matrix products are {share_of(seconds, part=FLOORS[0], whole=ours)} of its time"


def half_precision_note(seconds: Mapping[str, Sequence[float]], single: str, half: str) -> str:
    """Say what bfloat16 gains on this processor from `single` to `half`: in matrix products, and in all the rest."""
    products = ratio_of(seconds, peer=FLOORS[0], ours=FLOORS[1]).median
    rest = {name: [whole - part for whole, part in zip(seconds[name], seconds[floor], strict=True)]
            for name, floor in zip((single, half), FLOORS, strict=True)}  # fmt: skip
    gain = f"on this processor bfloat16 makes the matrix products {products:.1f} times as fast"
    if min(map(min, rest.values())) <= 0:  # timings of the products alone scatter by more than the rest takes
        return (
            f"{gain}, and they are nearly all of its time in float32; the weights are converted at every use"
        )
    others = ratio_of(rest, peer=single, ours=half).median
    return f"{gain}, and all the rest {others:.1f} times, which converts the weights at every use"
