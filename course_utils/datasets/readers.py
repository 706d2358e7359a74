"""What is in the files? Readers for the three formats in which the images are published.

Each reads bytes and returns arrays; none imports torchvision (1.6 s), and none runs what a file contains.
"""

import io
import math
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from course_utils.datasets.storage import Content

Bytes = NDArray[np.uint8]


def read_idx(content: Content) -> Bytes:
    """Return the array of an idx file of unsigned bytes, as MNIST and Fashion-MNIST use it.

    The format: two zero bytes, the type (8 is unsigned byte), the number of dimensions, each size as a big-endian
    32-bit integer, then the entries in row-major order.

    Raises: ValueError: if the content is not that.
    Source: LeCun, Cortes and Burges, "The MNIST database", section on file formats.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"An idx file of bytes starts with 00 00 08, got {content[:3].hex(' ') or 'nothing'}."
        )
    header = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    if len(shape) != content[3] or len(content) - header != math.prod(shape):
        raise ValueError(
            f"An idx file of shape {shape} holds {math.prod(shape)} bytes, got {len(content) - header}."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def read_npz(content: Content) -> dict[str, Bytes]:
    """Return the arrays of an npz file by name; objects that would need unpickling are refused by NumPy."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_cifar_batch(content: Content) -> tuple[Bytes, Bytes]:
    """Return (images, labels) of one batch of CIFAR-10's Python version, shapes (N, 3, 32, 32) and (N,).

    The file is a pickle, and a pickle can name any function to be called. This reader knows three names, those that
    describe a NumPy array, and puts records in their place: nothing but the standard library's parser runs.

    Raises: ValueError: if the file names anything else, or is not such a batch.
    """
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        array = batch["data"]
        pixels = np.frombuffer(
            array.data.encode("latin1") if isinstance(array.data, str) else array.data, np.uint8
        )
        images = pixels.reshape(array.shape).reshape(-1, 3, 32, 32)
        labels = np.array(batch["labels"], dtype=np.uint8)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"This is not a batch of CIFAR-10: {error}") from error
    return images, labels


class _ArrayRecord:
    """Stands where a pickle wants an array: keeps the shape and the bytes."""

    shape: tuple[int, ...]
    data: bytes | str

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, _, _, self.data = state  # version, shape, dtype, Fortran order, bytes


class _Description:
    """Stands where a pickle wants a dtype: takes what it is given and keeps nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _make_array(*_: object) -> _ArrayRecord:
    return _ArrayRecord()


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows how an array of bytes is described, and no other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return our record for one of the three names; refuse every other."""
        if name == "_reconstruct" and module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            return _make_array
        if module == "numpy" and name in {"ndarray", "dtype"}:
            return _Description
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of bytes needs.")
