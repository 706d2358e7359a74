"""Where does a rule end, at every rate and from every start? One batched walk over any list of parameters."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils._checks import check_finite, check_positive
from course_utils._given import call_given, check_differentiable
from course_utils._types import checked, describe
from course_utils.optimizers import Rule

Losses = Callable[[list[Tensor], int], Tensor]


@checked
def walk(
    rule: Rule,
    losses: Losses,
    starts: Sequence[Tensor],
    lrs: Sequence[float],
    *,
    num_steps: int,
    share: Callable[[int], float] | None = None,
    weight_decay: float = 0.0,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> list[Tensor]:
    r"""Walk from every start at every rate, and return where the runs are to be judged.

    A formula is asked for its step at a rate of 1, which is then multiplied by each rate and by the share of this step:

    .. math:: w_{t+1} = w_t + \eta\, s(t)\, \Delta_t \big|_{\eta = 1}

    That is the formula at the rate :math:`\eta s(t)`, for every rule of `ZOO`; those that average (with an x in their
    state) need a constant share, and are judged at x.

    Args:
        rule: one of `course_utils.optimizers.ZOO`.
        losses: (parameters [L, S, ...], step) -> [L, S], where no run sees another.
        starts: parameters [S, ...] of S runs each. Left alone.
        lrs: L rates > 0.
        num_steps: updates T >= 1.
        share: step -> share of the rate, such as one of `course_utils.training.schedules`; None keeps it constant.
        weight_decay: decoupled, >= 0: every step multiplies by :math:`1 - \eta s \lambda` first.
        on_step: called as on_step(step, losses [L, S]) before each update.
    Returns: parameters [L, S, ...], without gradients. A run that left the range of numbers holds inf or NaN.
    Raises: ValueError: if there is no rate or start, one is out of range, `losses` does not return [L, S], or a rule
        that averages is given a share.
    """
    _check(starts, lrs, num_steps, weight_decay)
    lr = [torch.tensor(lrs, dtype=p.dtype, device=p.device).reshape(-1, *[1] * p.ndim) for p in starts]
    first = [p.detach().expand(len(lrs), *p.shape) for p in starts]
    params = [p.clone() for p in first]
    # From zero: averages are kept as what they moved at a rate of 1.
    states = [rule.init(torch.zeros_like(p)) for p in params]
    averages = any(hasattr(state, "x") for state in states)
    if averages and share is not None:
        raise ValueError(f"share must be None for {rule.name}, which averages over steps of one rate.")
    for step in range(num_steps):
        values, grads = _gradients(losses, params, step, (len(lrs), len(starts[0])))
        if on_step is not None:
            call_given("on_step", on_step, "the step and the losses", step, values)
        part = 1.0 if share is None else call_given("share", share, "the step", step)
        check_finite("share", part)
        for k, (param, grad) in enumerate(zip(params, grads, strict=True)):
            delta, states[k] = rule.update(grad, states[k], lr=1.0)
            params[k] = (1 - part * weight_decay * lr[k]) * param + part * lr[k] * delta
    if averages:
        return [p + rate * state.x for p, rate, state in zip(first, lr, states, strict=True)]
    return params


def _gradients(
    losses: Losses, params: list[Tensor], step: int, shape: tuple[int, int]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = [p.detach().requires_grad_() for p in params]
    with torch.enable_grad():
        values = call_given("losses", losses, "the parameters and a step", leaves, step)
        if not isinstance(values, Tensor) or values.shape != shape:
            raise ValueError(
                f"losses must return shape {shape}, one for each of lrs and each run of starts, got {describe(values)}."
            )
        check_differentiable("losses", values, "the parameters")
        grads = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
    if unused := [k for k, grad in enumerate(grads) if grad is None]:
        raise ValueError(f"losses must depend on all of starts, but number {unused[0]} is not used.")
    return values.detach(), grads


def _check(starts: Sequence[Tensor], lrs: Sequence[float], num_steps: int, weight_decay: float) -> None:
    if not starts or not len(lrs):
        raise ValueError(
            f"starts and lrs need one or more, got {len(starts)} parameters and {len(lrs)} rates."
        )
    for k, start in enumerate(starts):
        if start.ndim < 2 or not start.is_floating_point() or len(start) != len(starts[0]) or not len(start):
            raise ValueError(
                f"starts needs real parameters [S, ...] of the same S >= 1 runs, number {k} is {describe(start)}."
            )
    for rate in lrs:
        check_positive("lrs", rate)
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    check_positive("weight_decay", weight_decay, strict=False)
