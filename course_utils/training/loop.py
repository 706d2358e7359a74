"""THE loop. Batches are index shuffles of tensors in memory; numbers are read from the device once an epoch."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from course_utils._checks import check_choice
from course_utils.training.checkpoints import load_checkpoint, save_checkpoint
from course_utils.training.records import Diverged, EpochRecord, Evaluation, History

Data = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
EVALUATION_BATCH = 2_048  # large enough that matrix products dominate, small enough for the cache of a laptop


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
        on_divergence: "raise" Diverged when a loss is not finite, or "stop" and return a History that says so.
        checkpoint: file that is written after each epoch (safetensors; never pickle).
        resume: continue from `checkpoint` if it exists: bit for bit what an uninterrupted run gives. Where that run is
            complete, its weights and its history are put back and no step is made.
        autocast: compute forward passes in bfloat16; weights, their gradients and the loss stay float32.
        progress: show a bar over the steps.

    Returns:
        The loss of every step, a record per epoch, and the best weights; `model` itself has the last ones.

    Raises:
        ValueError: if a size or a choice is out of range, `resume` has no `checkpoint`, or `autocast` is asked of a
            device where it would be slower (see `has_fast_bfloat16`).
        Diverged: if a loss is not finite, at the end of that epoch: losses are read from the device once an epoch.
        CheckpointError: if the file to resume from is damaged or belongs to another model, optimizer or scheduler.
    """
    _check_sizes(data, num_epochs, batch_size)
    _check_options(schedule_each, on_divergence, scheduler, validation, checkpoint, resume)
    if autocast and not has_fast_bfloat16(data[0].device):
        raise ValueError(
            f"autocast=True needs a device that multiplies bfloat16 in hardware, and this {data[0].device.type} does "
            "not: it would be slower than float32. Pass autocast=has_fast_bfloat16(device)."
        )
    history = History()
    if resume and checkpoint is not None and Path(checkpoint).is_file():
        history = load_checkpoint(checkpoint, model, optimizer, scheduler, generator)
    with _progress_bar(
        progress, num_epochs, len(history.epochs), math.ceil(len(data[1]) / batch_size)
    ) as bar:
        for epoch in range(len(history.epochs), num_epochs):
            lr = float(optimizer.param_groups[0]["lr"])
            model.train()
            losses, hits = [], []
            order = torch.randperm(len(data[1]), generator=generator).to(data[1].device)
            for index in torch.split(order, batch_size):
                # not data[0][index]: index_select copies rows as wholes, in half the time
                x, y = data[0].index_select(0, index), data[1].index_select(0, index)
                with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
                    output = model(x)
                batch_loss = loss(output.float() if autocast else output, y)
                optimizer.zero_grad()
                batch_loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(batch_loss.detach())  # not .item(): a GPU would have to wait at every step
                hits.append(_count_hits(output.detach(), y))
                if scheduler is not None and schedule_each == "step":
                    scheduler.step()
                if on_step is not None:
                    on_step(len(history.step_losses) + len(losses) - 1, model)
                bar.update()
            first = len(history.step_losses)
            history.step_losses += torch.stack(losses).tolist()
            if not math.isfinite(sum(history.step_losses[first:])):
                history.diverged = True
                if on_divergence == "stop":
                    break
                raise Diverged(_divergence_message(history.step_losses, first, lr))
            held_out = Evaluation(math.nan, math.nan)
            if validation is not None:
                held_out = evaluate(model, validation, loss=loss, autocast=autocast)
            train_loss, train_accuracy = _means(history.step_losses[first:], hits, data[1], batch_size)
            history.epochs.append(
                EpochRecord(epoch, train_loss, train_accuracy, held_out.loss, held_out.accuracy, lr)
            )
            if validation is not None and history.best.epoch == epoch:
                history.best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            if scheduler is not None and schedule_each == "epoch":
                arguments = (held_out.loss,) if isinstance(scheduler, ReduceLROnPlateau) else ()
                scheduler.step(*arguments)
            if checkpoint is not None:
                save_checkpoint(checkpoint, model, optimizer, scheduler, generator, history)
    return history


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Data,
    batch_size: int = EVALUATION_BATCH,
    *,
    loss: Loss = F.cross_entropy,
    autocast: bool = False,
) -> Evaluation:
    """Return mean loss and accuracy over all of `data`, in evaluation mode; the model's mode is restored.

    Batches are weighted by their size, so the last, smaller one counts as much as it should. Accuracy is NaN where the
    labels are not classes.

    Args:
        model: takes x, returns what `loss` takes.
        data: (x [N, ...], y [N]) on the model's device, N >= 1.
        batch_size: examples per forward pass; does not change the result beyond rounding.
        loss: (output, y) -> mean over the batch.
        autocast: compute the forward passes in bfloat16, as `train` does with the same flag.
    Raises: ValueError: if there is no example, x and y differ in number, or batch_size is below 1.
    """
    _check_sizes(data, 1, batch_size)
    x, y = data
    was_training = model.training
    model.eval()
    total, hits = 0.0, 0
    try:
        for xs, ys in zip(torch.split(x, batch_size), torch.split(y, batch_size), strict=True):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
                output = model(xs)
            total += float(loss(output.float() if autocast else output, ys)) * len(ys)
            hits += int(_count_hits(output, ys))
    finally:
        model.train(was_training)
    return Evaluation(total / len(y), hits / len(y) if _has_classes(y) else math.nan)


def has_fast_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Say whether the device multiplies bfloat16 matrices in hardware; elsewhere autocast makes training slower."""
    device = torch.device(device)
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # no such file on macOS and Windows: say no rather than guess
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _has_classes(y: Tensor) -> bool:
    return not y.is_floating_point() and y.ndim == 1


def _count_hits(output: Tensor, y: Tensor) -> Tensor:
    return (output.argmax(1) == y).sum() if _has_classes(y) else torch.zeros((), device=y.device)


def _means(losses: list[float], hits: list[Tensor], y: Tensor, batch_size: int) -> tuple[float, float]:
    """Return mean loss and accuracy over the examples of an epoch, of which the last batch may hold fewer."""
    full = batch_size * (len(losses) - 1)
    mean = (batch_size * sum(losses[:-1]) + (len(y) - full) * losses[-1]) / len(y)
    return mean, float(torch.stack(hits).sum()) / len(y) if _has_classes(y) else math.nan


def _check_sizes(data: Data, num_epochs: int, batch_size: int) -> None:
    if batch_size < 1 or num_epochs < 1:
        raise ValueError(f"batch_size and num_epochs must be at least 1, got {batch_size} and {num_epochs}.")
    if len(data[0]) != len(data[1]) or len(data[1]) == 0:
        raise ValueError(
            f"x and y need the same number of examples, at least 1, got {len(data[0])} and {len(data[1])}."
        )


def _check_options(
    schedule_each: str,
    on_divergence: str,
    scheduler: object,
    validation: Data | None,
    checkpoint: str | Path | None,
    resume: bool,
) -> None:
    check_choice("schedule_each", schedule_each, ("epoch", "step"))
    check_choice("on_divergence", on_divergence, ("raise", "stop"))
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint=..., the file to continue from.")
    if isinstance(scheduler, ReduceLROnPlateau) and (validation is None or schedule_each == "step"):
        raise ValueError(
            "ReduceLROnPlateau watches the validation loss: give validation=... and step it each epoch."
        )


def _divergence_message(losses: list[float], first: int, lr: float) -> str:
    step = next(i for i in range(first, len(losses)) if not math.isfinite(losses[i]))
    return (
        f"The loss became {losses[step]} at step {step} (lr={lr:g}). Lower the learning rate, check the scale of the "
        "inputs and of the initial weights, or pass on_divergence='stop' to keep the history."
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
