r"""Which of many is best, over many tasks? Ranks, Friedman's test, and the difference that two mean ranks need.

A task counts once, however many seeds were run on it: seeds say how sure a task's ranking is, tasks say how far it
carries. In plain PyTorch, no table and no SciPy (the tests use it as the oracle).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils._checks import check_at_least, check_probability
from course_utils._types import checked

_BISECTIONS = 60  # halvings: the last is below the spacing of float64 near a quantile
_POINTS = 4001  # of the integral over the normal density; its error is below 1e-9
_TAIL = 8.5  # standard deviations, beyond which the density is below 1e-16


class Friedman(NamedTuple):
    """Friedman's statistic, and how often chance alone would give as much."""

    statistic: float
    p_value: float  # from chi squared with k - 1 degrees of freedom: rough for few tasks


@checked
def mean_ranks(scores: Tensor) -> Tensor:
    """Return the rank of each method, 1 for the lowest score, averaged over tasks; equal scores share their ranks.

    Args:
        scores: [tasks, methods], the lower the better.
    Returns: [methods], float64.
    Raises: ValueError: if it has another shape or a score is not finite.
    """
    return _ranks(scores).mean(0)


@checked
def friedman(scores: Tensor) -> Friedman:
    r"""Test whether the methods differ at all, whatever the tasks' units.

    .. math:: \chi^2_F = (k - 1)\, \frac{\sum_j \bigl(R_j - N \tfrac{k+1}{2}\bigr)^2}
              {\sum_{i,j} \bigl(r_{ij} - \tfrac{k+1}{2}\bigr)^2}, \qquad R_j = \textstyle\sum_i r_{ij}

    which without ties is the textbook's :math:`\frac{12}{N k (k+1)} \sum_j R_j^2 - 3 N (k+1)`.

    Args:
        scores: [tasks N >= 2, methods k >= 3], the lower the better.
    Raises: ValueError: if it has another shape, a score is not finite, or all scores of every task are equal.
    Source: M. Friedman 1937, Journal of the American Statistical Association 32, 675-701; J. Demšar
        2006, JMLR 7, 1-30.
    """
    ranks = _ranks(scores)
    n, k = ranks.shape
    if n < 2 or k < 3:
        raise ValueError(f"scores needs two or more tasks and three or more methods, got {n} and {k}.")
    away = ranks - (k + 1) / 2
    if not away.any():
        raise ValueError("scores of every task are all equal: there is nothing to rank.")
    statistic = float((k - 1) * away.sum(0).square().sum() / away.square().sum())
    half = torch.tensor([(k - 1) / 2, statistic / 2], dtype=torch.float64)
    return Friedman(statistic, float(torch.special.gammaincc(half[0], half[1])))


@checked
def studentized_range_quantile(p: float, k: int) -> float:
    r"""Return what the range of k standard normal numbers stays below with probability p.

    .. math:: P(q) = k \int \varphi(z)\, \bigl(\Phi(z) - \Phi(z - q)\bigr)^{k-1}\, dz

    Args:
        p: in [0, 1), 0.95 by custom.
        k: how many numbers, >= 2.
    Raises: ValueError: if one of them is out of its range.
    """
    check_probability("p", p, below_one=True)
    check_at_least("k", k, 2)
    low, high = 0.0, 100.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _range_below(middle, k) < p else (low, middle)
    return (low + high) / 2


@checked
def critical_difference(k: int, num_tasks: int, *, confidence: float = 0.95) -> float:
    r"""Return how far two mean ranks must lie apart, if all pairs of k methods are compared (Nemenyi's test).

    .. math:: CD = \frac{q}{\sqrt 2}\, \sqrt{\frac{k (k + 1)}{6 N}}

    Args:
        k: methods, >= 2.
        num_tasks: tasks N >= 1 that are independent of each other; seeds of one task are not.
        confidence: in [0, 1), that no pair of equal methods is told apart.
    Raises: ValueError: if one of them is out of its range.
    Source: J. Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1-30, section 3.2.2.
    """
    check_at_least("num_tasks", num_tasks, 1)
    check_probability("confidence", confidence, below_one=True)
    q = studentized_range_quantile(confidence, k)
    return q / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * num_tasks))


def _range_below(q: float, k: int) -> float:
    z = torch.linspace(-_TAIL, _TAIL + q, _POINTS, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    inside = torch.special.ndtr(z) - torch.special.ndtr(z - q)
    return float(k * torch.trapezoid(density * inside ** (k - 1), z))


def _ranks(scores: Tensor) -> Tensor:
    if scores.is_complex():
        raise ValueError("scores must be real numbers, complex ones have no order.")
    if scores.ndim != 2 or not scores.numel():
        raise ValueError(f"scores needs shape (tasks, methods), got {tuple(scores.shape)}.")
    if not scores.isfinite().all():
        raise ValueError(
            f"scores must be finite numbers, got {scores[~scores.isfinite()][0].item()!r} in scores."
        )
    own, other = scores.unsqueeze(2), scores.unsqueeze(1)
    below, equal = (other < own).sum(2), (other == own).sum(2)
    return below + (equal + 1).double() / 2
