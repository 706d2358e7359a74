"""What comes out of an archive? The files that were asked for, bounded in size, and nothing that it asks for itself.

The names to write are the catalog's. So a path that climbs out of the folder, a link or a device has no way to the
disk: an archive is only searched for the names, as a stream, and never extracted.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

MAX_BYTES = (
    1 << 26
)  # of one unpacked file; the largest of these sets, Fashion-MNIST's training images, has 47,040,016

# What the parsers of the standard library raise at bytes that they cannot read.
DAMAGED = (EOFError, ValueError, OverflowError, gzip.BadGzipFile, zlib.error, tarfile.TarError)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Bounded(io.BufferedIOBase):
    """A stream that ends with an error after so many bytes: of a bomb, no more than that is ever unpacked."""

    def __init__(self, stream: _Readable, limit: int) -> None:
        self._stream = stream
        self._limit = self._left = limit

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, at most `size`. Raises: ValueError: beyond the limit."""
        most = self._left + 1
        content = self._stream.read(most if size is None or size < 0 else min(size, most))
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {self._limit:,} bytes")
        return content


def gunzip(content: bytes | memoryview) -> bytes:
    """Return what gzip has packed. Raises: one of DAMAGED: if it is damaged, or unpacks to more than MAX_BYTES."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        return _Bounded(stream, MAX_BYTES).read()


def unpack(archive: Path, files: Sequence[str], folder: Path) -> None:
    """Write `files` from a .tar.gz, or the one file of a .gz, below `folder`.

    Raises:
        RuntimeError: if the archive is damaged or unpacks to more than the files can have.
        OSError: if the files cannot be written.
    """
    try:
        with gzip.open(archive) as stream:
            if archive.name.endswith(".tar.gz"):
                _pick(_Bounded(stream, len(files) * MAX_BYTES), files, folder)
            else:
                _write(stream, folder / files[0])
    except DAMAGED as error:
        raise RuntimeError(f"{archive.name} cannot be unpacked: {error}") from error


def _pick(stream: _Bounded, files: Sequence[str], folder: Path) -> None:
    """Write those members of a tar that are wanted and are plain files."""
    with tarfile.open(fileobj=stream, mode="r|") as members:
        for member in members:
            if member.name in files and member.isreg() and (content := members.extractfile(member)):
                _write(content, folder / member.name)


def _write(stream: _Readable, path: Path) -> None:
    """Write a bounded stream to a new file, and wait until the disk has it: a rename must not overtake the content."""
    bounded = _Bounded(stream, MAX_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while chunk := bounded.read(1 << 20):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
