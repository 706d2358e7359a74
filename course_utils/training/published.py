"""Can somebody else's trained network be evaluated here?

Source S0 publishes each of its runs as three files, `<name>.config` (JSON: sizes and activation), `<name>.tar` (a
state_dict) and `<name>_results.json` (accuracies and losses). They are read without unpickling objects and onto any
device, and become an `MLP` of ours: S0 numbers its linear layers 0, 2, 4, ... because activations stand between them.
"""

import json
import pickle  # nosec B403  # for the name of its error; nothing is unpickled
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils._checks import naming
from course_utils._types import checked
from course_utils.models import MLP

_ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh", "Identity": "identity", "Sigmoid": "sigmoid"}
_SERIES = ("val_scores", "train_scores", "train_losses")


@dataclass(frozen=True)
class PublishedRun:
    """A run as its authors left it: the network, in evaluation mode, and what they recorded."""

    model: MLP
    test_accuracy: float  # as recorded, a fraction in [0, 1]; not recomputed
    val_accuracies: tuple[float, ...]  # one an epoch
    train_accuracies: tuple[float, ...]  # one an epoch, running
    step_losses: tuple[float, ...]


@checked
def load_published(folder: str | Path, name: str, *, device: str | torch.device = "cpu") -> PublishedRun:
    """Return the run called `name` from its three files.

    Args:
        folder: where the files lie.
        name: such as "FashionMNIST_SGD".
        device: where the weights are to live, whatever device they were saved from.

    Raises:
        FileNotFoundError: if one of the files is missing; the message lists them.
        ValueError: if torch knows no such device, a file does not hold what the format says, or the weights do not fit
            the configuration.
    """
    with naming(f"device={device!r}"):
        device = torch.device(device)
    files = [Path(folder) / f"{name}{ending}" for ending in (".config", ".tar", "_results.json")]
    if missing := [file.name for file in files if not file.is_file()]:
        raise FileNotFoundError(
            f"{name} needs three files, missing: {', '.join(missing)}. Put them into {folder}."
        )
    config, results = _read_json(files[0]), _read_json(files[2])
    weights = _read_weights(files[1], device)
    model = _make_model(config, files[0].name).to(device)
    try:
        model.load_state_dict(_renamed(weights))
    except (RuntimeError, AttributeError, ValueError) as error:
        raise ValueError(f"{files[1].name} does not fit {files[0].name}: {error}") from None
    try:
        return PublishedRun(
            model.eval(), float(results["test_acc"]), *(tuple(results[key]) for key in _SERIES)
        )
    except KeyError as error:
        raise ValueError(
            f"{files[2].name} needs the keys test_acc, {', '.join(_SERIES)}; {error} is missing."
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name} needs one JSON object ({error}). Fetch it again.") from None


def _read_weights(path: Path, device: str | torch.device) -> dict[str, Tensor]:
    try:
        return dict(torch.load(path, map_location=device, weights_only=True))
    except (pickle.UnpicklingError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path.name} needs a state_dict of tensors and nothing else; it is not read."
        ) from error


def _make_model(config: dict[str, Any], file: str) -> MLP:
    try:
        widths = (config["input_size"], *config["hidden_sizes"], config["num_classes"])
        activation = _ACTIVATIONS[config["act_fn"]]
    except (KeyError, TypeError) as error:
        known = ", ".join(_ACTIVATIONS)
        raise ValueError(
            f"{file} needs input_size, hidden_sizes, num_classes and act_fn, one of {known}; got {error}."
        ) from None
    return MLP(widths, activation=activation, generator=torch.Generator())  # the draw is overwritten


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under our names: layer 2l of S0 is layer l here."""
    renamed = {}
    for name, tensor in weights.items():
        layers, index, kind = name.split(".")
        renamed[f"{layers}.{int(index) // 2}.{kind}"] = tensor
    return renamed
