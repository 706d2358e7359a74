"""The surfaces: their minima are minima, their values are those of the formulas, and any batch is a batch of points."""

import math

import pytest
import torch

from course_utils.objectives import (
    BEALE,
    HIMMELBLAU,
    RAVINE,
    ROSENBROCK,
    STEEP_CENTRES,
    STEEP_DEPTH,
    STEEP_OPTIMA,
    quadratic,
)
from course_utils.seeding import make_generator

ALL = [RAVINE, STEEP_OPTIMA, ROSENBROCK, BEALE, HIMMELBLAU, quadratic((3.0, 0.5))]
WITH_MINIMA = [objective for objective in ALL if objective.minima]


def name_of(objective):
    return objective.name


def points(*pairs):
    return torch.tensor(pairs, dtype=torch.float64)


def inside(objective, n, seed=0):
    """Return n points drawn uniformly in the domain, [n, 2]."""
    low, high = torch.tensor(objective.domain, dtype=torch.float64).unbind(1)
    return low + (high - low) * torch.rand(n, 2, dtype=torch.float64, generator=make_generator(seed))


def hessian_at(objective, point):
    return torch.autograd.functional.hessian(objective.value, torch.tensor(point, dtype=torch.float64))


@pytest.mark.parametrize("objective", WITH_MINIMA, ids=name_of)
def test_the_gradient_vanishes_at_every_minimum(objective):
    gradient = objective.gradient(points(*objective.minima))
    # 4e-9 is the slope of the steep optima's neighbours; Himmelblau's minima are known to 1e-15 times curvature 100
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("objective", WITH_MINIMA, ids=name_of)
def test_both_curvatures_are_positive_at_every_minimum(objective):
    for minimum in objective.minima:
        assert torch.linalg.eigvalsh(hessian_at(objective, minimum)).min() > 0.1


@pytest.mark.parametrize("objective", WITH_MINIMA, ids=name_of)
def test_every_minimum_has_the_minimum_value(objective):
    values = objective(points(*objective.minima))
    torch.testing.assert_close(
        values, torch.full_like(values, objective.minimum_value), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("objective", ALL, ids=name_of)
def test_no_point_of_the_domain_lies_below_the_minimum_value(objective):
    assert objective(inside(objective, 5_000)).min() >= objective.minimum_value - 1e-9


@pytest.mark.parametrize("objective", WITH_MINIMA, ids=name_of)
def test_the_minima_lie_inside_the_domain_that_is_drawn(objective):
    for minimum in objective.minima:
        assert all(low < w < high for w, (low, high) in zip(minimum, objective.domain, strict=True))


@pytest.mark.parametrize("objective", ALL, ids=name_of)
def test_a_batch_gives_the_values_of_its_points(objective):
    batch = inside(objective, 24).reshape(4, 3, 2, 2)
    values, gradients = objective(batch), objective.gradient(batch)
    assert values.shape == (4, 3, 2)
    assert gradients.shape == batch.shape
    for index in [(0, 0, 0), (3, 1, 1), (2, 2, 0)]:
        torch.testing.assert_close(values[index], objective(batch[index]), rtol=1e-13, atol=0.0)
        torch.testing.assert_close(
            gradients[index], objective.gradient(batch[index]), rtol=1e-13, atol=1e-300
        )


@pytest.mark.parametrize("objective", ALL, ids=name_of)
def test_the_gradient_is_the_slope_and_leaves_the_points_alone(objective):
    w = inside(objective, 7, seed=3)
    before = w.clone()
    h = 1e-6
    steps = h * torch.eye(2, dtype=torch.float64)
    slopes = torch.stack([(objective(w + s) - objective(w - s)) / (2 * h) for s in steps], dim=-1)
    # truncation h^2 and rounding 1e-16 * values of 1e4 / h leave 1e-6 of the largest slope
    gradient = objective.gradient(w)
    torch.testing.assert_close(gradient, slopes, rtol=1e-6, atol=1e-6)
    assert torch.equal(w, before)
    assert not w.requires_grad


@pytest.mark.parametrize("objective", ALL, ids=name_of)
def test_values_follow_the_dtype_of_the_points(objective):
    assert objective(inside(objective, 2).float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("objective", "point", "value"),
    [
        (RAVINE, (5.0, 5.0), math.tanh(5) ** 2 + 0.05 + 1 / (1 + math.exp(-5))),
        (RAVINE, (-0.5, -1.0), math.tanh(0.5) ** 2 + 0.005 + 1 / (1 + math.e)),
        (STEEP_OPTIMA, (1.2, -0.5), -math.exp(-0.5) / (2 * math.pi * 0.04)),
        (ROSENBROCK, (-1.2, 1.0), 24.2),
        (BEALE, (1.0, 1.0), 1.5**2 + 2.25**2 + 2.625**2),
        (HIMMELBLAU, (0.0, 0.0), 170.0),
        (quadratic((3.0, 0.5)), (2.0, -4.0), 10.0),
    ],
    ids=["ravine wall", "ravine floor", "at one sigma", "start of 1960", "Beale", "at the origin", "quadratic"],
)  # fmt: skip
def test_values_are_those_of_the_formulas(objective, point, value):
    assert float(objective(points(point)[0])) == pytest.approx(value, rel=1e-8)


def test_the_ravine_has_no_minimizer_it_falls_for_ever():
    w2 = torch.arange(0.0, -700.0, -50.0, dtype=torch.float64)
    values = RAVINE(torch.stack([torch.zeros_like(w2), w2], dim=-1))
    assert (values.diff() < 0).all()
    assert 0 < values[-1] < 1e-200
    assert RAVINE.minima == ()


def test_far_from_its_floor_the_ravine_is_flat_in_both_directions():
    far, near = RAVINE.gradient(points((5.0, 5.0), (0.66, 0.0))).abs()
    assert far.tolist() == pytest.approx([0.0103631, 0.0066481], rel=1e-4)
    assert near.tolist() == pytest.approx([0.7796, 0.25], rel=1e-3)


def test_the_curvature_across_the_ravine_is_two():
    """tanh(w1)^2 = w1^2 + ... : the second derivative is 2 beside the floor, where |w1| has none."""
    curvature = hessian_at(RAVINE, (1e-6, 0.0))[0, 0]
    assert float(curvature) == pytest.approx(2.0, rel=1e-9)


def test_the_three_optima_have_equal_depth_and_curvature_and_no_slope_is_steeper_than_12():
    for centre in STEEP_CENTRES:
        curvatures = torch.linalg.eigvalsh(hessian_at(STEEP_OPTIMA, centre))
        assert curvatures.tolist() == pytest.approx([STEEP_DEPTH / 0.04] * 2, rel=1e-6)
    assert 99.46 < STEEP_DEPTH / 0.04 < 99.48
    slopes = STEEP_OPTIMA.gradient(inside(STEEP_OPTIMA, 20_000)).norm(dim=-1)
    # one density falls fastest one sigma from its centre, by depth exp(-1/2) / sigma; its neighbours add under 1 %
    steepest = STEEP_DEPTH * math.exp(-0.5) / 0.2
    assert 0.99 * steepest < slopes.max() < 1.01 * steepest


@pytest.mark.parametrize("curvatures", [(0.0, 1.0), (1.0, -2.0), (math.inf, 1.0)])
def test_a_quadratic_refuses_curvatures_without_a_minimum(curvatures):
    with pytest.raises(ValueError, match=r"curvatures\[\d\] must be a finite number > 0"):
        quadratic(curvatures)


def test_the_curvatures_of_a_quadratic_are_the_eigenvalues_of_its_hessian():
    hessian = hessian_at(quadratic((7.0, 0.25)), (0.3, -0.8))
    assert torch.equal(hessian, torch.diag(torch.tensor([7.0, 0.25], dtype=torch.float64)))
