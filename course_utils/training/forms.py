"""Does what was read fit what is there? Checks of a checkpoint's content before anything is changed by it.

A file may be whole and yet belong to another run, or be made to deceive: torch's `load_state_dict` takes names that no
scheduler has, and states of parameters that do not exist.
"""

import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.training.containers import CheckpointError
from course_utils.training.records import EpochRecord, History
from course_utils.training.snapshots import Scheduler


def check_kinds(name: str, saved: dict[str, str], given: dict[str, str]) -> None:
    """Raise CheckpointError unless the file was written with such an optimizer and scheduler."""
    for part in given:
        if saved[part] != given[part]:
            raise CheckpointError(
                f"{name} was written with {part} {saved[part]}, this run has {given[part]}."
            )


def check_weights(name: str, weights: dict[str, Tensor], model: nn.Module) -> None:
    """Raise CheckpointError unless names, shapes and types are those of the model."""
    expected = {key: _form(tensor) for key, tensor in model.state_dict().items()}
    received = {key: _form(tensor) for key, tensor in weights.items()}
    if expected != received:
        key = next(k for k in expected | received if expected.get(k) != received.get(k))
        raise CheckpointError(
            f"{name} belongs to another model: it has {key} of shape {received.get(key, 'none')}, "
            f"this one of shape {expected.get(key, 'none')}."
        )


def _form(tensor: Tensor) -> str:
    """Return shape and type; float32, which is usual, is not named."""
    return str(tuple(tensor.shape)) + ("" if tensor.dtype is torch.float32 else f" in {tensor.dtype}")


def check_states(
    optimizer_state: Any, scheduler_state: Any, optimizer: Optimizer, scheduler: Scheduler
) -> None:
    """Raise ValueError unless the states have the form of those that are there."""
    num_parameters = sum(len(group["params"]) for group in optimizer.param_groups)
    for key, value in optimizer_state["state"].items():
        if key not in range(num_parameters) or not isinstance(value, dict):
            raise ValueError(f"the optimizer has no parameter {key!r:.50}")
    if not all(math.isfinite(group["lr"]) for group in optimizer_state["param_groups"]):
        raise ValueError("a learning rate is not finite")
    if scheduler is not None and not _is_alike(scheduler_state, scheduler.state_dict()):
        raise ValueError("the scheduler's state is that of another one")


def _is_alike(value: Any, pattern: Any) -> bool:
    """Say whether dicts hold the same keys all the way down; single values may be of any kind."""
    if isinstance(pattern, dict):
        return (isinstance(value, dict) and value.keys() == pattern.keys()
                and all(_is_alike(value[key], pattern[key]) for key in pattern))  # fmt: skip
    if isinstance(pattern, list) and any(isinstance(item, dict) for item in pattern):
        return (isinstance(value, list) and len(value) == len(pattern)
                and all(_is_alike(v, p) for v, p in zip(value, pattern, strict=True)))  # fmt: skip
    return isinstance(value, list | tuple) == isinstance(pattern, list | tuple) and not isinstance(
        value, dict
    )


def history(saved: dict[str, Any], best: dict[str, Tensor]) -> History:
    """Return the records. Raises: whatever comes if they are not numbers under the names of an EpochRecord."""
    epochs = [EpochRecord(**record) for record in saved["epochs"]]
    values = (value for epoch in epochs for value in asdict(epoch).values())
    for value in (*saved["step_losses"], *values):
        if type(value) not in (int, float):
            raise TypeError(f"{value!r:.50} is no number")
        float(value)  # a whole number can be too large to be one
    if [epoch.epoch for epoch in epochs] != list(range(len(epochs))) or saved["diverged"] is not False:
        raise ValueError("the epochs are not counted from 0, or the run had diverged")
    return History(saved["step_losses"], epochs, best or None)


def take_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON can hold it; tensors move to `tensors` under a name, dicts keep the type of their keys."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"items": [[k, take_tensors(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [take_tensors(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
        return {"list": items} if isinstance(value, list) else {"tuple": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint without pickle cannot hold.")


def give_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `take_tensors`. Raises: whatever comes of a value that it did not make."""
    match value:
        case {"tensor": name}:
            return tensors[name]
        case {"items": items}:
            return {k: give_tensors(v, tensors) for k, v in items}
        case {"list": items}:
            return [give_tensors(v, tensors) for v in items]
        case {"tuple": items}:
            return tuple(give_tensors(v, tensors) for v in items)
    return value
