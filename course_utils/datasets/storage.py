"""Which folder has the files, and are they whole? Places in their order, hashes before use, one writer at a time."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from course_utils._checks import check_choice
from course_utils._types import checked
from course_utils.datasets.archives import DAMAGED, MAX_BYTES, gunzip

Content = bytes | memoryview  # of a file

PACKAGE = Path(__file__).parents[1]


class DatasetUnavailableError(RuntimeError):
    """A data set cannot be had, or a file of it is damaged: the message has the reason, the folder and the way out."""


def checkout_folder() -> Path | None:
    """Return the repository's data/ where the package runs from a checkout, else None."""
    repository = PACKAGE.parent
    return repository / "data" if (repository / "pyproject.toml").is_file() else None


def cache_folder() -> Path:
    """Return the folder for downloads of this user, by the custom of the platform; it need not exist."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "course-utils"


@checked
def folders(root: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return where files are looked for, in order: `root`, COURSE_DATA, the checkout, the wheel, the user's cache."""
    named = (root, os.environ.get("COURSE_DATA"), checkout_folder(), PACKAGE / "data", cache_folder())
    return [Path(folder).expanduser() for folder in named if folder]


@checked
def download_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the first folder of `folders` that can be written to, made if need be; `root` alone where it is given."""
    places = [folder for folder in folders(root) if folder != PACKAGE / "data"]
    for folder in places[:1] if root else places:
        try:  # to write: what os.access says is not true of an administrator, of Windows and of some network disks
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    raise DatasetUnavailableError(
        f"None of the folders for data may be written to: {', '.join(map(str, places))}. Name another as root=... or "
        'in COURSE_DATA; load("mnist-5k") needs no folder.'
    )


def way_out(folder: Path, files: Iterable[str]) -> str:
    """Return what to do where a set cannot be had: put files by hand, elsewhere, or take the embedded set."""
    return (
        f"Put its files into {folder}, or into a folder that you name as root=... or in COURSE_DATA: "
        f"{', '.join(files)}.\n"
        'Or use load("mnist-5k"), which comes with the course and needs no network.'
    )


@checked
def find(files: Mapping[str, str], places: list[Path]) -> dict[str, Content] | None:
    """Return the checked content of every file of a set from the first place that has them all, else None.

    Args:
        files: path relative to the place -> "algorithm:hex digest" of its content. A file may also lie there with .gz
            appended; then the digest is that of what it unpacks to.
        places: folders, as `folders` gives them.
    Raises: DatasetUnavailableError: if a file that was found does not have its digest. ValueError: if a
            digest is not written so.
    """
    for digest in files.values():
        check_choice("algorithm of files", digest.partition(":")[0], hashlib.algorithms_available)
    for place in places:
        paths = {name: _present(place / name) for name in files}
        if all(paths.values()):
            return {name: _read(path, files[name]) for name, path in paths.items() if path is not None}
    return None


def _present(path: Path) -> Path | None:
    packed = path.with_name(path.name + ".gz")
    return next((candidate for candidate in (path, packed) if candidate.is_file()), None)


def _read(path: Path, expected: str) -> Content:
    """Return the (unpacked) content of a file after comparing its digest."""
    algorithm, digest = expected.split(":")
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes, and no file of these sets more than {MAX_BYTES:,}")
        # NumPy takes large pages of memory for it: half the time of read_bytes.
        content: Content = np.fromfile(path, np.uint8).data
        content = gunzip(content) if path.suffix == ".gz" else content
    except (*DAMAGED, OSError) as error:
        verb = "is damaged" if isinstance(error, DAMAGED) else "cannot be read"
        raise DatasetUnavailableError(f"{path} {verb}: {error}. Delete it and load again.") from error
    received = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if received != digest:
        raise DatasetUnavailableError(
            f"{path} is damaged or another version: its {algorithm} should be {digest}, got {received}. "
            "Delete it and load again."
        )
    return content


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time fetch the set `name` into `folder`; a process that ends or crashes lets go."""
    from filelock import FileLock  # comes with torch

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        yield
