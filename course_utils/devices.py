"""Where does the computation run? Named once, at the top of a notebook; everything below follows its tensors."""

import platform
from pathlib import Path

import torch

from course_utils._checks import check_choice


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
