"""How do files come to this machine whole? Into a private folder beside the target, checked, then renamed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_utils.datasets.archives import unpack
from course_utils.datasets.storage import Content, DatasetUnavailableError, find, locked, way_out
from course_utils.datasets.transfer import Archive, download


def fetch(
    name: str, archives: Sequence[Archive], files: Mapping[str, str], folder: Path
) -> dict[str, Content]:
    """Download the set into `folder` and return the checked content of its files.

    A second process that asks meanwhile waits, then finds the files. Until all are there and checked, none is; what a
    killed process left behind is removed by the next.

    Args:
        name: the course's name of the set, such as "fashion-mnist".
        archives: where to get it.
        files: relative path -> digest, as `storage.find` takes them.
        folder: where the files are to lie.
    Raises: DatasetUnavailableError: naming the reason, the folder for the files, and mnist-5k.
    """
    try:
        with locked(folder, name):
            if (content := find(files, [folder])) is not None:
                return content
            _sweep(folder, name)
            try:
                return _deliver(name, archives, files, folder)
            finally:
                _sweep(folder, name)
    except (OSError, RuntimeError) as error:  # no network, another file, no space, no right to write
        raise DatasetUnavailableError(
            f"{name} cannot be downloaded: {_first_lines(error)}.\n{way_out(folder, files)}"
        ) from error


def _sweep(folder: Path, name: str) -> None:
    """Remove what a download, or one that was killed, has left in its folder."""
    for litter in folder.glob(f".{name}-*"):
        shutil.rmtree(litter, ignore_errors=True)
        with contextlib.suppress(OSError):  # gone already, or it cannot be helped
            litter.unlink()


def _deliver(
    name: str, archives: Sequence[Archive], files: Mapping[str, str], folder: Path
) -> dict[str, Content]:
    """Bring the set into a private folder; when every file is there and has its digest, move all to `folder`."""
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix=f".{name}-"))
    for archive in archives:
        _download(archive, scratch)
    content = find(files, [scratch])
    if content is None:
        raise RuntimeError(f"the archives have other files than {', '.join(files)}")
    *others, last = files
    for file in others:
        _move(scratch / file, folder / file)
    # The last file completes the set, and who finds it complete sweeps no more: so the private folder goes before.
    held = folder / f".{name}-last"
    _move(scratch / last, held)
    shutil.rmtree(scratch, ignore_errors=True)
    _move(held, folder / last)
    return content


def _move(source: Path, target: Path) -> None:
    """Rename: on one file system all or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def _download(archive: Archive, folder: Path) -> None:
    """Bring one archive, and put its files below `folder`."""
    path = folder / archive.url.rpartition("/")[2]
    download(archive, path)
    unpack(path, archive.files, folder)
    path.unlink()


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (" ".join(lines[:3]) or type(error).__name__).rstrip(".")
