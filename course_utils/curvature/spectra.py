r"""How are the eigenvalues distributed? Stochastic Lanczos quadrature: a few dozen products for the whole density.

The Ritz values of one Lanczos run, weighted by their overlap with its start, integrate every polynomial of degree below
2m against the spectrum as that start sees it. The mean over random starts is the spectrum itself.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils._checks import check_at_least, check_floating, check_positive, check_shape
from course_utils._types import checked
from course_utils.curvature.lanczos import _check_vector, lanczos
from course_utils.curvature.products import Product


class Quadrature(NamedTuple):
    """Points and weights that stand for a spectrum: sum(weights * f(nodes)) is about the mean of f(eigenvalue)."""

    nodes: Tensor  # [points], float64, on the CPU
    weights: Tensor  # [points], >= 0, sum 1

    def moment(self, power: int) -> float:
        """Return the mean of eigenvalue**power; 1 gives trace / n."""
        return float((self.weights * self.nodes**power).sum())

    def mass(self, low: float, high: float) -> float:
        """Return the estimated share of the eigenvalues in [low, high), a number in [0, 1]."""
        return float(self.weights[(self.nodes >= low) & (self.nodes < high)].sum())


@checked
def stochastic_lanczos(
    product: Product,
    like: Tensor,
    *,
    generator: torch.Generator,
    num_probes: int = 10,
    num_steps: int = 30,
) -> Quadrature:
    r"""Return the spectrum of a symmetric operator as weighted points.

    .. math:: \frac1n \sum_i f(\lambda_i) \approx \frac1p \sum_{k=1}^{p} \sum_{j=1}^{m} \tau_{kj} f(\theta_{kj})

    Args:
        product: v [n] -> H v [n].
        like: any tensor of shape [n] with the dtype and the device of the operator; its numbers do not matter.
        generator: of the starting vectors, on the CPU.
        num_probes: random starts p, each a Gaussian vector.
        num_steps: products m per start.
    Raises: ValueError: if there is no probe or no step, and as of `lanczos`.
    Source: Golub and Welsch 1969 (Math. Comp. 23, p. 221-230); Ubaru, Chen and Saad 2017 (SIAM J. Matrix Anal. Appl.
        38, p. 1075-1099); for Hessians Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159, section 2.
    """
    check_at_least("num_probes", num_probes, 1)
    _check_vector("like", like)
    runs = []
    for _ in range(num_probes):
        start = torch.randn(like.numel(), generator=generator, dtype=like.dtype).to(like.device)
        runs.append(lanczos(product, start, num_steps=num_steps))
    return Quadrature(
        nodes=torch.cat([run.ritz_values for run in runs]),
        weights=torch.cat([run.weights for run in runs]) / num_probes,
    )


@checked
def spectral_density(spectrum: Quadrature, grid: Tensor, *, sigma: float) -> Tensor:
    r"""Return the density of eigenvalues on a grid, every point broadened to a Gaussian.

    .. math:: \phi(t) = \sum_j w_j\, \frac{1}{\sigma\sqrt{2\pi}}\, e^{-(t-\theta_j)^2 / 2\sigma^2}

    Args:
        spectrum: weighted points; for the exact density the n eigenvalues with weights 1/n.
        grid: positions t [points], floating-point; at NaN the density is NaN, far away it is 0.
        sigma: width of the Gaussians, > 0, in the unit of the eigenvalues; it is the resolution of the picture.
    Returns: [points], in 1 / unit of the eigenvalues; its integral is 1.
    Raises: ValueError: if sigma is not positive, or the grid is no vector. TypeError: if it holds no real numbers.
    Source: Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159, section 2; Lin, Saad and Yang 2016,
        arXiv:1308.5467.
    """
    check_positive("sigma", sigma)
    check_floating(grid=grid)
    check_shape("grid", grid.shape, (None,))
    distances = (grid.to(spectrum.nodes)[:, None] - spectrum.nodes) / sigma
    bumps = torch.exp(-distances.square() / 2) / (sigma * math.sqrt(2 * math.pi))
    return bumps @ spectrum.weights
