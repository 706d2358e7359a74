"""Lanczos, densities and traces against matrices whose eigenvalues are known, and against a second library."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F

from course_utils.curvature import (
    Quadrature,
    exact_hessian,
    flat_loss,
    hessian_vector_product,
    hutch_plus_plus,
    hutchinson,
    lanczos,
    lanczos_eigenvalues,
    sharpness,
    spectral_density,
    stochastic_lanczos,
    top_eigenvalues,
)
from course_utils.models import MLP
from course_utils.seeding import make_generator


def with_eigenvalues(values, seed=3):
    """Return a symmetric matrix that is not diagonal and has these eigenvalues."""
    size = len(values)
    rotation, _ = torch.linalg.qr(
        torch.randn(size, size, dtype=torch.float64, generator=make_generator(seed))
    )
    return rotation * torch.as_tensor(values, dtype=torch.float64) @ rotation.T


def times(matrix):
    return functools.partial(torch.mv, matrix)


OUTLIERS = with_eigenvalues([9.0, 5.0, -2.0, *torch.linspace(-0.5, 0.5, 57).tolist()])
START = torch.randn(60, dtype=torch.float64, generator=make_generator(7))


def network():
    """Return a network of 43 parameters in float64 with 30 examples of 3 classes."""
    generator = make_generator(0)
    model = MLP((4, 5, 3), activation="tanh", generator=generator).double()
    x = torch.randn(30, 4, dtype=torch.float64, generator=generator)
    return model, x, torch.randint(0, 3, (30,), generator=generator)


def test_tridiagonal_matrix_is_the_operator_in_an_orthonormal_basis():
    krylov = lanczos(times(OUTLIERS), START, num_steps=12)
    basis = krylov.basis
    torch.testing.assert_close(basis @ basis.T, torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(basis @ OUTLIERS @ basis.T, krylov.tridiagonal, rtol=0, atol=1e-12)


def test_three_terms_and_all_terms_are_one_recurrence_while_nothing_has_converged():
    plain, full = (
        lanczos(times(OUTLIERS), START, num_steps=6, reorthogonalize=again) for again in (False, True)
    )
    torch.testing.assert_close(plain.tridiagonal, full.tridiagonal, rtol=1e-10, atol=1e-10)


def test_residual_is_the_length_of_what_is_left():
    krylov = lanczos(times(OUTLIERS), START, num_steps=9)
    vectors = krylov.vectors(9)
    left = (vectors @ OUTLIERS - krylov.ritz_values[:, None] * vectors).norm(dim=1)
    torch.testing.assert_close(krylov.residuals, left, rtol=1e-6, atol=1e-10)


def test_an_eigenvalue_lies_within_every_residual():
    exact = torch.linalg.eigvalsh(OUTLIERS)
    for num_steps in (3, 8, 20):
        krylov = lanczos(times(OUTLIERS), START, num_steps=num_steps)
        nearest = (krylov.ritz_values[:, None] - exact).abs().amin(1)
        assert bool((nearest <= krylov.residuals + 1e-12).all())


def test_weights_are_squared_overlaps_with_the_start():
    krylov = lanczos(times(OUTLIERS), START, num_steps=10)
    overlaps = (krylov.vectors(10) @ (START / START.norm())).square()
    torch.testing.assert_close(krylov.weights, overlaps, rtol=1e-8, atol=1e-12)
    assert float(krylov.weights.sum()) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("num_steps", [1, 2, 4])
def test_m_steps_match_the_first_2m_minus_1_moments_and_not_the_next(num_steps):
    krylov = lanczos(times(OUTLIERS), START, num_steps=num_steps)
    unit = START / START.norm()
    for power in range(1, 2 * num_steps + 1):
        exact = float(unit @ torch.linalg.matrix_power(OUTLIERS, power) @ unit)
        found = float((krylov.weights * krylov.ritz_values**power).sum())
        if power < 2 * num_steps:
            assert found == pytest.approx(exact, rel=1e-9)
        else:
            assert abs(found / exact - 1) > 1e-5


def test_in_float32_three_terms_find_a_single_eigenvalue_twice_and_all_terms_once():
    matrix = OUTLIERS.float()
    copies = {}
    for again in (False, True):
        krylov = lanczos(times(matrix), START.float(), num_steps=60, reorthogonalize=again)
        copies[again] = int(((krylov.ritz_values - 9.0).abs() < 1e-3).sum())
    assert copies[False] >= 2
    assert copies[True] == 1


def test_top_five_of_a_network_agree_with_the_exact_hessian_to_five_digits():
    model, x, y = network()
    exact = torch.linalg.eigvalsh(exact_hessian(*flat_loss(model, x, y))).flip(0)
    found = top_eigenvalues(model, x, y, num_steps=30)
    torch.testing.assert_close(found, exact[:5], rtol=1e-5, atol=0.0)
    assert sharpness(model, x, y, num_steps=30) == float(found[0])


def test_lanczos_refuses_no_steps_and_no_start():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got num_steps=0"):
        lanczos(times(OUTLIERS), START, num_steps=0)
    with pytest.raises(ValueError, match="start must not be the zero vector"):
        lanczos(times(OUTLIERS), torch.zeros(60))


def test_quadrature_of_every_start_has_mass_one_and_the_moments_of_the_spectrum(generator):
    """Mean and mean square over 200 starts: within four standard errors of trace / n and of |H|_F² / n."""
    spectrum = stochastic_lanczos(times(OUTLIERS), START, generator=generator, num_probes=200, num_steps=8)
    assert float(spectrum.weights.sum()) == pytest.approx(1.0, rel=1e-12)
    for power in (1, 2):
        matrix = torch.linalg.matrix_power(OUTLIERS, power)
        error = math.sqrt(2 * float(matrix.square().sum()) / 200) / 60
        assert abs(spectrum.moment(power) - float(matrix.trace()) / 60) < 4 * error


def test_mass_counts_the_eigenvalues_of_an_interval(generator):
    spectrum = stochastic_lanczos(times(OUTLIERS), START, generator=generator, num_probes=100, num_steps=20)
    # weights of single eigenvalues are squares of normal numbers over their sum: sd sqrt(2 / 100) / 60 each
    assert spectrum.mass(4.0, 10.0) == pytest.approx(2 / 60, abs=4 * math.sqrt(2 / 100) * math.sqrt(2) / 60)
    assert spectrum.mass(-1.0, 1.0) == pytest.approx(57 / 60, abs=0.03)


def test_density_integrates_to_one_and_a_point_is_a_gaussian():
    grid = torch.linspace(-4, 4, 2001, dtype=torch.float64)
    two = Quadrature(
        torch.tensor([-1.0, 2.0], dtype=torch.float64), torch.tensor([0.25, 0.75], dtype=torch.float64)
    )
    density = spectral_density(two, grid, sigma=0.2)
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1.0, rel=1e-6)
    normal = torch.distributions.Normal(2.0, 0.2).log_prob(grid).exp()
    torch.testing.assert_close(density[grid > 1], 0.75 * normal[grid > 1], rtol=1e-6, atol=1e-12)


def test_density_and_quadrature_refuse_what_has_no_meaning(generator):
    with pytest.raises(ValueError, match="sigma must be a finite number > 0"):
        spectral_density(Quadrature(START, START), START, sigma=0.0)
    with pytest.raises(ValueError, match="num_probes must be at least 1, got num_probes=0"):
        stochastic_lanczos(times(OUTLIERS), START, generator=generator, num_probes=0)


def test_trace_of_a_diagonal_matrix_takes_one_probe(generator):
    diagonal = torch.linspace(-1, 3, 60, dtype=torch.float64)
    probes = hutchinson(lambda v: diagonal * v, START, generator=generator, num_products=5)
    torch.testing.assert_close(probes, diagonal.sum().expand(5), rtol=1e-12, atol=1e-12)


def test_probes_have_the_mean_and_the_variance_of_the_formula(generator):
    """4000 probes: the mean within four standard errors, the variance within 15 %, wider than its own spread."""
    probes = hutchinson(times(OUTLIERS), START, generator=generator, num_products=4000)
    variance = float(2 * (OUTLIERS.square().sum() - OUTLIERS.diag().square().sum()))
    assert abs(float(probes.mean() - OUTLIERS.trace())) < 4 * math.sqrt(variance / 4000)
    assert float(probes.var()) == pytest.approx(variance, rel=0.15)


def test_hutch_plus_plus_is_exact_where_its_space_holds_the_whole_matrix(generator):
    low_rank = with_eigenvalues([4.0, 2.0, -1.0, *[0.0] * 57])
    assert hutch_plus_plus(times(low_rank), START, generator=generator, num_products=9) == pytest.approx(
        5.0, rel=1e-9
    )


def test_hutch_plus_plus_is_unbiased_and_beats_hutchinson_on_outliers():
    """300 repetitions of 30 products: four standard errors for the mean, half the error for the comparison."""
    positive = with_eigenvalues([40.0, 20.0, 10.0, *torch.linspace(0, 0.5, 57).tolist()])
    trace = float(positive.trace())
    found = {}
    for way in (hutchinson, hutch_plus_plus):
        runs = [way(times(positive), START, generator=make_generator(k), num_products=30) for k in range(300)]
        found[way] = torch.tensor([float(torch.as_tensor(run).mean()) for run in runs], dtype=torch.float64)
    better = found[hutch_plus_plus]
    assert abs(float(better.mean()) - trace) < 4 * float(better.std()) / math.sqrt(300)
    assert float((better - trace).square().mean()) < 0.25 * float((found[hutchinson] - trace).square().mean())


def test_trace_estimates_refuse_budgets_that_cannot_be_split(generator):
    with pytest.raises(ValueError, match="num_products must be at least 1, got num_products=0"):
        hutchinson(times(OUTLIERS), START, generator=generator, num_products=0)
    for budget in (2, 10, 183):
        with pytest.raises(ValueError, match=f"a multiple of 3 from 3 to 180, got {budget}"):
            hutch_plus_plus(times(OUTLIERS), START, generator=generator, num_products=budget)


def test_nothing_is_drawn_from_the_global_stream_and_a_generator_repeats_itself():
    before = torch.random.get_rng_state()
    runs = [
        (
            hutch_plus_plus(times(OUTLIERS), START, generator=make_generator(2)),
            hutchinson(times(OUTLIERS), START, generator=make_generator(2)).tolist(),
            stochastic_lanczos(times(OUTLIERS), START, generator=make_generator(2)).nodes.tolist(),
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore")  # what it and its dependencies say is theirs
def test_curvlinops_finds_the_same_product_and_the_same_eigenvalues():
    import curvlinops

    model, x, y = network()
    parameters = list(model.parameters())
    operator = curvlinops.HessianLinearOperator(model, torch.nn.CrossEntropyLoss(), parameters, [(x, y)])
    product = hessian_vector_product(F.cross_entropy(model(x), y), parameters)
    v = torch.randn(43, dtype=torch.float64, generator=make_generator(1))
    torch.testing.assert_close(product(v), operator @ v, rtol=1e-9, atol=1e-12)
    theirs = torch.linalg.eigvalsh(operator @ torch.eye(43, dtype=torch.float64)).flip(0)
    found = lanczos_eigenvalues(product, v, num_eigenvalues=10, num_steps=38)
    torch.testing.assert_close(found, theirs[:10], rtol=1e-7, atol=1e-9)
