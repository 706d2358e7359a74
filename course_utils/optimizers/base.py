"""What do all optimizers share? Hyper-parameters that are checked, and one loop over the parameters."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from course_utils._checks import check_positive, check_probability

_DECAYS = ("momentum", "beta1", "beta2")  # all of [0, 1): at 1 an average would never take in a gradient


class RuleOptimizer(Optimizer, ABC):
    """What all classes share: the loop over parameters. A subclass adds its state and its equations.

    Args:
        params: parameters, or dicts of parameter groups with their own hyper-parameters, as for torch.optim.
        lr: learning rate >= 0.
        l2: coefficient >= 0 of the L2 penalty, added to the gradient as `l2 * param`.
        weight_decay: coefficient >= 0 of the decoupled decay, `param *= 1 - lr * weight_decay` before the step.
        hyper: what the method itself needs.
    Raises: ValueError: if a hyper-parameter, of the defaults or of a group, is out of its range.
    """

    def __init__(self, params: ParamsT, *, lr: float, l2: float, weight_decay: float, **hyper: float) -> None:
        super().__init__(params, {"lr": lr, **hyper, "l2": l2, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, after checking its hyper-parameters (torch checks the defaults only)."""
        merged = {**self.defaults, **param_group}
        for name in self.defaults:
            if name in _DECAYS:
                check_probability(name, merged[name], below_one=True)
            else:
                check_positive(name, merged[name], strict=False)
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient; gradients are left as they are.

        Args:
            closure: evaluates the model again, calls backward and returns the loss; optional.
        Returns: the closure's loss, or None.
        Raises: RuntimeError: if a gradient is sparse or complex.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step_one(param, param.grad, group)
        return loss

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        name = type(self).__name__
        if grad.layout != torch.strided:
            raise RuntimeError(f"{name} needs dense gradients, got a {grad.layout} one; use torch.optim.SparseAdam "
                               "or an embedding with sparse=False.")  # fmt: skip
        if grad.is_complex():
            raise RuntimeError(
                f"{name} needs real gradients, got {grad.dtype}; use torch.view_as_real(param)."
            )
        state = self.state[param]
        if not state:
            self._init_state(state, param)
        if group["l2"] != 0:
            grad = grad.add(param, alpha=group["l2"])  # a new tensor: param.grad stays the loss's gradient
        if group["weight_decay"] != 0:
            param.mul_(1 - group["lr"] * group["weight_decay"])
        self._update_(param, grad, state, group)

    @abstractmethod
    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        """Fill the empty `state` of a parameter that is met for the first time."""

    @abstractmethod
    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Add the rule's delta to `param` in place and bring `state` up to date; `grad` is read only."""
