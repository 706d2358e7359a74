"""What is true of a formula whatever it is given? Properties of layers 0 to 2 that no example states."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.autodiff import Variable, cross_entropy, unbroadcast
from course_utils.calibration import expected_calibration_error, fit_temperature
from course_utils.claims import mean_and_half_width
from course_utils.initializers import mup_lr, orthogonal_
from course_utils.intervals import clopper_pearson_interval, mcnemar, student_quantile, wilson_interval
from course_utils.normalization import (
    batch_norm,
    clip_by_norm,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from course_utils.phase import correlation_map, covariance_map, variance_map
from course_utils.regularization import early_stopping_epoch, mixup, soft_threshold
from course_utils.seeding import make_generator

SEEDS = st.integers(0, 2**31)
SIZES = st.integers(2, 6)
SCALES = st.floats(0.01, 100)
SHIFTS = st.floats(-10, 10)
SHARES = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
CONFIDENCES = st.floats(0.5, 0.999)


@pytest.fixture
def hold(tally):
    """Return a function that tries a property on many examples and notes how many."""

    def try_many(what, check, **strategies):
        number = tally.number(each_time=30, weekly=1_000)
        chosen = settings(max_examples=number, deadline=None, derandomize=True, database=None)
        chosen(given(**strategies)(check))()
        tally.note("properties", what, tried=number)

    return try_many


def draw(seed, *shape):
    return torch.randn(shape, generator=make_generator(seed), dtype=torch.float64)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
def test_an_interval_of_a_share_surrounds_it_and_mirrors_that_of_the_wrong_answers(hold, interval):
    def check(share, confidence):
        k, n = share
        right, wrong = interval(k, n, confidence=confidence), interval(n - k, n, confidence=confidence)
        assert -1e-12 <= right.low <= k / n + 1e-12
        assert k / n - 1e-12 <= right.high <= 1 + 1e-12
        assert right.low == pytest.approx(1 - wrong.high, abs=1e-9)

    hold(f"{interval.__name__}: of right and of wrong answers", check, share=SHARES, confidence=CONFIDENCES)


def test_more_answers_make_an_interval_shorter(hold):
    def check(share, confidence):
        k, n = share
        few, many = (wilson_interval(m * k, m * n, confidence=confidence) for m in (1, 2))
        assert many.high - many.low < few.high - few.low

    hold("Wilson's interval of twice as many answers", check, share=SHARES, confidence=CONFIDENCES)


def test_mcnemar_treats_both_classifiers_alike_and_its_mid_p_value_is_the_smaller_one(hold):
    def check(b, c):
        one, other = mcnemar(b, c), mcnemar(c, b)
        assert (one.p_exact, one.p_mid, one.z) == (other.p_exact, other.p_mid, -other.z)
        assert 0 <= one.p_mid <= one.p_exact <= 1
        assert mcnemar(b, b).p_exact == 1

    hold("McNemar: classifiers exchanged", check, b=st.integers(0, 300), c=st.integers(0, 300))


def test_a_student_quantile_lies_above_the_normal_one_and_falls_with_the_degrees_of_freedom(hold):
    def check(p, df):
        assert student_quantile(p, df) > student_quantile(p, df + 1) > NormalDist().inv_cdf(p)

    hold("Student's quantile against the normal one", check, p=st.floats(0.6, 0.999), df=st.integers(1, 200))


def test_a_mean_and_its_half_width_follow_the_unit_of_measurement(hold):
    def check(values, scale, shift):
        mean, half = mean_and_half_width(values)
        moved, wider = mean_and_half_width([scale * value + shift for value in values])
        assert moved == pytest.approx(scale * mean + shift, abs=1e-6)
        assert wider == pytest.approx(scale * half, rel=1e-6, abs=1e-6)

    values = st.lists(SHIFTS, min_size=2, max_size=40)
    hold("mean and half-width in another unit", check, values=values, scale=SCALES, shift=SHIFTS)


def test_unbroadcast_is_the_adjoint_of_broadcasting(hold):
    def check(seed, shape, ones, added):
        small = tuple(1 if one else n for n, one in zip(shape, ones, strict=False))[added:]
        a, g = draw(seed, *small).numpy(), draw(seed + 1, *shape).numpy()
        back = unbroadcast(g, small)
        assert back.shape == small
        assert (back * a).sum() == pytest.approx((g * np.broadcast_to(a, shape)).sum(), abs=1e-9)

    shape = st.lists(st.integers(1, 4), min_size=3, max_size=3).map(tuple)
    ones = st.lists(st.booleans(), min_size=3, max_size=3)
    hold("unbroadcast as an adjoint", check, seed=SEEDS, shape=shape, ones=ones, added=st.integers(0, 3))


def test_cross_entropy_ignores_a_common_shift_of_the_logits_so_its_gradient_sums_to_zero(hold):
    def check(seed, n, classes, shift):
        logits, labels = draw(seed, n, classes).numpy(), np.arange(n) % classes
        variable = Variable(logits)
        loss = cross_entropy(variable, labels)
        loss.backward()
        assert cross_entropy(logits + shift, labels).item() == pytest.approx(loss.item(), abs=1e-9)
        np.testing.assert_allclose(variable.grad.sum(axis=-1), 0, atol=1e-12)

    hold("cross-entropy of shifted logits", check, seed=SEEDS, n=SIZES, classes=SIZES, shift=SHIFTS)


@pytest.mark.parametrize(("norm", "axis"), [(layer_norm, -1), (batch_norm, 0)], ids=["layer", "batch"])
def test_a_normalization_forgets_scale_and_shift_along_its_axis(hold, norm, axis):
    def check(seed, n, features, scale, shift):
        x, gamma, beta = draw(seed, n, features), draw(seed + 1, features), draw(seed + 2, features)
        scales = scale + draw(seed + 3, n, features).abs().amax(axis, keepdim=True)
        y, saved = norm(x, gamma, beta, eps=0.0)
        close(norm(scales * x + shift, gamma, beta, eps=0.0)[0], y, 1e-6)
        close(saved.x_hat.mean(axis), torch.zeros_like(saved.x_hat.mean(axis)))

    hold(
        f"{norm.__name__} of another scale and shift",
        check, seed=SEEDS, n=SIZES, features=st.integers(3, 6), scale=SCALES, shift=SHIFTS,
    )  # fmt: skip


def test_a_gradient_through_a_normalization_has_nothing_left_of_what_it_forgot(hold):
    def check(seed, n, features):
        x, gamma, g = draw(seed, n, features), draw(seed + 1, features), draw(seed + 2, n, features)
        for saved, back in (
            (layer_norm(x, gamma, gamma, eps=0.0)[1], layer_norm_backward),
            (rms_norm(x, gamma, eps=0.0)[1], rms_norm_backward),
        ):
            grad_x = back(g, saved)[0]
            length = grad_x.norm() * saved.x_hat.norm()
            assert float((grad_x * saved.x_hat).sum(-1).abs().max() / length) < 1e-9
            if back is layer_norm_backward:
                assert float(grad_x.sum(-1).abs().max() / length) < 1e-9

    hold("gradients across a normalization", check, seed=SEEDS, n=SIZES, features=st.integers(3, 6))


def test_clipping_by_norm_shortens_to_the_limit_and_keeps_the_direction(hold):
    def check(seed, n, limit):
        grads = [draw(seed, n, 3), draw(seed + 1, n)]
        clipped, norm = clip_by_norm(grads, limit, eps=0.0)
        whole, short = (torch.cat([g.flatten() for g in parts]) for parts in (grads, clipped))
        assert float(short.norm()) == pytest.approx(min(limit, float(whole.norm())))
        close(short * norm, whole * short.norm())

    hold("clipping by norm", check, seed=SEEDS, n=SIZES, limit=SCALES)


def test_an_orthogonal_weight_scales_every_direction_by_its_gain(hold):
    def check(seed, rows, columns, gain):
        weight = torch.empty(rows, columns, dtype=torch.float64)
        orthogonal_(weight, gain=gain, generator=make_generator(seed))
        close(torch.linalg.svdvals(weight) / gain, torch.ones(min(rows, columns), dtype=torch.float64))

    hold("singular values of an orthogonal weight", check, seed=SEEDS, rows=SIZES, columns=SIZES, gain=SCALES)


def test_a_covariance_after_a_layer_is_symmetric_and_within_the_variances(hold):
    def check(phi, c, q_a, q_b, sigma_w, sigma_b):
        sigmas = {"sigma_w": sigma_w, "sigma_b": sigma_b}
        one, other = covariance_map(phi, c, q_a, q_b, **sigmas), covariance_map(phi, c, q_b, q_a, **sigmas)
        largest = math.sqrt(float(variance_map(phi, q_a, **sigmas) * variance_map(phi, q_b, **sigmas)))
        assert one == pytest.approx(other, rel=1e-6, abs=1e-9)
        assert abs(one) <= largest * (1 + 1e-6)

    hold(
        "mean-field covariance",
        check, phi=st.sampled_from([torch.tanh, torch.relu, torch.selu, torch.sigmoid]), c=st.floats(-1, 1),
        q_a=SCALES, q_b=SCALES, sigma_w=st.floats(0.1, 3), sigma_b=st.floats(0, 2),
    )  # fmt: skip


def test_the_correlation_map_of_relu_does_not_know_the_scale(hold):
    def check(c, q, sigma_w):
        here = correlation_map(torch.relu, c, q, sigma_w=sigma_w)
        assert here == pytest.approx(correlation_map(torch.relu, c, 1.0, sigma_w=1.0), abs=1e-12)
        assert here >= c - 1e-12  # it brings every pair closer

    hold("ReLU's correlation map", check, c=st.floats(-1, 1), q=SCALES, sigma_w=SCALES)


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_a_learning_rate_widened_in_two_steps_is_that_of_one(hold, method):
    def check(lr, r_in, r_out, more_in, more_out):
        halfway = mup_lr(lr, r_in, r_out, method=method)
        at_once = mup_lr(lr, r_in * more_in, r_out * more_out, method=method)
        assert mup_lr(halfway, more_in, more_out, method=method) == pytest.approx(at_once, rel=1e-12)

    hold(
        f"muP's learning rate of {method}",
        check, lr=SCALES, r_in=SCALES, r_out=SCALES, more_in=SCALES, more_out=SCALES,
    )  # fmt: skip


def test_a_soft_threshold_is_where_the_penalized_distance_is_lowest(hold):
    def check(w, threshold):
        def distance(v):
            return (v - w) ** 2 / 2 + threshold * abs(v)

        best = float(soft_threshold(torch.tensor(w, dtype=torch.float64), threshold))
        for step in (1e-3, 0.1, 1.0):
            assert distance(best) <= min(distance(best - step), distance(best + step))

    hold("soft threshold as a minimum", check, w=SHIFTS, threshold=st.floats(0, 10))


def test_mixup_stays_between_the_examples_and_keeps_distributions(hold):
    def check(seed, n, alpha):
        x, targets = draw(seed, n, 3), draw(seed + 1, n, 4).softmax(1)
        mixed, shares, weights = mixup(x, targets, alpha=alpha, generator=make_generator(seed))
        close(shares.sum(1), torch.ones(n, dtype=torch.float64))
        assert bool((mixed >= x.amin(0) - 1e-12).all() and (mixed <= x.amax(0) + 1e-12).all())
        assert bool(((weights >= 0) & (weights <= 1)).all())

    hold("mixup between examples", check, seed=SEEDS, n=SIZES, alpha=SCALES)


def test_early_stopping_does_not_look_ahead(hold):
    def check(losses, patience, more):
        stop = early_stopping_epoch(losses, patience=patience)
        assert early_stopping_epoch(losses[: stop.last + 1], patience=patience) == stop
        if stop.last < len(losses) - 1:
            assert early_stopping_epoch(losses + more, patience=patience) == stop
        assert losses[stop.best] == min(losses[: stop.last + 1])

    losses = st.lists(st.floats(0, 10), min_size=1, max_size=20)
    hold("early stopping and later losses", check, losses=losses, patience=st.integers(1, 4), more=losses)


def test_a_calibration_error_is_at_least_the_overall_gap_between_confidence_and_accuracy(hold):
    def check(seed, n, bins):
        probabilities = (3 * draw(seed, n, 3)).softmax(1)
        labels = torch.randint(3, (n,), generator=make_generator(seed))
        confidence, predicted = probabilities.max(1)
        gap = float((confidence.mean() - (predicted == labels).double().mean()).abs())
        assert gap - 1e-9 <= expected_calibration_error(probabilities, labels, num_bins=bins) <= 1

    hold(
        "calibration error and overall gap", check, seed=SEEDS, n=st.integers(1, 40), bins=st.integers(1, 20)
    )


def test_a_temperature_grows_with_the_logits(hold):
    def check(seed, scale):
        z = draw(seed, 40, 3)
        labels = torch.where(torch.arange(40) % 3 > 0, z.argmax(1), (z.argmax(1) + 1) % 3)
        assert math.log(fit_temperature(scale * z, labels) / fit_temperature(z, labels)) == pytest.approx(
            math.log(scale), abs=1e-6
        )

    hold("temperature of scaled logits", check, seed=SEEDS, scale=st.floats(0.2, 5))
