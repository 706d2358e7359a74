r"""How does a rule walk through a network? torch.optim.Optimizer classes around the rules of this package.

The second, fast form of `course_utils.optimizers.rules`: the same equations in place on each parameter, with scalar
corrections in Python floats, so that a step allocates at most one temporary per parameter. Tests hold both forms, and
torch.optim, equal over hundreds of float64 steps. Schedulers, parameter groups, closures and state_dict are torch's.

Two names differ from torch on purpose, in every class: `l2` is the penalty that enters the gradient
(:math:`g + \lambda_2 w`; torch's `weight_decay` of SGD, Adagrad, RMSprop and Adam), `weight_decay` the decoupled one
(:math:`w \leftarrow (1 - \eta\lambda)\,w` before the step; torch's `weight_decay` of AdamW).
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from course_utils._types import checked
from course_utils.optimizers.base import RuleOptimizer


class SGD(RuleOptimizer):
    r"""Plain gradient descent on batches, :math:`w \leftarrow w - \eta\, g`. See `sgd_update`."""

    @checked
    def __init__(
        self, params: ParamsT, lr: float = 1e-2, *, l2: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        pass  # nothing to remember

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        param.add_(grad, alpha=-group["lr"])


class Momentum(RuleOptimizer):
    """Heavy ball in torch's form: the new gradient enters with weight 1. See `momentum_update`."""

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        momentum: float = 0.9,
        *,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["buf"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        buf = state["buf"].mul_(group["momentum"]).add_(grad)
        param.add_(buf, alpha=-group["lr"])


class Nesterov(Momentum):
    """Momentum that looks one step ahead, in torch's form. See `nesterov_update`."""

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        buf = state["buf"].mul_(group["momentum"]).add_(grad)
        param.add_(grad, alpha=-group["lr"]).add_(buf, alpha=-group["lr"] * group["momentum"])


class EMAMomentum(RuleOptimizer):
    """Momentum as a moving average: the new gradient enters with weight 1 - beta1. See `ema_momentum_update`."""

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-1,
        beta1: float = 0.9,
        *,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, beta1=beta1, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["m"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        m = state["m"].lerp_(grad, 1 - group["beta1"])
        param.add_(m, alpha=-group["lr"])


class AdaGrad(RuleOptimizer):
    """Every entry divided by the root of the sum of its squares so far. See `adagrad_update`."""

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        *,
        eps: float = 1e-10,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, eps=eps, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["v"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        v = state["v"].addcmul_(grad, grad)
        param.addcdiv_(grad, v.sqrt().add_(group["eps"]), value=-group["lr"])


class RMSProp(RuleOptimizer):
    """Every entry divided by a moving root mean square, no bias correction. See `rmsprop_update`."""

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        beta2: float = 0.99,
        *,
        eps: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, beta2=beta2, eps=eps, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["v"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta2 = group["beta2"]
        v = state["v"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        param.addcdiv_(grad, v.sqrt().add_(group["eps"]), value=-group["lr"])


class Adam(RuleOptimizer):
    r"""Averaged gradient over the root of the averaged square, both corrected. See `adam_update`.

    The corrections are moved into two numbers (Kingma and Ba 2015, the remark before section 2.1), which saves a pass
    over the parameter:

    .. math:: \frac{\hat m}{\sqrt{\hat v} + \epsilon}
              = \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\; \frac{m}{\sqrt v + \epsilon\sqrt{1 - \beta_2^t}}

    The state holds an int and two tensors of the parameter's shape: the memory of the weights, twice more.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        *,
        eps: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, beta1=beta1, beta2=beta2, eps=eps, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["step"] = 0
        state["m"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["v"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["beta1"], group["beta2"]
        state["step"] += 1
        m, v = state["m"].lerp_(grad, 1 - beta1), self._second_moment(grad, state, beta2)
        correction1, correction2 = 1 - beta1 ** state["step"], math.sqrt(1 - beta2 ** state["step"])
        denominator = v.sqrt().add_(group["eps"] * correction2)
        param.addcdiv_(m, denominator, value=-group["lr"] * correction2 / correction1)

    def _second_moment(self, grad: Tensor, state: dict[str, Any], beta2: float) -> Tensor:
        """Bring `state` up to date, and return what the step is divided by the root of; it is read only."""
        v: Tensor = state["v"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        return v


class AdamW(Adam):
    """Adam with decoupled weight decay by default (torch's 0.01). See `adam_update` and `decoupled_decay`."""

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        *,
        eps: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, beta1, beta2, eps=eps, l2=l2, weight_decay=weight_decay)
