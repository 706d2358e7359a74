"""What survives when a sweep is cut off? A file of JSON lines: a header, then a line for each job that has ended.

One process writes it, whatever computes the jobs. A line counts from its line feed on: what is behind the last one was
being written when something died, and is cut off and computed again.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from course_utils._checks import check_at_least
from course_utils._types import checked
from course_utils.sweeps.jobs import Job, SweepRecord

SYNC_EVERY = (
    0.2  # seconds; an fsync takes 4 ms on the machine where this was chosen, an empty job 10 microseconds
)
_FIELDS = {"configuration": dict, "seed": int, "result": object, "error": str}


class ResultsFile:
    """The results of one function with one seed, open for one sweep at a time.

    Numbers come back as they were: Python writes the shortest decimal that reads back to the same float. NaN and
    infinities are written as Python's `json` does, which is not standard JSON.

    What was appended survives the death of this process at once, and that of the machine after `SYNC_EVERY` seconds.
    """

    @checked
    def __init__(self, path: str | os.PathLike[str], function: Callable[..., Any], seed: int) -> None:
        """Name the file; nothing is read or written before `with`.

        Args:
            path: of the file, made with its folder where it is not there; `path`.lock is beside it while a sweep runs.
            function: the function of a module: its name stands in the header.
            seed: as in `run_sweep`, in the header too.
        Raises: ValueError: if the function has no name to be found again by, or the seed is negative.
        """
        check_at_least("seed", seed, 0)
        self.path = Path(path)
        self._header = _dumps({"function": name_of(function), "seed": int(seed), "format": 1})
        self._known: dict[str, SweepRecord] = {}
        self._synced = 0.0

    def __enter__(self) -> "ResultsFile":
        """Lock the file, read it, and cut an unfinished line off.

        Raises: ValueError: if it is a folder or of another function or seed, or a line is damaged. BlockingIOError: if
            another sweep writes it.
        """
        from filelock import FileLock, Timeout  # comes with torch

        if self.path.is_dir():
            raise ValueError(f"path must be of a file, got path={str(self.path)!r}, a folder.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{self.path}.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise BlockingIOError(
                f"Another sweep writes {self.path}. Wait for its end, or give this one a file of its own."
            ) from None
        try:
            whole = self._read()
            self._file = open(self.path, "ab", buffering=0)
        except BaseException:
            self._lock.release()
            raise
        self._file.truncate(whole)
        if whole == 0:
            self._write(self._header)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Bring what was appended to the disk, close the file and unlock it."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        finally:
            self._lock.release()

    def find(self, job: Job) -> SweepRecord | None:
        """Return the record of a job that was finished, None for one that failed or never ran."""
        found = self._known.get(_key(job.configuration, job.seed))
        return None if found is None else SweepRecord(job.configuration, job.seed, found.result)

    def append(self, records: Iterable[SweepRecord]) -> None:
        """Write one line for each record, in one write.

        Raises: TypeError: if a result would not come back from JSON as it is; the others are written.
        """
        lines, refused = [], []
        for record in records:
            if where := _unfit(record.result, "result"):
                refused.append(f"{where}, of {record.configuration} with seed {record.seed}")
            else:
                lines.append(_dumps(vars(record)))
        if lines:
            self._write(b"".join(lines))
        if refused:
            raise TypeError(
                f"A results file holds numbers, text, True, False, None, and lists and dicts of them; not "
                f"{refused[0]}. Return such, for a tensor its .tolist()."
            )

    def _write(self, lines: bytes) -> None:
        while (
            lines
        ):  # a second round only where the disk is full: it raises, and the cut line is mended next time
            lines = lines[self._file.write(lines) :]
        if (now := time.monotonic()) - self._synced > SYNC_EVERY:
            os.fsync(self._file.fileno())
            self._synced = now

    def _read(self) -> int:
        """Take in what is there, and return how many bytes of it are whole lines."""
        content = self.path.read_bytes() if self.path.exists() else b""
        *lines, rest = content.split(b"\n")
        if not lines and not self._header.startswith(rest):
            raise ValueError(f"{self.path} is no results file. Name another one.")
        if lines and lines[0] + b"\n" != self._header:
            raise ValueError(
                f"{self.path} begins with {lines[0][:200].decode(errors='replace')}, and this sweep's file with "
                f"{self._header.decode().strip()}. Name another file: results of different sweeps are not mixed."
            )
        for number, line in enumerate(lines[1:], start=2):
            record = self._parse(line, number)
            if not record.failed:
                self._known[_key(record.configuration, record.seed)] = record
        return len(content) - len(rest)

    def _parse(self, line: bytes, number: int) -> SweepRecord:
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or fields.keys() != _FIELDS.keys() or not all(
            isinstance(fields[name], kind) for name, kind in _FIELDS.items()
        ):  # fmt: skip
            raise ValueError(
                f"{self.path}, line {number} is damaged: {line[:80].decode(errors='replace')!r}. "
                "Delete the line: its job is computed again."
            )
        return SweepRecord(**fields)


@checked
def name_of(function: Callable[..., Any]) -> str:
    """Return module and name of a function, such as "course_utils.sweeps.networks.score_network".

    The function of a script that is run has the script's name, as if it were imported.

    Raises: ValueError: for a lambda, a function inside another or in a notebook: others have the same name.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<nameless>")
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "").stem
    if not module or "<" in name:
        raise ValueError(
            f"results=... says by name which function they are of, and {name} of {module or 'a notebook'} may be any "
            "one. Put the function into a module."
        )
    return f"{module}.{name}"


@checked
def check_storable(jobs: Iterable[Job]) -> None:
    """Raise TypeError unless JSON can hold what each job is given; the message names the job and the value."""
    for job in jobs:
        if where := _unfit(job.configuration, "configuration", sequences=(list, tuple)):
            raise TypeError(
                "With results=... a configuration is of numbers, text, True, False, None, lists and dicts; "
                f"not {where}, of {job}."
            )


def _unfit(value: Any, where: str, sequences: tuple[type[Any], ...] = (list,)) -> str:
    """Return which part would not come back from JSON equal to what it is, "" where all of it does."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return ""
    if isinstance(value, sequences):
        parts = [(f"{where}[{k}]", part) for k, part in enumerate(value)]
    elif isinstance(value, dict) and all(isinstance(name, str) for name in value):
        parts = [(f"{where}[{name!r}]", part) for name, part in value.items()]
    else:
        return f"{where}: {type(value).__name__}"
    return next(filter(None, (_unfit(part, place, sequences) for place, part in parts)), "")


def _key(configuration: dict[str, Any], seed: int) -> str:
    return json.dumps([configuration, seed], sort_keys=True)


def _dumps(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode("ascii") + b"\n"  # json escapes line feeds and what is not ASCII
