"""Where does the computation run? Named once, at the top of a notebook; everything below follows its tensors."""

import contextlib
import platform
import threading
from collections.abc import Iterator
from pathlib import Path

import torch

from course_utils._checks import check_choice
from course_utils._types import checked


@checked
def resolve_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; "auto" takes cuda, then mps, then cpu, whichever is there first.

    Args:
        name: "auto", "cpu", "cuda", "mps", or one of several GPUs as "cuda:1".
    Raises: ValueError: if the name is unknown. RuntimeError: if this machine lacks the device asked for.
    """
    kind = name.split(":")[0]
    check_choice("device", kind, ("auto", "cpu", "cuda", "mps"))
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if kind == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available[kind]:
        raise RuntimeError(f"This machine has no device {name!r}; use device='cpu' or device='auto'.")
    return torch.device(name)


def processor_name() -> str:
    """Return the model of this machine's processor where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no such file on macOS and Windows
        return platform.machine()
    models = (line.partition(": ")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


class _Count:
    """How many compute so in this process, and how many threads it had before the first of them."""

    lock = threading.Lock()
    users = 0
    threads = 1


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, and put the number back, though other users may come and go in this process.

    torch keeps a number for each thread, which takes the number of the process when it first needs one. So it is asked
    for before it is set: else a product within the block would still take what a block that has ended left.
    """
    with _Count.lock:
        before = torch.get_num_threads()
        if _Count.users == 0:
            _Count.threads = before
        _Count.users += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Count.lock:
            _Count.users -= 1
            torch.set_num_threads(_Count.threads)
