r"""Where does Adam fail, and what does a longer memory mend? AMSGrad, whose divisor remembers its largest value.

A large gradient that is rare and right can be outvoted by small ones that are frequent and wrong: Adam forgets the rare
one before it comes again, and divides the others by almost nothing (Reddi, Kale and Kumar 2018, section 3).
"""

from typing import Any

import torch
from torch import Tensor

from course_utils.optimizers._arguments import rule
from course_utils.optimizers.classes import Adam
from course_utils.optimizers.rules import Scalar
from course_utils.optimizers.states import AMSGradState


@rule
def amsgrad_update(
    grad: Tensor,
    state: AMSGradState,
    *,
    lr: Scalar,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    eps: Scalar = 1e-8,
) -> tuple[Tensor, AMSGradState]:
    r"""Step as Adam does, but divide by the root of the LARGEST averaged square so far.

    .. math:: v^{\max}_t = \max(v^{\max}_{t-1}, v_t), \qquad \Delta_t = -\eta\,
              \frac{m_t / (1 - \beta_1^t)}{\sqrt{v^{\max}_t / (1 - \beta_2^t)} + \epsilon}

    with m and v of `adam_update`. The paper corrects no bias and adds no eps. This is torch's form, which differs from
    Adam by the maximum alone; once β₂ᵗ has died out it is the paper's. Before that its corrected divisor may still
    fall, which the paper's never does.

    Args:
        grad: gradient g, any shape; squared entry by entry.
        state: t, m, v and the largest v.
        lr: learning rate η >= 0. The paper's bound on the regret (Theorem 4) needs one that falls as 1/√t.
        beta1: decay β₁ of the first moment, in [0, 1).
        beta2: decay β₂ of the second moment, in [0, 1).
        eps: ε >= 0, outside the root, in units of the gradient.
    Returns: (delta of the shape of `grad`, new state).
    Source: Reddi, Kale and Kumar 2018 (arXiv:1904.09237), Algorithm 2.
    """
    t = state.step + 1
    m = beta1 * state.m + (1 - beta1) * grad
    v = beta2 * state.v + (1 - beta2) * grad.square()
    v_max = state.v_max.maximum(v)  # the one line that Adam does not have; NaN comes through
    m_hat = m / (1 - beta1**t)
    v_hat = v_max / (1 - beta2**t)
    return -lr * m_hat / (v_hat.sqrt() + eps), AMSGradState(t, m, v, v_max)


class AMSGrad(Adam):
    """Adam that divides by its largest root mean square so far. See `amsgrad_update`.

    The state holds an int and three tensors of the parameter's shape: the memory of the weights, three times more.
    """

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        super()._init_state(state, param)
        state["v_max"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _second_moment(self, grad: Tensor, state: dict[str, Any], beta2: float) -> Tensor:
        v = super()._second_moment(grad, state, beta2)
        return torch.maximum(state["v_max"], v, out=state["v_max"])
