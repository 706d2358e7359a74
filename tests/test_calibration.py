"""Calibration: errors that can be done by hand, worlds with a known truth, and a temperature that is a root."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from course_utils.calibration import (
    brier_score,
    calibration_noise,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from course_utils.seeding import make_generator

# confidences 0.55, 0.65, 0.6, 0.9, 0.8; right, wrong, right, right, right
PROBABILITIES = torch.tensor(
    [[0.55, 0.45], [0.35, 0.65], [0.6, 0.4], [0.1, 0.9], [0.8, 0.2]], dtype=torch.float64
)
LABELS = torch.tensor([0, 0, 0, 1, 0])


def a_world(n, *, scale=2.0, seed=0):
    """Return logits and labels drawn from their softmax: a network with these logits is perfectly calibrated."""
    generator = make_generator(seed)
    logits = scale * torch.randn(n, 10, generator=generator, dtype=torch.float64)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


def test_bins_hold_the_mean_confidence_and_the_accuracy_of_their_answers():
    bins = reliability_bins(PROBABILITIES, LABELS, num_bins=4)
    assert bins.counts.tolist() == [0, 0, 3, 2]
    assert bins.confidence[2:].tolist() == pytest.approx([0.6, 0.85])
    assert bins.accuracy[2:].tolist() == pytest.approx([2 / 3, 1.0])
    assert bins.edges.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_an_empty_bin_has_no_mean():
    bins = reliability_bins(PROBABILITIES, LABELS, num_bins=4)
    assert bins.confidence[:2].isnan().all()
    assert bins.accuracy[:2].isnan().all()


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    sure = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    assert reliability_bins(sure, torch.tensor([0, 0]), num_bins=2).counts.tolist() == [1, 1]


def test_the_calibration_error_is_what_one_gets_by_hand():
    by_hand = 3 / 5 * abs(2 / 3 - 0.6) + 2 / 5 * abs(1 - 0.85)
    assert expected_calibration_error(PROBABILITIES, LABELS, num_bins=4) == pytest.approx(by_hand)


def test_one_bin_sees_only_the_difference_of_the_means():
    assert expected_calibration_error(PROBABILITIES, LABELS, num_bins=1) == pytest.approx(abs(0.8 - 0.7))


def test_more_bins_never_hide_error_that_fewer_bins_show():
    logits, labels = a_world(2000)
    errors = [expected_calibration_error((2 * logits).softmax(1), labels, num_bins=b) for b in (1, 5, 15, 45)]
    # each of these numbers divides the next: the bins are nested
    assert all(more > fewer - 1e-12 for fewer, more in itertools.pairwise(errors))
    assert errors[-1] > errors[0] + 1e-4


@pytest.mark.parametrize("n", [300, 3000])
def test_a_calibrated_network_has_the_error_that_chance_predicts(n):
    measured = []
    for seed in range(30):
        logits, labels = a_world(n, seed=seed)
        probabilities = logits.softmax(1)
        noise = calibration_noise(probabilities)
        measured.append(expected_calibration_error(probabilities, labels) / noise)
    # one error varies by about 25 % of itself (seen), the mean of 30 by 5 %; the formula errs where bins are small
    assert sum(measured) / 30 == pytest.approx(1.0, abs=0.15)


def test_the_noise_of_one_bin_is_the_mean_size_of_a_normal_variable():
    probabilities = torch.tensor([[0.8, 0.2]], dtype=torch.float64).repeat(100, 1)
    assert calibration_noise(probabilities) == pytest.approx(math.sqrt(2 * 0.16 / math.pi / 100))


def test_the_brier_score_is_the_mean_squared_error_against_one_hot_labels():
    expected = 2 * F.mse_loss(
        PROBABILITIES, F.one_hot(LABELS, 2).double()
    )  # two classes: the mean is half the sum
    assert brier_score(PROBABILITIES, LABELS) == pytest.approx(expected.item())


def test_the_expected_brier_score_is_lowest_at_the_true_probability():
    q = torch.linspace(0, 1, 101, dtype=torch.float64)
    pairs = torch.stack([1 - q, q], 1)
    rain, sun = (torch.tensor([brier_score(pair[None], torch.tensor([k])) for pair in pairs]) for k in (1, 0))
    assert q[(0.7 * rain + 0.3 * sun).argmin()] == pytest.approx(0.7)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_logits_that_are_too_large_by_a_factor_get_that_temperature(factor):
    logits, labels = a_world(20_000)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.03)


def test_the_temperature_is_where_the_slope_of_the_cross_entropy_is_zero():
    logits, labels = a_world(500, scale=4.0)
    beta = torch.tensor(1 / fit_temperature(1.7 * logits, labels), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(F.cross_entropy(beta * 1.7 * logits, labels), beta)
    assert abs(slope) < 1e-12


def test_no_temperature_nearby_is_better_and_no_answer_changes():
    logits, labels = a_world(400, scale=5.0)
    temperature = fit_temperature(logits, labels)
    best = F.cross_entropy(logits / temperature, labels)
    assert all(F.cross_entropy(logits / (temperature * f), labels) > best for f in (0.9, 0.99, 1.01, 1.1))
    assert torch.equal((logits / temperature).argmax(1), logits.argmax(1))


def test_the_temperature_leaves_the_logits_and_their_gradients_alone():
    logits, labels = a_world(50)
    tracked = logits.clone().requires_grad_()
    fit_temperature(tracked, labels)
    assert tracked.grad is None
    assert torch.equal(tracked, logits)


def test_a_network_that_is_always_right_has_no_best_temperature():
    logits, _ = a_world(50)
    with pytest.raises(ValueError, match="every answer is right"):
        fit_temperature(logits, logits.argmax(1))


def test_a_network_that_is_worse_than_guessing_has_no_best_temperature():
    logits, _ = a_world(50)
    with pytest.raises(ValueError, match="no better than guessing"):
        fit_temperature(logits, logits.argmin(1))


@pytest.mark.parametrize("function", [reliability_bins, expected_calibration_error, brier_score])
@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (torch.tensor([[2.0, -1.0]]), torch.tensor([0]), r"take \.softmax\(1\) first"),
        (torch.tensor([[3.0, 1.0]]), torch.tensor([0]), r"sums from 4 to 4"),
        (torch.tensor([0.5, 0.5]), torch.tensor([0]), r"shape \(N, classes\)"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([0, 1]), r"labels \(N,\)"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "N >= 1"),
    ],
)  # fmt: skip
def test_predictions_that_are_none_are_refused(function, probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        function(probabilities, labels)


def test_calibration_says_what_else_it_needs():
    with pytest.raises(ValueError, match="num_bins must be at least 1, got num_bins=0"):
        reliability_bins(PROBABILITIES, LABELS, num_bins=0)
    with pytest.raises(ValueError, match=r"logits need shape \(N, classes\)"):
        fit_temperature(torch.zeros(3), torch.zeros(3, dtype=torch.int64))
