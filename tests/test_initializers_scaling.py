"""Residual branches start small enough for any depth, and muP's learning rates fit any width."""

import math

import pytest
import torch
from torch import nn

from course_utils.initializers import (
    fixup_,
    he_normal_,
    lecun_normal_,
    mup_groups,
    mup_initialize_,
    mup_lr,
    scale_branches_,
    width_ratios,
    zero_branches_,
)
from course_utils.models import MLP, ResidualMLP
from course_utils.probes import weight_gradients
from course_utils.seeding import make_generator


def residual(num_branches, *, seed=0, width=200, **arguments):
    g = make_generator(seed)
    rule = arguments.pop("initializer", lambda w: he_normal_(w, generator=g))
    return ResidualMLP((30, width, 10), num_branches=num_branches, initializer=rule, **arguments)


def stream_growth(model):
    """Return the mean square behind the last branch as a multiple of that before the first."""
    x = torch.randn(200, 30, generator=make_generator(1))
    with torch.no_grad():
        h = start = model.stem(x)
        for branch in model.branches:
            h = h + branch(h.relu())
    return float(h.square().mean() / start.square().mean())


@pytest.mark.parametrize("branch_depth", [1, 3])
def test_branches_that_keep_the_variance_double_it_and_scaled_ones_stay_below_e(branch_depth):
    num_branches = 12
    plain, scaled = (residual(num_branches, branch_depth=branch_depth) for _ in range(2))
    scale_branches_(list(scaled.branches))
    # a branch of m layers changes the mean square by a relative sqrt(5 m / width); 12 of them add, half as strongly
    spread = 4 * math.sqrt(5 * branch_depth * num_branches / 200) / 2
    assert math.log(stream_growth(plain) / 2**num_branches) == pytest.approx(0.0, abs=spread)
    expected = (1 + 1 / num_branches) ** num_branches
    assert math.log(stream_growth(scaled) / expected) == pytest.approx(0.0, abs=spread / num_branches * 2)


@pytest.mark.parametrize("method", [zero_branches_, fixup_, lambda b: scale_branches_(b, scale=0.0)])
def test_branches_that_end_in_zeros_leave_the_stream_as_it_is(method):
    model = residual(7)
    method(list(model.branches))
    assert stream_growth(model) == 1.0


def test_zero_branches_and_trained_factors_of_zero_are_the_same_function_with_other_gradients():
    zeros, factors = residual(3), residual(3, branch_scale=0.0)
    zero_branches_(list(zeros.branches))
    g = make_generator(2)
    x, y = torch.randn(50, 30, generator=g), torch.randint(10, (50,), generator=g)
    assert torch.equal(zeros(x), factors(x))
    moved = {name for name, grad in weight_gradients(zeros, x, y).items() if float(grad.abs().max()) > 0}
    assert moved == {
        "stem.layers.0.weight",
        "head.layers.0.weight",
        *(f"branches.{number}.layers.1.weight" for number in range(3)),
    }
    nn.functional.cross_entropy(factors(x), y).backward()
    assert all(float(branch.layers[1].weight.grad.abs().max()) == 0 for branch in factors.branches)
    assert bool((factors.branch_scales.grad != 0).all())


def test_fixup_scales_all_but_the_last_layer_by_the_depth():
    before, after = residual(16, branch_depth=3), residual(16, branch_depth=3)
    fixup_(list(after.branches))
    for old, new in zip(before.branches, after.branches, strict=True):
        # 16^(-1/(2 * 3 - 2)) = 1/2
        for layer in (0, 1):
            torch.testing.assert_close(new.layers[layer].weight, old.layers[layer].weight / 2)
    assert torch.equal(before.stem.layers[0].weight, after.stem.layers[0].weight)


@pytest.mark.parametrize("width", [64, 512])
def test_mup_has_the_variances_of_table_3(width):
    g = make_generator(3)
    model, base = MLP((300, width, width, 10)), MLP((300, 64, 64, 10))
    mup_initialize_(model, base, lambda w: lecun_normal_(w, generator=g))
    for layer, variance in zip(model.layers, (1 / 300, 1 / width, 64 / width**2), strict=True):
        n = layer.weight.numel()
        assert float(layer.weight.detach().square().mean()) == pytest.approx(
            variance, rel=4 * math.sqrt(2 / n)
        )
        assert bool((layer.bias == 0).all())


@pytest.mark.parametrize(
    ("method", "weights", "biases"),
    [("adam", (1, 1 / 8, 1 / 8), (1, 1, 1)), ("sgd", (8, 1, 1 / 8), (8, 8, 1))],
)
def test_mup_has_the_learning_rates_of_table_3(method, weights, biases):
    model, base = MLP((30, 512, 512, 10)), MLP((30, 64, 64, 10))
    groups = {group["name"]: group["lr"] for group in mup_groups(model, base, 0.5, method=method)}
    assert [groups[f"layers.{k}.weight"] for k in range(3)] == pytest.approx([0.5 * r for r in weights])
    assert [groups[f"layers.{k}.bias"] for k in range(3)] == pytest.approx([0.5 * r for r in biases])


def test_at_the_base_width_mup_is_the_standard_parameterization():
    plain, model = (
        MLP((9, 12, 12, 3), initializer=lambda w: he_normal_(w, generator=make_generator(1)))
        for _ in range(2)
    )
    mup_initialize_(model, plain, lambda w: he_normal_(w, generator=make_generator(1)))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), model.parameters(), strict=True))
    for method in ("adam", "sgd"):
        assert {group["lr"] for group in mup_groups(model, plain, 0.1, method=method)} == {0.1}


def hidden_change(width, *, mup, optimizer, lr):
    """Return the rms by which the preactivations of the second hidden layer change in three steps."""
    g = make_generator(4)
    x, y = torch.randn(64, 30, generator=g), torch.randint(10, (64,), generator=g)
    model, base = MLP((30, width, width, 10)), MLP((30, 64, 64, 10))

    def rule(w):
        return he_normal_(w, generator=g)

    mup_initialize_(model, base if mup else model, rule)
    method = "adam" if optimizer is torch.optim.Adam else "sgd"
    walker = optimizer(mup_groups(model, base if mup else model, lr, method=method))
    hidden = nn.Sequential(model.layers[0], nn.ReLU(), model.layers[1])
    before = hidden(x).detach()
    for _ in range(3):
        walker.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        walker.step()
    return float((hidden(x).detach() - before).square().mean().sqrt())


@pytest.mark.parametrize(("optimizer", "lr"), [(torch.optim.Adam, 1e-3), (torch.optim.SGD, 0.5)])
def test_in_mup_the_features_move_as_far_at_every_width_and_otherwise_they_do_not(optimizer, lr):
    changes = {
        mup: [hidden_change(width, mup=mup, optimizer=optimizer, lr=lr) for width in (256, 1024)]
        for mup in (True, False)
    }
    # chosen: 20 % for four times the width, whose square root or more the standard one grows by
    assert changes[True][1] == pytest.approx(changes[True][0], rel=0.2)
    assert changes[False][1] > 2 * changes[False][0]


def test_ratios_of_a_convolution_count_channels_and_those_of_a_number_are_one():
    assert width_ratios(torch.empty(6, 8, 3, 3), torch.empty(3, 2, 3, 3)) == (4.0, 2.0)
    assert width_ratios(torch.empty(6), torch.empty(3)) == (1.0, 2.0)
    assert width_ratios(torch.tensor(0.0), torch.tensor(1.0)) == (1.0, 1.0)


def test_the_factor_of_a_trained_branch_keeps_its_learning_rate_at_every_width():
    model, base = residual(2, branch_scale=0.0), residual(2, width=50, branch_scale=0.0)
    for method in ("adam", "sgd"):
        rates = {group["name"]: group["lr"] for group in mup_groups(model, base, 0.5, method=method)}
        assert rates["branch_scales"] == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scale_branches_([]), "branches need one or more modules"),
        (lambda: zero_branches_([nn.Linear(2, 2), nn.ReLU()]), r"got 2 with \[1, 0\] weights"),
        (lambda: scale_branches_([nn.Linear(2, 2)], scale=math.inf), "scale must be a finite number"),
        (lambda: width_ratios(torch.empty(2, 3), torch.empty(2)), "as many dimensions as each other"),
        (lambda: mup_groups(MLP((2, 3)), MLP((2, 3, 3)), 0.1, method="adam"), "the same parameters by name"),
        (lambda: mup_lr(-0.1, 1.0, 1.0, method="adam"), "lr must be a finite number >= 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_scaled_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
