"""Does a download survive a disk that is full, broken or read-only, and say so?

After every fault: what stands under its final name is whole, nothing else is left over, and the next try works.
"""

import contextlib
import errno
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small_set
from small_set import FINAL, assert_next_try_works, assert_whole, checked, left_over, refusal, serving

from course_utils.datasets import DatasetUnavailableError, load


@pytest.fixture(autouse=True)
def mirror(monkeypatch):
    """A mirror with the small set, which load("mnist") then asks."""
    with serving(monkeypatch) as mirror:
        yield mirror


def refusal_of_disk(root):
    """Load, which must fail: without a folder that can be written to, or later, with the way out in either case."""
    with pytest.raises(
        DatasetUnavailableError, match=r"root=\.\.\.(.|\n)*COURSE_DATA(.|\n)*mnist-5k"
    ) as caught:
        load("mnist", root=root)
    return str(caught.value).replace(str(root), "FOLDER")


class Disk:
    """Fails, by an audit hook, from the given write on: opening to write, making a folder, renaming. -1: never."""

    def __init__(self):
        self.root, self.code, self.end, self.writes = None, 0, -1, 0
        sys.addaudithook(self.see)  # stays until the process ends, and does nothing without a root

    def see(self, event, arguments):
        if self.root is None or event not in {"open", "os.mkdir", "os.rename"}:
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if str(arguments[0]).startswith(self.root):
            self.writes += 1
            if 0 <= self.end < self.writes:
                raise OSError(self.code, os.strerror(self.code), str(arguments[0]))

    @contextlib.contextmanager
    def failing(self, root, code=0, end=-1):
        self.root, self.code, self.end, self.writes = str(root), code, end, 0
        try:
            yield self
        finally:
            self.root = None


@pytest.fixture(scope="module")
def disk():
    return Disk()


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS"])
def test_a_disk_that_fails_at_any_step_leaves_all_or_nothing(mirror, tmp_path, disk, tally, code):
    with disk.failing(tmp_path / "good") as healthy:
        load("mnist", root=tmp_path / "good")
    assert healthy.writes >= 15
    number = getattr(errno, code)
    for end in range(healthy.writes):
        root = tmp_path / str(end)
        with disk.failing(root, number, end):
            message = refusal_of_disk(root)
        assert_whole(root)
        assert [name for name in left_over(root) if name not in FINAL] == []
        assert_next_try_works(root)
    assert os.strerror(number) in message
    tally.note("disks", f"{code} at every step in turn", tried=healthy.writes, message=message)


class FullDisk(io.FileIO):
    """A file on a disk with room for so many bytes more."""

    left = 0

    def write(self, data):
        if FullDisk.left < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FullDisk.left -= len(data)
        return super().write(data)


def open_on_full_disk(path, mode):
    return io.BufferedWriter(FullDisk(path, "w")) if mode == "wb" else path.open(mode)


def test_a_disk_that_is_full_at_any_byte_leaves_nothing(mirror, tmp_path, monkeypatch, tally):
    sizes = sum(map(len, [*mirror.files.values(), *small_set.small_mnist().values()]))
    tried = tally.number(each_time=25, weekly=400)
    generator = random.Random(0)
    for case in range(tried):
        root = tmp_path / str(case)
        with monkeypatch.context() as patch:
            FullDisk.left = generator.randrange(sizes)
            patch.setattr(Path, "open", open_on_full_disk)
            message = refusal(root)
        assert left_over(root) == []
        assert_next_try_works(root)
    assert os.strerror(errno.ENOSPC) in message
    tally.note("disks", "full at a random byte", tried=tried, message=message)


SMALL_DISKS = """
for size in 8k 40k 56k 72k; do mkdir "$1/$size" && mount -t tmpfs -o size=$size none "$1/$size" || exit 77; done
mkdir "$1/read-only" && mount -t tmpfs -o ro none "$1/read-only" || exit 77
FOLDER="$1"; shift; "$@"
find "$FOLDER" -type f -not -name .mnist.lock >&2
"""


def test_disks_that_are_really_full_or_read_only_leave_nothing(monkeypatch, tmp_path, tally):
    if not (sys.platform == "linux" and shutil.which("unshare")):
        pytest.skip("needs Linux, where a process may mount disks that only it sees")
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", SMALL_DISKS, "sh"]
    roots = [tmp_path / name for name in ("8k", "40k", "56k", "72k", "read-only")]
    with serving(monkeypatch, 300) as mirror:
        done = subprocess.run(
            [*command, str(tmp_path), *small_set.command(mirror.address, 300, "here")],
            input="\n".join(map(str, roots)),
            capture_output=True,
            text=True,
            check=False,
            env=small_set.environment(),
        )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    for message in messages[:4]:
        assert "No space left on device" in message
    assert "None of the folders for data may be written to" in messages[4]
    assert [line for line in done.stderr.splitlines() if line.startswith(str(tmp_path))] == []
    tally.note(
        "disks", "a small disk that is full", tried=4, message=checked(messages[3], roots[3], mirror.address)
    )
    tally.note("disks", "a read-only disk", tried=1, message=messages[4].replace(str(roots[4]), "FOLDER"))


def test_a_folder_that_cannot_be_written_to_is_said_so(mirror, tmp_path, tally):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("mine")
    message = refusal_of_disk(blocked)
    assert "None of the folders for data may be written to: FOLDER" in message
    assert blocked.read_text() == "mine"
    below = refusal_of_disk(blocked / "deeper")
    assert "may be written to: FOLDER" in below
    tally.note("disks", "a file in place of the folder", tried=2, message=message)


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write to every folder")
def test_a_folder_without_the_right_to_write_is_said_so(mirror, tmp_path, tally):
    tmp_path.chmod(0o500)
    message = refusal_of_disk(tmp_path)
    tmp_path.chmod(0o700)
    assert "may be written to" in message
    tally.note("disks", "no right to write", tried=1, message=message)


def test_a_folder_in_place_of_a_file_is_said_so(mirror, tmp_path, tally):
    for name in FINAL:
        root = tmp_path / name.rpartition("/")[2]
        (root / name / "mine").mkdir(parents=True)
        message = refusal(root)
        assert re.search(r"directory|denied|Access", message), message
        assert {name, f"{name}/mine"} <= set(left_over(root)) <= {*FINAL, f"{name}/mine"}
        shutil.rmtree(root / name)
        assert_next_try_works(root)
    tally.note("disks", "a folder in place of a file", tried=4, message=message)
