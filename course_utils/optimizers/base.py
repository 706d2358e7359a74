"""What do all optimizers share? Hyper-parameters that are checked, and one loop over the parameters."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from course_utils._types import checked
from course_utils.optimizers._arguments import check_hyper, least_range, list_parameters

# what a group may hold beside hyper-parameters: torch's names of parameters, a scheduler's start, a label
_GROUP_KEYS = ("params", "param_names", "initial_lr", "name")


class RuleOptimizer(Optimizer, ABC):
    """What all classes share: the loop over parameters. A subclass adds its state and its equations.

    Args:
        params: parameters, or dicts of parameter groups with their own hyper-parameters, as for torch.optim.
        lr: learning rate >= 0.
        l2: coefficient >= 0 of the L2 penalty, added to the gradient as `l2 * param`.
        weight_decay: coefficient >= 0 of the decoupled decay, `param *= 1 - lr * weight_decay` before the step.
        hyper: what the method itself needs.
    Raises: ValueError: if a hyper-parameter, of the defaults or of a group, is out of its range, or a parameter is not
        of real floating point numbers, no leaf, or there twice.
    """

    @checked
    def __init__(self, params: ParamsT, *, lr: float, l2: float, weight_decay: float, **hyper: float) -> None:
        super().__init__(params, {"lr": lr, **hyper, "l2": l2, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, after checking it: torch checks the defaults only and passes over unknown keys.

        Raises:
            ValueError: if a hyper-parameter is out of its range, a key unknown, or a parameter no leaf of real numbers.
            TypeError: if `params` holds what is no tensor, or a hyper-parameter is no number.
        """
        if "params" not in param_group:
            raise ValueError(
                f"a parameter group needs the key 'params', got {sorted(map(str, param_group))}."
            )
        if unknown := [key for key in param_group if key not in self.defaults and key not in _GROUP_KEYS]:
            known = ", ".join([*_GROUP_KEYS[:1], *self.defaults])
            raise ValueError(f"unknown key {unknown[0]!r} in the group of params; known: {known}.")
        param_group = {**param_group, "params": list_parameters(param_group["params"])}
        group = {**self.defaults, **param_group}
        largest = least_range(group["params"])
        for name, value in group.items():
            check_hyper(name, value, largest)
        self._check_group(group)
        super().add_param_group(param_group)

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise ValueError or TypeError where the method needs more of a group than all of them do."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient; gradients are left as they are.

        Args:
            closure: evaluates the model again, calls backward and returns the loss; optional.
        Returns: the closure's loss, or None.
        Raises: RuntimeError: if a gradient is sparse; then no parameter has moved.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [
            (p, p.grad, group) for group in self.param_groups for p in group["params"] if p.grad is not None
        ]
        for _, grad, _ in moving:
            self._check_dense(grad)
        for param, grad, group in moving:
            self._step_one(param, grad, group)
        return loss

    def _check_dense(self, grad: Tensor) -> None:
        if grad.layout != torch.strided:
            raise RuntimeError(f"{type(self).__name__} needs dense gradients, got a {grad.layout} one; use "
                               "torch.optim.SparseAdam or an embedding with sparse=False.")  # fmt: skip

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
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
