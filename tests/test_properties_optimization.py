"""What holds for every gradient, every matrix and every table? Drawn by hypothesis: rules, curvature, paths, sweeps."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.curvature import (
    double_backward,
    forward_over_reverse,
    hutch_plus_plus,
    hutchinson,
    lanczos,
    spectral_density,
    stochastic_lanczos,
)
from course_utils.landscapes import barrier, bezier, normalize_filters, trajectories
from course_utils.objectives import quadratic
from course_utils.optimizers import (
    RULES,
    MomentumState,
    ema_lr_to_torch,
    momentum_update,
    orthogonalize,
    torch_lr_to_ema,
)
from course_utils.seeding import make_generator
from course_utils.speedrun.rules import lower_bound
from course_utils.sweeps import LogUniform, Uniform, read_surface, successive_halving

EACH_TIME, WEEKLY = 25, 1_000  # draws
sizes = st.integers(1, 6)
seeds = st.integers(0, 2**31)
rates = st.floats(1e-4, 1.0)
decays = st.floats(0.0, 0.99)


def holds(*drawn):
    """Make a property into a test that tries it on as many draws as the run affords, the same ones in every run."""

    def as_test(claim):
        def test(tally):
            number = tally.number(each_time=EACH_TIME, weekly=WEEKLY)
            chosen = settings(max_examples=number, derandomize=True, deadline=None, database=None)
            chosen(given(*drawn)(claim))()
            tally.note("properties", claim.__name__.removeprefix("test_").replace("_", " "), tried=number)

        test.__name__ = claim.__name__
        return test

    return as_test


def normal(*shape, seed):
    return torch.randn(shape, generator=make_generator(seed), dtype=torch.float64)


def symmetric(n, seed):
    a = normal(n, n, seed=seed)
    return a + a.T


@holds(sizes, seeds, rates, st.floats(0.1, 10.0))
def test_the_step_of_every_rule_is_proportional_to_lr_and_its_state_is_not(n, seed, lr, factor):
    for rule in RULES.values():
        state = rule.init(torch.zeros(n, dtype=torch.float64))
        for t in range(3):
            grad = normal(n, seed=seed + t)
            small, after = rule.update(grad, state, lr=lr)
            large, same = rule.update(grad, state, lr=lr * factor)
            torch.testing.assert_close(large, factor * small, rtol=1e-12, atol=0.0)
            for one, other in zip(after, same, strict=True):
                assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
            state = after


@holds(st.integers(2, 6), seeds)
def test_no_rule_mixes_the_entries_of_a_gradient(n, seed):
    for rule in RULES.values():
        states = [rule.init(torch.zeros(n, dtype=torch.float64)) for _ in range(2)]
        for t in range(3):
            grad = normal(n, seed=seed + t)
            other = torch.cat([normal(1, seed=seed + 7 + t), grad[1:]])
            plain, states[0] = rule.update(grad, states[0], lr=0.1)
            changed, states[1] = rule.update(other, states[1], lr=0.1)
            assert torch.equal(changed[1:], plain[1:])


@holds(sizes, seeds, st.floats(1e-3, 1e3))
def test_adaptive_steps_do_not_depend_on_the_scale_of_the_gradients(n, seed, scale):
    for rule in (RULES["AdaGrad"], RULES["RMSProp"], RULES["Adam"]):
        states = [rule.init(torch.zeros(n, dtype=torch.float64)) for _ in range(2)]
        for t in range(4):
            grad = normal(n, seed=seed + t)
            plain, states[0] = rule.update(grad, states[0], lr=0.1, eps=0.0)
            scaled, states[1] = rule.update(scale * grad, states[1], lr=0.1, eps=0.0)
            torch.testing.assert_close(scaled, plain, rtol=1e-9, atol=0.0)


@holds(rates, decays, sizes, seeds)
def test_the_two_forms_of_momentum_walk_one_path_after_their_rates_are_converted(lr, decay, n, seed):
    assert math.isclose(torch_lr_to_ema(ema_lr_to_torch(lr, decay), decay), lr, rel_tol=1e-12)
    states = [
        RULES[name].init(torch.zeros(n, dtype=torch.float64)) for name in ("momentum (EMA)", "momentum")
    ]
    for t in range(4):
        grad = normal(n, seed=seed + t)
        mean, states[0] = RULES["momentum (EMA)"].update(grad, states[0], lr=lr, beta1=decay)
        total, states[1] = momentum_update(grad, states[1], lr=ema_lr_to_torch(lr, decay), momentum=decay)
        torch.testing.assert_close(mean, total, rtol=1e-9, atol=1e-12)
    assert isinstance(states[1], MomentumState)


@holds(sizes, sizes, seeds, st.floats(1e-3, 1e3))
def test_orthogonalizing_forgets_the_scale_and_follows_rotations(m, n, seed, scale):
    g = normal(m, n, seed=seed)
    q, _ = torch.linalg.qr(normal(m, m, seed=seed + 1))
    torch.testing.assert_close(orthogonalize(scale * g), orthogonalize(g), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(orthogonalize(q @ g), q @ orthogonalize(g), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(orthogonalize(g.T), orthogonalize(g).T, rtol=1e-7, atol=1e-9)


@holds(st.integers(1, 6), seeds)
def test_products_are_linear_in_v_and_symmetric_and_both_forms_agree(n, seed):
    def value(w):
        return (w.sin().outer(w.exp()) * a).sum() + (w**4).sum()

    a, w, u, v = normal(n, n, seed=seed), *(normal(n, seed=seed + k) for k in (1, 2, 3))
    hu, hv = double_backward(value, w, u), double_backward(value, w, v)
    torch.testing.assert_close(u @ hv, v @ hu, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(double_backward(value, w, 2 * u - v), 2 * hu - hv, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(forward_over_reverse(value, w, v), hv, rtol=1e-9, atol=1e-9)


@holds(st.integers(1, 8), seeds)
def test_lanczos_lies_between_the_eigenvalues_and_finds_all_after_n_steps(n, seed):
    h = symmetric(n, seed)
    exact = torch.linalg.eigvalsh(h).flip(0)
    for num_steps in range(1, n + 1):
        run = lanczos(lambda v: h @ v, normal(n, seed=seed + 1), num_steps=num_steps)
        m = len(run.ritz_values)
        assert (
            run.ritz_values <= exact[:m] + 1e-8
        ).all()  # Cauchy: the k-th Ritz value is below the k-th eigenvalue
        assert (run.ritz_values >= exact[n - m :] - 1e-8).all()
        torch.testing.assert_close(
            run.basis @ run.basis.T, torch.eye(m, dtype=torch.float64), rtol=0.0, atol=1e-8
        )
        assert math.isclose(float(run.weights.sum()), 1.0, rel_tol=1e-9)
    assert math.isclose(float(run.ritz_values[0]), float(exact[0]), rel_tol=1e-6, abs_tol=1e-6)


@holds(st.integers(1, 8), seeds, st.floats(-3.0, 3.0))
def test_traces_are_linear_in_the_operator_and_exact_where_nothing_is_left_to_chance(n, seed, shift):
    h, like = symmetric(n, seed), torch.zeros(n, dtype=torch.float64)
    shifted = h + shift * torch.eye(n, dtype=torch.float64)
    plain, moved = (
        hutchinson(lambda v, a=a: a @ v, like, generator=make_generator(seed), num_products=4)
        for a in (h, shifted)
    )
    torch.testing.assert_close(moved, plain + shift * n, rtol=1e-9, atol=1e-9)
    # as many directions as there are: none is left for the random part, unless two of the signs' vectors are parallel
    rank_one = normal(n, seed=seed + 2)
    found = hutch_plus_plus(
        lambda v: rank_one * (rank_one @ v), like, generator=make_generator(1), num_products=3
    )
    assert math.isclose(found, float(rank_one @ rank_one), rel_tol=1e-9)


@holds(st.integers(2, 8), seeds, st.integers(1, 3))
def test_quadrature_integrates_low_powers_of_each_start_and_its_density_has_mass_one(n, seed, probes):
    h, like = symmetric(n, seed), torch.zeros(n, dtype=torch.float64)
    spectrum = stochastic_lanczos(
        lambda v: h @ v, like, generator=make_generator(seed), num_probes=probes, num_steps=2
    )
    draws = make_generator(seed)
    starts = torch.stack([torch.randn(n, generator=draws, dtype=torch.float64) for _ in range(probes)])
    starts = starts / starts.norm(dim=1, keepdim=True)
    for power in range(4):  # below 2m = 4
        seen = (starts * (starts @ torch.linalg.matrix_power(h, power))).sum(1).mean()
        assert math.isclose(spectrum.moment(power), float(seen), rel_tol=1e-6, abs_tol=1e-6)
    reach = float(spectrum.nodes.abs().max()) + 8.0
    grid = torch.linspace(-reach, reach, 4001, dtype=torch.float64)
    assert math.isclose(
        float(torch.trapezoid(spectral_density(spectrum, grid, sigma=1.0), grid)), 1.0, rel_tol=1e-6
    )


@holds(seeds, st.floats(0.0, 1.0))
def test_a_bezier_curve_has_its_ends_and_is_the_same_from_the_other_side(seed, t):
    start, bend, end = ({"w": normal(3, 2, seed=seed + k)} for k in range(3))
    there, back = bezier(start, bend, end, t)["w"], bezier(end, bend, start, 1.0 - t)["w"]
    torch.testing.assert_close(there, back, rtol=1e-9, atol=1e-12)
    assert torch.equal(bezier(start, bend, end, 0.0)["w"], start["w"])
    middle = {"w": (start["w"] + end["w"]) / 2}
    line = (1 - t) * start["w"] + t * end["w"]
    torch.testing.assert_close(bezier(start, middle, end, t)["w"], line, rtol=1e-9, atol=1e-12)


@holds(st.integers(2, 12), seeds, st.floats(-5.0, 5.0), st.floats(-5.0, 5.0))
def test_a_barrier_does_not_see_what_is_straight_and_is_never_negative(n, seed, offset, slope):
    t, losses = torch.linspace(0, 1, n, dtype=torch.float64), normal(2, n, seed=seed)
    found = barrier(t, losses)
    assert (found >= 0).all()
    torch.testing.assert_close(barrier(t, losses + offset + slope * t), found, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(barrier(t, losses.flip(-1)), found, rtol=1e-9, atol=1e-9)


@holds(sizes, sizes, seeds, st.floats(1e-3, 1e3))
def test_normalized_filters_have_the_lengths_of_the_weights_whatever_lengths_they_had(m, n, seed, scale):
    weights, direction = {"w": normal(m, n, seed=seed)}, {"w": normal(m, n, seed=seed + 1)}
    found = normalize_filters(direction, weights)["w"]
    torch.testing.assert_close(found.norm(dim=1), weights["w"].norm(dim=1), rtol=1e-9, atol=0.0)
    torch.testing.assert_close(
        normalize_filters({"w": scale * direction["w"]}, weights)["w"], found, rtol=1e-9, atol=0.0
    )


@holds(st.floats(0.1, 5.0), st.floats(0.1, 5.0), rates, seeds, st.integers(1, 12))
def test_gradient_descent_on_a_bowl_is_the_power_of_its_multiplier(a, b, lr, seed, num_steps):
    starts = normal(3, 2, seed=seed)
    path = trajectories(RULES["SGD"], quadratic((a, b)).value, starts, [lr], num_steps)
    expected = starts * (1 - lr * torch.tensor([a, b], dtype=torch.float64)) ** num_steps
    torch.testing.assert_close(path[-1, :, 0, :2], expected, rtol=1e-9, atol=1e-12)


@holds(st.integers(2, 5), st.integers(2, 5), seeds, st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))
def test_a_surface_is_read_exactly_where_it_is_a_product_of_lines_and_never_leaves_its_values(
    m, n, seed, p, q
):
    rows, columns = (torch.linspace(0, 1, k, dtype=torch.float64) for k in (m, n))
    u, v = torch.rand(2, 9, generator=make_generator(seed), dtype=torch.float64)
    plane = (1 + p * rows)[:, None] * (1 + q * columns)
    torch.testing.assert_close(read_surface(plane, u, v), (1 + p * u) * (1 + q * v), rtol=1e-9, atol=1e-9)
    table = normal(m, n, seed=seed)
    found = read_surface(table, u, v)
    assert (found >= table.min() - 1e-12).all()
    assert (found <= table.max() + 1e-12).all()
    torch.testing.assert_close(read_surface(table.T, v, u), found, rtol=1e-9, atol=1e-12)


@holds(st.floats(1e-6, 1e3), st.floats(1.001, 1e6), st.floats(0.0, 1.0))
def test_ranges_are_uniform_in_differences_and_in_factors(low, ratio, u):
    high = low * ratio
    up, down = Uniform(low, high).at(u) - low, high - Uniform(low, high).at(1 - u)
    assert math.isclose(up, down, rel_tol=1e-6, abs_tol=1e-14 * high)  # both may be the rounding of `high`
    drawn, mirrored = LogUniform(low, high).at(u), LogUniform(low, high).at(1 - u)
    assert math.isclose(drawn * mirrored, low * high, rel_tol=1e-9)


def scripted(*, seed, units, losses):
    """Return a loss that is known beforehand for each number of units."""
    return losses[units]


@holds(st.integers(2, 3), st.integers(1, 2), seeds)
def test_halving_keeps_the_best_spends_one_budget_a_rung_and_names_the_winner(eta, depth, seed):
    n, budget = (eta - 1) * eta**depth, 2 * eta**depth  # one or two are left in the last rung
    table = normal(n, depth + 1, seed=seed).tolist()
    rungs = [budget // eta ** (depth - level) for level in range(depth + 1)]
    found = successive_halving(
        scripted, [{"losses": dict(zip(rungs, row, strict=True))} for row in table], budget=budget, eta=eta
    )
    assert found.units_spent == (depth + 1) * (eta - 1) * budget
    alive = list(range(n))
    for level in range(depth):
        alive = sorted(sorted(alive, key=lambda i, level=level: table[i][level])[: len(alive) // eta])
    assert found.rungs[-1].indices == tuple(alive)
    assert found.best == min(alive, key=lambda i: table[i][depth])


@holds(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=10), st.floats(0.0, 1.0))
def test_the_bound_moves_with_the_accuracies_and_is_below_their_mean(accuracies, weight):
    bound = lower_bound(accuracies)
    assert bound <= sum(accuracies) / len(accuracies) + 1e-12
    pulled = [weight * a + (1 - weight) * 0.5 for a in accuracies]
    assert math.isclose(lower_bound(pulled), weight * bound + (1 - weight) * 0.5, rel_tol=1e-9, abs_tol=1e-9)
