"""Three tasks on which rules differ: a valley that lies across the axes, words of which most are rare, a network.

All parameters are matrices, so that every rule may take part. Runs of different seeds share one tensor; batches depend
on the seed and on the step alone, so that all rules see the same.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils._checks import check_at_least, check_floating, check_labels, naming
from course_utils._types import checked
from course_utils.seeding import make_generator

_MOST_CLASSES = 10_000
_LARGEST_CONDITION = 1e12  # beyond it float64 leaves little of the flat directions


class Task(NamedTuple):
    """What a walk needs, and by what it is judged."""

    name: str
    starts: list[Tensor]  # parameters [S, ...] of S seeds
    losses: Callable[[list[Tensor], int], Tensor]  # (parameters [..., S, ...], step) -> [..., S]
    score: Callable[[list[Tensor]], Tensor]  # parameters [..., S, ...] -> [..., S], the lower the better


@checked
def make_bowl(seeds: Sequence[int], *, condition: float = 1e3, size: int = 10, turned: bool = True) -> Task:
    r"""Return a quadratic of a matrix whose steep and flat directions lie across its entries.

    .. math:: L(W) = \tfrac12\, \langle W - W^*,\; A\, (W - W^*)\, B \rangle, \qquad
              A = U\,\text{diag}(\lambda)\,U^\top, \quad B = V\,\text{diag}(\lambda)\,V^\top

    with :math:`\lambda` evenly spaced on a logarithmic scale from :math:`1/\sqrt\kappa` to 1, so that the Hessian,
    :math:`A \otimes B`, has the condition number :math:`\kappa`. U and V are random rotations, or the identity. Without
    noise: every step sees the same loss.

    Args:
        seeds: one for each run: of the rotations and of W*, whose entries are standard normal; W starts at 0.
        condition: κ >= 1.
        size: n >= 2 of W [n, n].
        turned: whether U and V are rotations. Without them W* is turned back, so that it is the same bowl, only with
            its axes along the entries.
    Returns: the task, in float64; its score is the loss divided by that of the start.
    Raises: ValueError: if a number is out of range.
    """
    check_at_least("condition", condition, 1)
    if condition > _LARGEST_CONDITION:
        raise ValueError(f"condition must be at most {_LARGEST_CONDITION:g}, got condition={condition!r}.")
    check_at_least("size", size, 2)
    values = condition ** torch.linspace(-0.5, 0, size, dtype=torch.float64)
    targets, lefts, rights = [], [], []
    for generator in _generators(seeds):
        target, u, v = torch.randn(3, size, size, generator=generator, dtype=torch.float64)
        u, v = torch.linalg.qr(u).Q, torch.linalg.qr(v).Q
        if not turned:
            target, u, v = u.mT @ target @ v, torch.eye(size).double(), torch.eye(size).double()
        targets.append(target)
        lefts.append(u * values @ u.mT)
        rights.append(v * values @ v.mT)
    target, left, right = torch.stack(targets), torch.stack(lefts), torch.stack(rights)

    def losses(params: list[Tensor], step: int) -> Tensor:
        away = params[0] - target
        return (away * (left @ away @ right)).sum((-2, -1)) / 2

    starts = [torch.zeros_like(target)]
    first = losses(starts, 0)
    return Task("bowl", starts, losses, lambda params: losses(params, 0) / first)


@checked
def make_words(
    seeds: Sequence[int],
    *,
    num_words: int = 128,
    num_classes: int = 5,
    num_examples: int = 2000,
    length: int = 5,
    batch_size: int = 50,
) -> Task:
    r"""Return logistic regression on texts: few words a text, and the k-th word as frequent as 1/k.

    Each text is `length` words drawn with replacement; its class is drawn from a softmax of true weights, standard
    normal, over the words that it holds. The score is the mean loss over all texts.

    Args:
        seeds: one for each run: of texts, classes and batches.
        num_words: rows of W [words, classes], >= 2.
        num_classes: >= 2.
        num_examples: texts, >= `batch_size`.
        length: words in a text, >= 1.
        batch_size: texts of a step, drawn with replacement.
    Returns: the task, in float32; W starts at 0.
    Raises: ValueError: if a number is out of range.
    """
    check_at_least("num_words", num_words, 2)
    check_at_least("num_classes", num_classes, 2)
    check_at_least("length", length, 1)
    check_at_least("batch_size", batch_size, 1)
    check_at_least("num_examples", num_examples, batch_size)
    frequencies = 1 / torch.arange(1.0, num_words + 1)
    texts, classes = [], []
    for generator in _generators(seeds):
        drawn = torch.multinomial(
            frequencies.expand(num_examples, -1), length, replacement=True, generator=generator
        )
        held = torch.zeros(num_examples, num_words).scatter_(1, drawn, 1.0)
        truth = torch.randn(num_words, num_classes, generator=generator)
        texts.append(held)
        classes.append(torch.multinomial((held @ truth).softmax(1), 1, generator=generator).squeeze(1))
    return _classify("words", torch.stack(texts), torch.stack(classes), seeds, batch_size,
                     [torch.zeros(len(seeds), num_words, num_classes)])  # fmt: skip


@checked
def make_network(
    seeds: Sequence[int], images: Tensor, labels: Tensor, *, width: int = 64, batch_size: int = 128
) -> Task:
    r"""Return a ReLU network with one hidden layer, from He's start; its biases are rows of its matrices.

    Args:
        seeds: one for each run: of the weights and of the batches.
        images: [N, pixels], the same for all runs.
        labels: [N], from 0.
        width: units of the hidden layer, >= 1.
        batch_size: images of a step, drawn with replacement; 1 to N.
    Returns: the task; its score is the mean loss over all images.
    Raises: ValueError: if a number is out of range.
    """
    check_at_least("width", width, 1)
    check_floating(images=images)
    if images.ndim != 2 or not images.numel():
        raise ValueError(
            f"images needs shape (N, pixels) and one or more of both, got {tuple(images.shape)}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"labels needs one entry for each of {len(images)} images, got {tuple(labels.shape)}."
        )
    check_labels("labels", labels, _MOST_CLASSES)
    if not 1 <= batch_size <= len(images):
        raise ValueError(
            f"batch_size needs 1 to {len(images)}, the number of images, got batch_size={batch_size}."
        )
    num_classes = int(labels.max()) + 1
    first, last = list[Tensor](), list[Tensor]()
    for generator in _generators(seeds):
        pixels = images.shape[1]
        weights = (
            torch.randn(n, m, generator=generator) * math.sqrt(2 / n)
            for n, m in ((pixels, width), (width, num_classes))
        )
        for layer, matrix in zip((first, last), weights, strict=True):
            layer.append(F.pad(matrix, (0, 0, 0, 1)))  # biases start at 0
    starts = [torch.stack(first).to(images), torch.stack(last).to(images)]
    return _classify("network", images, labels, seeds, batch_size, starts)


def _generators(seeds: Sequence[int]) -> list[torch.Generator]:
    if not len(seeds):
        raise ValueError("seeds is empty: a task needs one or more runs.")
    with naming("seeds"):
        return [make_generator(seed) for seed in seeds]


def _classify(
    name: str, x: Tensor, y: Tensor, seeds: Sequence[int], batch_size: int, starts: list[Tensor]
) -> Task:
    """Return the task of lowering the cross-entropy of x [N, ...] or [S, N, ...], layer by layer of `starts`."""
    drawn: dict[int, Tensor] = {}  # a tuning grid and its final walk over the same steps
    per_run = x.ndim == 3
    rows = torch.arange(len(seeds), device=x.device)[:, None]

    def batch(step: int) -> tuple[Tensor, Tensor]:
        if step not in drawn:
            generators = [make_generator((seed + 1_000_003 * step) % 2**63) for seed in seeds]
            draws = [
                torch.randint(x.shape[-2], (batch_size,), generator=generator) for generator in generators
            ]
            drawn[step] = torch.stack(draws).to(x.device)
        index = drawn[step]
        return (x[rows, index], y[rows, index]) if per_run else (x[index], y[index])

    def outputs(params: list[Tensor], inputs: Tensor) -> Tensor:
        h = inputs
        for k, w in enumerate(params):
            h = h @ w if per_run else h @ w[..., :-1, :] + w[..., -1:, :]
            h = h.relu() if k < len(params) - 1 else h
        return h

    def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
        right = logits.gather(-1, targets.expand(logits.shape[:-1]).unsqueeze(-1)).squeeze(-1)
        return (logits.logsumexp(-1) - right).mean(-1)

    def losses(params: list[Tensor], step: int) -> Tensor:
        inputs, targets = batch(step)
        return cross_entropy(outputs(params, inputs), targets)

    return Task(name, starts, losses, lambda params: cross_entropy(outputs(params, x), y))


@checked
def pool(images: Tensor, *, side: int = 28, block: int = 2) -> Tensor:
    """Return images [N, side²] as means over blocks [N, (side / block)²]: a quarter of the pixels.

    Raises: ValueError: if the images have another size, or blocks do not fill a side.
    """
    check_floating(images=images)
    check_at_least("side", side, 1)
    check_at_least("block", block, 1)
    if images.ndim != 2 or images.shape[1] != side * side or side % block:
        raise ValueError(
            f"images needs shape (N, {side * side}) and a block that divides {side}, got {tuple(images.shape)} and "
            f"block={block}."
        )
    return F.avg_pool2d(images.view(-1, 1, side, side), block).flatten(1)
