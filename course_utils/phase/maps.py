r"""What does one wide layer do to the size of a signal, and to the angle between two? The mean-field maps.

A layer :math:`z = W\phi(z') + b` with independent :math:`W_{ij} \sim N(0, \sigma_w^2/n)`, :math:`b_i \sim N(0,
\sigma_b^2)` and many units has Gaussian preactivations, so that two numbers say everything: their variance q, and the
correlation c of two inputs. Everything is an expectation over one or two Gaussians, for ANY activation. Infinite
width and initialization only; `sigma_w` is :math:`\sqrt n` times the standard deviation of a weight.
"""

from collections.abc import Sequence

from torch import Tensor

from course_utils._checks import check_positive
from course_utils._types import checked
from course_utils.phase._means import (
    Activation,
    Number,
    called,
    derivative,
    finite,
    numbers,
    pair_mean,
    second_moment,
)


@checked
def variance_map(
    phi: Activation, q: Number, *, sigma_w: Number, sigma_b: Number = 0.0, kinks: Sequence[float] = ()
) -> Tensor:
    r"""Return the variance of the preactivations after one more layer.

    .. math:: V(q) = \sigma_w^2\, E[\phi(\sqrt q z)^2] + \sigma_b^2, \qquad z \sim N(0, 1)

    Args:
        phi: activation, tensor -> tensor of its shape; it may grow like a polynomial, not like an exponential.
        q: variance of the preactivations before, >= 0, one number or a tensor [...].
        sigma_w: standard deviation of a weight times the root of the fan-in, >= 0, as q.
        sigma_b: standard deviation of a bias, >= 0, as q.
        kinks: where phi has corners other than at 0: (-1, 1) for hardtanh.
    Returns: float64, of the shape that q, sigma_w and sigma_b have together.
    Raises: ValueError: if a number is out of its range, phi fails, or a mean is not finite.
    Source: Poole et al. 2016, arXiv:1606.05340, the length map.
    """
    q, sigma_w, sigma_b = numbers(q=q, sigma_w=sigma_w, sigma_b=sigma_b)
    return finite(sigma_w.square() * second_moment(phi, q, kinks) + sigma_b.square())


@checked
def covariance_map(
    phi: Activation,
    c: float,
    q_a: float,
    q_b: float,
    *,
    sigma_w: float,
    sigma_b: float = 0.0,
    kinks: Sequence[float] = (),
) -> float:
    r"""Return the covariance of two inputs' preactivations after one more layer.

    .. math:: \sigma_w^2\, E[\phi(\sqrt{q_a}\, a)\, \phi(\sqrt{q_b}\, b)] + \sigma_b^2, \qquad
        a, b \sim N(0, 1),\; E[ab] = c

    Args:
        phi: activation, as of `variance_map`.
        c: correlation of the two before, in [-1, 1].
        q_a: variance of the first, > 0.
        q_b: variance of the second, > 0.
        sigma_w: as of `variance_map`.
        sigma_b: as of `variance_map`.
        kinks: as of `variance_map`.
    Raises: ValueError: if a number is out of its range, phi fails, or a mean is not finite.
    Source: Poole et al. 2016, arXiv:1606.05340, the correlation map.
    """
    sigmas = numbers(sigma_w=sigma_w, sigma_b=sigma_b)
    mean = pair_mean(called(phi), c, q_a, q_b, kinks)
    return float(finite(sigmas[0].square() * mean + sigmas[1].square()))


@checked
def correlation_map(
    phi: Activation,
    c: float,
    q: float,
    *,
    sigma_w: float,
    sigma_b: float = 0.0,
    kinks: Sequence[float] = (),
) -> float:
    r"""Return the correlation of two inputs of equal variance q after one more layer, covariance / V(q).

    Args and errors: as of `covariance_map`; the next variance must not be 0.
    Source: Poole et al. 2016, arXiv:1606.05340, the correlation map with equal variances.
    """
    check_positive("q", q)
    covariance = covariance_map(phi, c, q, q, sigma_w=sigma_w, sigma_b=sigma_b, kinks=kinks)
    variance = float(variance_map(phi, q, sigma_w=sigma_w, sigma_b=sigma_b, kinks=kinks))
    if variance == 0:
        raise ValueError(
            "the next variance is 0 and has no correlation: sigma_w, sigma_b or phi at this q is 0."
        )
    return min(1.0, max(-1.0, covariance / variance))


@checked
def slope(phi: Activation, q: Number, *, sigma_w: Number, kinks: Sequence[float] = ()) -> Tensor:
    r"""Return chi, by which one layer multiplies the squared distance of two close inputs, and a squared gradient.

    .. math:: \chi_1 = \sigma_w^2\, E[\phi'(\sqrt q z)^2]

    It is the slope of the correlation map at c = 1 where q is the fixed point: above 1 chaos, below 1 order.

    Args and errors: as of `variance_map`; phi must be computed with torch, which differentiates it.
    Source: Poole et al. 2016, arXiv:1606.05340; for gradients Schoenholz et al. 2017, arXiv:1611.01232.
    """
    q, sigma_w = numbers(q=q, sigma_w=sigma_w)
    return finite(sigma_w.square() * second_moment(derivative(phi), q, kinks))


@checked
def pair_slope(phi: Activation, c: float, q: float, *, sigma_w: float, kinks: Sequence[float] = ()) -> float:
    r"""Return the slope of the correlation map at c, times V(q)/q.

    .. math:: \sigma_w^2\, E[\phi'(\sqrt q a)\, \phi'(\sqrt q b)], \qquad E[ab] = c

    At a fixed point q the factor is 1; at c = 1 it is `slope`.

    Args and errors: as of `covariance_map`.
    Source: Schoenholz et al. 2017, arXiv:1611.01232, in the definition of xi_c.
    """
    check_positive("q", q)
    (sigma_w_,) = numbers(sigma_w=sigma_w)
    return float(finite(sigma_w_.square() * pair_mean(derivative(phi), c, q, q, kinks)))
