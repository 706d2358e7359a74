"""Intervals and tests of shares: SciPy is the oracle, and what they promise is counted."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from course_utils.intervals import (
    bootstrap_interval,
    clopper_pearson_interval,
    compare_predictions,
    mcnemar,
    paired_difference,
    student_quantile,
    unpaired_p_value,
    wald_interval,
    wilson_interval,
)
from course_utils.seeding import make_generator

SHARES = [(0, 7), (1, 7), (7, 7), (53, 61), (98, 100), (13_500, 15_000)]


@pytest.mark.parametrize(("k", "n"), SHARES)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    ("interval", "method"), [(wilson_interval, "wilson"), (clopper_pearson_interval, "exact")]
)
def test_intervals_of_a_share_agree_with_scipy(k, n, confidence, interval, method):
    expected = stats.binomtest(k, n).proportion_ci(confidence, method)
    ours = interval(k, n, confidence=confidence)
    assert ours.estimate == k / n
    np.testing.assert_allclose(ours[1:], [expected.low, expected.high], atol=1e-12)


def test_wald_ends_are_z_standard_errors_away_and_vanish_where_all_are_right():
    interval = wald_interval(90, 100)
    half = stats.norm.ppf(0.975) * math.sqrt(0.09 / 100)
    assert interval == pytest.approx((0.9, 0.9 - half, 0.9 + half))
    assert wald_interval(100, 100) == (1.0, 1.0, 1.0)


def test_wilsons_ends_are_the_shares_that_a_z_test_would_just_not_reject():
    k, n = 37, 41
    z = stats.norm.ppf(0.975)
    for p in wilson_interval(k, n)[1:]:
        assert abs(k / n - p) == pytest.approx(z * math.sqrt(p * (1 - p) / n))


def test_clopper_and_pearson_cover_at_least_as_promised_and_wald_does_not():
    n, shares = 40, np.linspace(0.02, 0.98, 97)
    coverage = {}
    for interval in (wald_interval, clopper_pearson_interval):
        ends = [interval(k, n)[1:] for k in range(n + 1)]
        pmf = stats.binom.pmf(np.arange(n + 1), n, shares[:, None])
        inside = np.array([[low <= p <= high for low, high in ends] for p in shares])
        coverage[interval] = (pmf * inside).sum(axis=1)
    assert coverage[clopper_pearson_interval].min() >= 0.95
    assert coverage[wald_interval].min() < 0.7


@pytest.mark.parametrize(("b", "c"), [*itertools.product((0, 1, 2, 5, 11), repeat=2), (372, 309), (20, 900)])
def test_mcnemar_is_the_binomial_test_of_a_fair_coin(b, c):
    ours = mcnemar(b, c)
    m = b + c
    expected = stats.binomtest(b, m, 0.5).pvalue if m else 1.0
    assert ours.p_exact == pytest.approx(expected, rel=1e-9)
    assert ours.z == pytest.approx((b - c) / math.sqrt(m) if m else 0.0)
    if m:  # P(further away than observed) + half of P(as far as observed)
        outcomes = np.arange(m + 1)
        far, pmf = abs(outcomes - m / 2), stats.binom.pmf(outcomes, m, 0.5)
        here = abs(b - m / 2)
        mid = pmf[far > here].sum() + pmf[far == here].sum() / 2
        assert ours.p_mid == pytest.approx(mid, rel=1e-9)


def test_the_sources_two_networks_differ_at_five_percent_and_not_after_three_comparisons():
    p = mcnemar(372, 309).p_exact
    assert p == pytest.approx(0.0174, abs=5e-5)
    assert 3 * p > 0.05


def test_predictions_are_compared_image_by_image():
    first = torch.tensor([True, True, False, True, False, True])
    second = torch.tensor([True, False, False, False, True, False])
    test = compare_predictions(first, second)
    assert (test.only_first, test.only_second) == (3, 1)


def test_predictions_of_different_images_are_refused():
    with pytest.raises(ValueError, match="must be booleans of the same images"):
        compare_predictions(torch.ones(3, dtype=torch.bool), torch.ones(4, dtype=torch.bool))


def test_the_unpaired_test_is_the_chi_square_test_of_the_table():
    table = [[8946, 1054], [8883, 1117]]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert unpaired_p_value(8946, 8883, 10_000) == pytest.approx(expected, rel=1e-9)
    assert unpaired_p_value(5, 5, 5) == 1.0


def test_paired_differences_agree_with_the_paired_t_interval():
    first, second = [3.0, 2.5, 4.0, 3.3], [2.0, 2.6, 3.1, 3.0]
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    ours = paired_difference(first, second)
    assert ours.estimate == pytest.approx(0.525)
    half = (expected.high - expected.low) / 2
    assert ours.high - ours.estimate == pytest.approx(half, rel=2e-4)  # t is tabled to 3 digits
    assert ours.estimate - ours.low == pytest.approx(half, rel=2e-4)


@pytest.mark.parametrize("p", [0.6, 0.975, 0.9999])
def test_students_quantile_agrees_with_scipy(p):
    ours = [student_quantile(p, df) for df in (1, 2, 3, 4, 19, 30, 999)]
    assert ours == pytest.approx(stats.t.ppf(p, [1, 2, 3, 4, 19, 30, 999]), rel=1e-10)
    assert student_quantile(0.5, 3) == pytest.approx(0.0, abs=1e-12)


def test_pairs_that_share_their_noise_have_the_shorter_interval():
    noise = torch.randn(20, generator=make_generator(3)).tolist()
    first, second = [x + 1 for x in noise], [x + 0.01 * k for k, x in enumerate(noise)]
    shuffled = paired_difference(first, second[::-1])
    paired = paired_difference(first, second)
    assert paired.high - paired.low < 0.2 * (shuffled.high - shuffled.low)


def test_the_bootstrap_interval_of_a_mean_has_the_width_of_its_standard_error():
    values = torch.randn(200, generator=make_generator(0)).tolist()
    ours = bootstrap_interval(values, generator=make_generator(1))
    expected = 2 * 1.96 * np.std(values) / math.sqrt(200)
    # the quantiles of 1,000 resamples are off by about 6 % of the width
    assert ours.high - ours.low == pytest.approx(expected, rel=0.15)
    assert ours.low < ours.estimate < ours.high


def test_the_bootstrap_takes_any_statistic_and_the_seed_decides():
    values = [1.0, 2.0, 3.0, 4.0, 50.0]
    once, again = (bootstrap_interval(values, max, generator=make_generator(5)) for _ in range(2))
    assert once == again
    assert once.estimate == once.high == 50.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wilson_interval(3, 2), "0 <= k <= n"),
        (lambda: wald_interval(0, 0), "n >= 1"),
        (lambda: clopper_pearson_interval(1, 2, confidence=95), "between 0 and 1"),
        (lambda: mcnemar(-1, 2), "counts must be >= 0"),
        (lambda: paired_difference([1.0], [2.0]), "two or more pairs"),
        (lambda: paired_difference([1.0, 2.0], [2.0]), "two or more pairs"),
        (lambda: student_quantile(0.4, 3), "1/2 <= p < 1"),
        (lambda: student_quantile(0.9, 0), "df >= 1"),
        (lambda: bootstrap_interval([1.0], generator=make_generator(0)), "two or more values"),
    ],
)
def test_what_has_no_interval_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
