r"""How sure am I? Intervals for a share of right answers, tests of two models on the same images, and the bootstrap.

Formulas of notebook 12, in plain Python and NumPy: no table, no SciPy (the tests use it as the oracle). A share is k
right answers out of n; a difference is taken image by image or seed by seed. Everything is two-sided.
"""

import functools
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from course_utils._checks import check_all_finite, check_finite, check_positive
from course_utils._types import checked, describe
from course_utils.claims import mean_and_half_width

_BISECTIONS = 60  # halvings of [0, 1]: the last is below the spacing of float64 near 1


class Interval(NamedTuple):
    """An estimate and the interval around it, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


class McNemar(NamedTuple):
    """Two classifiers on the same images: what they disagree on, how surprising that is if both are equally good."""

    only_first: int  # images that the first classifies rightly and the second wrongly
    only_second: int
    z: float  # (only_first - only_second) / sqrt(only_first + only_second), 0 where they never disagree
    p_exact: float  # of the binomial test: at most the nominal rate of false alarms
    p_mid: float  # exact minus half of the probability of what was observed: close to the nominal rate


@checked
def wald_interval(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    r"""Return :math:`\hat p \pm z\sqrt{\hat p(1-\hat p)/n}`, which covers too rarely near 0 and 1 (eq. 12.3)."""
    share, z = _share_and_quantile(k, n, confidence)
    half = z * math.sqrt(share * (1 - share) / n)
    return Interval(share, share - half, share + half)


@checked
def wilson_interval(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    r"""Return all p that a z test would not reject, :math:`(\hat p - p)^2 \le z^2\, p(1-p)/n` (eq. 12.5).

    Args:
        k: right answers, 0 <= k <= n.
        n: answers, at least 1.
        confidence: nominal coverage, in (0, 1).
    Raises: ValueError: if one of them is out of its range.
    Source: E. B. Wilson 1927, Journal of the American Statistical Association 22, 209-212.
    """
    share, z = _share_and_quantile(k, n, confidence)
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, center - half, center + half)


@checked
def clopper_pearson_interval(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return all p that neither tail of the binomial rejects: covers at least as often as it says, for every p.

    Args, Raises: as `wilson_interval`.
    Source: C. J. Clopper, E. S. Pearson 1934, Biometrika 26, 404-413.
    """
    share, _ = _share_and_quantile(k, n, confidence)
    tail = (1 - confidence) / 2
    log_choose = _log_choose(n)
    # P(X >= k) rises with p and P(X <= k) falls: the ends are where they reach the tail's probability
    low = 0.0 if k == 0 else _bisect(lambda p: _probability(log_choose[k:], k, n, p) - tail)
    high = 1.0 if k == n else _bisect(lambda p: tail - _probability(log_choose[: k + 1], 0, n, p))
    return Interval(share, low, high)


@checked
@functools.lru_cache(maxsize=65_536)
def mcnemar(only_first: int, only_second: int) -> McNemar:
    r"""Test whether two classifiers are equally good, from the images that only one of them gets right.

    Under the hypothesis each of the m = b + c images on which exactly one is right goes to either by a fair coin, so
    :math:`b \sim \mathrm{Bin}(m, 1/2)` (eq. 12.8). The answer is about these two networks, not about two methods.

    Raises: ValueError: if a count is negative.
    Source: Q. McNemar 1947, Psychometrika 12, 153-157; mid-p: M. W. Fagerland, S. Lydersen, P. Laake 2013,
        BMC Medical Research Methodology 13:91.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"counts must be >= 0, got only_first={only_first}, only_second={only_second}.")
    m = only_first + only_second
    if m == 0:
        return McNemar(only_first, only_second, 0.0, 1.0, 1.0)
    fewer = min(only_first, only_second)
    weights = np.exp(_log_choose(m)[: fewer + 1] - m * math.log(2))
    tail = float(weights.sum())
    exact = min(1.0, 2 * tail)
    # Where both counts are equal the two tails share the middle: p is 1, and half of the middle is taken off once.
    mid = exact - float(weights[-1]) * (0.5 if 2 * fewer == m else 1.0)
    return McNemar(only_first, only_second, (only_first - only_second) / math.sqrt(m), exact, mid)


@checked
def compare_predictions(first_right: torch.Tensor, second_right: torch.Tensor) -> McNemar:
    """Return McNemar's test of two classifiers from booleans per image, in the same order.

    Raises: ValueError: if the two do not speak about the same number of images, or not in booleans.
    """
    if first_right.shape != second_right.shape or {first_right.dtype, second_right.dtype} != {torch.bool}:
        raise ValueError(
            "first_right and second_right must be booleans of the same images, got "
            f"{describe(first_right)} and {describe(second_right)}. Write predicted == labels."
        )
    return mcnemar(int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum()))


@checked
def unpaired_p_value(first_right: int, second_right: int, n: int) -> float:
    """Return the p-value of the z test of two shares, as if the n images of the second were other ones.

    Raises: ValueError: unless 0 <= first_right, second_right <= n and n >= 1.
    """
    if not 0 <= min(first_right, second_right) <= max(first_right, second_right) <= n or n < 1:
        raise ValueError(
            f"shares are 0 <= first_right, second_right <= n with n >= 1, got first_right={first_right}, "
            f"second_right={second_right}, n={n}."
        )
    pooled = (first_right + second_right) / (2 * n)
    if pooled in (0.0, 1.0):
        return 1.0
    z = (first_right - second_right) / n / math.sqrt(2 * pooled * (1 - pooled) / n)
    return math.erfc(abs(z) / math.sqrt(2))


@checked
def paired_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Return the mean of first - second, seed by seed, with its 95 % t interval.

    Raises: ValueError: if there are fewer than two pairs: one pair has no spread; or if a difference is not finite.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"paired differences need two or more pairs of first and second, got {len(first)} and {len(second)} "
            "values."
        )
    mean, half = mean_and_half_width([a - b for a, b in zip(first, second, strict=True)])
    if half is None or not math.isfinite(half):
        raise ValueError(f"first and second must be finite numbers, got a difference of mean {mean}.")
    return Interval(mean, mean - half, mean + half)


@checked
def student_quantile(p: float, df: int) -> float:
    r"""Return the t that a variable of Student's distribution with `df` degrees of freedom stays below with p.

    Half-width of the interval of a mean of n = df + 1 values: :math:`t_{(1+c)/2,\,n-1}\, s/\sqrt n` at confidence c; of
    the interval that one more value falls into: :math:`t\, s \sqrt{1 + 1/n}` (eq. 90.1).

    Args:
        p: probability, in [1/2, 1).
        df: degrees of freedom, at least 1.
    Raises: ValueError: if one of them is out of its range.
    Source: M. Abramowitz and I. Stegun 1964, Handbook of Mathematical Functions, 26.7.3 and 26.7.4 (whole df).
    """
    if not 0.5 <= p < 1 or df < 1:
        raise ValueError(f"Student's quantile needs 1/2 <= p < 1 and df >= 1, got p={p}, df={df}.")
    quarter = math.pi / 2
    # t = sqrt(df) tan(theta): the distribution is a finite sum in theta, which runs from 0 to a quarter turn
    theta = quarter * _bisect(lambda share: _student_inside(quarter * share, df) - (2 * p - 1))
    return math.sqrt(df) * math.tan(theta)


@checked
def bootstrap_interval(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = fmean,
    *,
    generator: torch.Generator,
    num_resamples: int = 1_000,
    confidence: float = 0.95,
) -> Interval:
    """Return a statistic with the percentiles of its values on resamples drawn with replacement.

    With n values the interval of a mean is too short by about (n - 1)/n in variance, and by the normal quantile where
    Student's would be due: ten values or fewer are a case for `paired_difference`.

    Args:
        values: two or more finite numbers, each from its own repetition.
        statistic: a function of such a list that returns a finite number.
        generator: source of the resamples.
        num_resamples: how many; the ends are read from the (1 - confidence)/2 quantiles.
        confidence: nominal coverage, in (0, 1).
    Raises: ValueError: if there are fewer than two values, or an argument or a statistic is out of range.
    Source: B. Efron 1979, Annals of Statistics 7, 1-26.
    """
    if len(values) < 2:
        raise ValueError(f"the bootstrap needs two or more values, got {len(values)}.")
    check_all_finite("values", values)
    check_positive("num_resamples", num_resamples)
    _check_confidence(confidence)
    estimate = statistic(values)
    check_finite("what statistic returns", estimate)
    index = torch.randint(len(values), (num_resamples, len(values)), generator=generator).tolist()
    resampled = [statistic([values[i] for i in row]) for row in index]
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate, float(low), float(high))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, such as 0.95, got {confidence!r}.")


def _share_and_quantile(k: int, n: int, confidence: float) -> tuple[float, float]:
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"a share is 0 <= k <= n with n >= 1, got k={k}, n={n}.")
    _check_confidence(confidence)
    return k / n, NormalDist().inv_cdf((1 + confidence) / 2)


@functools.lru_cache(maxsize=4_096)
def _log_choose(n: int) -> NDArray[np.float64]:
    """Return log(n choose i) for i = 0 ... n."""
    logs = np.log(np.arange(1, n + 1, dtype=np.float64))
    log_factorial = np.concatenate([[0.0], np.cumsum(logs)])
    return np.asarray(log_factorial[n] - log_factorial - log_factorial[::-1], dtype=np.float64)


def _probability(log_choose: NDArray[np.float64], first: int, n: int, p: float) -> float:
    """Return the sum of the binomial probabilities of first, first + 1, ... as many as there are coefficients."""
    i = np.arange(first, first + len(log_choose))
    return float(np.exp(log_choose + i * math.log(p) + (n - i) * math.log1p(-p)).sum())


def _student_inside(theta: float, df: int) -> float:
    """Return P(|T| < sqrt(df) tan(theta))."""
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = df % 2
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(3 if odd else 2, df + 1, 2):
        total += term
        term *= cosine**2 * (power - 1) / power
    return (theta + sine * total) * 2 / math.pi if odd else sine * total


def _bisect(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (0.0, 1.0):
            break
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
