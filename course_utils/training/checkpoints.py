"""Can I stop and go on as if nothing had happened? One file, renamed into place, without pickle.

Tensors (weights, best weights, optimizer state, generator states) are safetensors; everything else (hyper-parameters,
scheduler, history) is JSON in the header of the same file, so the two can never disagree. Loading runs no code.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from course_utils.training.records import EpochRecord, History

FORMAT = "course-checkpoint-1"


class CheckpointError(RuntimeError):
    """The file is no checkpoint of this course, is damaged, or belongs to another model or optimizer."""


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | ReduceLROnPlateau | None,
    generator: torch.Generator,
    history: History,
) -> None:
    """Write everything that `load_checkpoint` needs to continue exactly; a reader sees the old file or the new one.

    Raises: TypeError: if the optimizer or scheduler holds what is neither a tensor nor JSON (a function, say).
    """
    from safetensors.torch import save_file

    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in (history.best_weights or {}).items()}
    tensors["generator"] = generator.get_state()
    tensors |= _global_streams(model)
    rest = {
        "kinds": _kinds(optimizer, scheduler),
        "optimizer": _take_tensors(optimizer.state_dict(), "optimizer", tensors),
        "scheduler": None if scheduler is None else _take_tensors(scheduler.state_dict(), "scheduler", tensors),
        "history": {"step_losses": history.step_losses, "epochs": [asdict(record) for record in history.epochs],
                    "diverged": history.diverged},
    }  # fmt: skip
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(contiguous, partial, metadata={"format": FORMAT, "rest": json.dumps(rest)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | ReduceLROnPlateau | None,
    generator: torch.Generator,
) -> History:
    """Put a run back where `save_checkpoint` found it, and return its history.

    Weights go to the device where the model is. Torch's global streams are set too: dropout continues where it was.

    Raises: CheckpointError: if the file is damaged or does not fit; the message says which part, and nothing has been
        changed.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({error}). Use an earlier checkpoint.") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path.name} is not a checkpoint of this course ({FORMAT}).")
    rest = json.loads(metadata["rest"])
    weights = _with_prefix(tensors, "model.")
    _check_fits(path.name, weights, model, rest["kinds"], _kinds(optimizer, scheduler))
    try:
        optimizer.load_state_dict(_give_tensors(rest["optimizer"], tensors))
    except ValueError as error:  # other parameter groups: torch says so before it changes anything
        raise CheckpointError(f"{path.name} belongs to another optimizer: {error}") from error
    model.load_state_dict(weights)
    if scheduler is not None:
        scheduler.load_state_dict(_give_tensors(rest["scheduler"], tensors))
    generator.set_state(tensors["generator"])
    torch.random.set_rng_state(tensors["global.cpu"])
    device = _device_of(model)
    if device.type == "cuda" and "global.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["global.cuda"], device)
    saved = rest["history"]
    epochs = [EpochRecord(**record) for record in saved["epochs"]]
    return History(saved["step_losses"], epochs, _with_prefix(tensors, "best.") or None, saved["diverged"])


def _kinds(optimizer: Optimizer, scheduler: LRScheduler | ReduceLROnPlateau | None) -> dict[str, str]:
    return {
        "optimizer": type(optimizer).__name__,
        "scheduler": "none" if scheduler is None else type(scheduler).__name__,
    }


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _global_streams(model: nn.Module) -> dict[str, Tensor]:
    """Return the states of the streams that dropout draws from: the CPU's, and that of the model's GPU."""
    streams = {"global.cpu": torch.random.get_rng_state()}
    device = _device_of(model)
    if device.type == "cuda":
        streams["global.cuda"] = torch.cuda.get_rng_state(device)
    return streams


def _check_fits(
    name: str, weights: dict[str, Tensor], model: nn.Module, saved: dict[str, str], given: dict[str, str]
) -> None:
    """Raise CheckpointError unless the file was written with such a model, optimizer and scheduler."""
    for part in ("optimizer", "scheduler"):
        if saved[part] != given[part]:
            raise CheckpointError(
                f"{name} was written with {part} {saved[part]}, this run has {given[part]}."
            )
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    received = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    if expected != received:
        key = next(k for k in expected | received if expected.get(k) != received.get(k))
        raise CheckpointError(
            f"{name} belongs to another model: it has {key} of shape {received.get(key, 'none')}, "
            f"this one of shape {expected.get(key, 'none')}."
        )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _take_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON can hold it; tensors move to `tensors` under a name, dicts keep the type of their keys."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"items": [[k, _take_tensors(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [_take_tensors(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
        return {"list": items} if isinstance(value, list) else {"tuple": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint without pickle cannot hold.")


def _give_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `_take_tensors`."""
    match value:
        case {"tensor": name}:
            return tensors[name]
        case {"items": items}:
            return {k: _give_tensors(v, tensors) for k, v in items}
        case {"list": items}:
            return [_give_tensors(v, tensors) for v in items]
        case {"tuple": items}:
            return tuple(_give_tensors(v, tensors) for v in items)
    return value
