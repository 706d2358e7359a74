"""Where do runs go, from many starts and with many learning rates? All of them in one batched tensor."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils._checks import check_positive
from course_utils._given import call_given, check_differentiable
from course_utils._types import checked, describe
from course_utils.optimizers import Rule


@checked
def trajectories(
    rule: Rule,
    value: Callable[[Tensor], Tensor],
    starts: Tensor,
    lrs: Tensor | Sequence[float],
    num_steps: int,
    *,
    clip_norm: float | None = None,
    record_every: int = 1,
    **hyper: Any,
) -> Tensor:
    r"""Walk from every start with every learning rate, all in one batch, and return the paths.

    The runs do not see each other: run i enters the sum of all values through its own term only, so

    .. math:: \nabla_{w_i} \sum_j L(w_j) = \nabla L(w_i).

    Args:
        rule: one of `course_utils.optimizers.RULES`.
        value: points [..., 2] -> values [...].
        starts: B points, shape [B, 2]; their dtype and device are those of the runs. Left alone.
        lrs: L learning rates, > 0.
        num_steps: updates T, >= 1.
        clip_norm: scale each run's gradient down to this norm where it is longer; None leaves it.
        record_every: keep every so many steps, the start first; it must divide `num_steps`, so that the end is kept.
        hyper: further hyper-parameters of the rule, such as momentum=0.9.
    Returns: [T / record_every + 1, B, L, 3]: w1, w2 and the value there, the start first and the end last. A run that
        left the range of floating point holds inf or NaN.
    Raises: ValueError: if `starts` has another shape or is not floating, a number is out of range, or `value` does not
        return a value for each point.
    """
    lr = _check_arguments(starts, lrs, num_steps, clip_norm, record_every)
    w = starts.detach()[:, None, :].repeat(1, len(lr), 1)
    paths = w.new_empty(num_steps // record_every + 1, *w.shape[:2], 3)
    state = rule.init(w)
    for step in range(num_steps + 1):
        w.requires_grad_()
        values = _values_at(value, w)
        if step % record_every == 0:
            record = paths[step // record_every]
            record[..., :2], record[..., 2] = w.detach(), values.detach()
        if step == num_steps:
            break
        (grad,) = torch.autograd.grad(values, w, torch.ones_like(values))  # of the sum, without making it
        if clip_norm is not None:
            grad = _clipped(grad, clip_norm)
        delta, state = rule.update(grad, state, lr=lr, **hyper)
        w = w.detach() + delta
    return paths


def _check_arguments(
    starts: Tensor, lrs: Tensor | Sequence[float], num_steps: int, clip_norm: float | None, record_every: int
) -> Tensor:
    """Return the learning rates as a column [L, 1], which broadcasts against runs [B, L, 2]."""
    if starts.ndim != 2 or starts.shape[1] != 2:
        raise ValueError(f"starts needs shape (B, 2), got {tuple(starts.shape)}.")
    if not starts.is_floating_point():
        raise ValueError(f"starts must be floating point numbers, got {starts.dtype}: use starts.double().")
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    if record_every < 1 or num_steps % record_every:
        raise ValueError(
            f"record_every must divide num_steps={num_steps}, so that the end is kept; got {record_every}."
        )
    if clip_norm is not None:
        check_positive("clip_norm", clip_norm)
    lr = torch.as_tensor(lrs, dtype=starts.dtype, device=starts.device).detach()
    if lr.ndim != 1 or not len(lr):
        raise ValueError(f"lrs must be one learning rate or more, [L], got shape {tuple(lr.shape)}.")
    lr = lr.reshape(-1, 1)
    for number in lr.flatten().tolist():
        check_positive("lr", number)
    return lr


def _values_at(value: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
    values = call_given("value", value, "the points", w)
    if not isinstance(values, Tensor) or values.shape != w.shape[:-1]:
        raise ValueError(
            f"value must return shape {tuple(w.shape[:-1])} for points {tuple(w.shape)}, got {describe(values)}."
        )
    check_differentiable("value", values, "the points")
    return values


def _clipped(grad: Tensor, clip_norm: float) -> Tensor:
    """Return the gradients [..., 2] of single runs, each no longer than `clip_norm`; a gradient of 0 stays 0."""
    scale: Tensor = clip_norm / grad.norm(dim=-1, keepdim=True)
    return grad * scale.clamp(max=1.0)
