"""How are files and folders made so that a full disk, a kill or a second command at once leaves no half of them?"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course_utils._files import NotWritten, replace_bytes
from course_utils.authoring.library import CourseError


def replace(path: Path, content: str | bytes) -> None:
    """Put `content` in place of the file in one step: a reader sees the old whole or the new whole.

    Raises: CourseError: if the file cannot be written; it is then as it was.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        replace_bytes(Path(os.path.realpath(path)), [data])  # a link stays one
    except NotWritten as error:
        why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
        raise CourseError(
            f"{os.path.relpath(path)} could not be written: {why}. What was there before is unharmed."
        ) from None


def reason(error: OSError) -> str:
    """Return in a few words why the system refused."""
    return error.strerror or str(error) or type(error).__name__


def make_folder(folder: Path) -> None:
    """Make the folder, and see whether files can be made in it, before anything runs that is to be kept there.

    Raises: CourseError: if not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".course-", dir=folder):
            pass
    except OSError as error:
        raise CourseError(
            f"Nothing can be written into {os.path.relpath(folder)}: {reason(error)}. "
            "Make room there, or allow it; `course run` takes another folder as --output."
        ) from None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for what is not to be kept, and remove it at the end.

    It is removed twice: where a signal cuts the first time short, the second one ends the work.
    """
    with tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        finally:
            shutil.rmtree(name, ignore_errors=True)
