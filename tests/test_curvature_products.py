"""Products with the Hessian, three ways, against the exact matrix, a known quadratic, and each other."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.curvature import (
    central_difference,
    double_backward,
    exact_hessian,
    flat_loss,
    forward_over_reverse,
    hessian_vector_product,
)
from course_utils.models import MLP
from course_utils.seeding import make_generator

WAYS = {
    "double backward": double_backward,
    "forward over reverse": forward_over_reverse,
    "central difference": lambda value, w, v: central_difference(value, w, v, step=1e-4),
}


def small_case(seed=0):
    """Return a network of 43 parameters in float64 with 30 examples of 3 classes."""
    generator = make_generator(seed)
    model = MLP((4, 5, 3), activation="tanh", generator=generator).double()
    x = torch.randn(30, 4, dtype=torch.float64, generator=generator)
    return model, x, torch.randint(0, 3, (30,), generator=generator)


def quadratic_case():
    """Return (value, Hessian) of a quadratic whose matrix is written symmetric from one that is not."""
    factor = torch.randn(7, 7, dtype=torch.float64, generator=make_generator(1))
    return (lambda w: w @ factor @ w / 2 + 3 * w.sum()), (factor + factor.T) / 2


@pytest.mark.parametrize("way", WAYS)
def test_product_with_a_quadratic_is_that_with_its_symmetric_part_anywhere(way, generator):
    value, hessian = quadratic_case()
    for _ in range(2):
        w, v = torch.randn(2, 7, dtype=torch.float64, generator=generator)
        torch.testing.assert_close(WAYS[way](value, w, v), hessian @ v, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_product_on_a_network_is_that_of_the_exact_hessian(way, generator):
    model, x, y = small_case()
    value, w = flat_loss(model, x, y)
    v = torch.randn(len(w), dtype=torch.float64, generator=generator)
    torch.testing.assert_close(WAYS[way](value, w, v), exact_hessian(value, w) @ v, rtol=1e-5, atol=1e-7)


def test_the_kept_graph_gives_the_textbook_product(generator):
    model, x, y = small_case()
    value, w = flat_loss(model, x, y)
    product = hessian_vector_product(F.cross_entropy(model(x), y), list(model.parameters()))
    for _ in range(2):
        v = torch.randn(len(w), dtype=torch.float64, generator=generator)
        torch.testing.assert_close(product(v), double_backward(value, w, v), rtol=1e-10, atol=1e-14)


def test_exact_hessian_is_that_of_torch_func_and_symmetric():
    model, x, y = small_case()
    value, w = flat_loss(model, x, y)
    measured = exact_hessian(value, w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.func's own use of torch.jit.script
        expected = torch.func.hessian(value)(w)
    torch.testing.assert_close(measured, expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(measured, measured.T, rtol=1e-10, atol=1e-14)


def test_products_are_symmetric_whichever_vector_comes_first(generator):
    value, w = flat_loss(*small_case())
    a, b = torch.randn(2, len(w), dtype=torch.float64, generator=generator)
    for way in (double_backward, forward_over_reverse):
        assert float(a @ way(value, w, b)) == pytest.approx(float(b @ way(value, w, a)), rel=1e-10)


def test_error_of_the_difference_falls_with_the_square_of_its_step(generator):
    value, w = flat_loss(*small_case())
    v = torch.randn(len(w), dtype=torch.float64, generator=generator)
    exact = double_backward(value, w, v)
    coarse, fine = ((central_difference(value, w, v, step=step) - exact).norm() for step in (1e-2, 5e-3))
    assert float(coarse / fine) == pytest.approx(4.0, rel=0.01)


def test_a_parameter_without_curvature_has_a_row_of_zeros():
    value = lambda w: w[0] ** 3 + 5 * w[1]  # noqa: E731
    w, v = torch.tensor([2.0, 3.0]), torch.ones(2)
    assert [way(value, w, v).tolist() for way in (double_backward, forward_over_reverse)] == [[12.0, 0.0]] * 2
    assert double_backward(lambda w: w.sum(), w, v).tolist() == [0.0, 0.0]
    slope = w.requires_grad_()
    assert hessian_vector_product(slope.sum(), [slope])(v).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("way", WAYS)
def test_products_refuse_a_vector_of_another_length(way):
    value, w = flat_loss(*small_case())
    with pytest.raises(ValueError, match=r"v needs shape \(43,\), got \(7,\)"):
        WAYS[way](value, w, torch.ones(7, dtype=torch.float64))


def test_a_difference_needs_a_step():
    value, w = flat_loss(*small_case())
    with pytest.raises(ValueError, match="step must be a finite number > 0"):
        central_difference(value, w, torch.ones_like(w), step=0.0)


def test_exact_hessian_refuses_what_would_not_fit():
    with pytest.raises(ValueError, match="up to 5,000 parameters, got 5,001"):
        exact_hessian(lambda w: w.sum(), torch.zeros(5001))


def test_products_work_where_gradients_are_switched_off(generator):
    value, w = flat_loss(*small_case())
    v = torch.randn(len(w), dtype=torch.float64, generator=generator)
    inside = []
    with torch.no_grad():
        inside += [way(value, w, v) for way in WAYS.values()]
    for product, way in zip(inside, WAYS.values(), strict=True):
        torch.testing.assert_close(product, way(value, w, v), rtol=1e-12, atol=1e-14)


def test_flat_loss_is_the_loss_of_the_model_and_moves_with_its_vector():
    model, x, y = small_case()
    value, w = flat_loss(model, x, y)
    assert float(value(w).detach()) == float(F.cross_entropy(model(x), y).detach())
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
        scaled = float(F.cross_entropy(model(x), y))
    assert float(value(1.5 * w).detach()) == pytest.approx(scaled, rel=1e-12)


def test_flat_loss_leaves_the_model_alone_and_skips_frozen_parameters():
    generator = make_generator(5)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).train()
    model[0].requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x, y = torch.randn(20, 4, generator=generator), torch.randint(0, 3, (20,), generator=generator)
    value, w = flat_loss(model, x, y)
    double_backward(value, w, torch.ones_like(w))
    assert w.numel() == 6 + 6 + 18 + 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_flat_loss_refuses_a_model_without_parameters_to_train():
    model, x, y = small_case()
    with pytest.raises(ValueError, match="a parameter that requires a gradient"):
        flat_loss(model.requires_grad_(False), x, y)
