"""What separates a submission from the rest of the machine? bubblewrap, else the kernel's namespaces, else little.

Within the walls there is a new root: the system's programs, this Python, `course_utils` and the course's data, all
read-only, and one folder in memory to write to. Other submissions, the notebooks, the teacher's home and the scores are
not there at all; neither is a network, nor any process outside. Whether that works here is tried, not assumed.
"""

import functools
import os
import shlex
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import course_utils

PLACE = "/course"  # the folder to write to, within the walls
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts",
    "/etc/localtime",
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom")
_FROM_COURSE = ("benchmarks/results", "notebooks/sources.csv")  # what lessons read beside them


class Walls(NamedTuple):
    """How submissions are kept apart: `kind` is "bwrap", "namespaces" or "" where the machine has neither."""

    kind: str

    def describe(self) -> str:
        """Return in one line what keeps a submission in, and what does not."""
        if self.kind:
            return f"isolated by {self.kind}: no network, no files but its own, no process outlives its notebook."
        lacking = "install bubblewrap" if sys.platform == "linux" else "grade on Linux, or in a container"
        return (
            "not isolated: files and network. A submission can read and write whatever you can; limits of time, memory "
            f"and processes hold. Read submissions before you grade them, or {lacking}."
        )


@functools.cache
def find_walls() -> Walls:
    """Return the best this machine has; each kind is tried with a Python that does nothing."""
    for kind in ("bwrap", "namespaces") if sys.platform == "linux" else ():
        if _works(Walls(kind)):
            return Walls(kind)
    return Walls("")


def _works(walls: Walls) -> bool:
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        try:
            command = enclose(walls, [sys.executable, "-c", "import course_utils"], Path(folder), (), 1 << 24)
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0


def enclose(
    walls: Walls, command: Sequence[str], folder: Path, hidden: Sequence[Path], disk: int
) -> list[str]:
    """Return the command line that runs `command` within the walls.

    Args:
        walls: bwrap or namespaces.
        command: program and arguments; the program is found within the walls, too.
        folder: an empty folder, on which the new root is mounted while it is built.
        hidden: folders that are not there even if they lie within one that is.
        disk: bytes that may be written.
    """
    steps = list(_steps(hidden))
    if walls.kind == "bwrap":
        return [*_bubblewrap(steps, disk), "--", *command]
    script = "\n".join(_script(steps, str(folder), disk))
    options = [
        "--user",
        "--map-root-user",
        "--mount",
        "--net",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
    ]
    return [_program("unshare"), *options, "--", "/bin/sh", "-euc", script, "sh", *command]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def course_files() -> Iterator[tuple[Path, str]]:
    """Yield (file, where a lesson looks for it from the place of the course) for what lessons read beside them."""
    root = Path(course_utils.__file__).resolve().parents[1]
    yield from ((root / name, name) for name in _FROM_COURSE if (root / name).exists())


def _readable() -> list[Path]:
    """Return what a submission may read, outer folders first."""
    package = Path(course_utils.__file__).resolve().parent
    data = os.environ.get("COURSE_DATA")
    paths = [
        *map(Path, _SYSTEM),
        *map(Path, (sys.prefix, sys.base_prefix)),
        Path(sys.executable).resolve().parents[1],
        *([Path(site.getusersitepackages())] if site.ENABLE_USER_SITE else []),
        package,
        package.parent / "data",
        package.parent / "pyproject.toml",  # by which `datasets` knows a checkout
        *([Path(data).resolve()] if data else []),
    ]
    return sorted({path for path in paths if path.exists()})


def _steps(hidden: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield ("show", path) and ("hide", path): what is shown, then what of it is hidden, then what of that is shown."""
    shown = _readable()
    root = Path(course_utils.__file__).resolve().parents[1]
    within = root if (root / "notebooks").is_dir() else Path(course_utils.__file__).parent / "no-repository"
    hide = [path for path in {within, *hidden} if any(path.is_relative_to(other) for other in shown)]
    yield from (("show", str(path)) for path in shown)
    for path in hide:
        yield "hide", str(path)
        yield from (("show", str(other)) for other in shown if other.is_relative_to(path))


def _bubblewrap(steps: list[tuple[str, str]], disk: int) -> list[str]:
    line = [_program("bwrap"), "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for step, path in steps:
        line += ["--ro-bind", path, path] if step == "show" else ["--tmpfs", path]
    line += ["--proc", "/proc", "--dev", "/dev", "--size", str(disk), "--tmpfs", "/dev/shm"]  # nosec B108  # a private one
    line += ["--size", str(disk), "--tmpfs", PLACE]
    for source, name in course_files():
        line += ["--ro-bind", str(source), f"{PLACE}/{name}"]
    hidden = [path for step, path in steps if step == "hide"]
    closed = [text for path in ["/", "/dev", *hidden] for text in ("--remount-ro", path)]
    return [*line, "--dir", f"{PLACE}/notebooks", *closed, "--chdir", f"{PLACE}/notebooks"]


def _script(steps: list[tuple[str, str]], root: str, disk: int) -> Iterator[str]:
    """Yield the lines that build the new root with mount(8), move into it and drop every capability."""
    new, small = shlex.quote(root), f"mount -t tmpfs -o nosuid,nodev,size={disk} tmpfs"
    yield f"mount -t tmpfs -o nosuid,nodev,size=16m tmpfs {new}; cd {new}"
    for step, path in steps:
        yield _bind(path, path.lstrip("/")) if step == "show" else f"{small} .{shlex.quote(path)}"
    yield "mkdir -p proc dev/shm course .old"
    yield from (_bind(f"/dev/{name}", f"dev/{name}") for name in _DEVICES)
    # nosuid and nodev are given again: in a namespace of our own they cannot be taken back.
    yield "points=$(findmnt -nlo TARGET -R .); printf '%s\\n' \"$points\" | while read -r point; do"
    yield f'case $point in {new}|{new}/dev/*) ;; *) mount -o remount,bind,ro,nosuid,nodev "$point";; esac; done'
    yield f"mount -t proc proc proc; {small} dev/shm; {small} course; mkdir course/notebooks"
    for source, name in course_files():
        yield _bind(str(source), f"course/{name}")
        yield f"mount -o remount,bind,ro,nosuid,nodev course/{name}"
    yield "pivot_root . .old; umount -l /.old; mount -o remount,bind,ro,nosuid,nodev /; cd /course/notebooks"
    # a session of its own: kill(0, ...) would reach who waits outside
    yield 'exec setsid setpriv --no-new-privs --bounding-set -all --inh-caps -all -- "$@"'


def _bind(source: str, target: str) -> str:
    """Return the line that shows `source` at `target` of the new root."""
    there, here = shlex.quote(source), shlex.quote(f"./{target}")
    made = f"mkdir -p {here}" if Path(source).is_dir() else f"mkdir -p $(dirname {here}); : > {here}"
    return f"{made}; mount --rbind {there} {here}"
