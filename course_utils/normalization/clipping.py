"""How is a gradient that is too long made shorter? Entry by entry, or as a whole."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils._checks import check_positive


def clip_by_value(grads: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Cut every entry off at ±limit. Entries that are cut lose more than the others, so the direction changes.

    Args:
        grads: gradients, one tensor per parameter; left as they are.
        limit: largest absolute value that remains, > 0.
    Returns: new tensors of the same shapes.
    Raises: ValueError: if `limit` is not positive.
    """
    check_positive("limit", limit)
    return [grad.clamp(-limit, limit) for grad in grads]


def clip_by_norm(
    grads: Sequence[Tensor], max_norm: float, *, eps: float = 1e-6
) -> tuple[list[Tensor], Tensor]:
    r"""Shorten the gradient as a whole to at most `max_norm`; its direction stays.

    .. math:: g \leftarrow g\,\min\Bigl(1,\; \frac{c}{\|g\| + \epsilon}\Bigr),
              \qquad \|g\|^2 = \sum_{\text{parameters}} \|g_p\|^2

    Args:
        grads: gradients, one tensor per parameter, on one device; left as they are.
        max_norm: c > 0, in units of the gradient.
        eps: ε >= 0, torch's guard against a division by 0; it makes a clipped gradient shorter by ε/‖g‖.
    Returns: (new tensors of the same shapes, the norm before clipping).
    Raises: ValueError: if there is no gradient, `max_norm` is not positive, or `eps` is negative.
    Source: Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, Algorithm 1; ε as in torch.nn.utils.clip_grad_norm_.
    """
    check_positive("max_norm", max_norm)
    check_positive("eps", eps, strict=False)
    if not grads:
        raise ValueError("clip_by_norm needs at least one gradient, got none: call loss.backward() first.")
    norm = torch.stack([grad.norm() for grad in grads]).norm()
    factor = (max_norm / (norm + eps)).clamp(max=1.0)
    return [grad * factor for grad in grads], norm
