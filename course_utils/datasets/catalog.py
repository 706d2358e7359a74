"""Which sets are there, how are they split, and what are their files' hashes?"""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from course_utils._checks import check_choice
from course_utils._types import checked
from course_utils.datasets.download import fetch
from course_utils.datasets.readers import Bytes, read_cifar_batch, read_idx, read_npz
from course_utils.datasets.records import Dataset, Moments, Split
from course_utils.datasets.storage import (
    Content,
    DatasetUnavailableError,
    download_folder,
    find,
    folders,
    way_out,
)
from course_utils.datasets.transfer import Archive
from course_utils.seeding import make_generator

SPLIT_SEED = 42  # as in the sources: their random_split(train_set, [50000, 10000]) is seeded with 42

_Contents = Mapping[str, Content]


class _Source(NamedTuple):
    """Where one set lies and how its files become splits."""

    archives: tuple[Archive, ...]  # where it is published; none: it comes with the course
    files: Mapping[str, str]
    num_train: int  # of the published training images; the rest of them is the validation split
    classes: tuple[str, ...]
    read: Callable[[_Contents, int], tuple[Split, Split, Split]]
    moments: Moments | None = None  # of the training split; None counts them at first use


@checked
def load(name: str, *, root: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """Return a data set in memory, from this machine where it is here, else downloaded.

    Looked for in `root`, in the folder named by COURSE_DATA, in the repository's data/, in the installed package and in
    the user's cache, in this order; each holds the set as torchvision lays it out (`FashionMNIST/raw/...`). Every file
    is checked by hash before use. A download goes to the first of them that may be written to.

    Args:
        name: "mnist-5k" (embedded: 4,000 / 500 / 500 images, every class equally often), "fashion-mnist" and "mnist"
            (50,000 / 10,000 / 10,000), "cifar10" (45,000 / 5,000 / 10,000).
        root: a folder to look in first, and the only one to download into.
        download: False never uses the network.

    Returns:
        The splits, always in the same order: the published training images are divided by `torch.randperm` with seed
        42, the test images are the published ones.

    Raises:
        ValueError: if the name is unknown.
        DatasetUnavailableError: if the set cannot be had or a file is damaged; says where the files may be put.
    """
    check_choice("dataset", name, NAMES)
    source = _SOURCES[name]
    content = find(source.files, folders(root))
    if content is None:
        if not (source.archives and download):
            reason = (
                "download=False was given" if source.archives else "this installation lacks its embedded file"
            )
            raise DatasetUnavailableError(
                f"{name} is not on this machine, and {reason}.\n{way_out(folders(root)[0], source.files)}"
            )
        content = fetch(name, source.archives, source.files, download_folder(root))
    return Dataset(name, *source.read(content, source.num_train), source.classes, source.moments)


def _read_embedded(content: _Contents, num_train: int) -> tuple[Split, Split, Split]:
    arrays = read_npz(content["mnist-5k.npz"])
    train, val, test = (
        Split(torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(arrays[f"{split}_labels"]).long())
        for split in ("train", "val", "test")
    )
    if len(train) != num_train:
        raise ValueError(f"mnist-5k has {num_train} training images, this file {len(train)}.")
    return train, val, test


def _read_mnist(content: _Contents, num_train: int) -> tuple[Split, Split, Split]:
    train_images, train_labels, test_images, test_labels = (read_idx(file) for file in content.values())
    return _split(train_images[:, None], train_labels, test_images[:, None], test_labels, num_train)


def _read_cifar(content: _Contents, num_train: int) -> tuple[Split, Split, Split]:
    *batches, (test_images, test_labels) = (read_cifar_batch(file) for file in content.values())
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return _split(images, labels, test_images, test_labels, num_train)


def _split(
    images: Bytes, labels: Bytes, test_images: Bytes, test_labels: Bytes, num_train: int
) -> tuple[Split, Split, Split]:
    """Divide the published training images as torch's random_split with seed 42 does."""
    order = torch.randperm(len(images), generator=make_generator(SPLIT_SEED)).numpy()
    train, val = order[:num_train], order[num_train:]
    return (
        _as_split(images[train], labels[train]),
        _as_split(images[val], labels[val]),
        _as_split(test_images.copy(), test_labels),  # a copy, because what a .gz unpacks to is read-only
    )


def _as_split(images: Bytes, labels: Bytes) -> Split:
    return Split(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def _idx_files(folder: str, *digests: str) -> dict[str, str]:
    """Return the four files of MNIST and of sets made in its image, with their digests in this order."""
    return {f"{folder}/raw/{p}-ubyte": f"sha256:{d}" for p, d in zip(_PARTS, digests, strict=True)}


def _idx_archives(folder: str, address: str, *known: tuple[int, str]) -> tuple[Archive, ...]:
    """Return the four archives below an address, with their sizes and digests in the order of `_idx_files`."""
    return tuple(
        Archive(f"{address}/{p}-ubyte.gz", size, f"sha256:{digest}", (f"{folder}/raw/{p}-ubyte",))
        for p, (size, digest) in zip(_PARTS, known, strict=True)
    )


_CIFAR_FILES = {
    "cifar-10-batches-py/data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "md5:634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "md5:40351d587109b95175f43aff81a1287e",
}

# The order of the files is the order in which the readers take them. Digests are of the unpacked files: for MNIST and
# Fashion-MNIST computed from the published archives, for CIFAR-10 those of torchvision.datasets.CIFAR10. Sizes and
# digests of archives are those that other public projects pin, too. Moments follow from files and split; a test counts
# them anew.
_SOURCES: dict[str, _Source] = {
    "mnist-5k": _Source(
        (),
        {"mnist-5k.npz": "sha256:96a1c6b2a4b411198c8197f01f1538bf0fb432faf052bbd45ccb64825ea0310f"},
        4_000,
        _DIGITS,
        _read_embedded,
        ((0.1310886104441777,), (0.30824599784656553,)),
    ),
    "mnist": _Source(
        _idx_archives(
            "MNIST",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        _idx_files(
            "MNIST",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        50_000,
        _DIGITS,
        _read_mnist,
    ),
    "fashion-mnist": _Source(
        _idx_archives(
            "FashionMNIST",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        _idx_files(
            "FashionMNIST",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        50_000,
        _CLOTHES,
        _read_mnist,
        ((0.2857464012605042,), (0.35288295170546247,)),
    ),
    "cifar10": _Source(
        (
            Archive(
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                170_498_071,
                "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                tuple(_CIFAR_FILES),
            ),
        ),
        _CIFAR_FILES,
        45_000,
        _OBJECTS,
        _read_cifar,
    ),
}
NAMES = tuple(_SOURCES)
