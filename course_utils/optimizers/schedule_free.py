r"""Must a run know its end? Schedule-free methods, which average instead of letting the rate fall.

Three points: z walks at a constant rate, x is the average of all z, and the gradient is taken between them:

.. math:: y_t = (1 - \beta)\, z_t + \beta\, x_t, \qquad z_{t+1} = z_t - \eta\, d_t, \qquad
          x_{t+1} = (1 - c_t)\, x_t + c_t\, z_{t+1}, \qquad c_t = \eta_t^2 / \textstyle\sum_{i \le t} \eta_i^2

with d the gradient at y for SGD, and Adam's for Adam. At a constant rate c is 1/t and x the plain mean. TRAIN AT y,
EVALUATE AT x: the parameter that an optimizer holds is y; `eval` moves it to x and `train` back.

Source of all: Defazio et al. 2024 (arXiv:2405.15682), eqs. 1-3 and Algorithm 1.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from course_utils._types import checked
from course_utils.optimizers._arguments import rule
from course_utils.optimizers.base import RuleOptimizer
from course_utils.optimizers.states import ScheduleFreeAdamState, ScheduleFreeState


@rule
def schedule_free_sgd_update(
    grad: Tensor, state: ScheduleFreeState, *, lr: float, beta1: float = 0.9, weight_decay: float = 0.0
) -> tuple[Tensor, ScheduleFreeState]:
    r"""Walk with z, average into x, and move the parameter y between them: the equations above with :math:`d = g`.

    β₁ = 0 takes gradients at z and is Polyak's averaging; towards 1 they are taken at the average itself.

    Args:
        grad: gradient at y, any shape.
        state: sum of squared rates, z and x.
        lr: learning rate η >= 0, constant but for a warm-up; larger than SGD's.
        beta1: β in [0, 1).
        weight_decay: λ >= 0, decoupled; it pulls z by :math:`\eta\lambda y`.
    Returns: (delta of y, new state), of the shape of `grad`.
    Source: Defazio et al. 2024 (arXiv:2405.15682), eqs. 1-3.
    """
    y = (1 - beta1) * state.z + beta1 * state.x
    moved = _averaged(state, grad + weight_decay * y, lr)
    return (1 - beta1) * moved.z + beta1 * moved.x - y, moved


@rule
def schedule_free_adam_update(
    grad: Tensor,
    state: ScheduleFreeAdamState,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Tensor, ScheduleFreeAdamState]:
    r"""As `schedule_free_sgd_update`, with the gradient over the root of its averaged square.

    .. math:: v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad
              d_t = g_t / (\sqrt{v_t / (1 - \beta_2^t)} + \epsilon)

    There is no first moment: the interpolation does its work. The paper puts the correction into the rate, and so into
    c; here, as in the authors' code, c knows the rate alone.

    Args:
        grad: gradient at y, any shape; squared entry by entry.
        state: t, v, sum of squared rates, z and x.
        lr: learning rate η >= 0, constant but for a warm-up.
        beta1: β in [0, 1).
        beta2: decay β₂ of the second moment, in [0, 1).
        eps: ε >= 0, outside the root, in units of the gradient.
        weight_decay: λ >= 0, decoupled; it pulls z by :math:`\eta\lambda y`.
    Returns: (delta of y, new state), of the shape of `grad`.
    Source: Defazio et al. 2024 (arXiv:2405.15682), Algorithm 1.
    """
    t = state.step + 1
    v = beta2 * state.v + (1 - beta2) * grad.square()
    direction = grad / ((v / (1 - beta2**t)).sqrt() + eps)
    y = (1 - beta1) * state.z + beta1 * state.x
    walkers = ScheduleFreeState(state.total, state.z, state.x)
    moved = _averaged(walkers, direction + weight_decay * y, lr)
    return (1 - beta1) * moved.z + beta1 * moved.x - y, ScheduleFreeAdamState(t, v, *moved)


def _averaged(state: ScheduleFreeState, direction: Tensor, lr: float) -> ScheduleFreeState:
    z = state.z - lr * direction
    total = state.total + lr * lr
    c = _share(lr, total)
    return ScheduleFreeState(total, z, (1 - c) * state.x + c * z)


def _share(lr: float, total: float) -> float:
    """Return what the newest point weighs in the average: nothing while all rates were 0."""
    return lr * lr / total if total else 0.0


class _ScheduleFree(RuleOptimizer):
    """What both share. The parameter is y; beside it the state keeps z alone, from which x follows."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, which stand at y, as `RuleOptimizer.add_param_group` does."""
        super().add_param_group(param_group)
        self.param_groups[-1]["is_training"] = True

    def _check_group(self, group: dict[str, Any]) -> None:
        if group["beta1"] == 0:
            raise ValueError(
                f"beta1 of {type(self).__name__} must be > 0, got beta1=0.0: then y is z, and x does not follow from "
                "them. Take a small one, or the rule."
            )

    @torch.no_grad()
    def eval(self) -> None:
        """Move the parameters to the average x, for evaluation; y is kept, at the memory of the weights once more."""
        for param, state, group in self._standing(training=True):
            state["y"] = param.clone()
            param.sub_(state["z"], alpha=1 - group["beta1"]).div_(group["beta1"])

    @torch.no_grad()
    def train(self) -> None:
        """Move the parameters back to y, bit for bit, for the next steps."""
        for param, state, _ in self._standing(training=False):
            param.copy_(state.pop("y"))

    def _standing(self, *, training: bool) -> list[tuple[Tensor, dict[str, Any], dict[str, Any]]]:
        """Return what has moved among the groups that stand at y (or x), and note that they will not."""
        groups = [group for group in self.param_groups if group["is_training"] == training]
        for group in groups:
            group["is_training"] = not training
        pairs = [(param, group) for group in groups for param in group["params"]]
        return [(param, self.state[param], group) for param, group in pairs if self.state.get(param)]

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if not group["is_training"]:
            raise RuntimeError(
                f"{type(self).__name__} steps from y, and its parameters stand at x: call train() first."
            )
        # the decay pulls z, through the direction, and not the parameter
        super()._step_one(param, grad, {**group, "weight_decay": 0.0, "pull": group["weight_decay"]})

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        state["total"] = 0.0
        state["z"] = param.clone(memory_format=torch.preserve_format)

    def _update_(self, y: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, beta1, z = group["lr"], group["beta1"], state["z"]
        direction = self._direction(grad, state, group)
        if group["pull"] != 0:
            direction = direction.add(y, alpha=group["pull"])
        state["total"] += lr * lr
        c = _share(lr, state["total"])
        y.lerp_(z, c).add_(direction, alpha=-lr * (1 - beta1 * (1 - c)))  # the three equations without x
        z.add_(direction, alpha=-lr)

    @abstractmethod
    def _direction(self, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        """Return the direction of z, and bring the rest of `state` up to date; `grad` is read only."""


class ScheduleFreeSGD(_ScheduleFree):
    """SGD that averages instead of letting its rate fall. See `schedule_free_sgd_update`.

    Call `eval()` before the model is evaluated or stored for use, `train()` before the next step. The state is a number
    and one tensor of the parameter's shape, as for momentum. lr is that of the authors' code.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        beta1: float = 0.9,
        *,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, beta1=beta1, l2=l2, weight_decay=weight_decay)

    def _direction(self, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        return grad


class ScheduleFreeAdam(_ScheduleFree):
    """Adam that averages instead of letting its rate fall; AdamW with a decay. See `schedule_free_adam_update`.

    `eval()` and `train()` as for `ScheduleFreeSGD`. The state is two numbers and two tensors of the parameter's shape,
    as for Adam. lr is that of the authors' code.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float = 2.5e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        *,
        eps: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, beta1=beta1, beta2=beta2, eps=eps, l2=l2, weight_decay=weight_decay)

    def _init_state(self, state: dict[str, Any], param: Tensor) -> None:
        super()._init_state(state, param)
        state["step"] = 0
        state["v"] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _direction(self, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        state["step"] += 1
        v = state["v"].mul_(group["beta2"]).addcmul_(grad, grad, value=1 - group["beta2"])
        direction: Tensor = grad / v.div(1 - group["beta2"] ** state["step"]).sqrt_().add_(group["eps"])
        return direction
