"""Does the noise scale find signal and noise of gradients that were made of them?"""

import math

import pytest
import torch
from walking import matrix

from course_utils.optimizers import NoiseScale, noise_scale, noise_scale_of_examples
from course_utils.seeding import make_generator


def test_examples_give_the_trace_of_the_covariance_and_the_mean_freed_of_its_noise():
    g = 2.0 + matrix(40, 7)
    found = noise_scale_of_examples(g)
    trace = float(torch.trace(torch.cov(g.T)))
    assert found.noise == pytest.approx(trace, rel=1e-12)
    assert found.signal == pytest.approx(float(g.mean(0).square().sum()) - trace / 40, rel=1e-12)
    assert found.examples == pytest.approx(found.noise / found.signal)


def test_two_exact_lengths_give_signal_and_noise_back():
    signal, noise = 3.0, 50.0
    found = noise_scale(signal + noise / 8, signal + noise / 64, batch_sizes=(8, 64))
    assert found == pytest.approx((signal, noise), rel=1e-12)


def test_both_ways_agree_on_a_population():
    n, parameters, draws = 400, 5, 4000
    population = 0.5 + torch.randn(n, parameters, generator=make_generator(0), dtype=torch.float64)
    lengths = []
    for size in (4, 16):
        chosen = torch.randint(n, (draws, size), generator=make_generator(size))
        lengths.append(float(population[chosen].mean(1).square().sum(1).mean()))
    found, exact = noise_scale(*lengths, batch_sizes=(4, 16)), noise_scale_of_examples(population)
    # of 4000 squared lengths near 2.5 with deviation 1.6: 4 standard errors of their difference / (1/4 - 1/16)
    assert found.noise == pytest.approx(exact.noise, abs=4 * 1.8 / math.sqrt(draws) / 0.1875)


def test_without_a_signal_no_batch_is_large_enough():
    assert NoiseScale(-0.1, 2.0).examples == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise_scale(-1.0, 1.0, batch_sizes=(1, 2)), "small is a squared length and must be >= 0"),
        (lambda: noise_scale(1.0, math.nan, batch_sizes=(1, 2)), "large must be a finite number"),
        (lambda: noise_scale(1.0, 1.0, batch_sizes=(2, 2)), "batch_sizes must be two, the smaller first"),
        (
            lambda: noise_scale_of_examples(torch.ones(1, 3)),
            r"gradients needs shape \(N, parameters\), N >= 2",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
