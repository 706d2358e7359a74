"""Means of what an activation makes of one Gaussian, or of two correlated ones, and the checks of their arguments."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils._checks import check_all_finite, check_finite, check_positive
from course_utils._given import check_differentiable, vector_function
from course_utils._types import describe
from course_utils.phase._quadrature import normal_nodes, pair_nodes

Activation = Callable[[Tensor], Tensor]
Number = float | Tensor


def second_moment(f: Activation, q: Tensor, kinks: Sequence[float]) -> Tensor:
    """Return E[f(sqrt(q) z)^2] for each q >= 0."""
    check_all_finite("kinks", kinks)
    scale = q.sqrt()
    # at q = 0 every node lies at 0; kinks are then out of reach, and any positive scale finds none
    z, w = normal_nodes(torch.where(scale > 0, scale, torch.ones_like(scale)), kinks)
    return (w * called(f)(scale[..., None] * z).square()).sum(-1)


def variance_slope(phi: Activation, q: Tensor, kinks: Sequence[float]) -> Tensor:
    r"""Return dE[phi^2]/dq = E[phi phi' z] / sqrt(q), which needs no second derivative, for q > 0."""
    z, w = normal_nodes(q.sqrt(), kinks)
    u = q.sqrt()[..., None] * z
    return (w * called(phi)(u) * derivative(phi)(u) * z).sum(-1) / q.sqrt()


def derivative(phi: Activation) -> Activation:
    """Return phi', by torch's differentiation at each node; no node lies on a kink."""
    function = called(phi)

    def slope_at(u: Tensor) -> Tensor:
        with torch.enable_grad():
            u = u.detach().clone().requires_grad_()
            value = function(u)
            check_differentiable("phi", value, "its argument")
            (gradient,) = torch.autograd.grad(value.sum(), u)
        return gradient

    return slope_at


def numbers(**named: Number) -> list[Tensor]:
    """Return finite numbers >= 0 as float64 tensors of one shape, or raise ValueError with the name of a wrong one."""
    for name, value in named.items():
        if isinstance(value, Tensor) and value.is_complex():
            raise TypeError(f"{name} needs real numbers, got {name}={describe(value)}.")
    tensors = {
        name: torch.as_tensor(value, dtype=torch.float64, device="cpu").detach()
        for name, value in named.items()
    }
    for name, values in tensors.items():
        if not bool(((values >= 0) & values.isfinite()).all()):
            raise ValueError(f"{name} must be a finite number >= 0, got {name}={_shown(named[name])}.")
    try:
        return list(torch.broadcast_tensors(*tensors.values()))  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in tensors.items())
        raise ValueError(f"these must have shapes that go together, got {shapes}.") from error


def finite(means: Tensor) -> Tensor:
    """Return `means`, or raise ValueError where one has overflowed or phi has returned what is no number."""
    if not bool(means.isfinite().all()):
        raise ValueError(
            "a mean over phi is not a finite number: phi is not finite at a node, or q, sigma_w or sigma_b too large."
        )
    return means


def pair_mean(f: Activation, c: float, q_a: float, q_b: float, kinks: Sequence[float]) -> Tensor:
    """Return E[f(sqrt(q_a) a) f(sqrt(q_b) b)] of standard normal a, b with E[ab] = c."""
    check_finite("c", c)
    if not -1 <= c <= 1:
        raise ValueError(f"c is a correlation, -1 <= c <= 1, got c={c!r}.")
    first, second = (q.sqrt() for q in numbers(q_a=q_a, q_b=q_b))
    for name, scale in (("q_a", first), ("q_b", second)):
        check_positive(name, float(scale))
    check_all_finite("kinks", kinks)
    a, b, w = pair_nodes(torch.tensor(float(c), dtype=torch.float64), first, second, kinks)
    return (w * f(first * a) * f(second * b)).sum()


def called(phi: Activation) -> Activation:
    """Return phi, with errors that name it."""
    return vector_function("phi", phi, "the nodes")


def _shown(value: Number) -> str:
    return describe(value) if isinstance(value, Tensor) else repr(value)
