r"""How is the mean of a kinked function of Gaussians computed to twelve digits? By panels that end where it bends.

Gauss-Hermite nodes integrate polynomials exactly and ReLU badly: across a kink the error falls only like 1/n. Here the
line is cut at the kinks, and where any activation bends, at 0 and around 1; on each piece the integrand is smooth, and
Gauss-Legendre converges geometrically. A pair of correlated Gaussians is taken in polar coordinates, as Cho and Saul do
for ReLU: a kink at 0 is then a ray, at the same angle for every radius, and nothing becomes singular as the
correlation approaches 1.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

NODES = 20  # per panel in one dimension
PAIR_NODES = 12  # per panel and axis in two dimensions
RADIUS = 9.0  # a standard normal variable lies beyond with probability 2e-19
_PANELS = (0.0, 1.0, 2.0, 3.5, 5.0, 7.0, RADIUS)  # chosen: the density is smooth on the scale 1
_BENDS = (-4.0, -1.0, 0.0, 1.0, 4.0)  # inputs between which tanh, erf, GELU, SELU do all their bending
_DENSITY = 1 / math.sqrt(2 * math.pi)


def normal_nodes(scale: Tensor, kinks: Sequence[float]) -> tuple[Tensor, Tensor]:
    r"""Return nodes z and weights w with :math:`\sum_i w_i f(s z_i) \approx E[f(s z)]` for f with these kinks.

    Args:
        scale: s > 0, any shape [...].
        kinks: where f, as a function of s z, has a corner or a jump, other than at 0.
    Returns: both of shape [..., nodes].
    """
    ends = torch.tensor([-end for end in _PANELS[:0:-1]] + list(_PANELS), dtype=torch.float64)
    z, w = _composite(_with_breaks(ends, _places(scale, kinks)), NODES)
    return z, w * _DENSITY * torch.exp(-z.square() / 2)


def pair_nodes(
    c: Tensor, scale_a: Tensor, scale_b: Tensor, kinks: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Return nodes (a, b) of two standard normal variables with correlation c, and their weights.

    .. math:: a = r\cos\theta, \quad b = r\cos(\theta - \alpha), \quad c = \cos\alpha, \qquad
        E[f] = \frac1{2\pi}\int_0^\infty r\,e^{-r^2/2} \int_0^{2\pi} f\,d\theta\,dr

    Args:
        c: correlation in [-1, 1], shape [].
        scale_a: what a is multiplied with before the kinked function sees it, > 0, shape [].
        scale_b: the same for b.
        kinks: as of `normal_nodes`.
    Returns: three tensors of one shape [radii, angles].
    Source: the arc-cosine kernels of Cho and Saul 2009 (NIPS), in polar coordinates.
    """
    places = torch.cat([_places(scale_a, kinks), _places(scale_b, kinks)])
    r, w_r = _composite(
        _with_breaks(torch.tensor(_PANELS, dtype=torch.float64), torch.unique(places.abs())), PAIR_NODES
    )
    # A kink at distance d is met at cos(angle) = d / r; the panel of length 0 at r = 0 weighs nothing.
    half = torch.acos((places / r.clamp(min=1e-9)[:, None]).clamp(-1, 1))
    alpha = torch.acos(c)
    turn = torch.cat([torch.zeros(len(places) // 2), alpha.expand(len(places) // 2)])
    breaks = torch.cat([turn + half, turn - half], dim=1).remainder(2 * math.pi).sort(dim=1).values
    theta, w_theta = _composite(torch.cat([breaks, breaks[:, :1] + 2 * math.pi], dim=1), PAIR_NODES)
    weight = w_theta * (w_r * r * torch.exp(-r.square() / 2))[:, None] / (2 * math.pi)
    return r[:, None] * torch.cos(theta), r[:, None] * torch.cos(theta - alpha), weight


def _places(scale: Tensor, kinks: Sequence[float]) -> Tensor:
    """Return where the standard normal variable puts its multiple on a kink, inside the radius, shape [..., kinks]."""
    at = torch.tensor(sorted({*_BENDS, *map(float, kinks)}), dtype=torch.float64)
    return (at / scale[..., None]).clamp(-RADIUS, RADIUS)


def _with_breaks(ends: Tensor, breaks: Tensor) -> Tensor:
    """Return the ends of panels, sorted, with more breaks among them; a panel of length 0 weighs nothing."""
    return torch.cat([ends.expand(*breaks.shape[:-1], -1), breaks], dim=-1).sort(dim=-1).values


def _composite(ends: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Return the Gauss-Legendre nodes and weights of panels between `ends` [..., panels + 1], flat: [..., nodes]."""
    x, w = _legendre(nodes)
    middle, half = (ends[..., 1:] + ends[..., :-1]) / 2, (ends[..., 1:] - ends[..., :-1]) / 2
    return (middle[..., None] + half[..., None] * x).flatten(-2), (half[..., None] * w).flatten(-2)


@functools.cache
def _legendre(nodes: int) -> tuple[Tensor, Tensor]:
    x, w = np.polynomial.legendre.leggauss(nodes)
    return torch.from_numpy(x), torch.from_numpy(w)
