"""How do files come to this machine whole? Through torchvision, into a folder beside the target, then renamed."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from course_utils.datasets.storage import Content, DatasetUnavailableError, find, locked


def fetch(name: str, kind: str, files: Mapping[str, str], folder: Path) -> dict[str, Content]:
    """Download the set into `folder` and return the checked content of its files.

    A second process that asks meanwhile waits, then finds the files. Until all are there and checked, none is.

    Args:
        name: the course's name of the set, such as "fashion-mnist".
        kind: the class of torchvision.datasets that knows where to get it.
        files: relative path -> digest, as `storage.find` takes them.
        folder: where the files are to lie.
    Raises: DatasetUnavailableError: naming the reason, the folder for the files, and mnist-5k.
    """
    try:
        with locked(folder, name):
            if (content := find(files, [folder])) is not None:
                return content
            with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:
                _download(kind, Path(scratch))
                content = find(files, [Path(scratch)])
                if content is None:
                    raise RuntimeError(f"torchvision's {kind} brought other files than {', '.join(files)}")
                for file in files:
                    _move(Path(scratch), folder, file)
            return content
    except (
        OSError,
        RuntimeError,
        ImportError,
    ) as error:  # no network, no space, no torchvision, a wrong hash
        raise DatasetUnavailableError(
            f"{name} cannot be downloaded: {_first_line(error)}\n"
            f"Put its files into {folder}: {', '.join(files)}.\n"
            'Or use load("mnist-5k"), which comes with the course and needs no network.'
        ) from error


def _download(kind: str, folder: Path) -> None:
    """Let torchvision download, check and unpack its archives into `folder`; it shows its own progress bars."""
    import torchvision

    getattr(torchvision.datasets, kind)(str(folder), download=True)


def _move(scratch: Path, folder: Path, file: str) -> None:
    """Rename scratch/file, or its .gz, to folder/file: on one file system a rename is all or nothing."""
    source, target = scratch / file, folder / file
    if not source.exists():
        source, target = source.with_name(source.name + ".gz"), target.with_name(target.name + ".gz")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) or type(error).__name__
