r"""What if the steep directions lie across the axes? Shampoo and SOAP, which turn a matrix before they rescale it.

AdaGrad and Adam divide entry by entry: they see a valley along an axis and none that runs across. The full remedy would
be a matrix of (mn)² numbers for a weight of mn. Both methods here keep one for the rows and one for the columns, m² +
n² numbers, whose Kronecker product stands for the large one.

This is the teaching form: exact eigenvectors, for single matrices or stacks [..., m, n]. A step of Shampoo costs two
eigendecompositions, about 10 (m³ + n³) multiplications each time; SOAP pays two QR decompositions every tenth step, and
four products with its bases, 3 mn (m + n) or so, at each. A linear layer's gradient costs 2 Bmn for B examples.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from course_utils._types import checked
from course_utils.optimizers._arguments import check_count, check_matrices, rule
from course_utils.optimizers.base import RuleOptimizer
from course_utils.optimizers.states import ShampooState, SOAPState

_MOST_STEPS = 1_000_000  # a basis that is never turned again


@rule
def shampoo_update(
    grad: Tensor, state: ShampooState, *, lr: float, eps: float = 1e-6
) -> tuple[Tensor, ShampooState]:
    r"""Divide the gradient by the fourth root of its sums of squares along rows, and along columns.

    .. math:: L_t = L_{t-1} + G_t G_t^\top, \qquad R_t = R_{t-1} + G_t^\top G_t, \qquad
              \Delta_t = -\eta\, (L_t + \epsilon I)^{-1/4}\, G_t\, (R_t + \epsilon I)^{-1/4}

    The first step has all singular values η, up to ε: it is Muon's, without its momentum. Later ones shrink as 1/√t,
    like those of AdaGrad, which this is for matrices of one row and one column.

    Args:
        grad: gradient G [..., m, n] of a weight matrix.
        state: sums L and R.
        lr: learning rate η >= 0.
        eps: ε >= 0, in units of the squared gradient. The paper needs it > 0 and leaves it open; 0 gives NaN
            where a gradient has no full rank.
    Returns: (delta of the shape of `grad`, new state).
    Raises: ValueError: as the other rules, and if `grad` has fewer than two axes.
    Source: Gupta, Koren and Singer 2018 (arXiv:1802.09568), Algorithm 1, which begins with L = R = εI.
    """
    # As in a sum; products do not promote by themselves.
    grad = grad.to(torch.promote_types(grad.dtype, state.left.dtype))
    left, right = state.left + grad @ grad.mT, state.right + grad.mT @ grad
    direction = _inverse_fourth_root(left, eps) @ grad @ _inverse_fourth_root(right, eps)
    return -lr * direction, ShampooState(left, right)


@rule
def soap_update(
    grad: Tensor,
    state: SOAPState,
    *,
    lr: float,
    beta1: float = 0.95,
    beta2: float = 0.95,
    eps: float = 1e-8,
    every: int = 10,
) -> tuple[Tensor, SOAPState]:
    r"""Step as Adam does, in coordinates in which the gradient's rows, and its columns, vary independently.

    .. math:: G' = Q_L^\top G_t Q_R, \qquad m_t = \beta_1 m_{t-1} + (1 - \beta_1) G_t, \qquad
              v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, G'^2
    .. math:: \Delta_t = -\eta\, Q_L\, \frac{Q_L^\top \hat m_t Q_R}{\sqrt{\hat v_t} + \epsilon}\, Q_R^\top

    with Adam's corrections. Q_L and Q_R are the eigenvectors of moving averages of :math:`G G^\top` and
    :math:`G^\top G`; after every so many steps they are brought up to date by one step of power iteration. The first
    gradient makes the bases and no step, as in the authors' code: in a basis of its own it would be diagonal. If it is
    not square it has a null space, whose basis is left to rounding: two machines may then walk apart.

    Args:
        grad: gradient G [..., m, n] of a weight matrix.
        state: moments, averages and bases.
        lr: learning rate η >= 0, as for Adam.
        beta1: decay β₁ of the first moment, in [0, 1).
        beta2: decay β₂ of the second moment and of the averages, in [0, 1).
        eps: ε >= 0, outside the root and after the correction, as in `adam_update`.
        every: steps between two turns of the bases, >= 1.
    Returns: (delta of the shape of `grad`, new state).
    Raises: ValueError: as the other rules, if `grad` has fewer than two axes, or `every` is no whole number >= 1.
    Source: Vyas et al. 2024 (arXiv:2409.11321), Algorithms 3 and 4.
    """
    check_count("every", every, _MOST_STEPS, usual=10)
    # As in a sum; products do not promote by themselves.
    grad = grad.to(torch.promote_types(grad.dtype, state.left.dtype))
    left = beta2 * state.left + (1 - beta2) * grad @ grad.mT
    right = beta2 * state.right + (1 - beta2) * grad.mT @ grad
    t, ql, qr = state.step, state.left_basis, state.right_basis
    if t == 0:
        bases = _eigh(left)[1].flip(-1), _eigh(right)[1].flip(-1)  # the largest eigenvalue first
        return torch.zeros_like(grad), SOAPState(1, state.m, state.v, left, right, *bases)
    m = beta1 * state.m + (1 - beta1) * grad
    v = beta2 * state.v + (1 - beta2) * (ql.mT @ grad @ qr).square()
    m_hat = ql.mT @ m @ qr / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    delta = -lr * ql @ (m_hat / (v_hat.sqrt() + eps)) @ qr.mT
    if t % every == 0:
        ql, rows = _turned(left, ql)
        qr, columns = _turned(right, qr)
        v = v.take_along_dim(rows.unsqueeze(-1), -2).take_along_dim(columns.unsqueeze(-2), -1)
    return delta, SOAPState(t + 1, m, v, left, right, ql, qr)


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, ascending, and eigenvectors; NaN where there are none, so that it comes out of the rule.

    LAPACK gives up now and then in float32 on a large null space, such as that of 5 columns for 128 rows; then float64
    is asked.
    """
    for dtype in (torch.promote_types(matrix.dtype, torch.float32), torch.float64):
        try:
            values, vectors = torch.linalg.eigh(matrix.to(dtype))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # also of NaN or infinity in the gradient
            continue
        if vectors.isfinite().all():
            return values.to(matrix.dtype), vectors.to(matrix.dtype)
    return torch.full_like(matrix[..., 0], torch.nan), torch.full_like(matrix, torch.nan)


def _inverse_fourth_root(matrix: Tensor, eps: float) -> Tensor:
    values, vectors = _eigh(matrix)
    powers = (values.clamp_min(0) + eps) ** -0.25  # a square has no eigenvalue below 0, but for rounding
    return vectors * powers.unsqueeze(-2) @ vectors.mT


def _turned(matrix: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Return the basis after one step of power iteration, largest eigenvalue first, and the order of its columns."""
    product = matrix @ basis
    order = (basis * product).sum(-2).argsort(-1, descending=True)  # by Rayleigh quotients
    product = product.take_along_dim(order.unsqueeze(-2), -1)
    turned = torch.linalg.qr(product.to(torch.promote_types(product.dtype, torch.float32))).Q
    return turned.to(matrix.dtype), order


class Shampoo(RuleOptimizer):
    """Fourth roots of sums of squares along rows and columns, for weight matrices. See `shampoo_update`.

    The state of a matrix [m, n] holds m² + n² numbers: twice the weights where m = n, and more the longer it is.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,  # the paper names none
        *,
        eps: float = 1e-6,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, eps=eps, l2=l2, weight_decay=weight_decay)

    def _check_group(self, group: dict[str, Any]) -> None:
        check_matrices(type(self).__name__, group["params"])

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state.update(ShampooState.zeros_like(param)._asdict())

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        # the rule itself: beside its decompositions the copies that it makes cost nothing
        delta, new = shampoo_update(grad, ShampooState(**state), lr=group["lr"], eps=group["eps"])
        state.update(new._asdict())
        param.add_(delta)


class SOAP(RuleOptimizer):
    """Adam in the eigenbasis of Shampoo, for weight matrices. See `soap_update`.

    The state of a matrix [m, n] holds an int and 2 mn + 2 m² + 2 n² numbers: six times the weights where m = n. lr is
    that of the authors' code.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 3e-3,
        beta1: float = 0.95,
        beta2: float = 0.95,
        *,
        eps: float = 1e-8,
        every: int = 10,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, lr=lr, beta1=beta1, beta2=beta2, eps=eps, every=every, l2=l2, weight_decay=weight_decay
        )

    def _check_group(self, group: dict[str, Any]) -> None:
        check_count("every", group["every"], _MOST_STEPS, usual=10)
        check_matrices(type(self).__name__, group["params"])

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state.update(SOAPState.zeros_like(param)._asdict())

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        hyper = {name: group[name] for name in ("lr", "beta1", "beta2", "eps", "every")}
        delta, new = soap_update(grad, SOAPState(**state), **hyper)
        state.update(new._asdict())
        param.add_(delta)
