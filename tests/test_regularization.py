"""Dropout, soft labels, mixup, penalties and early stopping: identities first, torch as the oracle, then statistics."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.regularization import (
    Dropout,
    dropout,
    early_stopping_epoch,
    l1_penalty,
    l2_penalty,
    max_norm_,
    mixing_weights,
    mixup,
    smooth_labels,
    smoothed_cross_entropy,
    soft_cross_entropy,
    soft_threshold,
)
from course_utils.seeding import make_generator


def randn(*shape, generator):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean_and_adds_the_variance_p_over_1_minus_p(p, generator):
    n = 400_000
    y = dropout(torch.full((n,), 3.0, dtype=torch.float64), p=p, generator=generator)
    variance = 9 * p / (1 - p)
    assert abs(y.mean() - 3) < 5 * math.sqrt(variance / n)
    # the square of a two-valued variable has a spread of its own; 5 of its standard errors are below 3 %
    assert y.var() == pytest.approx(variance, rel=0.03)


def test_dropout_takes_only_two_values_and_leaves_its_input_alone(generator):
    x = torch.ones(3, 400)
    y = dropout(x, p=0.25, generator=generator)
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(x, torch.ones(3, 400))


def test_the_same_generator_gives_the_same_mask_and_the_global_stream_stays_where_it_was():
    x = torch.ones(50)
    before = torch.random.get_rng_state()
    first, second = (dropout(x, p=0.5, generator=make_generator(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_dropout_zero_is_the_identity_and_draws_nothing(generator):
    state = generator.get_state()
    x = torch.ones(3)
    assert dropout(x, p=0.0, generator=generator) is x
    assert torch.equal(generator.get_state(), state)


def test_the_gradient_passes_only_where_the_signal_did(generator):
    x = torch.ones(200, requires_grad=True)
    y = dropout(x, p=0.3, generator=generator)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_module_is_the_function_in_training_and_nothing_in_evaluation():
    layer = Dropout(0.4, generator=make_generator(3))
    x = torch.randn(5, 7, generator=make_generator(1))
    assert torch.equal(layer(x), dropout(x, p=0.4, generator=make_generator(3)))
    assert layer.eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, math.nan])
def test_dropout_refuses_what_is_no_rate(p):
    with pytest.raises(ValueError, match="p needs 0 <= p < 1"):
        dropout(torch.ones(2), p=p)
    with pytest.raises(ValueError, match="p needs 0 <= p < 1"):
        Dropout(p)


# Soft labels


def test_smoothed_labels_sum_to_one_and_the_right_class_keeps_its_share_of_what_is_spread():
    q = smooth_labels(torch.tensor([[2, 0], [1, 2]]), 3, eps=0.3, dtype=torch.float64)
    assert q.shape == (2, 2, 3)
    torch.testing.assert_close(q.sum(-1), torch.ones(2, 2, dtype=torch.float64))
    torch.testing.assert_close(q[0, 0], torch.tensor([0.1, 0.1, 0.8], dtype=torch.float64))


@pytest.mark.parametrize("eps", [0.0, 0.1, 1.0])
def test_smoothed_cross_entropy_is_torchs(eps, generator):
    logits, labels = randn(20, 7, generator=generator), torch.randint(7, (20,), generator=generator)
    expected = F.cross_entropy(logits, labels, label_smoothing=eps)
    torch.testing.assert_close(smoothed_cross_entropy(logits, labels, eps=eps), expected)


def test_soft_cross_entropy_is_torchs_for_distributions_and_has_the_gradient_p_minus_q(generator):
    logits = randn(6, 4, generator=generator).requires_grad_()
    targets = torch.rand(6, 4, generator=generator, dtype=torch.float64)
    targets = targets / targets.sum(1, keepdim=True)
    loss = soft_cross_entropy(logits, targets)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))
    loss.backward()
    torch.testing.assert_close(logits.grad, (logits.detach().softmax(1) - targets) / 6)


def test_the_lowest_smoothed_loss_is_at_the_logit_gap_of_the_formula():
    gap = math.log(1 + 10 * 0.9 / 0.1)
    logits = torch.zeros(1, 10, dtype=torch.float64)
    logits[0, 4] = gap
    logits.requires_grad_()
    loss = smoothed_cross_entropy(logits, torch.tensor([4]), eps=0.1)
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope.abs().max() < 1e-15
    assert gap == pytest.approx(4.511, abs=5e-4)
    assert loss.item() == pytest.approx(0.5003, abs=5e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smooth_labels(torch.tensor([0, 3]), 3, eps=0.1), "lie in 0 to 2 for 3 classes, got 0 to 3"),
        (lambda: smooth_labels(torch.tensor([0]), 1, eps=0.1), "num_classes must be at least 2, got 1"),
        (lambda: smooth_labels(torch.tensor([0]), 2, eps=1.5), "eps needs 0 <= eps <= 1"),
        (lambda: soft_cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1])), "targets need one share per logit"),
    ],
)  # fmt: skip
def test_soft_labels_say_what_they_need(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Mixup


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixing_weights_have_the_moments_of_beta(alpha, generator):
    weights = mixing_weights(100_000, alpha=alpha, generator=generator)
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(weights.mean() - 0.5) < 5 * math.sqrt(variance / 100_000)
    assert weights.var() == pytest.approx(variance, rel=0.02)
    assert 0 <= weights.min() <= weights.max() <= 1


def test_mixing_weights_follow_the_generator_and_no_global_stream():
    before = torch.random.get_rng_state()
    first, second, other = (mixing_weights(9, alpha=0.4, generator=make_generator(s)) for s in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_two_draws_from_one_generator_differ(generator):
    first, second = (mixing_weights(9, alpha=0.4, generator=generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_mixup_puts_image_and_label_at_the_same_point_of_the_line(generator):
    # image i is the number i, label i is one-hot: what the image is made of can be read off the label
    n = 12
    images, one_hot = torch.arange(n, dtype=torch.float64).reshape(n, 1, 1), torch.eye(n, dtype=torch.float64)
    mixed, targets, weights = mixup(images, one_hot, alpha=1.0, generator=generator)
    torch.testing.assert_close(targets.sum(1), torch.ones(n, dtype=torch.float64))
    torch.testing.assert_close(mixed[:, 0, 0], targets @ torch.arange(n, dtype=torch.float64))
    partner_is_another = (targets > 0).sum(1) == 2
    torch.testing.assert_close(targets.diagonal()[partner_is_another], weights[partner_is_another])


def test_mixup_does_not_change_its_arguments(generator):
    x, targets = torch.rand(6, 4, generator=generator), torch.eye(6)
    copies = x.clone(), targets.clone()
    mixup(x, targets, alpha=0.3, generator=generator)
    assert torch.equal(x, copies[0])
    assert torch.equal(targets, copies[1])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([0, 1, 2]), "Class numbers cannot be mixed"),
        (torch.eye(4), r"shape \(3, classes\)"),
    ],
)
def test_mixup_says_which_targets_it_needs(targets, message):
    with pytest.raises(ValueError, match=message):
        mixup(torch.zeros(3, 2), targets, alpha=0.3)


def test_mixup_refuses_a_beta_that_does_not_exist():
    with pytest.raises(ValueError, match="alpha must be a finite number > 0"):
        mixup(torch.zeros(3, 2), torch.eye(3), alpha=0.0)


# Penalties


def test_the_gradient_of_the_l2_penalty_is_the_strength_times_the_weight(generator):
    weights = [
        randn(3, 4, generator=generator).requires_grad_(),
        randn(5, generator=generator).requires_grad_(),
    ]
    l2_penalty(weights, strength=0.3).backward()
    for w in weights:
        torch.testing.assert_close(w.grad, 0.3 * w.detach())


def test_sgd_with_the_l2_penalty_is_torchs_weight_decay(generator):
    start = randn(4, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    for parameter, decay in ((ours, 0.0), (theirs, 0.2)):
        optimizer = torch.optim.SGD([parameter], lr=0.1, weight_decay=decay)
        for _ in range(5):
            optimizer.zero_grad()
            loss = (parameter - 1).square().sum()
            if not decay:
                loss = loss + l2_penalty([parameter], strength=0.2)
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_the_gradient_of_the_l1_penalty_has_the_same_size_for_every_weight():
    w = torch.tensor([-2.0, 0.001, 5.0], requires_grad=True)
    l1_penalty([w], strength=0.3).backward()
    torch.testing.assert_close(w.grad, torch.tensor([-0.3, 0.3, 0.3]))


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_penalties_say_what_they_need(penalty):
    with pytest.raises(ValueError, match="strength must be a finite number >= 0"):
        penalty([torch.ones(2)], strength=-1.0)
    with pytest.raises(ValueError, match="a generator can be used up only once"):
        penalty([], strength=1.0)


def test_the_soft_threshold_minimises_half_the_square_plus_the_penalty(generator):
    w = randn(6, generator=generator)
    candidates = torch.linspace(-4, 4, 8001, dtype=torch.float64)[:, None]
    costs = (candidates - w).square() / 2 + 0.7 * candidates.abs()
    torch.testing.assert_close(soft_threshold(w, 0.7), candidates[costs.argmin(0), 0], rtol=0, atol=1e-3)


def test_the_soft_threshold_makes_exact_zeros_and_keeps_signs():
    w = torch.tensor([-2.0, -0.5, 0.3, 1.5])
    assert soft_threshold(w, 0.5).tolist() == [-1.5, 0.0, 0.0, 1.0]
    assert soft_threshold(w, torch.tensor([0.0, 0.5, 0.1, 9.0])).tolist() == [
        -2.0,
        0.0,
        pytest.approx(0.2),
        0.0,
    ]


def test_the_soft_threshold_refuses_a_negative_one():
    with pytest.raises(ValueError, match=r"threshold must be >= 0, got -0\.1"):
        soft_threshold(torch.ones(2), -0.1)


def test_max_norm_shortens_long_rows_and_leaves_short_ones(generator):
    weight = torch.tensor([[3.0, 4.0, 0.0], [0.1, 0.2, 0.2], [0.0, 0.0, 0.0]])
    assert max_norm_(weight, limit=2.0) is weight
    torch.testing.assert_close(weight[0], torch.tensor([1.2, 1.6, 0.0]))
    assert weight[1].tolist() == pytest.approx([0.1, 0.2, 0.2])
    assert weight[2].tolist() == [0.0, 0.0, 0.0]


def test_max_norm_of_a_convolution_measures_a_whole_filter(generator):
    kernel = torch.randn(3, 2, 5, 5, generator=generator)
    max_norm_(kernel, limit=1.0)
    torch.testing.assert_close(kernel.flatten(1).norm(dim=1), torch.ones(3))
    with pytest.raises(ValueError, match="limit must be a finite number > 0"):
        max_norm_(kernel, limit=0.0)


# Early stopping


RECORD = [0.9, 0.6, 0.5, 0.55, 0.49, 0.495, 0.52, 0.3]


@pytest.mark.parametrize(
    ("patience", "min_delta", "best", "last"),
    [(1, 0.0, 2, 3), (2, 0.0, 4, 6), (3, 0.0, 7, 7), (2, 0.02, 2, 4), (3, 0.02, 2, 5), (8, 0.02, 7, 7)],
)
def test_early_stopping_keeps_the_best_epoch_that_it_saw(patience, min_delta, best, last):
    assert early_stopping_epoch(RECORD, patience=patience, min_delta=min_delta) == (best, last)


def test_what_comes_after_the_end_is_never_looked_at():
    stop = early_stopping_epoch(RECORD, patience=2)
    for end in ([], [-9.0], [math.nan]):
        assert early_stopping_epoch([*RECORD[:7], *end], patience=2) == stop


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_run_that_was_ended_has_waited_exactly_its_patience(patience, generator):
    for losses in torch.rand(50, 12, generator=generator).tolist():
        best, last = early_stopping_epoch(losses, patience=patience)
        assert losses[best] == min(losses[: last + 1])
        assert last - best == patience or last == 11


def test_nan_never_improves_even_as_the_first_loss():
    assert early_stopping_epoch([math.nan, 0.5, math.nan, 0.4], patience=2) == (3, 3)


@pytest.mark.parametrize(
    ("losses", "options", "message"),
    [
        ([], {"patience": 1}, "val_losses has no number in it"),
        ([math.nan], {"patience": 1}, "val_losses has no number in it"),
        ([1.0], {"patience": 0}, "patience must be at least 1 epoch, got 0"),
        ([1.0], {"patience": 1, "min_delta": -1.0}, "min_delta must be a finite number >= 0"),
    ],
)
def test_early_stopping_says_what_it_needs(losses, options, message):
    with pytest.raises(ValueError, match=message):
        early_stopping_epoch(losses, **options)


# Dropout is an L2 penalty


def test_over_all_masks_dropout_on_inputs_is_the_squared_error_plus_its_penalty(generator):
    """Srivastava et al. 2014, section 9.1, in the inverted form; 2 x 3 entries have 64 masks."""
    p, x, y, w = (
        0.4,
        randn(2, 3, generator=generator),
        randn(2, generator=generator),
        randn(3, generator=generator),
    )
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=6)), dtype=torch.float64).reshape(-1, 2, 3)
    chance = p ** (6 - masks.sum((1, 2))) * (1 - p) ** masks.sum((1, 2))
    average = (chance * (y - (masks * x / (1 - p)) @ w).square().sum(1)).sum()
    penalty = p / (1 - p) * (w.square() * x.square().sum(0)).sum()
    torch.testing.assert_close(average, (y - x @ w).square().sum() + penalty)
