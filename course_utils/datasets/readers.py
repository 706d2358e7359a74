"""What is in the files? Readers for the three formats in which the images are published.

Each reads bytes and returns arrays; none imports torchvision (1.6 s), none runs what a file contains, and none takes
more memory than the file's own size, however large the arrays that the file claims to hold.
"""

import io
import math
import pickletools  # nosec B403  # it lists the instructions of a pickle and runs none
import re
import zipfile
import zlib

import numpy as np
from numpy.typing import NDArray

from course_utils._types import checked
from course_utils.datasets.archives import MAX_BYTES
from course_utils.datasets.storage import Content

Bytes = NDArray[np.uint8]

# An npy file of bytes in version 1.0 of the format, as np.savez writes it.
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '\|u1', 'fortran_order': False, 'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)

_INTEGERS = {
    "BININT",
    "BININT1",
    "BININT2",
    "INT",
    "LONG1",
}  # instructions of a pickle; other integers are addresses
_ARRAY_NAMES = {f"numpy.{core}.multiarray _reconstruct" for core in ("core", "_core")} | {
    "numpy ndarray",
    "numpy dtype",
}


@checked
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
    if content[3] > 3:
        raise ValueError(f"An idx file of images or labels has at most 3 dimensions, got {content[3]}.")
    header = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    if len(shape) != content[3] or len(content) - header != math.prod(shape):
        raise ValueError(
            f"An idx file of shape {shape} holds {math.prod(shape)} bytes, got {len(content) - header}."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


@checked
def read_npz(content: Content) -> dict[str, Bytes]:
    """Return the arrays of an npz file by name.

    Raises: ValueError: if it is damaged, holds objects that would need unpickling, or unpacks to more than MAX_BYTES.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if (size := sum(member.file_size for member in archive.infolist())) > MAX_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes, more than {MAX_BYTES:,}")
            return {name.removesuffix(".npy"): _read_npy(archive.read(name)) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"This is not an npz file of arrays: {error}") from error


def _read_npy(content: bytes) -> Bytes:
    """Return one array; NumPy's reader would take the memory for the claimed shape before it looks at the bytes."""
    header = _NPY_HEADER.match(content)
    if header is None:
        raise ValueError("an array has another header than one of uint8 in row-major order")
    shape = [int(size) for size in header[1].split(b",") if size.strip()]
    return np.frombuffer(bytearray(memoryview(content)[header.end() :]), np.uint8).reshape(shape)


@checked
def read_cifar_batch(content: Content) -> tuple[Bytes, Bytes]:
    """Return (images, labels) of one batch of CIFAR-10's Python version, shapes (N, 3, 32, 32) and (N,).

    The file is a pickle: a program that builds objects and may call any function. It is not run here. The standard
    library's disassembler lists its instructions, and labels and pixels are arguments of some.

    Raises: ValueError: if the file names anything but arrays, or is not such a batch.
    """
    try:
        labels, strings = _arguments(content)
        if not labels:
            raise ValueError("it has no labels")
        pixels = max(strings, key=len, default=b"")
        images = np.frombuffer(pixels.encode("latin1") if isinstance(pixels, str) else pixels, np.uint8)
        return images.reshape(len(labels), 3, 32, 32), np.array(labels, dtype=np.uint8)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"This is not a batch of CIFAR-10: {error}") from error


def _arguments(content: Content) -> tuple[list[int], list[bytes | str]]:
    """Return the integers after the key "labels", and the strings after the key "data": the longest are the pixels."""
    labels: list[int] = []
    strings: list[bytes | str] = []
    key = ""
    for opcode, argument, _ in pickletools.genops(io.BytesIO(content)):
        if opcode.name == "GLOBAL" and argument not in _ARRAY_NAMES:
            raise ValueError(f"it asks for {str(argument).replace(' ', '.')}, which no array of bytes needs.")
        if argument in ("data", "labels"):
            key = argument
        elif key == "data" and isinstance(argument, str | bytes):
            strings.append(argument)
        elif key == "labels" and opcode.name in _INTEGERS and isinstance(argument, int):
            labels.append(argument)
        elif key == "labels" and isinstance(argument, str | bytes):
            key = ""  # another key: the list is at its end
    return labels, strings
