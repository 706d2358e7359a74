"""What is a run, apart from its records? Weights, optimizer, scheduler and three streams, held and put back."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

Scheduler = LRScheduler | ReduceLROnPlateau | None


class Run(NamedTuple):
    """What a run changes on its way."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: Scheduler
    generator: torch.Generator


class Snapshot:
    """A copy of a run in memory, which `restore` puts back."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.weights = clone_weights(run.model)
        self._optimizer = copy.deepcopy(run.optimizer.state_dict())
        self._scheduler = {} if run.scheduler is None else copy.deepcopy(run.scheduler.state_dict())
        self._streams = {"generator": run.generator.get_state(), **global_streams(run.model)}

    def restore(self) -> None:
        """Put the run back to where it was."""
        model, optimizer, scheduler, generator = self._run
        model.load_state_dict(self.weights)
        optimizer.load_state_dict(copy.deepcopy(self._optimizer))
        if scheduler is not None:
            scheduler.load_state_dict(copy.deepcopy(self._scheduler))
        set_streams(self._streams, model, generator)


def clone_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all parameters and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def device_of(model: nn.Module) -> torch.device:
    """Return where the model's parameters are; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def global_streams(model: nn.Module) -> dict[str, Tensor]:
    """Return the states of the streams that dropout draws from: the CPU's, and that of the model's GPU."""
    streams = {"global.cpu": torch.random.get_rng_state()}
    device = device_of(model)
    if device.type == "cuda":
        streams["global.cuda"] = torch.cuda.get_rng_state(device)
    return streams


def set_streams(streams: dict[str, Any], model: nn.Module, generator: torch.Generator) -> None:
    """Put the streams where they were."""
    generator.set_state(streams["generator"])
    torch.random.set_rng_state(streams["global.cpu"])
    device = device_of(model)
    if device.type == "cuda" and "global.cuda" in streams:
        torch.cuda.set_rng_state(streams["global.cuda"], device)
