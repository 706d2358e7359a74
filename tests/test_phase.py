"""The mean-field maps agree with closed forms, with sampling, with finite networks, and with published numbers."""

import math

import numpy as np
import pytest
import torch

from course_utils.initializers import lecun_normal_
from course_utils.models import MLP
from course_utils.phase import (
    correlation_map,
    covariance_map,
    critical_point,
    critical_sigma_w,
    depth_scales,
    fixed_variance,
    pair_slope,
    slope,
    variance_map,
)
from course_utils.seeding import make_generator

CORRELATIONS = (-1.0, -0.5, 0.0, 0.3, 0.9, 0.999, 1 - 1e-9, 1.0)
HE = math.sqrt(2)


def arc_cosine(c):
    """Cho and Saul 2009, n = 1: the correlation after a ReLU of He's gain."""
    angle = math.acos(c)
    return (math.sin(angle) + (math.pi - angle) * c) / math.pi


def arc_sine(c, q_a, q_b):
    """Williams 1997: E[erf(u) erf(v)] of Gaussians with variances q_a, q_b and correlation c."""
    return 2 / math.pi * math.asin(2 * c * math.sqrt(q_a * q_b / ((1 + 2 * q_a) * (1 + 2 * q_b))))


def hardtanh(u):
    return u.clamp(-1, 1)


@pytest.mark.parametrize("c", CORRELATIONS)
def test_relu_maps_are_the_arc_cosine_kernels(c):
    assert correlation_map(torch.relu, c, 0.7, sigma_w=HE) == pytest.approx(arc_cosine(c), abs=1e-14)
    assert covariance_map(torch.relu, c, 0.7, 2.0, sigma_w=HE) == pytest.approx(
        math.sqrt(1.4) * arc_cosine(c), abs=1e-14
    )
    # Cho and Saul, n = 0: both units are on in a share of 1/2 - angle / (2 pi)
    on = 0.5 - math.acos(c) / (2 * math.pi)
    assert pair_slope(torch.relu, c, 0.7, sigma_w=HE) == pytest.approx(2 * on, abs=1e-14)


@pytest.mark.parametrize("q", [1e-4, 0.5, 10.0, 100.0])
@pytest.mark.parametrize("c", CORRELATIONS)
def test_erf_maps_are_the_arc_sine_kernels(c, q):
    assert covariance_map(torch.erf, c, q, 2 * q, sigma_w=1.0) == pytest.approx(
        arc_sine(c, q, 2 * q), abs=1e-9
    )
    assert float(variance_map(torch.erf, q, sigma_w=1.0)) == pytest.approx(arc_sine(1.0, q, q), rel=1e-13)
    assert float(slope(torch.erf, q, sigma_w=1.0)) == pytest.approx(
        4 / math.pi / math.sqrt(1 + 4 * q), rel=1e-12
    )


def test_gauss_hermite_misses_a_kink_by_a_percent_of_the_kernel_where_panels_miss_nothing():
    z, w = np.polynomial.hermite_e.hermegauss(40)
    w = w / w.sum()
    first, second = np.maximum(z, 0)[:, None], np.maximum(0.9 * z[:, None] + math.sqrt(0.19) * z, 0)
    product = 2 * float((w[:, None] * w * first * second).sum())
    assert abs(product - arc_cosine(0.9)) > 1e-5
    assert abs(correlation_map(torch.relu, 0.9, 1.0, sigma_w=HE) - arc_cosine(0.9)) < 1e-14


@pytest.mark.parametrize("q", [0.1, 0.7, 10.0])
def test_a_kink_elsewhere_has_to_be_named_to_be_met(q):
    edge = 1 / math.sqrt(q)
    inside, density = math.erf(edge / math.sqrt(2)), math.exp(-edge * edge / 2) / math.sqrt(2 * math.pi)
    exact = q * (inside - 2 * edge * density) + 1 - inside
    assert float(variance_map(hardtanh, q, sigma_w=1.0, kinks=(-1, 1))) == pytest.approx(exact, rel=1e-14)
    pair = covariance_map(hardtanh, 1.0, q, q, sigma_w=1.0, kinks=(-1, 1))
    assert pair == pytest.approx(exact, abs=1e-6)
    moved = {
        kinks: float(variance_map(lambda u: hardtanh(u / 2.5), 6.25 * q, sigma_w=1.0, kinks=kinks))
        for kinks in ((), (-2.5, 2.5))
    }
    assert moved[-2.5, 2.5] == pytest.approx(exact, rel=1e-14)
    assert moved[()] != pytest.approx(exact, rel=1e-9)


ACTIVATIONS = [torch.tanh, torch.relu, torch.selu, torch.nn.functional.gelu, torch.sigmoid, torch.sin]


@pytest.mark.parametrize("phi", ACTIVATIONS, ids=lambda phi: phi.__name__)
def test_sampling_agrees_within_four_standard_errors(phi):
    n, c, q_a, q_b = 400_000, 0.6, 1.5, 0.8
    a, noise = torch.randn(2, n, generator=make_generator(1), dtype=torch.float64)
    b = c * a + math.sqrt(1 - c * c) * noise
    first, second = phi(math.sqrt(q_a) * a), phi(math.sqrt(q_b) * b)
    for drawn, exact in (
        (first * second, covariance_map(phi, c, q_a, q_b, sigma_w=1.0)),
        (first.square(), float(variance_map(phi, q_a, sigma_w=1.0))),
    ):
        error = float(drawn.std()) / math.sqrt(n)
        assert float(drawn.mean()) == pytest.approx(exact, abs=4 * error)


@pytest.mark.parametrize("phi", ACTIVATIONS, ids=lambda phi: phi.__name__)
def test_two_dimensions_contain_one(phi):
    whole = float(variance_map(phi, 1.3, sigma_w=1.2, sigma_b=0.3))
    assert covariance_map(phi, 1.0, 1.3, 1.3, sigma_w=1.2, sigma_b=0.3) == pytest.approx(whole, rel=1e-10)
    assert pair_slope(phi, 1.0, 1.3, sigma_w=1.2) == pytest.approx(
        float(slope(phi, 1.3, sigma_w=1.2)), rel=1e-9
    )


@pytest.mark.parametrize("phi", ACTIVATIONS, ids=lambda phi: phi.__name__)
def test_the_slope_of_the_covariance_map_is_the_mean_of_both_slopes(phi):
    def covariance(c):
        return covariance_map(phi, c, 1.3, 1.3, sigma_w=1.2)

    # Price's theorem; a central difference with a step of 1e-4 is off by about 1e-8
    rate = (covariance(0.4 + 1e-4) - covariance(0.4 - 1e-4)) / (2e-4 * 1.3)
    assert pair_slope(phi, 0.4, 1.3, sigma_w=1.2) == pytest.approx(rate, rel=1e-6)


def test_wide_tanh_layers_follow_the_variance_map():
    g, width, sigma_w = make_generator(3), 1_000, 1.5
    model = MLP(
        (width,) * 6,
        activation="tanh",
        initializer=lambda w: lecun_normal_(w, gain=sigma_w, generator=g),
    )
    x = torch.randn(1, width, generator=g)
    q = float(x.square().mean()) * sigma_w**2
    with torch.no_grad():
        for _ in range(4):
            q = float(variance_map(torch.tanh, q, sigma_w=sigma_w))
        measured = float(model(x).square().mean())
    # a mean of `width` squared Gaussians is off by sqrt(2 / width); V forgets earlier errors (V' = 0.5 at most here)
    assert measured == pytest.approx(q, rel=4 * math.sqrt(2 / width) * 2)


def test_the_numbers_of_the_course_come_back():
    assert critical_sigma_w(torch.tanh, 0.0) ** 2 == pytest.approx(1.0, abs=1e-7)
    assert critical_sigma_w(torch.tanh, math.sqrt(0.05)) ** 2 == pytest.approx(1.7610, abs=5e-5)
    q = fixed_variance(torch.tanh, sigma_w=5 / 3)
    assert float(q) == pytest.approx(1.17848, abs=5e-6)
    assert float(slope(torch.tanh, q, sigma_w=5 / 3)) == pytest.approx(1.210, abs=5e-4)
    assert float(fixed_variance(torch.tanh, sigma_w=math.sqrt(4 / 3))) == pytest.approx(0.18469, abs=5e-6)
    assert float(slope(torch.relu, 3.0, sigma_w=HE)) == pytest.approx(1.0, rel=1e-12)


def test_a_tanh_of_xaviers_variance_decays_like_one_over_twice_the_depth():
    q = 1.0
    for layer in range(1, 1_001):
        q = float(variance_map(torch.tanh, q, sigma_w=1.0))
        if layer == 100:
            early = layer * q
    # V(q) = q - 2 q^2 + (17/3) q^3 - ...: l q_l = 1/2 + O(log l / l)
    assert 0.5 < 1_000 * q < early < 0.51


def test_the_correlation_of_he_relu_reaches_one_but_slowly():
    c, seen = 0.0, {}
    for layer in range(1, 51):
        c = correlation_map(torch.relu, c, 1.0, sigma_w=HE)
        seen[layer] = c
    assert [seen[layer] for layer in (1, 5, 10, 20, 50)] == pytest.approx(
        [0.318, 0.736, 0.872, 0.948, 0.988], abs=6e-4
    )


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.5, 0.3), (5 / 3, 0.0), (0.8, 0.5), (1.0, 0.2)])
def test_a_fixed_point_stays_and_iteration_goes_there(sigma_w, sigma_b):
    q = float(fixed_variance(torch.tanh, sigma_w=sigma_w, sigma_b=sigma_b))
    assert float(variance_map(torch.tanh, q, sigma_w=sigma_w, sigma_b=sigma_b)) == pytest.approx(q, rel=1e-12)
    at = 3.0
    for _ in range(200):
        at = float(variance_map(torch.tanh, at, sigma_w=sigma_w, sigma_b=sigma_b))
    assert at == pytest.approx(q, rel=1e-9)


def test_a_variance_may_vanish_or_explode_and_a_grid_is_answered_at_once():
    sigma_w = torch.tensor([1.0, 1.2, 1.5])
    q = fixed_variance(torch.relu, sigma_w=sigma_w[:, None], sigma_b=torch.tensor([0.0, 0.3]))
    assert q[:, 0].tolist() == [0.0, 0.0, math.inf]
    # q = sigma_w^2 q / 2 + sigma_b^2
    exact = 0.09 / (1 - sigma_w[:2].double() ** 2 / 2)
    torch.testing.assert_close(q[:2, 1], exact, rtol=1e-6, atol=0)
    assert float(q[2, 1]) == math.inf


def test_at_the_edge_of_chaos_erf_obeys_its_closed_form():
    # E[erf'^2] = (4 / pi) / sqrt(1 + 4 q)
    for q in (0.01, 0.3, 2.0):
        point = critical_point(torch.erf, q)
        assert point.sigma_w**2 == pytest.approx(math.pi / 4 * math.sqrt(1 + 4 * q), rel=1e-12)
        assert critical_sigma_w(torch.erf, point.sigma_b) == pytest.approx(point.sigma_w, rel=1e-9)
        q_star = fixed_variance(torch.erf, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
        assert float(q_star) == pytest.approx(q, rel=1e-6)


def test_depth_scales_are_the_rates_of_the_iteration():
    sigma_w, sigma_b = 1.5, 0.3
    scales = depth_scales(torch.tanh, sigma_w=sigma_w, sigma_b=sigma_b)
    assert scales.chi > 1 > scales.c > 0
    next_c = correlation_map(torch.tanh, scales.c + 1e-3, scales.q, sigma_w=sigma_w, sigma_b=sigma_b)
    assert (next_c - scales.c) / 1e-3 == pytest.approx(math.exp(-1 / scales.xi_c), rel=2e-3)
    next_q = float(variance_map(torch.tanh, scales.q + 1e-4, sigma_w=sigma_w, sigma_b=sigma_b))
    assert (next_q - scales.q) / 1e-4 == pytest.approx(math.exp(-1 / scales.xi_q), rel=2e-3)


def test_order_ends_parallel_and_odd_chaos_orthogonal():
    order = depth_scales(torch.relu, sigma_w=1.2, sigma_b=0.3)
    assert order.c == 1.0
    assert order.xi_c == pytest.approx(-1 / math.log(0.72), rel=1e-9)
    assert order.xi_q == pytest.approx(-1 / math.log(0.72), rel=1e-9)
    assert depth_scales(torch.tanh, sigma_w=5 / 3).c == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: variance_map(torch.tanh, -1.0, sigma_w=1.0), "q must be a finite number >= 0, got q=-1.0"),
        (lambda: variance_map(torch.exp, 1e9, sigma_w=1.0), "a mean over phi is not a finite number"),
        (lambda: variance_map(torch.tanh, torch.ones(2), sigma_w=torch.ones(3)), "shapes that go together"),
        (lambda: covariance_map(torch.tanh, 1.5, 1.0, 1.0, sigma_w=1.0), "-1 <= c <= 1, got c=1.5"),
        (lambda: covariance_map(torch.tanh, 0.5, 0.0, 1.0, sigma_w=1.0), "q_a must be a finite number > 0"),
        (lambda: pair_slope(torch.tanh, 0.5, 0.0, sigma_w=1.0), "q must be a finite number > 0"),
        (lambda: correlation_map(torch.tanh, 0.5, 1.0, sigma_w=0.0), "the next variance is 0"),
        (lambda: slope(lambda u: u.detach().tanh(), 1.0, sigma_w=1.0), "phi must be computed from its argument"),
        (lambda: slope(lambda u: u.sum(), 1.0, sigma_w=1.0), "phi must return what it is given"),
        (lambda: fixed_variance(torch.relu, sigma_w=HE), "every q is a fixed point"),
        (lambda: critical_sigma_w(torch.relu, 0.3), "does not come to sigma_b=0.3"),
        (lambda: critical_point(torch.sigmoid, 0.5), "no bias makes q=0.5 critical"),
        (lambda: depth_scales(torch.tanh, sigma_w=0.9), "need a positive finite fixed point, got q=0.0"),
    ],
)  # fmt: skip
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
