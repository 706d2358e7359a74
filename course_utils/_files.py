"""How is a file written so that a reader sees the old whole or the new whole, and a full disk leaves the old one?"""

import errno
import os
import platform
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

Part = bytes | memoryview
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SECONDS_ALIVE = 3_600.0  # chosen: no file of the course takes an hour to write


class NotWritten(OSError):
    """A file could not be written; the message says which, why and what to do, and the old file is as it was."""


def replace_text(path: Path, text: str) -> None:
    """Write `text` beside the file and rename; folders on the way are made. Raises: NotWritten: on a full disk, say."""
    replace_bytes(path, [text.encode("utf-8")])


def replace_bytes(path: Path, parts: Iterable[Part], *, previous: Path | None = None) -> None:
    """Write the parts one after another beside the file and rename; it keeps its mode, folders on the way are made.

    Args:
        path: the file. A reader sees the old one or the new one.
        parts: of its content.
        previous: what the old file is then called; None drops it. Between the two renames only this one is there.
    Raises: NotWritten: if the disk is full, the folder cannot be written to, or the like; the old file is in its place.
    """
    parts = list(parts)
    partial = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partials(path)
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())  # else a rename can reach the disk before the content does
        if path.exists():
            partial.chmod(path.stat().st_mode)
        _rename(partial, path, previous)
    except OSError as error:
        raise _failure(path, previous, error, sum(len(part) for part in parts)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _failure(path: Path, previous: Path | None, error: OSError, size: int) -> NotWritten:
    stands = "the old file stands" if path.is_file() else "there is no old file"
    if previous is not None and previous.is_file() and not path.is_file():
        stands = f"the old file is now {previous.name}"
    way_out = (
        f"Free {size:,} bytes there" if error.errno in FULL else "Make the folder one that can be written to"
    )
    failure = NotWritten(
        f"{path.name} cannot be written to {path.parent} ({error.strerror or error}); {stands}. {way_out}, or choose "
        "another one."
    )
    failure.errno = error.errno
    return failure


def _rename(partial: Path, path: Path, previous: Path | None) -> None:
    keep = previous is not None and path.exists()
    if keep:
        assert previous is not None
        os.replace(path, previous)
    try:
        os.replace(partial, path)
    except OSError:
        if keep:
            assert previous is not None
            os.replace(previous, path)
        raise


def remove_partials(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file have left; those of live ones stay.

    Another machine that writes to the same folder looks after its own.
    """
    start = f".{path.name}.{platform.node()}."
    for partial in path.parent.glob(".*.tmp"):
        number = partial.name.removeprefix(start).removesuffix(".tmp")
        if partial.name.startswith(start) and number.isdecimal() and _is_left(partial, int(number)):
            with suppress(OSError):
                partial.unlink()


def _is_left(partial: Path, process: int) -> bool:
    """Say whether the process that wrote the file is gone."""
    if sys.platform == "win32":  # where os.kill with 0 is not a question but Ctrl+C
        with suppress(OSError):
            return time.time() - partial.stat().st_mtime > SECONDS_ALIVE
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # somebody else's
        return False
    return False
