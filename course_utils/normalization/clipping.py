"""How is a gradient that is too long made shorter? Entry by entry, or as a whole."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils._checks import check_floating, check_positive
from course_utils._types import checked


@checked
def clip_by_value(grads: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Cut every entry off at ±limit. Entries that are cut lose more than the others, so the direction changes.

    Args:
        grads: gradients, one tensor per parameter, any number of any shape; left as they are. NaN stays.
        limit: largest absolute value that remains, > 0; at most the largest number of a gradient's dtype.
    Returns: new tensors of the same shapes.
    Raises: ValueError: if `limit` is not positive. TypeError: if a gradient has no floating-point dtype.
    """
    check_positive("limit", limit)
    check_floating(**{f"grads[{i}]": grad for i, grad in enumerate(grads)})
    bounds = [min(limit, torch.finfo(grad.dtype).max) for grad in grads]
    return [grad.clamp(-bound, bound) for grad, bound in zip(grads, bounds, strict=True)]


@checked
def clip_by_norm(
    grads: Sequence[Tensor], max_norm: float, *, eps: float = 1e-6
) -> tuple[list[Tensor], Tensor]:
    r"""Shorten the gradient as a whole to at most `max_norm`; its direction stays.

    .. math:: g \leftarrow g\,\min\Bigl(1,\; \frac{c}{\|g\| + \epsilon}\Bigr),
              \qquad \|g\|^2 = \sum_{\text{parameters}} \|g_p\|^2

    Args:
        grads: gradients, one tensor per parameter, on one device; left as they are. NaN in one is NaN in all.
        max_norm: c > 0, in units of the gradient.
        eps: ε >= 0, torch's guard against a division by 0; it makes a clipped gradient shorter by ε/‖g‖.
    Returns: (new tensors of the same shapes, the norm before clipping).
    Raises: ValueError: if there is no gradient, `max_norm` is not positive, or `eps` is negative. TypeError: if a
        gradient has no floating-point dtype.
    Source: Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, Algorithm 1; ε as in torch.nn.utils.clip_grad_norm_.
    """
    check_positive("max_norm", max_norm)
    check_positive("eps", eps, strict=False)
    if not grads:
        raise ValueError(
            "clip_by_norm needs at least one gradient, got grads=[]: call loss.backward() first."
        )
    check_floating(**{f"grads[{i}]": grad for i, grad in enumerate(grads)})
    norm = torch.stack([grad.norm() for grad in grads]).norm()
    factor = (max_norm / (norm + eps)).clamp(max=1.0)
    return [grad * factor for grad in grads], norm
