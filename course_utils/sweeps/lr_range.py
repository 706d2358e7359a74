"""Which learning rates are worth trying? One short run through all of them, from far too small to far too large."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from course_utils._given import loss_of
from course_utils._types import checked
from course_utils.training import train
from course_utils.training.evaluation import check_sizes


@dataclass(frozen=True)
class LRRange:
    """The learning rate of each step, its loss, and the loss smoothed; lists of one length, cut at divergence."""

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    lr_at_minimum: float  # where the smoothed loss was lowest
    lr_at_divergence: float  # where it had become `divergence` times that; infinite if it never did


@checked
def lr_range_test(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    optimizer: Optimizer,
    *,
    generator: torch.Generator,
    batch_size: int,
    lr_min: float = 1e-4,
    lr_max: float = 10.0,
    num_steps: int = 300,
    smoothing: float = 0.9,
    divergence: float = 4.0,
) -> LRRange:
    r"""Train once while the learning rate grows geometrically, :math:`\eta_k = \eta_0\,(\eta_1/\eta_0)^{k/(K-1)}`.

    The smoothed loss is a moving average with the bias towards 0 divided out. `model` is spent afterwards.

    Args:
        model: freshly initialized.
        data: (x, y) on the model's device.
        optimizer: over the model's parameters; its learning rate is overwritten.
        generator: of the batch order.
        batch_size: examples per step.
        lr_min: rate of the first step.
        lr_max: rate of the last step.
        num_steps: K.
        smoothing: weight of the past in the moving average, [0, 1).
        divergence: the run counts as diverged where the smoothed loss exceeds this many times its minimum so far.
    Raises: ValueError: if the range or the number of steps is empty, a number is out of its range, or the model cannot
        take x, or cross_entropy not compare its output with y.
    Source: L. N. Smith 2015, arXiv:1506.01186, section 3.3.
    """
    if not 0 < lr_min < lr_max < math.inf or num_steps < 2 or not 0 <= smoothing < 1 or not divergence > 1:
        raise ValueError(
            "the range test needs 0 < lr_min < lr_max, num_steps >= 2, 0 <= smoothing < 1 and divergence > 1, got "
            f"{lr_min}, {lr_max}, {num_steps}, {smoothing} and {divergence}."
        )
    check_sizes(data, 1, batch_size)
    _check_first_batch(model, data, batch_size)
    batch_size = int(batch_size)  # torch splits by no number of NumPy
    ratio = lr_max / lr_min
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = lr_min
    scheduler = LambdaLR(optimizer, lambda k: ratio ** (k / (num_steps - 1)))
    num_epochs = math.ceil(num_steps / math.ceil(len(data[1]) / batch_size))
    history = train(
        model, data, optimizer, num_epochs=num_epochs, batch_size=batch_size, generator=generator,
        scheduler=scheduler, schedule_each="step", on_divergence="stop",
    )  # fmt: skip
    lrs, losses, smoothed = [], [], []
    average, lowest, at_minimum, at_divergence = 0.0, math.inf, lr_min, math.inf
    for k, loss in enumerate(history.step_losses[:num_steps]):
        lr = lr_min * ratio ** (k / (num_steps - 1))
        average = smoothing * average + (1 - smoothing) * loss
        corrected = average / (1 - smoothing ** (k + 1))
        if not corrected <= divergence * lowest:  # also NaN
            at_divergence = lr
            break
        lrs.append(lr)
        losses.append(loss)
        smoothed.append(corrected)
        if corrected < lowest:
            lowest, at_minimum = corrected, lr
    return LRRange(lrs, losses, smoothed, at_minimum, at_divergence)


@torch.no_grad()
def _check_first_batch(model: nn.Module, data: tuple[Tensor, Tensor], batch_size: int) -> None:
    """Compute one loss before anything is changed; buffers and the global random stream stay as they are."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng():
        loss_of(model, buffers, data[0][:batch_size], data[1][:batch_size], F.cross_entropy)
