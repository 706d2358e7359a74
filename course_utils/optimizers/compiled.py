r"""Is the textbook's Adam slow, or only the way it is run? The same lines, compiled into one loop over the numbers.

Line by line, each operation reads and writes whole tensors; compiled, every number is read once, moved, and written.
The price is the first step of a process, which takes seconds (on two cores 5 to 30 for a network of five layers): good
for a long run, bad for a lesson.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.optimizers.base import RuleOptimizer
from course_utils.optimizers.classes import Adam


class CompiledAdam(Adam):
    """`Adam` whose equations are compiled at the first step, for all parameters together. See `adam_update`.

    Arguments, state and result are those of `Adam`; a state_dict of one is read by the other. lr may change from step
    to step; new shapes, decays or eps are compiled anew.

    Raises: RuntimeError: at the first step, if torch finds no C++ compiler; `Adam` needs none.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient, as `Adam.step` does."""
        self._waiting: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        # not super(): torch puts the hooks of a step around Adam.step as well, and they would run twice
        loss = RuleOptimizer.step(self, closure)
        for (dtype, device, *constants), entries in self._waiting.items():
            *tensors, numbers = zip(*entries, strict=True)
            # of half precision only the entries are: a number per tensor costs nothing
            table = torch.tensor(numbers, dtype=torch.promote_types(dtype, torch.float32)).to(device)
            _compiled()(*tensors, table, *constants)
        self._waiting = {}
        return loss

    def _update_(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Only note what is to be moved: one call of the compiled function moves all."""
        beta1, beta2 = group["beta1"], group["beta2"]
        state["step"] += 1
        t = state["step"]
        numbers = (group["lr"], 1 / (1 - beta1**t), 1 / (1 - beta2**t))
        key = (param.dtype, param.device, beta1, beta2, group["eps"])
        self._waiting.setdefault(key, []).append((param, grad, state["m"], state["v"], numbers))


def _move(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    ms: Sequence[Tensor],
    vs: Sequence[Tensor],
    numbers: Tensor,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """Apply Adam to every parameter in place; `numbers` [parameters, 3] holds lr and the two factors against the bias.

    They come as a tensor because a number would be compiled in, and t changes at every step; and as factors because a
    division by the same number for every entry costs as much as the rest.
    """
    for w, g, m, v, row in zip(parameters, gradients, ms, vs, numbers.unbind(), strict=True):
        lr, unbias1, unbias2 = row.unbind()
        m.copy_(beta1 * m + (1 - beta1) * g)
        v.copy_(beta2 * v + (1 - beta2) * g.square())
        m_hat, v_hat = m * unbias1, v * unbias2
        w.sub_(lr * m_hat / (v_hat.sqrt() + eps))


@functools.cache
def _compiled() -> Callable[..., None]:
    """Compile when it is first needed: `import torch` does not load the compiler, and neither do we."""
    return torch.compile(_move, fullgraph=True, dynamic=False)
