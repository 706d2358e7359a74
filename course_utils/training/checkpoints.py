"""Can I stop and go on as if nothing had happened? One file, renamed into place, without pickle.

Tensors (weights, best weights, optimizer state, generator states) are safetensors; everything else (hyper-parameters,
scheduler, history) is JSON in the header of the same file, so the two can never disagree. Loading runs no code. A
digest over all of it notices a flipped bit; the file of the epoch before stays as `<name>.previous`, and a run goes on
from it when the newer one is damaged.
"""

import json
import os
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from course_utils._checks import check_file_name
from course_utils._files import NotWritten, remove_partials, replace_bytes
from course_utils._types import checked
from course_utils.training import forms
from course_utils.training.containers import CheckpointError, pack, unpack
from course_utils.training.records import History
from course_utils.training.snapshots import Run, Scheduler, Snapshot, global_streams, set_streams


class CheckpointWarning(UserWarning):
    """The newest checkpoint cannot be used and the run goes on from the one before."""


def previous_of(path: str | Path) -> Path:
    """Return the name under which the checkpoint before the newest is kept."""
    return Path(path).with_name(f"{Path(path).name}.previous")


def has_checkpoint(path: str | Path) -> bool:
    """Say whether there is something to continue from, whole or not."""
    return Path(path).is_file() or previous_of(path).is_file()


@checked
def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | ReduceLROnPlateau | None,
    generator: torch.Generator,
    history: History,
) -> None:
    """Write everything that `load_checkpoint` needs to continue exactly.

    The file from before becomes `<name>.previous`, so that whenever the process is killed one of the two is whole. At
    the first epoch of a run the old files belong to another run: one is replaced, the other removed.

    Raises:
        TypeError: if the optimizer or scheduler holds what is neither a tensor nor JSON (a function, say).
        NotWritten: (an OSError) on a full disk, say; the message names the last complete checkpoint.
    """
    check_file_name("path", path)
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in (history.best_weights or {}).items()}
    tensors["generator"] = generator.get_state()
    tensors |= global_streams(model)
    rest = {
        "kinds": kinds(optimizer, scheduler),
        "optimizer": forms.take_tensors(optimizer.state_dict(), "optimizer", tensors),
        "scheduler": None if scheduler is None else forms.take_tensors(scheduler.state_dict(), "scheduler", tensors),
        "history": {"step_losses": history.step_losses, "epochs": [asdict(record) for record in history.epochs],
                    "diverged": history.diverged},
    }  # fmt: skip
    path, previous = Path(path), previous_of(path)
    is_first = len(history.epochs) <= 1
    if is_first:
        with suppress(OSError):
            previous.unlink(missing_ok=True)
    try:
        replace_bytes(path, pack(tensors, json.dumps(rest)), previous=None if is_first else previous)
    except NotWritten as error:
        whole = next((file.name for file in (path, previous) if file.is_file()), None)
        stands = f"{whole} is the last complete checkpoint: `resume=True` goes on from it." if whole else (
            "No epoch had been saved.")  # fmt: skip
        failure = NotWritten(f"{error} {stands}")
        failure.errno = error.errno
        raise failure from error


@checked
def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | ReduceLROnPlateau | None,
    generator: torch.Generator,
) -> History:
    """Put a run back where `save_checkpoint` found it, and return its history.

    Weights go to the device where the model is. Torch's global streams are set too: dropout continues where it was.
    Where the file is missing or damaged and `<name>.previous` is whole, that one is taken, a `CheckpointWarning` says
    so, and the damaged file is kept as `<name>.damaged`.

    Raises: CheckpointError: if the file is damaged or does not fit; the message says which part, and nothing has been
        changed.
    """
    check_file_name("path", path)
    path = Path(path)
    remove_partials(path)
    file, tensors, text, warning = _read_newest(path)
    try:
        rest = json.loads(text)
        weights, best = (
            {name.removeprefix(part): t for name, t in tensors.items() if name.startswith(part)}
            for part in ("model.", "best.")
        )
        forms.check_kinds(file.name, rest["kinds"], kinds(optimizer, scheduler))
        forms.check_weights(file.name, weights, model)
        forms.check_weights(file.name, best or weights, model)
        history = forms.history(rest["history"], best)
        states = (
            forms.give_tensors(rest["optimizer"], tensors),
            forms.give_tensors(rest["scheduler"], tensors),
        )
        forms.check_states(*states, optimizer, scheduler)
    except CheckpointError:
        raise
    except Exception as error:  # a file made to deceive can fail in any way; up to here nothing is changed
        raise _malformed(file, error) from error
    before = Snapshot(Run(model, optimizer, scheduler, generator))
    try:
        optimizer.load_state_dict(states[0])
        if scheduler is not None:
            scheduler.load_state_dict(states[1])
        model.load_state_dict(weights)
        set_streams(tensors, model, generator)
    except Exception as error:
        before.restore()
        raise _malformed(file, error) from error
    if warning:
        with suppress(OSError):  # else the next save would put it into the place of the one that is whole
            os.replace(path, path.with_name(f"{path.name}.damaged"))
        warnings.warn(warning, CheckpointWarning, stacklevel=3)  # over `checked`
    return history


def _read_newest(path: Path) -> tuple[Path, dict[str, Tensor], str, str]:
    """Return the newest file that is whole, its content, and a warning if it is not the newest there should be."""
    previous = previous_of(path)
    try:
        return path, *unpack(path), ""
    except CheckpointError as error:
        if not previous.is_file():
            raise CheckpointError(
                f"{error} Use an earlier checkpoint, or remove it to start afresh."
            ) from error
        damage = str(error)
    if not path.is_file():
        damage = f"{path.name} is missing: the run was killed between two renames, or somebody removed it."
    warning = (
        f"{damage} The run goes on from {previous.name}, one epoch earlier; a damaged file is kept as "
        f"{path.name}.damaged. To start afresh, remove them."
    )
    try:
        return previous, *unpack(previous), warning
    except CheckpointError as error:
        raise CheckpointError(
            f"{damage} {error} Put a copy of one of them back, or remove both: the run then starts afresh."
        ) from error


def _malformed(file: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{file.name} is not what `save_checkpoint` writes ({type(error).__name__}: {str(error)[:200]}), or belongs to "
        "another optimizer or scheduler. Nothing has been changed."
    )


def kinds(optimizer: Optimizer, scheduler: Scheduler) -> dict[str, str]:
    """Return the names of the classes, "none" where there is no scheduler."""
    return {
        "optimizer": type(optimizer).__name__,
        "scheduler": "none" if scheduler is None else type(scheduler).__name__,
    }
