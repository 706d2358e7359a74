r"""Order or chaos, and how deep does a difference survive? Fixed points, depth scales and the line between the phases.

Every depth maps (q, c) again, so that depth is iteration: q runs to :math:`q^*`, and two inputs end parallel (order,
:math:`\chi_1 < 1`, gradients vanish) or apart (chaos, :math:`\chi_1 > 1`, gradients explode). On the line
:math:`\chi_1 = 1` between them neither happens at an exponential rate.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils._checks import check_positive
from course_utils._types import checked
from course_utils.phase._means import (
    Activation,
    Number,
    derivative,
    finite,
    numbers,
    second_moment,
    variance_slope,
)
from course_utils.phase.maps import correlation_map, pair_slope, slope

# Variances from 2^-27 = 7e-9, which counts as 0, to 2^40 = 1e12, beyond which it explodes.
_EXPONENTS = (-27, 40)
_BISECTIONS = 60  # halvings of a factor 2: more than a float64 can tell apart
_NEUTRAL = 1e-12  # relative; beyond the quadrature's error where phi is piecewise linear


class CriticalPoint(NamedTuple):
    """A point of the line between order and chaos, and the fixed point there."""

    sigma_w: float
    sigma_b: float
    q: float


class DepthScales(NamedTuple):
    """Where the maps run to, and over how many layers: a distance from the fixed point falls like exp(-layers / xi)."""

    q: float  # the fixed point of the variance
    chi: float  # slope of the correlation map at c = 1: below 1 order, above 1 chaos
    c: float  # the correlation that two different inputs run to
    xi_q: float  # layers per factor e of the variance; infinite where it is slower than any exponential
    xi_c: float  # layers per factor e of the correlation: how deep a difference survives


@checked
def fixed_variance(
    phi: Activation, *, sigma_w: Number, sigma_b: Number = 0.0, kinks: Sequence[float] = ()
) -> Tensor:
    r"""Return :math:`q^* = V(q^*)`, the largest fixed point, at which great depth ends when it starts above.

    Args:
        phi: as of `variance_map`.
        sigma_w: as of `variance_map`; a whole grid of both is cheap, because E[phi^2] does not depend on them.
        sigma_b: as of `variance_map`.
        kinks: as of `variance_map`.
    Returns: float64, of the shape that sigma_w and sigma_b have together; 0 where the variance falls to 0, infinity
        where it grows beyond 1e12.
    Raises: ValueError: as `variance_map`, and where sigma_w makes every q a fixed point, as :math:`\sqrt 2` does for
        ReLU without biases.
    Source: Poole et al. 2016, arXiv:1606.05340, fixed points of the length map.
    """
    sigma_w, sigma_b = numbers(sigma_w=sigma_w, sigma_b=sigma_b)

    def growth(q: Tensor) -> Tensor:
        """Return V(q) / q - 1."""
        return (sigma_w.square() * second_moment(phi, q, kinks) + sigma_b.square()) / q - 1

    low, high = _EXPONENTS
    grid = torch.logspace(low, high, high - low + 1, base=2, dtype=torch.float64)
    grown = finite(torch.stack([growth(q.expand_as(sigma_w)) for q in grid], dim=-1))
    if bool((grown.abs() < _NEUTRAL).all(-1).any()):
        raise ValueError(
            "at this sigma_w every q is a fixed point of phi: choose q, or move sigma_w off the critical value."
        )
    last = (torch.arange(len(grid)) * (grown > 0)).amax(-1)  # the highest q that still grows
    q = grid[last] * torch.exp2(_bisect(lambda e: growth(grid[last] * torch.exp2(e)), sigma_w))
    q = torch.where((grown <= 0).all(-1), 0.0, q)
    return torch.where(grown[..., -1] > 0, math.inf, q)


@checked
def critical_point(phi: Activation, q: float, *, kinks: Sequence[float] = ()) -> CriticalPoint:
    r"""Return the point of the edge of chaos at which q is the fixed point: the line in closed form, with parameter q.

    .. math:: \sigma_w^2 = 1 / E[\phi'(\sqrt q z)^2], \qquad \sigma_b^2 = q - \sigma_w^2\, E[\phi(\sqrt q z)^2]

    Args:
        phi: as of `variance_map`, differentiable.
        q: the fixed point, > 0.
        kinks: as of `variance_map`.
    Raises: ValueError: if q is out of its range, phi fails, or no bias makes q critical.
    Source: chi_1 = 1 and V(q) = q, Poole et al. 2016, arXiv:1606.05340, solved for both sigmas.
    """
    check_positive("q", q)
    (at,) = numbers(q=q)
    sigma_w2, sigma_b2 = _critical_squares(phi, at, kinks)
    if float(sigma_b2) < -_NEUTRAL * q:
        raise ValueError(f"no bias makes q={q!r} critical for this phi: sigma_b^2 would be {sigma_b2:g}.")
    return CriticalPoint(float(sigma_w2.sqrt()), float(sigma_b2.clamp(min=0).sqrt()), float(q))


@checked
def critical_sigma_w(phi: Activation, sigma_b: float, *, kinks: Sequence[float] = ()) -> float:
    r"""Return the sigma_w of the edge of chaos at a given sigma_b.

    Args:
        phi: as of `variance_map`, differentiable; such that sigma_b grows with q along the line, as for tanh and erf.
        sigma_b: standard deviation of a bias, >= 0.
        kinks: as of `variance_map`.
    Raises: ValueError: if sigma_b is out of its range, phi fails, or the line does not come to this sigma_b: that of
        ReLU is one point, :math:`\sigma_w = \sqrt 2`, sigma_b = 0.
    Source: as of `critical_point`.
    """
    (bias,) = numbers(sigma_b=sigma_b)
    low, high = (torch.tensor(2.0**e, dtype=torch.float64) for e in _EXPONENTS)
    if float(bias) == 0:
        return critical_point(phi, float(low), kinks=kinks).sigma_w
    if not float(_critical_squares(phi, high, kinks)[1]) > float(bias.square()):
        raise ValueError(f"the edge of chaos of this phi does not come to sigma_b={sigma_b!r}.")
    span = _EXPONENTS[1] - _EXPONENTS[0]
    exponent = _bisect(
        lambda e: bias.square() - _critical_squares(phi, low * torch.exp2(span * e), kinks)[1], bias
    )
    return critical_point(phi, float(low * torch.exp2(span * exponent)), kinks=kinks).sigma_w


@checked
def depth_scales(
    phi: Activation, *, sigma_w: float, sigma_b: float = 0.0, kinks: Sequence[float] = ()
) -> DepthScales:
    r"""Return the fixed points of variance and correlation, and over how many layers they are reached.

    .. math:: \xi_q^{-1} = -\ln V'(q^*), \qquad
        \xi_c^{-1} = -\ln\bigl(\sigma_w^2\, E[\phi'(\sqrt{q^*} a)\, \phi'(\sqrt{q^*} b)]\bigr), \quad E[ab] = c^*

    V' is :math:`\chi_1 + \sigma_w^2 E[\phi''\phi]` by partial integration, and computed without the second derivative.

    Args and errors: as of `fixed_variance`; q must be positive and finite.
    Source: Schoenholz et al. 2017, arXiv:1611.01232, the depth scales xi_q and xi_c.
    """
    q = float(fixed_variance(phi, sigma_w=sigma_w, sigma_b=sigma_b, kinks=kinks))
    if not 0 < q < math.inf:
        raise ValueError(
            f"depth scales need a positive finite fixed point, got q={q} at sigma_w={sigma_w!r}, sigma_b={sigma_b!r}: "
            "the variance vanishes or explodes."
        )
    chi = float(slope(phi, q, sigma_w=sigma_w, kinks=kinks))
    c = 1.0 if chi <= 1 else _fixed_correlation(phi, q, sigma_w, sigma_b, kinks)
    falls_by = pair_slope(phi, c, q, sigma_w=sigma_w, kinks=kinks)
    v_slope = float(sigma_w**2 * variance_slope(phi, torch.tensor(q, dtype=torch.float64), kinks))
    return DepthScales(q, chi, c, _layers(v_slope), _layers(falls_by))


def _critical_squares(phi: Activation, q: Tensor, kinks: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return sigma_w^2 and sigma_b^2 that make q a fixed point with chi = 1."""
    sigma_w2 = 1 / second_moment(derivative(phi), q, kinks)
    return finite(sigma_w2), finite(q - sigma_w2 * second_moment(phi, q, kinks))


def _fixed_correlation(
    phi: Activation, q: float, sigma_w: float, sigma_b: float, kinks: Sequence[float]
) -> float:
    """Return the correlation below 1 that stays: the map lies above the diagonal before it, and below it after."""

    def growth(c: Tensor) -> Tensor:
        at = float(c)
        return torch.tensor(correlation_map(phi, at, q, sigma_w=sigma_w, sigma_b=sigma_b, kinks=kinks) - at)

    zero = torch.tensor(0.0, dtype=torch.float64)
    return 0.0 if float(growth(zero)) < _NEUTRAL else float(_bisect(growth, zero, halvings=40))


def _layers(factor: float) -> float:
    """Return over how many layers this factor per layer makes 1/e; 0 where one layer does all."""
    if factor >= 1:
        return math.inf
    return 0.0 if factor <= 0 else -1 / math.log(factor)


def _bisect(growth: Activation, like: Tensor, *, halvings: int = _BISECTIONS) -> Tensor:
    """Return where in [0, 1] `growth` turns from positive to negative, for each entry of `like`."""
    low, high = torch.zeros_like(like), torch.ones_like(like)
    for _ in range(halvings):
        middle = (low + high) / 2
        grows = growth(middle) > 0
        low, high = torch.where(grows, middle, low), torch.where(grows, high, middle)
    return (low + high) / 2
