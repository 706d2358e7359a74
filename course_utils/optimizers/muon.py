r"""What is the steepest step for a MATRIX? Momentum whose singular values are all pushed to 1.

Two forms, as for the other methods: the rule, and the class that walks with it. The rule takes stacks of matrices
[..., m, n] as well, so that many networks move at once.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from course_utils._types import checked
from course_utils.optimizers._arguments import check_count, check_matrices, check_matrix, rule
from course_utils.optimizers.base import RuleOptimizer
from course_utils.optimizers.states import MomentumState

# An odd polynomial a s + b s^3 + c s^5 that lifts small singular values as steeply as it can (a) and then lets them
# wander around 1, between 0.68 and 1.14: chosen by Jordan et al. 2024 over one that converges.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_SMALLEST_NORM = 1e-7  # a gradient of zeros stays one
_MOST_STEPS = 1_000  # far beyond use: the polynomial wanders and does not converge


@checked
def orthogonalize(matrix: Tensor, *, steps: int = 5) -> Tensor:
    r"""Push the singular values of a matrix towards 1 and keep its singular vectors, with products alone.

    .. math:: X_0 = G / \lVert G\rVert_F, \qquad X_{k+1} = a X_k + (b A + c A^2)\, X_k, \qquad A = X_k X_k^\top

    Each singular value s moves by itself, to :math:`a s + b s^3 + c s^5`; five steps bring all those above about 0.01
    of the norm between 0.68 and 1.14 (smaller ones, still on their way, end below 1.21). A decomposition
    (`torch.linalg.svd`) would give exactly 1, at many times the cost.

    Args:
        matrix: G, [..., m, n], one matrix or a stack; its dtype is that of the products.
        steps: number of iterations, >= 1.
    Returns: [..., m, n].
    Raises: ValueError: if `matrix` has fewer than two axes or no real numbers, or `steps` is below 1 or above 1000.
    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", kellerjordan.github.io.
    """
    check_matrix("matrix", matrix)
    check_count("steps", steps, _MOST_STEPS, usual=5)
    a, b, c = NEWTON_SCHULZ
    is_tall = matrix.shape[-2] > matrix.shape[-1]
    x: Tensor = matrix / matrix.norm(dim=(-2, -1), keepdim=True).clamp_min(_SMALLEST_NORM)
    x = x.mT if is_tall else x  # the smaller of the two products X X^T and X^T X
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x


@rule
def muon_update(
    grad: Tensor, state: MomentumState, *, lr: float, momentum: float = 0.95, steps: int = 5
) -> tuple[Tensor, MomentumState]:
    r"""Step along the nearest orthogonal matrix of Nesterov's momentum.

    .. math:: b_t = \mu b_{t-1} + g_t, \qquad \Delta_t = -\eta\,\sqrt{\max(1, m/n)}\; \text{orth}(g_t + \mu b_t)

    Among all steps whose largest singular value is :math:`\eta`, it is the one that lowers the loss most to first
    order; the root gives tall matrices steps of the same size per output.

    Args:
        grad: gradient g [..., m, n] of a weight matrix.
        state: velocity b, same shape.
        lr: learning rate η > 0: the largest singular value of the step of a wide matrix, whatever the gradient's size.
        momentum: μ in [0, 1).
        steps: iterations of `orthogonalize`.
    Returns: (delta, new state), both of the shape of `grad`.
    Raises: ValueError: as the other rules, and if `grad` has fewer than two axes.
    Source: Jordan et al. 2024 (as in `orthogonalize`); the form is that of torch.optim.Muon.
    """
    check_matrix("grad", grad)
    buf = momentum * state.buf + grad
    direction = orthogonalize(grad + momentum * buf, steps=steps)
    return -lr * _tall_gain(grad) * direction, MomentumState(buf)


def _tall_gain(matrix: Tensor) -> float:
    return math.sqrt(max(1.0, matrix.shape[-2] / matrix.shape[-1]))


class Muon(RuleOptimizer):
    """Orthogonalized momentum, for weight matrices of hidden layers. See `muon_update`.

    Biases and the last layer go to another optimizer, AdamW by custom. The state is one tensor of the weights' shape.

    Args:
        params: matrices [m, n], or dicts of groups of them.
        lr: learning rate >= 0.
        momentum: in [0, 1).
        steps: iterations of `orthogonalize`, >= 1.
        dtype: of its products; None keeps that of the gradient. bfloat16 is enough: `steps` leaves larger errors.
        l2: as in all classes here.
        weight_decay: decoupled, as in all classes here; torch.optim.Muon has 0.1 by default.
    Raises: ValueError: if a hyper-parameter is out of its range or a parameter is no matrix.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.02,
        momentum: float = 0.95,
        *,
        steps: int = 5,
        dtype: torch.dtype | None = None,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self._dtype = dtype
        super().__init__(params, lr=lr, momentum=momentum, steps=steps, l2=l2, weight_decay=weight_decay)

    def _check_group(self, group: dict[str, Any]) -> None:
        check_count("steps", group["steps"], _MOST_STEPS, usual=5)
        check_matrices("Muon", group["params"])

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["buf"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        buf = state["buf"].mul_(group["momentum"]).add_(grad)
        direction = orthogonalize(
            grad.add(buf, alpha=group["momentum"]).to(self._dtype or grad.dtype), steps=int(group["steps"])
        )
        param.add_(direction.to(param.dtype), alpha=-group["lr"] * _tall_gain(param))
