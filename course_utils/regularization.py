r"""What keeps a network from believing its training set too much? Dropout, soft labels, mixup, penalties, written out.

Each is one line of algebra: a mask of mean 1, a label that leaves something for the other classes, a line between two
examples, a term that pulls weights to zero, an epoch at which to stop. Everything random takes a generator, which lives
on the CPU, so that masks are the same on every device. Decoupled weight decay is a rule of the step and not of the
loss: it is in `optimizers` (AdamW).

Dropout is the inverted form, as in torch: what is kept is divided by 1 - p while training, and nothing happens later.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from course_utils._checks import (
    check_at_least,
    check_fillable,
    check_floating,
    check_labels,
    check_positive,
    check_probability,
    naming,
)
from course_utils._types import checked


class EarlyStop(NamedTuple):
    """Two epochs of a record, counted from 0."""

    best: int  # the one whose weights are kept
    last: int  # the one after which training ends


@checked
def dropout(x: Tensor, *, p: float, generator: torch.Generator | None = None) -> Tensor:
    r"""Set each entry to 0 with probability p and divide the others by 1 - p: the mean stays, noise comes in.

    .. math:: y = \frac{m}{1-p}\, x, \quad m \sim \mathrm{Bernoulli}(1-p), \qquad
              E[y] = x, \quad \mathrm{Var}[y] = \frac{p}{1-p}\, x^2

    Args:
        x: any shape; left alone.
        p: probability of dropping, in [0, 1).
        generator: of the mask, on the CPU; None uses torch's global one.
    Returns: a new tensor of the shape of `x`; `x` itself where p = 0, and then nothing is drawn.
    Raises: ValueError: if p is outside [0, 1).
    Source: Srivastava et al. 2014 (JMLR 15), section 4, which shrinks the weights at test time instead.
    """
    check_probability("p", p, below_one=True)
    check_floating(x=x)
    if p == 0:
        return x
    keep = torch.rand(x.shape, generator=generator) >= p
    return x * keep.to(x.device) / (1 - p)


class Dropout(nn.Module):
    """`dropout` in training mode, the identity in evaluation mode; torch's nn.Dropout with a generator of its own."""

    @checked
    def __init__(self, p: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        check_probability("p", p, below_one=True)
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with entries dropped while training, `x` itself otherwise."""
        return dropout(x, p=self.p, generator=self.generator) if self.training else x


@checked
def smooth_labels(
    labels: Tensor, num_classes: int, *, eps: float, dtype: torch.dtype = torch.float32
) -> Tensor:
    r"""Take the share ε of each label and spread it over all K classes, the right one included.

    .. math:: q_k = (1-\epsilon)\,[k = y] + \epsilon / K

    A network that fits them has the logit gap :math:`\ln(1 + K(1-\epsilon)/\epsilon)` and no larger one.

    Args:
        labels: classes, int64, any shape.
        num_classes: K >= 2.
        eps: share ε in [0, 1].
        dtype: of the targets.
    Returns: targets of shape (*labels.shape, K); each row sums to 1.
    Raises: ValueError: if ε is no share, K is below 2 or a label is not in 0 .. K - 1.
    Source: Szegedy et al. 2016 (CVPR; arXiv:1512.00567), section 7.
    """
    check_probability("eps", eps)
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}: one class needs no label.")
    check_labels("labels", labels, num_classes)
    one_hot = nn.functional.one_hot(labels, num_classes).to(dtype)
    return (1 - eps) * one_hot + eps / num_classes


@checked
def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    r"""Return the mean cross-entropy :math:`-\sum_k q_k \ln p_k` against targets that are distributions.

    Args:
        logits: [..., K].
        targets: q, same shape, rows that sum to 1, which is not looked at.
    Raises: ValueError: if the shapes differ; class numbers go to torch's cross_entropy. TypeError: if one has no
        floating-point dtype.
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"targets need one share per logit, shape {tuple(logits.shape)} of logits, got {tuple(targets.shape)}. "
            "Turn class numbers into distributions with smooth_labels(labels, num_classes, eps=0.0)."
        )
    check_floating(logits=logits, targets=targets)
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


@checked
def smoothed_cross_entropy(logits: Tensor, labels: Tensor, *, eps: float) -> Tensor:
    """Return the mean cross-entropy against `smooth_labels`: torch's `cross_entropy(..., label_smoothing=eps)`.

    Args:
        logits: [N, K].
        labels: classes [N].
        eps: share in [0, 1].
    Raises: ValueError, TypeError: as `smooth_labels`; and if `logits` have another number of rows.
    """
    check_floating(logits=logits)
    if logits.ndim == 0:
        raise ValueError("logits need shape [N, K], got a single number.")
    return soft_cross_entropy(logits, smooth_labels(labels, logits.shape[-1], eps=eps, dtype=logits.dtype))


@checked
def mixing_weights(n: int, *, alpha: float, generator: torch.Generator | None = None) -> Tensor:
    r"""Draw n weights from Beta(α, α): mean 1/2, variance 1 / (4 (2α + 1)), most of them near 0 or 1 for small α.

    torch's Beta distribution draws from the global stream and takes no generator. So one integer is drawn from ours,
    and NumPy's generator, seeded with it, draws the weights: the same seed, the same weights, on every device.

    Args:
        n: number of weights, at least 1.
        alpha: α > 0.
        generator: on the CPU; None uses torch's global one.
    Returns: [n], float64.
    """
    check_at_least("n", n, 1)
    check_positive("alpha", alpha)
    child = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(child).beta(alpha, alpha, n))


@checked
def mixup(
    x: Tensor, targets: Tensor, *, alpha: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Replace each example by a point on the line to another one of its batch, and its label likewise.

    .. math:: \tilde x_i = \lambda_i x_i + (1-\lambda_i)\, x_{\pi(i)}, \quad
              \tilde q_i = \lambda_i q_i + (1-\lambda_i)\, q_{\pi(i)}, \quad
              \lambda_i \sim \mathrm{Beta}(\alpha,\alpha)

    Every example has a weight of its own; the authors' code draws one for the whole batch.

    Args:
        x: [N, ...]; left alone.
        targets: q, [N, K], distributions (`smooth_labels(labels, K, eps=0.0)` makes them from classes).
        alpha: α > 0.
        generator: of weights and partners, on the CPU; None uses torch's global one.
    Returns: (mixed x, mixed targets, weights λ [N] of `x`'s dtype).
    Raises: ValueError: if targets are class numbers, the numbers of examples differ or α is not positive.
    Source: Zhang et al. 2018 (ICLR; arXiv:1710.09412), section 2.
    """
    check_floating(x=x)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x needs shape [N, ...] of at least one example, got {tuple(x.shape)}.")
    if targets.ndim != 2 or not targets.is_floating_point() or len(targets) != len(x):
        raise ValueError(
            f"mixup needs targets of shape ({len(x)}, classes), as many as x, that can be averaged, got "
            f"{targets.dtype} of shape "
            f"{tuple(targets.shape)}. Class numbers cannot be mixed: use smooth_labels(labels, num_classes, eps=0.0)."
        )
    weights = mixing_weights(len(x), alpha=alpha, generator=generator).to(x.device, x.dtype)
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    column = weights.reshape(-1, *[1] * (x.ndim - 1))
    share = weights.to(targets.dtype)[:, None]
    return (
        column * x + (1 - column) * x[partner],
        share * targets + (1 - share) * targets[partner],
        weights,
    )


@checked
def l2_penalty(parameters: Iterable[Tensor], *, strength: float) -> Tensor:
    r"""Return :math:`\frac{\lambda}{2}\sum w^2` over all entries: its gradient is λw.

    The half makes SGD with this penalty and decoupled decay of weight_decay = λ one and the same.

    Args:
        parameters: tensors of any shape; by custom the weights and not the biases.
        strength: λ >= 0.
    Raises: ValueError: if λ is negative or there is no tensor.
    """
    check_positive("strength", strength, strict=False)
    return strength / 2 * _sum([p.square().sum() for p in _real(parameters)])


@checked
def l1_penalty(parameters: Iterable[Tensor], *, strength: float) -> Tensor:
    r"""Return :math:`\lambda \sum |w|`: its gradient has the size λ whatever the weight is.

    A gradient step does not stop at 0; `soft_threshold` does.
    """
    check_positive("strength", strength, strict=False)
    return strength * _sum([p.abs().sum() for p in _real(parameters)])


def _real(parameters: Iterable[Tensor]) -> Iterator[Tensor]:
    for i, parameter in enumerate(parameters):
        check_floating(**{f"parameters[{i}]": parameter})
        yield parameter


def _sum(terms: Sequence[Tensor]) -> Tensor:
    if not terms:
        raise ValueError(
            "A penalty needs at least one tensor in parameters; a generator can be used up only once."
        )
    return torch.stack(list(terms)).sum()


@checked
def soft_threshold(w: Tensor, threshold: float | Tensor) -> Tensor:
    r"""Pull every entry towards 0 by the threshold and stop there: :math:`\mathrm{sign}(w)\,\max(|w| - t,\, 0)`.

    It minimises :math:`\frac12 (v - w)^2 + t\,|v|` over v, so it is the exact step of an L1 penalty.

    Args:
        w: any shape.
        threshold: t >= 0, a number or a tensor that broadcasts; at infinity all becomes 0.
    Raises: ValueError: if a threshold is negative or NaN, or does not fit. TypeError: if one has no floating-point
        dtype.
    """
    check_floating(w=w, **({"threshold": threshold} if isinstance(threshold, Tensor) else {}))
    if not bool((torch.as_tensor(threshold) >= 0).all()):
        raise ValueError(
            f"threshold must be >= 0, got {threshold!r}: a negative one would push entries away from 0."
        )
    with naming("w and threshold have shapes that do not fit"):
        return w.sign() * (w.abs() - threshold).clamp_min(0)


@checked
@torch.no_grad()
def max_norm_(weight: Tensor, *, limit: float) -> Tensor:
    """Shorten the incoming weights of each unit to the Euclidean length `limit` where they are longer, in place.

    Args:
        weight: [fan_out, fan_in, ...]; a row is a unit.
        limit: > 0.
    Returns: `weight` itself.
    Raises: ValueError: if `limit` is not positive, or the weight has fewer than two dimensions.
    Source: Srivastava et al. 2014 (JMLR 15), section 5.1.
    """
    check_positive("limit", limit)
    check_fillable("weight", weight)
    if weight.ndim < 2:
        raise ValueError(f"weight needs shape [fan_out, fan_in, ...], got {tuple(weight.shape)}.")
    norms = weight.flatten(1).norm(dim=1)
    factors = torch.where(norms > limit, limit / norms, torch.ones_like(norms))
    return weight.mul_(factors.reshape(-1, *[1] * (weight.ndim - 1)))


@checked
def early_stopping_epoch(val_losses: Sequence[float], *, patience: int, min_delta: float = 0.0) -> EarlyStop:
    """Return the epoch whose weights early stopping keeps, and the one after which it ends, from a record of losses.

    An epoch improves when its loss lies more than `min_delta` below the best so far; after `patience` epochs in a row
    that do not, training ends. NaN never improves. Losses behind the end are not looked at, as in a run that stopped.

    Args:
        val_losses: one validation loss per epoch, in order.
        patience: epochs without improvement that are borne, >= 1.
        min_delta: smallest improvement that counts, >= 0, in units of the loss.
    Returns: (best, last), counted from 0; `last` is the final epoch where patience was never used up.
    Raises: ValueError: if the record is empty, has no number in it, or patience or min_delta is out of range.
    """
    if patience < 1:
        raise ValueError(
            f"patience must be at least 1 epoch, got {patience}: 0 would end every run after one epoch."
        )
    check_positive("min_delta", min_delta, strict=False)
    if all(math.isnan(loss) for loss in val_losses):
        raise ValueError("val_losses has no number in it: early stopping needs a validation loss per epoch.")
    best, lowest = 0, math.inf
    for epoch, loss in enumerate(val_losses):
        if loss < lowest - min_delta:
            best, lowest = epoch, loss
        elif epoch - best >= patience:
            return EarlyStop(best, epoch)
    return EarlyStop(best, len(val_losses) - 1)
