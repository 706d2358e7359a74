"""How good is it? Loss and accuracy over a whole set, by the same rules while training and afterwards."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils._checks import naming
from course_utils._types import checked
from course_utils.training.records import Evaluation

Data = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
EVALUATION_BATCH = 2_048  # large enough that matrix products dominate, small enough for the cache of a laptop
MISMATCH = "the model cannot take x, or loss not its output and y"
IGNORED = -100  # the label that cross_entropy leaves out


@checked
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
    Raises: ValueError: if there is no example, x and y differ in number, batch_size is below 1, or a label has no
        output, or the model cannot take x, or `loss` not its output and y.
    """
    check_sizes(data, 1, batch_size)
    x, y = data
    was_training = model.training
    model.eval()
    total, hits, size = 0.0, 0, int(batch_size)  # torch splits by no number of NumPy
    try:
        for xs, ys in zip(torch.split(x, size), torch.split(y, size), strict=True):
            with naming(MISMATCH), torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
                output = model(xs)
            if not total:
                check_labels(output, y, loss)
            with naming(MISMATCH):
                total += float(loss(output.float() if autocast else output, ys)) * len(ys)
                hits += int(count_hits(output, ys))
    finally:
        model.train(was_training)
    return Evaluation(total / len(y), hits / len(y) if has_classes(y) else math.nan)


@checked
def has_fast_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Say whether the device multiplies bfloat16 matrices in hardware; elsewhere autocast makes training slower.

    Raises: ValueError: if torch knows no such device.
    """
    with naming(f"device={device!r}"):
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


def has_classes(y: Tensor) -> bool:
    """Say whether the labels are numbers of classes."""
    return not y.is_floating_point() and y.ndim == 1


def count_hits(output: Tensor, y: Tensor) -> Tensor:
    """Return how many examples the largest output names, still on the device; 0 where labels are not classes."""
    return (output.argmax(1) == y).sum() if has_classes(y) else torch.zeros((), device=y.device)


def mean_over_examples(
    losses: list[float], hits: list[Tensor], y: Tensor, batch_size: int
) -> tuple[float, float]:
    """Return mean loss and accuracy over the examples of an epoch, of which the last batch may hold fewer."""
    full = batch_size * (len(losses) - 1)
    mean = (batch_size * sum(losses[:-1]) + (len(y) - full) * losses[-1]) / len(y)
    return mean, float(torch.stack(hits).sum()) / len(y) if has_classes(y) else math.nan


def check_sizes(data: Data, num_epochs: int, batch_size: int) -> None:
    """Raise ValueError unless there is something to train on, and as many labels as inputs."""
    if batch_size < 1 or num_epochs < 1:
        raise ValueError(f"batch_size and num_epochs must be at least 1, got {batch_size} and {num_epochs}.")
    num_x, num_y = (len(part) if part.ndim else 0 for part in data)
    if num_x != num_y or num_y == 0:
        raise ValueError(f"x and y need the same number of examples, at least 1, got {num_x} and {num_y}.")


def check_labels(output: Tensor, y: Tensor, loss: Loss) -> None:
    """Raise ValueError if a class has no output, which torch reports without its place, and a GPU by giving up."""
    if loss is not F.cross_entropy or not has_classes(y) or output.ndim != 2:
        return
    num_outputs = output.shape[1]
    wrong = ((y < 0) & (y != IGNORED)) | (y >= num_outputs)
    if wrong.any():
        example = int(wrong.nonzero()[0])
        raise ValueError(
            f"cross_entropy on {num_outputs} outputs needs labels from 0 to {num_outputs - 1}, got {int(y[example])} "
            f"at example {example}. Count the classes from 0, or give the model an output for each."
        )
