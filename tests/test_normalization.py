"""Normalization equals torch's forward, backward and in what it remembers; clipping keeps what it says it keeps."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import normalization as norm
from course_utils.seeding import make_generator

FLOAT64 = {"dtype": torch.float64}


def draw(*shape, seed=0, scale=1.0, shift=0.0):
    return shift + scale * torch.randn(*shape, generator=make_generator(seed), **FLOAT64)


GAMMA, BETA = draw(5, seed=1, shift=1.0), draw(5, seed=2)
X, GRAD_Y = draw(7, 5, seed=3, scale=3.0, shift=-2.0), draw(7, 5, seed=4)
FORMS = {
    "batch": (
        norm.batch_norm,
        norm.batch_norm_backward,
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=1e-3),
    ),
    "layer": (
        norm.layer_norm,
        norm.layer_norm_backward,
        lambda x, w, b: F.layer_norm(x, (5,), w, b, eps=1e-3),
    ),
    "rms": (
        lambda x, w, b, eps: norm.rms_norm(x, w, eps=eps),
        norm.rms_norm_backward,
        lambda x, w, b: F.rms_norm(x, (5,), w, eps=1e-3),
    ),
}


def assert_near(a, b):
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.fixture(params=FORMS, ids=FORMS)
def form(request):
    return FORMS[request.param]


def test_forward_is_torchs(form):
    ours, _, theirs = form
    assert_near(ours(X, GAMMA, BETA, eps=1e-3)[0], theirs(X, GAMMA, BETA))


def test_the_backward_written_out_is_torchs_and_that_of_autograd_through_ours(form):
    ours, backward, theirs = form
    gradients = backward(GRAD_Y, ours(X, GAMMA, BETA, eps=1e-3)[1])
    for forward in (theirs, lambda *leaves: ours(*leaves, eps=1e-3)[0]):
        leaves = [tensor.clone().requires_grad_() for tensor in (X, GAMMA, BETA)]
        expected = torch.autograd.grad(forward(*leaves), leaves[: len(gradients)], GRAD_Y)
        for gradient, reference in zip(gradients, expected, strict=True):
            assert_near(gradient, reference)


def test_gradcheck_agrees_with_difference_quotients(form):
    leaves = tuple(tensor.clone().requires_grad_() for tensor in (X, GAMMA, BETA))
    assert torch.autograd.gradcheck(lambda *leaves: form[0](*leaves, eps=1e-3)[0], leaves)


def test_inputs_are_left_as_they_are(form):
    before = [tensor.clone() for tensor in (X, GAMMA, BETA, GRAD_Y)]
    form[1](GRAD_Y, form[0](X, GAMMA, BETA, eps=1e-3)[1])
    for tensor, copy in zip((X, GAMMA, BETA, GRAD_Y), before, strict=True):
        assert torch.equal(tensor, copy)


def pair(ours, theirs):
    """Return our module and torch's with the same scale and shift, in float64."""
    ours, theirs = ours.double(), theirs.double()
    with torch.no_grad():
        for name, target in (("gamma", "weight"), ("beta", "bias")):
            if hasattr(ours, name):
                getattr(ours, name).copy_(GAMMA if name == "gamma" else BETA)
                getattr(theirs, target).copy_(getattr(ours, name))
    return ours, theirs


MODULES = {
    "batch": lambda: pair(norm.BatchNorm1d(5, eps=1e-3, momentum=0.3), nn.BatchNorm1d(5, eps=1e-3, momentum=0.3)),
    "batch, defaults": lambda: pair(norm.BatchNorm1d(5), nn.BatchNorm1d(5)),
    "layer": lambda: pair(norm.LayerNorm(5), nn.LayerNorm(5)),
    "rms": lambda: pair(norm.RMSNorm(5), nn.RMSNorm(5, eps=1e-5)),
}  # fmt: skip


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_modules_are_torchs_in_both_modes_after_several_batches(make):
    ours, theirs = make()
    for seed, size in enumerate((2, 3, 8, 2, 64)):
        x = draw(size, 5, seed=10 + seed, scale=1.0 + seed, shift=seed)
        assert_near(ours(x), theirs(x))
    ours.eval(), theirs.eval()
    assert_near(ours(X), theirs(X))
    assert_near(ours(X[:1]), theirs(X[:1]))


def test_running_statistics_are_torchs_and_the_variance_is_the_unbiased_one():
    ours, theirs = MODULES["batch"]()
    for seed in range(6):
        x = draw(3, 5, seed=20 + seed, scale=2.0, shift=seed)
        ours(x), theirs(x)
    assert_near(ours.running_mean, theirs.running_mean)
    assert_near(ours.running_var, theirs.running_var)
    fresh = norm.BatchNorm1d(5, momentum=1.0).double()
    fresh(x)
    assert_near(fresh.running_var, x.var(0))  # 1/(B-1)


def test_gradients_of_the_modules_are_torchs_in_both_modes():
    ours, theirs = MODULES["batch"]()
    for mode in (True, False):
        ours.train(mode), theirs.train(mode)
        x, x_torch = X.clone().requires_grad_(), X.clone().requires_grad_()
        a = torch.autograd.grad(ours(x), (x, ours.gamma, ours.beta), GRAD_Y)
        b = torch.autograd.grad(theirs(x_torch), (x_torch, theirs.weight, theirs.bias), GRAD_Y)
        for mine, reference in zip(a, b, strict=True):
            assert_near(mine, reference)


def test_no_grad_does_not_stop_the_running_statistics_and_eval_does():
    module = norm.BatchNorm1d(5).double()
    with torch.no_grad():
        module(X)
    moved = module.running_mean.clone()
    assert moved.abs().min() > 0
    module.eval()(X)
    assert torch.equal(module.running_mean, moved)


def test_running_statistics_take_no_part_in_the_gradient():
    module = norm.BatchNorm1d(5).double()
    module(X.clone().requires_grad_()).sum().backward()
    assert not module.running_mean.requires_grad
    assert [name for name, _ in module.named_parameters()] == ["gamma", "beta"]


def test_momentum_is_the_weight_of_the_new_value():
    r = torch.zeros(1, **FLOAT64)
    for _ in range(20):
        r = norm.running_average(r, torch.ones(1, **FLOAT64), momentum=0.1)
    assert_near(r, torch.tensor([1 - 0.9**20], **FLOAT64))


@pytest.mark.parametrize("make", [norm.BatchNorm1d, norm.LayerNorm, norm.RMSNorm])
def test_state_goes_round_through_state_dict(make):
    module, other = make(5), make(5)
    with torch.no_grad():
        module.gamma.copy_(GAMMA)
    module(X.float())
    other.load_state_dict(module.state_dict())
    assert torch.equal(module.eval()(X.float()), other.eval()(X.float()))


def test_layer_norm_takes_any_number_of_leading_dimensions_and_so_does_its_backward():
    x, grad_y = draw(2, 3, 5, seed=5), draw(2, 3, 5, seed=6)
    flat = norm.layer_norm(x.reshape(6, 5), GAMMA, BETA)
    y, saved = norm.layer_norm(x, GAMMA, BETA)
    assert_near(y, flat[0].reshape(2, 3, 5))
    for a, b in zip(
        norm.layer_norm_backward(grad_y, saved),
        norm.layer_norm_backward(grad_y.reshape(6, 5), flat[1]),
        strict=True,
    ):
        assert_near(a.reshape(b.shape), b)


def test_batch_norm_ignores_scale_and_shift_of_each_unit():
    scale, shift = draw(5, seed=7).abs() + 0.1, draw(5, seed=8)
    normalize = functools.partial(norm.batch_norm, gamma=GAMMA, beta=BETA, eps=0.0)
    assert_near(normalize(X)[0], normalize(scale * X + shift)[0])


def test_layer_norm_ignores_a_shift_of_the_example_and_rms_norm_does_not():
    a, b = (norm.layer_norm(x, GAMMA, BETA, eps=0.0)[0] for x in (X, 3 * X + 2))
    assert_near(a, b)
    a, b = (norm.rms_norm(x, GAMMA, eps=0.0)[0] for x in (X, 3 * X))
    assert_near(a, b)
    assert (norm.rms_norm(X + 2, GAMMA, eps=0.0)[0] - a).abs().max() > 0.1


def test_the_gradient_of_batch_norm_has_no_part_along_the_mean_or_along_x_hat():
    _, saved = norm.batch_norm(X, GAMMA, BETA, eps=0.0)
    grad_x, *_ = norm.batch_norm_backward(GRAD_Y, saved)
    zero = torch.zeros(5, **FLOAT64)
    assert_near(grad_x.sum(0), zero)
    assert_near((grad_x * saved.x_hat).sum(0), zero)


def test_a_batch_of_two_comes_out_as_plus_and_minus_one_and_passes_no_gradient():
    _, saved = norm.batch_norm(X[:2], GAMMA, BETA, eps=0.0)
    assert_near(saved.x_hat.abs(), torch.ones(2, 5, **FLOAT64))
    assert_near(norm.batch_norm_backward(GRAD_Y[:2], saved)[0], torch.zeros(2, 5, **FLOAT64))


# Clipping


def with_gradients(grads):
    parameters = [nn.Parameter(torch.zeros_like(grad)) for grad in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad.clone()
    return parameters


GRADS = [draw(3, 4, seed=30), draw(6, seed=31, scale=5.0), draw(2, 1, 3, seed=32)]


@pytest.mark.parametrize("limit", [0.5, 3.0, 1e3])
def test_clipping_is_torchs(limit):
    parameters = with_gradients(GRADS)
    nn.utils.clip_grad_value_(parameters, limit)
    for ours, parameter in zip(norm.clip_by_value(GRADS, limit), parameters, strict=True):
        assert_near(ours, parameter.grad)
    parameters = with_gradients(GRADS)
    expected_norm = nn.utils.clip_grad_norm_(parameters, limit)
    clipped, total = norm.clip_by_norm(GRADS, limit)
    assert_near(total, expected_norm)
    for ours, parameter in zip(clipped, parameters, strict=True):
        assert_near(ours, parameter.grad)


def flat(grads):
    return torch.cat([grad.flatten() for grad in grads])


def test_clipping_by_norm_keeps_the_direction_and_clipping_by_value_does_not():
    by_norm, total = norm.clip_by_norm(GRADS, 2.0, eps=0.0)
    cosine = functools.partial(F.cosine_similarity, flat(GRADS), dim=0)
    assert cosine(flat(by_norm)).item() == pytest.approx(1.0, abs=1e-12)
    assert flat(by_norm).norm().item() == pytest.approx(2.0, rel=1e-12)
    assert total.item() == pytest.approx(flat(GRADS).norm().item(), rel=1e-12)
    assert cosine(flat(norm.clip_by_value(GRADS, 0.5))).item() < 0.95


def test_a_gradient_of_zero_or_below_the_limit_stays():
    zero, _ = norm.clip_by_norm([torch.zeros(3)], 1.0)
    assert torch.equal(zero[0], torch.zeros(3))
    below, _ = norm.clip_by_norm(GRADS, 1e3)
    assert torch.equal(flat(below), flat(GRADS))


# Errors


def test_a_batch_of_one_has_no_variance():
    with pytest.raises(
        ValueError, match=r"at least 2 examples.*\(1, 64\).*Use LayerNorm, or call model.eval"
    ):
        norm.BatchNorm1d(64)(torch.zeros(1, 64))
    assert norm.BatchNorm1d(64).eval()(torch.zeros(1, 64)).shape == (1, 64)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: norm.BatchNorm1d(4)(torch.zeros(8, 5)),
            r"gamma needs one number for each .* shape \(4,\) and x of shape \(8, 5\)",
        ),
        (
            lambda: norm.BatchNorm1d(4).eval()(torch.zeros(8, 5)),
            r"gamma needs one number for each .* shape \(4,\) and x of shape \(8, 5\)",
        ),
        (lambda: norm.BatchNorm1d(4)(torch.zeros(8, 4, 2)), r"x needs shape \(any, any\), got \(8, 4, 2\)"),
        (lambda: norm.BatchNorm1d(0), "num_features must be a finite number > 0"),
        (lambda: norm.BatchNorm1d(4, momentum=1.5), "momentum needs 0 <= momentum <= 1, got momentum=1.5"),
        (lambda: norm.BatchNorm1d(4, eps=-1.0), "eps must be a finite number >= 0"),
        (lambda: norm.batch_norm(X, GAMMA, BETA, eps=-1.0), "eps must be a finite number >= 0"),
        (
            lambda: norm.LayerNorm(4)(torch.zeros(8, 5)),
            r"gamma needs one number for each feature of x.*\(8, 5\)",
        ),
        (lambda: norm.RMSNorm(4)(torch.tensor(1.0)), r"gamma needs one number for each feature of x.*\(\)"),
        (lambda: norm.LayerNorm(0), "num_features must be"),
        (lambda: norm.RMSNorm(3, eps=-1.0), "eps must be a finite number >= 0"),
        (lambda: norm.clip_by_value(GRADS, 0.0), "limit must be a finite number > 0"),
        (lambda: norm.clip_by_norm(GRADS, -1.0), "max_norm must be a finite number > 0"),
        (lambda: norm.clip_by_norm([], 1.0), "at least one gradient, got grads="),
    ],
)
def test_arguments_out_of_range_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_moving_noise_moves_units_alike_for_all_examples_and_anew_at_every_step_in_training_only():
    noise = norm.MovingNoise(3)
    z = torch.arange(12.0, dtype=torch.float64).reshape(4, 3)
    first, second = noise(z), noise(z)
    assert not torch.equal(first, second)
    slopes = first.diff(dim=0) / z.diff(dim=0)  # one scale per unit: the same between all examples
    torch.testing.assert_close(slopes, slopes[:1].expand(3, 3))
    assert (slopes >= 1).all()
    assert torch.equal(noise.eval()(z), z)
