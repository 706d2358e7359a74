"""THE loop. Batches are index shuffles of tensors in memory; numbers are read from the device once an epoch."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from course_utils._checks import check_file_name, naming
from course_utils._types import checked
from course_utils.training.checkpoints import has_checkpoint, load_checkpoint, save_checkpoint
from course_utils.training.evaluation import (
    Data,
    Loss,
    check_sizes,
    count_hits,
    evaluate,
    has_fast_bfloat16,
    mean_over_examples,
)
from course_utils.training.guard import Guard, check_belonging, check_takes_step, has_finite_weights
from course_utils.training.records import EpochRecord, Evaluation, History
from course_utils.training.snapshots import Run, clone_weights


@checked
def train(
    model: nn.Module,
    data: Data,
    optimizer: Optimizer,
    *,
    num_epochs: int,
    batch_size: int,
    generator: torch.Generator,
    validation: Data | None = None,
    scheduler: LRScheduler | ReduceLROnPlateau | None = None,
    schedule_each: Literal["epoch", "step"] = "epoch",
    loss: Loss = F.cross_entropy,
    on_step: Callable[[int, nn.Module], None] | None = None,
    on_divergence: Literal["raise", "stop"] = "raise",
    checkpoint: str | Path | None = None,
    resume: bool = False,
    autocast: bool = False,
    progress: bool = False,
) -> History:
    """Train `model` in place for `num_epochs` passes over `data` and return the records of the run.

    Every epoch draws one permutation from `generator`, on the CPU, so that the batches are the same on every device.
    The last batch of an epoch may be smaller. Nothing else is drawn; a model with dropout draws from torch's global
    stream, which is therefore kept in the checkpoint and set when a run is resumed.

    Args:
        model: takes inputs [N, ...], returns what `loss` takes. Left in training mode.
        data: (x [N, ...], y [N]) on the model's device.
        optimizer: over the model's parameters.
        num_epochs: total number, including those of the run that is resumed.
        batch_size: examples per step, >= 1.
        generator: of the batch order; its state moves on.
        validation: evaluated after each epoch; decides `best_weights`; ReduceLROnPlateau takes its loss.
        scheduler: of the learning rate; stepped each epoch or each step.
        schedule_each: "epoch" or "step".
        loss: (output, y) -> mean over the batch.
        on_step: called as on_step(step, model) after each update, step counted from 0 over the whole run.
        on_divergence: when a loss or a weight is not finite, "raise" Diverged, which says where and why; or "stop" at
            the end of that epoch and return a History that says so.
        checkpoint: file that is written after each epoch that is finite (safetensors; never pickle); the one of the
            epoch before stays as `<name>.previous`.
        resume: continue from `checkpoint` if it exists, or from the one before if it is damaged: bit for bit what an
            uninterrupted run gives. Where that run is complete, its weights and its history are put back and no step is
            made.
        autocast: compute forward passes in bfloat16; weights, their gradients and the loss stay float32.
        progress: show a bar over the steps.

    Returns:
        The loss of every step, a record per epoch, and the best weights; `model` itself has the last ones.

    Raises:
        ValueError: if a size is out of range, `resume` has no `checkpoint`, the optimizer is over another
            model, the scheduler over another optimizer, `on_step` cannot be called so, the model cannot take x or
            `loss` its output and y, cross_entropy gets a label without an output, or `autocast` is asked of a
            device where it would be slower (see `has_fast_bfloat16`).
        TypeError: if an argument is of another type, or a choice unknown.
        Diverged: if a loss or a weight is not finite: on the CPU at that step; on a GPU, where losses are read once an
            epoch, after repeating that epoch up to that step, without `on_step`. The weights of the last finished epoch
            come with it.
        CheckpointError: if the file to resume from and the one before are damaged, or one belongs to another model,
            optimizer or scheduler.
        OSError: if the checkpoint cannot be written; the one before is whole.
    """
    check_sizes(data, num_epochs, batch_size)
    if validation is not None:
        with naming("validation"):
            check_sizes(validation, 1, batch_size)
    batch_size = int(batch_size)  # torch splits by no number of NumPy
    _check_options(schedule_each, scheduler, validation, checkpoint, resume)
    check_belonging(model, optimizer, scheduler)
    if on_step is not None:
        check_takes_step(on_step, model)
    if autocast and not has_fast_bfloat16(data[0].device):
        raise ValueError(
            f"autocast=True needs a device that multiplies bfloat16 in hardware, and this {data[0].device.type} does "
            "not: it would be slower than float32. Pass autocast=has_fast_bfloat16(device)."
        )
    history = History()
    if resume and checkpoint is not None and has_checkpoint(checkpoint):
        history = load_checkpoint(checkpoint, model, optimizer, scheduler, generator)
    each_step = scheduler if schedule_each == "step" else None
    guard = Guard(
        Run(model, optimizer, scheduler, generator), data, history, loss, raises=on_divergence == "raise",
        autocast=autocast, has_on_step=on_step is not None, checkpoint=checkpoint,
    )  # fmt: skip
    step = partial(_step, model, data, optimizer, loss, autocast, guard)
    with _progress_bar(
        progress, num_epochs, len(history.epochs), math.ceil(len(data[1]) / batch_size)
    ) as bar:
        for epoch in range(len(history.epochs), num_epochs):
            guard.begin()
            lr = float(optimizer.param_groups[0]["lr"])
            model.train()
            losses, hits = [], []
            order = torch.randperm(len(data[1]), generator=generator).to(data[1].device)
            for index in torch.split(order, batch_size):
                batch_loss, batch_hits = step(index)
                losses.append(batch_loss)
                hits.append(batch_hits)
                if each_step is not None:
                    each_step.step()
                if on_step is not None:
                    on_step(len(history.step_losses) + len(losses) - 1, model)
                bar.update()
            first = len(history.step_losses)
            history.step_losses += torch.stack(losses).tolist()
            if not (math.isfinite(sum(history.step_losses[first:])) and has_finite_weights(model)):
                history.diverged = True
                if on_divergence == "stop":
                    break
                guard.raise_diverged(step, torch.split(order, batch_size), each_step)
            held_out = Evaluation(math.nan, math.nan)
            if validation is not None:
                with naming("validation"):
                    held_out = evaluate(model, validation, loss=loss, autocast=autocast)
            train_loss, train_accuracy = mean_over_examples(
                history.step_losses[first:], hits, data[1], batch_size
            )
            history.epochs.append(
                EpochRecord(epoch, train_loss, train_accuracy, held_out.loss, held_out.accuracy, lr)
            )
            if validation is not None and history.best.epoch == epoch:
                history.best_weights = clone_weights(model)
            if scheduler is not None and schedule_each == "epoch":
                arguments = (held_out.loss,) if isinstance(scheduler, ReduceLROnPlateau) else ()
                scheduler.step(*arguments)
            if checkpoint is not None:
                save_checkpoint(checkpoint, model, optimizer, scheduler, generator, history)
    return history


def _step(
    model: nn.Module,
    data: Data,
    optimizer: Optimizer,
    loss: Loss,
    autocast: bool,
    guard: Guard,
    index: Tensor,
) -> tuple[Tensor, Tensor]:
    """Make one update on the examples `index`; return their mean loss and number of hits, still on the device."""
    # not data[0][index]: index_select copies rows as wholes, in half the time
    x, y = data[0].index_select(0, index), data[1].index_select(0, index)
    try:  # which costs nothing
        with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
            output = model(x)
        guard.see_output(output)
        batch_loss = loss(output.float() if autocast else output, y)
        guard.see_loss(index, batch_loss)
        hits = count_hits(output.detach(), y)
        optimizer.zero_grad()
        batch_loss.backward()  # type: ignore[no-untyped-call]
    except (AttributeError, LookupError, RuntimeError, TypeError) as error:
        guard.name_mismatch(error)
        raise
    optimizer.step()
    return batch_loss.detach(), hits  # not .item(): a GPU would have to wait


def _check_options(
    schedule_each: str,
    scheduler: object,
    validation: Data | None,
    checkpoint: str | Path | None,
    resume: bool,
) -> None:
    if checkpoint is not None:
        check_file_name("checkpoint", checkpoint)
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint=..., the file to continue from.")
    if isinstance(scheduler, ReduceLROnPlateau) and (validation is None or schedule_each == "step"):
        raise ValueError(
            "ReduceLROnPlateau watches the validation loss: give validation=... and step it each epoch."
        )


def _progress_bar(progress: bool, num_epochs: int, done: int, steps: int) -> Any:
    """Return a context with `update()`: tqdm's bar, or nothing that shows."""
    if not progress:
        return nullcontext(_NoBar())
    from tqdm.auto import tqdm

    return tqdm(total=num_epochs * steps, initial=done * steps, unit="step", desc="training")


class _NoBar:
    """Stands where a progress bar would, and shows nothing."""

    def update(self) -> None:
        """Do nothing."""
