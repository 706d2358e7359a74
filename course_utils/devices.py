"""Where does the computation run? Named once, at the top of a notebook; everything below follows its tensors."""

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
