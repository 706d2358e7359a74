"""How is a stranger's program run so that it ends, takes no more than it may, and leaves no process behind?

The system's limits are set within (`inside`), walls stand around it where the machine has them (`walls`), and this
process watches: time, the tree of processes and its memory, what was written, what was said. Whatever happens, at the
end all that was started is killed, also what had left its session.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import course_utils
from course_utils.authoring.kernel import thread_settings
from course_utils.authoring.library import CourseError
from course_utils.authoring.student.walls import PLACE, Walls, course_files, enclose

try:
    import psutil  # type: ignore[import-untyped]
except ImportError as missing:
    raise CourseError(
        f"Grading needs the package {missing.name}: pip install 'course-utils[grade]'."
    ) from None

_LONGEST_ANSWER = 1 << 24  # bytes of all that one submission may hand over
_BETWEEN = 0.1  # seconds between two looks at the processes
_GRACE = 5.0  # seconds that a cell has, after its time, to end by itself
_MARK = "COURSE_GRADING"  # an environment variable by which stray processes are found
_PASSED = (
    "COURSE_DATA",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "LANG",
    "ATEN_CPU_CAPABILITY",
)  # nothing of it is secret


@dataclass(frozen=True)
class Limits:
    """What one submission may take."""

    seconds: float = 1800.0  # of the clock, in all; also of the processor, for each process
    cell_seconds: float = 240.0  # the longest cell of the course takes 25
    # bytes: of addresses for a process, resident for all together; the notebooks need 4.3 and 1.5 thousand million
    memory: int = 8 << 30
    processes: int = 32
    disk: int = 256 << 20  # bytes written

    def __post_init__(self) -> None:
        """Refuse limits within which nothing could run."""
        for name, value in asdict(self).items():
            if value <= 0:
                raise CourseError(f"A submission needs {name} above 0, got {value}.")


class Contained:
    """One run of a program: `lines` are what it said, `stopped` is why it did not end by itself, or ""."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.stopped = ""
        self._heard = time.monotonic()
        self._flooded = False

    def _listen(self, stream: IO[bytes]) -> None:
        left = _LONGEST_ANSWER
        while left > 0 and (line := stream.readline(left)):
            left -= len(line)
            self.lines.append(line)
            self._heard = time.monotonic()
        self._flooded = left <= 0

    def _excess(self, start: float, family: Sequence[Any], folder: Path, limits: Limits) -> str:
        """Return which limit is exceeded, in words that follow "it", or ""."""
        now = time.monotonic()
        if now - start > limits.seconds:
            return f"took longer than {limits.seconds:g} seconds"
        if now - self._heard > limits.cell_seconds + _GRACE:
            return f"spent more than {limits.cell_seconds:g} seconds in one cell"
        if len(family) > limits.processes:
            return f"started more than {limits.processes} processes"
        if sum(map(_resident, family)) > limits.memory:
            return f"took more than {limits.memory / 2**30:.3g} GB of memory"
        if _size(folder) > limits.disk:
            return f"wrote more than {limits.disk >> 20} MB"
        return f"handed over more than {_LONGEST_ANSWER >> 20} MB" if self._flooded else ""


def run_contained(
    steps: list[dict[str, str]], walls: Walls, limits: Limits, *, hidden: Sequence[Path] = ()
) -> Contained:
    """Run the cells of a submission in a process of their own, and return what they handed over.

    Args:
        steps: cells, as `inside` takes them.
        walls: from `find_walls`.
        limits: what the run may take.
        hidden: folders that the submission must not find even where they lie in one that it may read.
    """
    run = Contained()
    with tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True) as name:
        folder, mark = Path(name).resolve(), uuid.uuid4().hex
        place = PLACE if walls.kind else _unwalled(folder)
        command = [sys.executable, "-P", "-s", "-m", "course_utils.authoring.student.inside"]
        process = subprocess.Popen(
            enclose(walls, command, folder, hidden, limits.disk) if walls.kind else command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=folder if walls.kind else f"{place}/notebooks",
            env=_environment(place, walls) | {_MARK: mark}, start_new_session=os.name != "nt",
        )  # fmt: skip
        family: dict[int, Any] = {}
        try:
            _watch(process, run, _program(steps, walls, limits), family, folder, limits)
        finally:
            _end(process, family, mark)
    return run


def _program(steps: list[dict[str, str]], walls: Walls, limits: Limits) -> bytes:
    system = {
        "RLIMIT_AS": limits.memory,
        "RLIMIT_FSIZE": limits.disk,
        "RLIMIT_CPU": int(limits.seconds) + 1,
        "RLIMIT_CORE": 0,
    }
    if walls.kind:  # elsewhere it would count all that the user has running
        system["RLIMIT_NPROC"] = 4 * limits.processes  # threads are counted, too
    return json.dumps({"steps": steps, "limits": system, "cell_seconds": limits.cell_seconds}).encode()


def _environment(place: str, walls: Walls) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    own = passed | thread_settings(1) | dict.fromkeys(("HOME", "TMPDIR", "TEMP", "USERPROFILE"), place)
    path = "/usr/bin:/bin:/usr/sbin:/sbin" if os.name != "nt" else os.environ.get("PATH", "")
    own |= {
        "PATH": path,
        "USER": "student",
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "CUDA_VISIBLE_DEVICES": "",
    }
    own |= {"IPYTHONDIR": f"{place}/ipython", "PYTHONDONTWRITEBYTECODE": "1"}
    # The package that grades, which need not be one that this Python would find by itself; or a copy of it.
    within = str(Path(course_utils.__file__).resolve().parents[1]) if walls.kind else f"{place}/package"
    return own | {"PYTHONPATH": within}


def _unwalled(folder: Path) -> str:
    """Put copies of the package and of what lessons read into the folder, so that paths lead to no solution."""
    package = Path(course_utils.__file__).parent
    shutil.copytree(package, folder / "package" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    embedded = package.parent / "data" / "mnist-5k.npz"  # of a checkout; a wheel has it in the package
    further = [(embedded, f"package/{package.name}/data/{embedded.name}")] if embedded.is_file() else []
    for source, name in [*course_files(), *further]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (folder / "notebooks").mkdir(exist_ok=True)
    return str(folder)


def _watch(
    process: "subprocess.Popen[bytes]", run: Contained, program: bytes, family: dict[int, Any], folder: Path,
    limits: Limits,
) -> None:  # fmt: skip
    """Feed the program in and wait until it has ended or exceeds a limit; note each process of its tree."""
    assert process.stdin is not None
    assert process.stdout is not None
    start = time.monotonic()
    ears = threading.Thread(target=run._listen, args=(process.stdout,), daemon=True)
    mouth = threading.Thread(target=_feed, args=(process.stdin, program), daemon=True)  # it may never read
    ears.start()
    mouth.start()
    while process.poll() is None and not run.stopped:
        now = list(_children(process.pid))
        family |= {child.pid: child for child in now}
        run.stopped = run._excess(start, now, folder, limits)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_BETWEEN)
    if not run.stopped:
        ears.join(_GRACE)  # what is still in the pipe


def _feed(stream: IO[bytes], program: bytes) -> None:
    with suppress(OSError, ValueError), stream:
        stream.write(program)


def _end(process: "subprocess.Popen[bytes]", family: dict[int, Any], mark: str) -> None:
    """Kill all that is known of the tree, and what carries our mark, until nothing is found any more."""
    for _ in range(50):
        family |= {child.pid: child for child in _children(process.pid)}
        alive = [
            one for one in [*family.values(), *_marked(mark)] if one.is_running() and not _is_zombie(one)
        ]
        if process.poll() is not None and not alive:
            break
        for one in alive:
            with suppress(psutil.Error):
                one.kill()  # psutil compares the time of creation: never a stranger with a number used again
        with suppress(OSError):
            process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_BETWEEN)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()


def _children(number: int) -> Iterator[Any]:
    with suppress(psutil.Error):
        yield from psutil.Process(number).children(recursive=True)


def _marked(mark: str) -> Iterator[Any]:
    """Yield the processes that inherited the mark, wherever they have gone."""
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if one.environ().get(_MARK) == mark:
                yield one


def _is_zombie(one: Any) -> bool:
    try:
        return bool(one.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _resident(one: Any) -> int:
    with suppress(psutil.Error):
        return int(one.memory_info().rss)
    return 0


def _size(folder: Path) -> int:
    """Return the bytes of the files in a folder; 0 where there is none, as within walls."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total
