r"""How does the learning rate change over a run? Shares of its peak, as functions of the step, for torch's LambdaLR.

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, product(warmup(100), cosine(2000)))

Each maker returns step -> share of the optimizer's lr, with step 0 for the first update. A share has no memory: it can
be drawn, multiplied and asked for any step, and after the last one it stays where it ended.
"""

import math
from collections.abc import Callable

from course_utils._checks import check_finite, check_positive, check_probability
from course_utils._given import call_given
from course_utils._types import checked

Share = Callable[[int], float]


@checked
def constant() -> Share:
    """Return the share 1 for every step: the schedule that the others are compared with."""
    return lambda step: 1.0


@checked
def warmup(num_steps: float) -> Share:
    r"""Return a straight line up to 1: :math:`s(t) = \min((t + 1) / W, 1)`.

    The first step is not 0, so that no gradient is wasted; step W - 1 is the first at full rate.

    Args:
        num_steps: W > 0; at most 1 is no warm-up.
    Raises: ValueError: if it is not positive.
    Source: Goyal et al. 2017 (arXiv:1706.02677), section 2.2.
    """
    check_positive("num_steps", num_steps)
    rising = max(1.0, num_steps)
    return lambda step: min((step + 1) / rising, 1.0)


@checked
def step_decay(every: int, factor: float = 0.1) -> Share:
    r"""Return a staircase: :math:`s(t) = f^{\lfloor t / T_0 \rfloor}`; torch's StepLR.

    Args:
        every: steps T₀ >= 1 on one stair.
        factor: f in [0, 1] from one stair to the next; a tenth by custom.
    Raises: ValueError: if `every` is below 1 or `factor` outside of [0, 1].
    """
    _check_total("every", every)
    check_probability("factor", factor)
    return lambda step: float(factor) ** (step // every)


@checked
def cosine(total: int, floor: float = 0.0) -> Share:
    r"""Return half a wave from 1 down to the floor: :math:`s(t) = a + (1 - a)\,(1 + \cos(\pi t / T)) / 2`.

    Half of the way down is reached at half time. torch's CosineAnnealingLR, which would rise again after T.

    Args:
        total: number of steps T >= 1.
        floor: a in [0, 1], where it ends.
    Raises: ValueError: if `total` is below 1 or `floor` outside of [0, 1].
    Source: Loshchilov and Hutter 2016 (arXiv:1608.03983), eq. 5, for a single period.
    """
    _check_total("total", total)
    check_probability("floor", floor)
    return lambda step: _between(1.0, float(floor), step / total)


@checked
def linear(total: int) -> Share:
    r"""Return a straight line down to 0: :math:`s(t) = 1 - t / T`; torch's LinearLR from 1 to 0.

    Args:
        total: number of steps T >= 1.
    Raises: ValueError: if `total` is below 1.
    """
    _check_total("total", total)
    return lambda step: max(0.0, 1 - step / total)


@checked
def one_cycle(total: int, peak: float = 0.3, start: float = 0.04, end: float = 4e-6) -> Share:
    r"""Return one rise to 1 and one longer fall to almost nothing, each half a wave.

    .. math:: s(t) = a + (b - a)\, \frac{1 - \cos(\pi u)}{2}, \qquad
              u \in [0, 1]: \text{ the part done, of the rise from a = start to b = 1, then of the fall from 1 to end}

    The defaults are those of torch's OneCycleLR (start 1/25 of the peak, end 1/10,000 of the start), where the peak
    stands at step 0.3 T - 1. The paper goes up and down in straight lines, and lets momentum fall while the rate rises;
    torch does the latter by itself, this share does not.

    Args:
        total: number of steps T; the last, T - 1, has the share `end`.
        peak: fraction of the run in [0, 1] until the peak, of at least one step more than 1 and less than T.
        start: first share, in [0, 1].
        end: last share, in [0, 1].
    Raises: ValueError: if a share is outside of [0, 1], or there is no step before the peak or none after it.
    Source: Smith and Topin 2017 (arXiv:1708.07120), section 3; waves as in torch.
    """
    for name, value in {"peak": peak, "start": start, "end": end}.items():
        check_probability(name, value)
    top = peak * total - 1
    if not 0 < top < total - 1:
        raise ValueError(
            f"peak must leave a step before it and one after it: 1 < peak * total < total, got {peak!r} of {total}."
        )

    def share(step: int) -> float:
        if step <= top:
            return _between(start, 1.0, step / top)
        return _between(1.0, end, (step - top) / (total - 1 - top))

    return share


@checked
def product(*shares: Share) -> Share:
    """Return the product of shares, such as a warm-up and a decay; of none it is 1.

    Raises: ValueError: when it is asked for a step at which one of them fails or gives no finite number.
    """

    def share(step: int) -> float:
        factors = [call_given("shares", factor, "the step", step) for factor in shares]
        for factor in factors:
            check_finite("shares", factor)
        return math.prod(factors, start=1.0)

    return share


@checked
def warmup_then_linear(total: int, warmup: float = 0.1) -> Share:
    r"""Return the share of the peak rate at step t: a straight line up, then a straight line down to 0.

    .. math:: s(t) = \min\Big(\frac{t + 1}{w T}, 1\Big) \Big(1 - \frac{t}{T}\Big), \qquad t = 0, \dots, T - 1

    Args:
        total: number of steps T >= 1.
        warmup: fraction w of them in [0, 1) until the first factor is 1; 0 starts at the peak.
    Returns: a function of the step, as `torch.optim.lr_scheduler.LambdaLR` takes it; 0 from step T on.
    Raises: ValueError: if `total` is below 1 or `warmup` outside of [0, 1).
    Source: warm-up: Goyal et al. 2017 (arXiv:1706.02677), section 2.2.
    """
    _check_total("total", total)
    check_probability("warmup", warmup, below_one=True)
    return product(_rise(max(1.0, warmup * total)), linear(total))


_rise = warmup  # the name that an argument of `warmup_then_linear` hides


def _between(first: float, last: float, part: float) -> float:
    """Return the point of half a wave from `first` to `last`, at a part of the way; after it the last."""
    return last + (first - last) * (1 + math.cos(math.pi * min(part, 1.0))) / 2


def _check_total(name: str, steps: int) -> None:
    if steps < 1:
        raise ValueError(f"{name} counts steps and must be at least 1, got {steps}.")
