r"""Can flatness be asked for? Sharpness-aware minimization: step by the gradient of the worst point nearby.

It needs two gradients for a step, at the price of two: no rule of one gradient, but a wrapper around any optimizer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from course_utils._checks import check_positive
from course_utils._types import checked
from course_utils.optimizers._arguments import check_real

_SMALLEST_NORM = 1e-12  # a gradient of zeros leads nowhere


@checked
def sam_ascent(grads: Sequence[Tensor], *, rho: float = 0.05) -> list[Tensor]:
    r"""Return the step to the worst point within a ball around the weights, to first order.

    .. math:: \hat\epsilon = \rho\, g / \lVert g \rVert_2

    The norm is that of all gradients together: one ball for the network, not one for each tensor.

    Args:
        grads: gradients g of the parameters, any shapes.
        rho: radius ρ >= 0 of the ball, in units of the weights; 0.05 by custom.
    Returns: what is to be added to each parameter.
    Raises: ValueError: if `rho` is negative, or a gradient is not of real floating point numbers.
    Source: Foret et al. 2020 (arXiv:2010.01412), eq. 2 with p = 2.
    """
    check_positive("rho", rho, strict=False)
    for k, grad in enumerate(grads):
        check_real(f"grads, number {k},", grad)
    norms = [torch.linalg.vector_norm(grad) for grad in grads]
    if not norms:
        return []
    norm = torch.linalg.vector_norm(torch.stack([n.to(norms[0]) for n in norms])).clamp_min(_SMALLEST_NORM)
    return [grad * (rho / norm).to(grad) for grad in grads]


class SAM(Optimizer):
    r"""Let an optimizer step by the gradient at the worst point nearby: :math:`g(w + \hat\epsilon)` instead of g(w).

    `step` needs a closure, which it calls twice: it has to set gradients to zero, compute the loss, call backward and
    return the loss. Parameter groups and state are those of the optimizer within, so that schedulers work on either.
    A BatchNorm in training mode sees both passes.

    The state is that of the optimizer within; during a step the weights are kept once more, so that they come back bit
    for bit.

    Args:
        base: the optimizer that steps.
        rho: radius >= 0 of the ball; see `sam_ascent`.
    Raises: ValueError: if `rho` is negative.
    Source: Foret et al. 2020 (arXiv:2010.01412), Algorithm 1.
    """

    @checked
    def __init__(self, base: Optimizer, rho: float = 0.05) -> None:
        check_positive("rho", rho, strict=False)
        self.base = base
        super().__init__(base.param_groups, {"rho": rho})
        self._share()

    def _share(self) -> None:
        """Let the optimizer within work on these groups and this state, or begin with its own."""
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "base": self.base}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned, of this or of the optimizer within."""
        rho = [group["rho"] for group in self.param_groups]
        self.base.load_state_dict(state_dict)
        self._share()
        for group, radius in zip(self.param_groups, rho, strict=True):
            group.setdefault("rho", radius)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step, with two gradients, and return the loss at the weights before it.

        Raises: ValueError: if there is no closure.
        """
        if closure is None:
            raise ValueError(
                "closure must be given: SAM needs the gradient twice, so step(closure) calls it."
            )
        evaluate = torch.enable_grad()(closure)
        loss = evaluate()
        moved = [(p, p.clone()) for group in self.param_groups for p in group["params"] if p.grad is not None]
        try:
            self._climb()
            evaluate()
        finally:
            for param, before in moved:
                param.copy_(before)
        self.base.step()
        return loss

    def _climb(self) -> None:
        grads = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        ascent = iter(sam_ascent(grads, rho=1.0))
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param.add_(next(ascent), alpha=group["rho"])
