"""Is the run still made of numbers? What is looked at while it goes, and what is said when it is not."""

import inspect
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from course_utils._checks import naming
from course_utils._types import describe
from course_utils.training.divergence import UNSEEN, Scene, explain
from course_utils.training.evaluation import MISMATCH, Data, Loss, check_labels
from course_utils.training.records import Diverged, History
from course_utils.training.snapshots import Run, Scheduler, Snapshot, clone_weights, device_of

Step = Callable[[Tensor], tuple[Tensor, Tensor]]


def has_finite_weights(model: nn.Module) -> bool:
    """Say whether all parameters are finite; where they are, one number is read from the device."""
    parameters = [p.detach() for p in model.parameters() if p.numel()]
    sums = [p.sum(dtype=torch.float32) for p in parameters]  # NaN and infinity stay in a sum
    if not sums or torch.stack(sums).sum().isfinite():
        return True
    return all(bool(p.isfinite().all()) for p in parameters)  # a sum of large numbers overflows too


def check_belonging(model: nn.Module, optimizer: Optimizer, scheduler: Scheduler) -> None:
    """Raise ValueError if the optimizer would move nothing of the model, or the scheduler another optimizer."""
    ours = {id(p) for p in model.parameters()}
    if not any(id(p) in ours for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "optimizer must be over parameters of this model, and has none of them. "
            "Make it from model.parameters(), after the model."
        )
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError(
            "scheduler must be over this optimizer, and is over another. Make it from optimizer."
        )


def check_takes_step(on_step: Callable[[int, nn.Module], None], model: nn.Module) -> None:
    """Raise ValueError unless the function can be called as on_step(step, model), where Python can tell."""
    try:
        signature = inspect.signature(on_step)
    except ValueError:  # a function in C may have none
        return
    with naming("on_step is called as on_step(step, model)"):
        signature.bind(0, model)


class Guard:
    """Sees the outputs and losses of a run, and raises Diverged with the place and the cause.

    On the CPU every loss is looked at, which costs a microsecond. A GPU would have to wait for it at every step: there
    the start of the epoch is kept, and the epoch repeated if its losses turn out not to be finite.
    """

    def __init__(
        self,
        run: Run,
        data: Data,
        history: History,
        loss: Loss,
        *,
        raises: bool,
        autocast: bool,
        has_on_step: bool,
        checkpoint: str | Path | None,
    ) -> None:
        self._run, self._data, self._history, self._loss = run, data, history, loss
        self._raises, self._autocast, self._has_on_step = raises, autocast, has_on_step
        self._checkpoint = checkpoint
        self._is_cpu = device_of(run.model).type == "cpu"
        self._sees_losses = raises and self._is_cpu
        self._has_seen_output = self._has_seen_loss = False
        self._losses: list[float] = []  # of this epoch, where they are seen
        self._num_before = len(history.step_losses)

    def begin(self) -> None:
        """Keep what the epoch starts from."""
        self._losses = []
        if self._raises:
            self._start = None if self._is_cpu else Snapshot(self._run)
            self._weights = clone_weights(self._run.model) if self._start is None else self._start.weights

    def see_output(self, output: Tensor) -> None:
        """Compare the labels with the number of outputs, once."""
        if not self._has_seen_output:
            self._has_seen_output = True
            check_labels(output, self._data[1], self._loss)

    def name_mismatch(self, error: Exception) -> None:
        """Raise ValueError instead of an error of the very first step: the arguments do not go together."""
        if not isinstance(error, Diverged) and not self._has_seen_loss:
            with naming(MISMATCH):
                raise error

    def see_loss(self, index: Tensor, batch_loss: Tensor) -> None:
        """Raise Diverged, before the update, if the loss of the examples `index` is not finite.

        Raises: ValueError: if the first loss is none.
        """
        if not self._has_seen_loss:
            if not (isinstance(batch_loss, Tensor) and batch_loss.requires_grad and batch_loss.numel() == 1):
                raise ValueError(
                    "loss(output, y) must be one number that depends on the model's weights, got "
                    f"{describe(batch_loss)}."
                )
            self._has_seen_loss = True
        if not self._sees_losses:
            return
        value = batch_loss.item()
        self._losses.append(value)
        if not math.isfinite(value):
            self._history.step_losses += self._losses
            self._history.diverged = True
            self._raise(f"The loss became {value}", index, len(self._history.step_losses) - 2)

    def raise_diverged(
        self, step: Step, batches: Iterable[Tensor], scheduler: LRScheduler | ReduceLROnPlateau | None
    ) -> NoReturn:
        """Say where and why an epoch was not finite, as far as it was not seen on its way."""
        batches, losses = list(batches), self._history.step_losses
        if math.isfinite(sum(losses[-len(batches) :])):
            self._raise("The weights became infinite or NaN", batches[-1], len(losses) - 1)
        assert self._start is not None  # on a CPU the loss would have been seen
        recorded = losses[-len(batches) :]
        del losses[-len(batches) :]
        self._losses, self._sees_losses = [], True
        self._start.restore()
        for index in batches:
            step(index)
            if scheduler is not None:
                scheduler.step()
        losses += recorded
        raise self._diverged(
            f"A loss became infinite or NaN after step {len(losses) - len(batches)}",
            f"{UNSEEN}: repeated without on_step, the epoch is finite. Look at what on_step changes, and at operations "
            "that are not the same each time.",
        )

    def _raise(self, what: str, index: Tensor, last_update: int) -> NoReturn:
        losses = self._history.step_losses
        scene = Scene(
            self._run.model,
            self._data,
            index,
            losses,
            self._autocast,
            self._has_on_step,
            self._num_before,
            last_update,
        )
        place, finding = explain(scene)
        raise self._diverged(
            f"{what} at step {len(losses) - 1}", f"first not finite: {place}. Cause: {finding}"
        )

    def _diverged(self, what: str, why: str) -> Diverged:
        epoch, lr = len(self._history.epochs), float(self._run.optimizer.param_groups[0]["lr"])
        good = f"epoch {epoch - 1}" if epoch else "the start"
        file = f" and in {Path(self._checkpoint).name}" if self._checkpoint is not None and epoch else ""
        return Diverged(
            f"{what} (epoch {epoch}, lr={lr:g}); {why} The weights of {good} are in this error's `last_weights`"
            f"{file}; on_divergence='stop' keeps the history.",
            self._history,
            self._weights,
        )
