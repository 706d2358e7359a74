"""The update rules: identities that follow from each formula, and torch.optim as the oracle."""

import math

import pytest
import torch

from course_utils.optimizers import (
    RULES,
    AdaGradState,
    AdamState,
    EMAMomentumState,
    MomentumState,
    RMSPropState,
    adagrad_update,
    adam_update,
    decoupled_decay,
    ema_lr_to_torch,
    ema_momentum_update,
    momentum_update,
    nesterov_update,
    rmsprop_update,
    torch_lr_to_ema,
)
from course_utils.plotting import _base as plotting_base
from course_utils.seeding import make_generator

ORACLES = {
    "SGD": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "momentum (EMA)": lambda p, lr: torch.optim.SGD(p, lr=lr * (1 - 0.9), momentum=0.9),
    "Nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "AdaGrad": lambda p, lr: torch.optim.Adagrad(p, lr=lr),
    "RMSProp": lambda p, lr: torch.optim.RMSprop(p, lr=lr),
    "Adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "AdamW": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.0),
}


def bumpy(w):
    """Return a non-convex loss with a curvature that differs from entry to entry."""
    scale = torch.arange(1, w.numel() + 1, dtype=w.dtype).reshape(w.shape)
    return (0.1 * scale * w**2 + torch.sin(2 * w)).sum()


def gradient_of(w):
    w = w.detach().requires_grad_()
    return torch.autograd.grad(bumpy(w), w)[0]


def walk(rule, start, lr, num_steps):
    w, state = start.clone(), rule.init(start)
    for _ in range(num_steps):
        delta, state = rule.update(gradient_of(w), state, lr=lr)
        w = w + delta
    return w


def constant_steps(update, state, grad, num_steps, **hyper):
    """Return the steps (T, *grad.shape) that a rule takes under a gradient that never changes."""
    deltas = []
    for _ in range(num_steps):
        delta, state = update(grad, state, **hyper)
        deltas.append(delta)
    return torch.stack(deltas)


@pytest.fixture
def start():
    return torch.randn(3, 4, generator=make_generator(1), dtype=torch.float64)


@pytest.mark.parametrize("name", RULES)
def test_rule_agrees_with_torch_over_150_steps(name, start):
    param = start.clone().requires_grad_()
    oracle = ORACLES[name]([param], 0.05)
    for _ in range(150):
        oracle.zero_grad()
        bumpy(param).backward()
        oracle.step()
    moved = (param.detach() - start).abs().min()
    assert moved > 1e-3  # the comparison below is not one of two points that stayed where they were
    torch.testing.assert_close(walk(RULES[name], start, 0.05, 150), param.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_rule_leaves_its_inputs_alone(name, start):
    rule = RULES[name]
    grad = gradient_of(start)
    state = rule.update(grad, rule.init(start), lr=0.1)[1]
    before = [x.clone() if isinstance(x, torch.Tensor) else x for x in (grad, *state)]
    rule.update(grad, state, lr=0.1)
    for old, new in zip(before, (grad, *state), strict=True):
        assert torch.equal(torch.as_tensor(old), torch.as_tensor(new))


@pytest.mark.parametrize("name", RULES)
def test_one_call_with_a_tensor_of_learning_rates_equals_one_call_per_rate(name):
    lrs = torch.tensor([0.01, 0.3, 2.0], dtype=torch.float64)
    grads = torch.randn(6, 5, 1, 2, generator=make_generator(2), dtype=torch.float64).expand(6, 5, 3, 2)
    rule = RULES[name]
    state = rule.init(grads[0])
    singles = [rule.init(grads[0][:, 0]) for _ in lrs]
    for grad in grads:
        delta, state = rule.update(grad, state, lr=lrs[:, None])
        for k, lr in enumerate(lrs):
            single, singles[k] = rule.update(grad[:, k], singles[k], lr=lr.item())
            torch.testing.assert_close(delta[:, k], single, rtol=1e-14, atol=0.0)


def test_a_tensor_of_decays_gives_each_run_its_own():
    grad = torch.tensor([[2.0], [2.0]], dtype=torch.float64)
    beta1, beta2 = torch.tensor([[0.5], [0.9]]).double(), torch.tensor([[0.9], [0.99]]).double()
    both = constant_steps(adam_update, AdamState.zeros_like(grad), grad, 3, lr=1.0, beta1=beta1, beta2=beta2)
    for k in range(2):
        alone = constant_steps(adam_update, AdamState.zeros_like(grad[k]), grad[k], 3, lr=1.0,
                               beta1=beta1[k].item(), beta2=beta2[k].item())  # fmt: skip
        torch.testing.assert_close(both[:, k], alone, rtol=1e-14, atol=0.0)


def test_rules_have_the_names_that_figures_colour():
    assert set(RULES) <= set(plotting_base.METHOD_COLORS)
    assert all(name == rule.name for name, rule in RULES.items())


def test_first_adam_step_has_size_lr_whatever_the_gradient_scale():
    grad = torch.tensor([1e-6, -3.0, 4e5], dtype=torch.float64)
    delta, _ = adam_update(grad, AdamState.zeros_like(grad), lr=0.1, eps=0.0)
    torch.testing.assert_close(delta, -0.1 * grad.sign(), rtol=1e-12, atol=0.0)


def test_adam_step_is_lr_at_every_t_under_a_constant_gradient():
    grad = torch.tensor([0.7, -2e3], dtype=torch.float64)
    steps = constant_steps(adam_update, AdamState.zeros_like(grad), grad, 1000, lr=0.1, eps=0.0)
    torch.testing.assert_close(steps, (-0.1 * grad.sign()).expand(1000, 2), rtol=1e-12, atol=0.0)


def test_eps_shrinks_the_adam_step_by_g_over_g_plus_eps():
    grad = torch.tensor([1e-10], dtype=torch.float64)
    delta, _ = adam_update(grad, AdamState.zeros_like(grad), lr=1.0)
    assert -delta.item() == pytest.approx(1e-10 / (1e-10 + 1e-8), rel=1e-12)


def test_second_moment_is_elementwise_so_a_large_entry_does_not_shrink_a_small_one():
    grad = torch.tensor([1e-3, 1e3], dtype=torch.float64)
    delta, _ = adam_update(grad, AdamState.zeros_like(grad), lr=1.0, eps=0.0)
    torch.testing.assert_close(delta, -torch.ones(2).double(), rtol=1e-12, atol=0.0)


def test_adagrad_step_falls_as_one_over_root_t():
    grad = torch.tensor([5.0, -0.02], dtype=torch.float64)
    steps = constant_steps(adagrad_update, AdaGradState.zeros_like(grad), grad, 1000, lr=0.3, eps=0.0)
    t = torch.arange(1, 1001, dtype=torch.float64)[:, None]
    torch.testing.assert_close(steps, -0.3 * grad.sign() / t.sqrt(), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("beta2", [0.9, 0.99])
def test_first_rmsprop_step_is_larger_by_the_missing_correction(beta2):
    grad = torch.tensor([0.3, -7.0], dtype=torch.float64)
    steps = constant_steps(
        rmsprop_update, RMSPropState.zeros_like(grad), grad, 900, lr=0.1, beta2=beta2, eps=0.0
    )
    torch.testing.assert_close(steps[0], -0.1 * grad.sign() / math.sqrt(1 - beta2), rtol=1e-12, atol=0.0)
    torch.testing.assert_close(steps[-1], -0.1 * grad.sign(), rtol=1e-3, atol=0.0)  # 0.99**900 = 1e-4


def test_momentum_step_grows_to_one_over_one_minus_momentum():
    grad = torch.tensor([0.3, -7.0], dtype=torch.float64)
    steps = constant_steps(momentum_update, MomentumState.zeros_like(grad), grad, 400, lr=0.1, momentum=0.9)
    torch.testing.assert_close(steps[0], -0.1 * grad, rtol=1e-14, atol=0.0)
    torch.testing.assert_close(steps[-1], -1.0 * grad, rtol=1e-12, atol=0.0)


def test_nesterov_step_is_the_gradient_plus_momentum_times_the_next_velocity():
    grad = torch.tensor([0.3, -7.0], dtype=torch.float64)
    steps = constant_steps(nesterov_update, MomentumState.zeros_like(grad), grad, 2, lr=1.0, momentum=0.5)
    torch.testing.assert_close(steps, torch.stack([-1.5 * grad, -1.75 * grad]), rtol=1e-14, atol=0.0)


def test_ema_momentum_walks_the_path_of_heavy_ball_at_the_converted_lr(start):
    ema, ball = start.clone(), start.clone()
    ema_state, ball_state = EMAMomentumState.zeros_like(start), MomentumState.zeros_like(start)
    for _ in range(60):
        delta, ema_state = ema_momentum_update(gradient_of(ema), ema_state, lr=0.4, beta1=0.8)
        ema = ema + delta
        lr = ema_lr_to_torch(0.4, 0.8)
        delta, ball_state = momentum_update(gradient_of(ball), ball_state, lr=lr, momentum=0.8)
        ball = ball + delta
    torch.testing.assert_close(ema, ball, rtol=1e-12, atol=1e-12)


def test_the_two_conversions_undo_each_other():
    assert ema_lr_to_torch(0.5, 0.9) == pytest.approx(0.05, rel=1e-12)
    assert torch_lr_to_ema(ema_lr_to_torch(0.37, 0.95), 0.95) == pytest.approx(0.37, rel=1e-12)


def test_adam_with_decoupled_decay_is_torch_adamw(start):
    param = start.clone().requires_grad_()
    oracle = torch.optim.AdamW([param], lr=0.02, weight_decay=0.3)
    w, state = start.clone(), AdamState.zeros_like(start)
    for _ in range(100):
        oracle.zero_grad()
        bumpy(param).backward()
        oracle.step()
        delta, state = adam_update(gradient_of(w), state, lr=0.02)
        w = w + delta + decoupled_decay(w, lr=0.02, weight_decay=0.3)
    torch.testing.assert_close(w, param.detach(), rtol=1e-12, atol=1e-12)


def test_decoupled_decay_shrinks_all_weights_by_the_same_factor_and_l2_under_adam_does_not():
    start = torch.tensor([1.0, 0.5], dtype=torch.float64)
    decayed, penalized, state = start, start, AdamState.zeros_like(start)
    for _ in range(100):
        decayed = decayed + decoupled_decay(decayed, lr=1e-3, weight_decay=0.1)
        delta, state = adam_update(0.1 * penalized, state, lr=1e-3)
        penalized = penalized + delta
    torch.testing.assert_close(decayed, start * (1 - 1e-4) ** 100, rtol=1e-12, atol=0.0)
    # the penalty's gradient is divided by its own root mean square: both weights lose about lr a step
    torch.testing.assert_close(start - penalized, torch.full_like(start, 0.1), rtol=0.1, atol=0.0)
