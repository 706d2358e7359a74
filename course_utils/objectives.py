r"""Which surfaces show what geometry does to a step? Functions of two parameters with known minima.

`value` takes tensors [..., 2] and returns [...], so thousands of runs are evaluated at once. Gradients are autograd's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils._checks import check_floating, check_positive
from course_utils._types import checked

Point = tuple[float, float]

STEEP_SIGMA = 0.2
STEEP_CENTRES: tuple[Point, ...] = ((1.0, -0.5), (-1.0, 0.5), (-0.5, -0.8))
STEEP_DEPTH = 1 / (2 * math.pi * STEEP_SIGMA**2)  # of one isolated density: 3.97887


@dataclass(frozen=True)
class Objective:
    """A function of two parameters.

    `minimum_value` is the lowest value, or the infimum where `minima` is empty. `domain` is the part worth drawing,
    ((w1 low, w1 high), (w2 low, w2 high)).
    """

    name: str
    value: Callable[[Tensor], Tensor]
    minima: tuple[Point, ...]
    minimum_value: float
    domain: tuple[Point, Point]

    @checked
    def __call__(self, w: Tensor) -> Tensor:
        """Return the values at points w [..., 2]."""
        _check_points(w)
        return self.value(w)

    @checked
    def gradient(self, w: Tensor) -> Tensor:
        """Return the gradient at points w [..., 2], of the same shape; `w` is left as it is."""
        _check_points(w)
        w = w.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.value(w).sum(), w)
        return gradient


def _check_points(w: Tensor) -> None:
    check_floating(w=w)
    if w.shape[-1:] != (2,):
        raise ValueError(f"w needs points [..., 2], got w of shape {tuple(w.shape)}.")


def _ravine(w: Tensor) -> Tensor:
    w1, w2 = w.unbind(-1)
    return torch.tanh(w1).square() + 0.01 * w1.abs() + torch.sigmoid(w2)


def _steep_optima(w: Tensor) -> Tensor:
    centres = w.new_tensor(STEEP_CENTRES)  # (3, 2)
    squared_distance = (w.unsqueeze(-2) - centres).square().sum(-1)  # (..., 3)
    return -STEEP_DEPTH * torch.exp(-squared_distance / (2 * STEEP_SIGMA**2)).sum(-1)


def _rosenbrock(w: Tensor) -> Tensor:
    w1, w2 = w.unbind(-1)
    return (1 - w1).square() + 100 * (w2 - w1.square()).square()


def _beale(w: Tensor) -> Tensor:
    w1, w2 = w.unbind(-1)
    terms = ((1.5, w2), (2.25, w2.square()), (2.625, w2.pow(3)))
    return torch.stack([(c - w1 + w1 * p).square() for c, p in terms]).sum(0)


def _himmelblau(w: Tensor) -> Tensor:
    w1, w2 = w.unbind(-1)
    return (w1.square() + w2 - 11).square() + (w1 + w2.square() - 7).square()


# tanh(w1)^2 + 0.01 |w1| + sigmoid(w2): steep in w1 near the floor, downhill in w2 for ever. There is no minimizer: the
# infimum 0 is approached as w2 goes to minus infinity. Source S0, row S0-078.
RAVINE = Objective("ravine", _ravine, (), 0.0, ((-5.0, 5.0), (-5.0, 5.0)))
# Minus three Gaussian densities of standard deviation 0.2. The centres are minima up to a gradient of 4e-9: each lies
# on the far tail of the others. Source S0, row S0-086.
STEEP_OPTIMA = Objective(
    "steep optima", _steep_optima, STEEP_CENTRES, -STEEP_DEPTH, ((-2.0, 2.0), (-2.0, 2.0))
)
# Rosenbrock 1960, The Computer Journal 3, p. 175-184.
ROSENBROCK = Objective("Rosenbrock", _rosenbrock, ((1.0, 1.0),), 0.0, ((-2.0, 2.0), (-1.0, 3.0)))
# Beale 1958, "On an iterative method for finding a local minimum of a function of more than one variable".
BEALE = Objective("Beale", _beale, ((3.0, 0.5),), 0.0, ((-4.5, 4.5), (-4.5, 4.5)))
# Himmelblau 1972, "Applied Nonlinear Programming". Four minima of value 0; three have no short closed form.
HIMMELBLAU = Objective(
    "Himmelblau",
    _himmelblau,
    (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    ),
    0.0,
    ((-5.0, 5.0), (-5.0, 5.0)),
)


@checked
def quadratic(curvatures: Point) -> Objective:
    r"""Return :math:`\tfrac12(\lambda_1 w_1^2 + \lambda_2 w_2^2)`, whose Hessian has these eigenvalues.

    Raises: ValueError: if a curvature is not positive.
    """
    for number, curvature in enumerate(curvatures):
        check_positive(f"curvatures[{number}]", curvature)

    def value(w: Tensor) -> Tensor:
        return (w.square() * w.new_tensor(curvatures)).sum(-1) / 2

    return Objective(f"quadratic {curvatures}", value, ((0.0, 0.0),), 0.0, ((-2.0, 2.0), (-2.0, 2.0)))
