"""Products and eigenvalues of the Hessian, against the exact Hessian of a network small enough to have one."""

import functools
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.curvature import hessian_vector_product, lanczos_eigenvalues, sharpness
from course_utils.models import MLP
from course_utils.seeding import make_generator


def small_case(seed=0):
    """Return a network of 43 parameters in float64 with 30 examples of 3 classes."""
    generator = make_generator(seed)
    model = MLP((4, 5, 3), activation="tanh", generator=generator).double()
    x = torch.randn(30, 4, dtype=torch.float64, generator=generator)
    return model, x, torch.randint(0, 3, (30,), generator=generator)


def exact_hessian(model, x, y, loss=F.cross_entropy):
    """Return the Hessian [n, n] of the loss in the flattened parameters: forward over reverse, no graph of ours."""
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def value(flat):
        parts = flat.split([shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return loss(torch.func.functional_call(model, weights, (x,)), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.func's own use of torch.jit.script
        return torch.func.hessian(value)(flat)


def test_products_agree_with_the_exact_hessian(generator):
    model, x, y = small_case()
    hessian = exact_hessian(model, x, y)
    product = hessian_vector_product(F.cross_entropy(model(x), y), list(model.parameters()))
    for _ in range(3):
        v = torch.randn(len(hessian), dtype=torch.float64, generator=generator)
        torch.testing.assert_close(product(v), hessian @ v, rtol=1e-6, atol=1e-12)


def test_products_leave_the_gradients_of_the_parameters_alone(generator):
    model, x, y = small_case()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    product = hessian_vector_product(F.cross_entropy(model(x), y), list(model.parameters()))
    product(torch.randn(43, dtype=torch.float64, generator=generator))
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())


def test_products_accept_a_generator_of_parameters_and_a_parameter_without_curvature():
    w = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([5.0], dtype=torch.float64, requires_grad=True)
    product = hessian_vector_product(w.pow(3).sum() + slope.sum(), (p for p in (w, slope)))
    assert product(torch.ones(3, dtype=torch.float64)).tolist() == [12.0, 18.0, 0.0]


def test_a_vector_of_another_length_is_refused():
    model, x, y = small_case()
    product = hessian_vector_product(F.cross_entropy(model(x), y), list(model.parameters()))
    with pytest.raises(ValueError, match=r"v needs shape \(43,\), got \(7,\)"):
        product(torch.ones(7, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_top_five_eigenvalues_agree_with_the_exact_hessian(seed):
    model, x, y = small_case(seed)
    expected = torch.linalg.eigvalsh(exact_hessian(model, x, y)).flip(0)[:5]
    product = hessian_vector_product(F.cross_entropy(model(x), y), list(model.parameters()))
    start = torch.randn(43, dtype=torch.float64, generator=make_generator(seed + 10))
    measured = lanczos_eigenvalues(product, start, num_eigenvalues=5, num_steps=30)
    torch.testing.assert_close(measured, expected, rtol=1e-6, atol=0.0)


def test_a_full_basis_gives_the_whole_spectrum(generator):
    size = 12
    factor = torch.randn(size, size, dtype=torch.float64, generator=generator)
    matrix = factor + factor.T  # indefinite: the largest eigenvalue is not the one of largest size
    start = torch.randn(size, dtype=torch.float64, generator=generator)
    measured = lanczos_eigenvalues(
        functools.partial(torch.mv, matrix), start, num_eigenvalues=size, num_steps=50
    )
    torch.testing.assert_close(measured, torch.linalg.eigvalsh(matrix).flip(0), rtol=1e-9, atol=1e-9)


def test_reorthogonalization_keeps_ghosts_away_in_float32(generator):
    """40 steps without it return the top eigenvalue several times over, though every eigenvalue is single."""
    eigenvalues = torch.cat([torch.tensor([100.0, 50.0]), torch.linspace(1.0, 0.0, 198)])
    start = torch.randn(200, generator=generator)
    measured = lanczos_eigenvalues(lambda v: eigenvalues * v, start, num_eigenvalues=3, num_steps=40)
    assert measured[:2].tolist() == pytest.approx([100.0, 50.0], rel=1e-5)
    assert float(measured[2]) == pytest.approx(1.0, rel=0.02)


def test_it_stops_where_the_krylov_space_ends():
    """The identity maps every start to itself: one step finds all there is to find."""
    calls = []

    def identity(v):
        calls.append(v)
        return 3.0 * v

    measured = lanczos_eigenvalues(identity, torch.arange(1.0, 9.0), num_steps=8)
    assert measured.tolist() == pytest.approx([3.0], rel=1e-6)
    assert len(calls) == 1


@pytest.mark.parametrize("num_eigenvalues", [0, 6])
def test_more_eigenvalues_than_steps_are_refused(num_eigenvalues):
    with pytest.raises(ValueError, match=r"num_eigenvalues must lie in \[1, 5\]"):
        lanczos_eigenvalues(lambda v: v, torch.ones(9), num_eigenvalues=num_eigenvalues, num_steps=5)


def test_a_start_of_zero_is_refused():
    with pytest.raises(ValueError, match="start must not be the zero vector"):
        lanczos_eigenvalues(lambda v: v, torch.zeros(9))


def test_sharpness_is_the_top_eigenvalue_of_the_mean_loss():
    model, x, y = small_case()
    expected = float(torch.linalg.eigvalsh(exact_hessian(model, x, y))[-1])
    assert sharpness(model, x, y) == pytest.approx(expected, rel=1e-6)


def test_sharpness_of_the_sum_of_n_losses_is_n_times_that_of_the_mean():
    model, x, y = small_case()
    total = sharpness(model, x, y, loss=functools.partial(F.cross_entropy, reduction="sum"))
    assert total == pytest.approx(30 * sharpness(model, x, y), rel=1e-6)


def test_sharpness_of_a_linear_model_is_that_of_its_inputs():
    """For the mean of (w x)^2 / 2 the Hessian is the mean of x x^T, whatever the weights and targets."""
    generator = make_generator(4)
    x = torch.randn(40, 6, dtype=torch.float64, generator=generator)
    model = nn.Linear(6, 1, bias=False).double()
    half_square = lambda output, y: (output.squeeze(1) - y).square().mean() / 2  # noqa: E731
    expected = float(torch.linalg.eigvalsh(x.T @ x / 40)[-1])
    assert sharpness(model, x, torch.ones(40), loss=half_square) == pytest.approx(expected, rel=1e-9)


def test_sharpness_draws_nothing_from_the_global_stream_and_repeats_itself():
    model, x, y = small_case()
    before = torch.random.get_rng_state()
    values = [sharpness(model, x, y, num_steps=3) for _ in range(2)]
    assert values[0] == values[1]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_sharpness_leaves_the_statistics_of_batchnorm_alone_in_training_mode():
    generator = make_generator(5)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        sharpness(
            model, torch.randn(20, 4, generator=generator), torch.randint(0, 3, (20,), generator=generator)
        )
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_sharpness_refuses_a_loss_that_is_not_a_number():
    model, x, y = small_case()
    with pytest.raises(ValueError, match="sharpness needs a finite loss, got nan"):
        sharpness(model, x * torch.nan, y)


def test_sharpness_refuses_a_model_without_parameters_to_train():
    model, x, y = small_case()
    with pytest.raises(ValueError, match="a parameter that requires a gradient"):
        sharpness(model.requires_grad_(False), x, y)
