r"""What if only the sign of a step counted? Lion, whose every entry moves by the same amount.

Two forms, as for the other methods: the rule, and the class that walks with it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from course_utils._types import checked
from course_utils.optimizers._arguments import rule
from course_utils.optimizers.base import RuleOptimizer
from course_utils.optimizers.rules import Scalar
from course_utils.optimizers.states import EMAMomentumState


@rule
def lion_update(
    grad: Tensor, state: EMAMomentumState, *, lr: Scalar, beta1: Scalar = 0.9, beta2: Scalar = 0.99
) -> tuple[Tensor, EMAMomentumState]:
    r"""Step by lr in every entry, against the sign of a blend of the gradient and its moving average.

    .. math:: \Delta_t = -\eta\, \text{sign}(\beta_1 m_{t-1} + (1 - \beta_1)\, g_t), \qquad
              m_t = \beta_2 m_{t-1} + (1 - \beta_2)\, g_t

    The blend weighs the newest gradient more (1 - β₁ = 0.1) than the average will remember it (1 - β₂ = 0.01). Among
    all steps with no entry above lr it is the one that lowers the loss most to first order, as far as the blend is the
    gradient. No step is ever shorter, also at a minimum: the rate has to fall.

    Args:
        grad: gradient g, any shape. An entry whose blend is exactly 0 stays where it is.
        state: average m, same shape: half of what Adam remembers.
        lr: learning rate η >= 0: the size of each entry's step. Its authors say 3 to 10 times less than for AdamW.
        beta1: weight β₁ of the average in the blend, in [0, 1).
        beta2: decay β₂ of the average, in [0, 1).
    Returns: (delta, new state), both of the shape of `grad`.
    Source: Chen et al. 2023 (arXiv:2302.06675), Algorithm 2; its weight decay is `decoupled_decay`.
    """
    blend = beta1 * state.m + (1 - beta1) * grad
    m = beta2 * state.m + (1 - beta2) * grad
    return -lr * blend.sign(), EMAMomentumState(m)


class Lion(RuleOptimizer):
    """The sign of a blend of gradient and momentum. See `lion_update`.

    The state is one tensor of the parameter's shape: half of Adam's.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-4,
        beta1: float = 0.9,
        beta2: float = 0.99,
        *,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, beta1=beta1, beta2=beta2, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["m"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        blend = state["m"].lerp(grad, 1 - group["beta1"])
        state["m"].lerp_(grad, 1 - group["beta2"])
        param.add_(blend.sign_(), alpha=-group["lr"])
