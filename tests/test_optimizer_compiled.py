"""Does the compiled Adam walk as the textbook says, and does nobody pay for the compiler who does not use it?"""

import copy
import shutil
import subprocess
import sys

import pytest
import torch
from torch import nn

from course_utils.optimizers import Adam, AdamState, CompiledAdam, adam_update, compiled
from course_utils.seeding import make_generator

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "cl"))), reason="no C++ compiler on this machine"
)


def make_parameters(dtype=torch.float64):
    """Return three parameters of different shapes; the last has no gradient at first."""
    generator = make_generator(0)
    return [nn.Parameter(torch.randn(s, generator=generator, dtype=dtype)) for s in ((3, 4), (5,), (2, 2))]


def walk(optimizer, parameters, num_steps, *, seed=1, idle=2):
    """Step along gradients drawn from `seed`; the parameter `idle` has none in the first two steps."""
    generator = make_generator(seed)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for step in range(num_steps):
        for k, p in enumerate(parameters):
            p.grad = torch.randn(p.shape, generator=generator, dtype=p.dtype) * 10 ** (k - 1)
            if k == idle and step < 2:
                p.grad = None
        optimizer.step()
        scheduler.step()


def test_the_lines_that_are_compiled_are_adam_update(generator):
    param = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    moved, state = param.clone(), AdamState.zeros_like(param)
    m, v = torch.zeros_like(param), torch.zeros_like(param)
    for t in range(1, 51):
        grad = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        numbers = torch.tensor([[0.01, 1 / (1 - 0.8**t), 1 / (1 - 0.99**t)]], dtype=torch.float64)
        compiled._move([moved], [grad], [m], [v], numbers, 0.8, 0.99, 1e-8)
        delta, state = adam_update(grad, state, lr=0.01, beta1=0.8, beta2=0.99)
        param += delta
    torch.testing.assert_close(moved, param, rtol=1e-12, atol=1e-14)


@needs_compiler
def test_it_walks_as_adam_with_decay_a_schedule_two_groups_and_an_idle_parameter():
    ends = []
    for kind in (Adam, CompiledAdam):
        parameters = make_parameters()
        groups = [{"params": parameters[:1], "l2": 0.1}, {"params": parameters[1:], "weight_decay": 0.2}]
        walk(kind(groups, lr=0.05), parameters, 20)
        ends.append(parameters)
    for ours, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@needs_compiler
def test_steps_after_the_first_compile_nothing_though_lr_and_t_change():
    parameters = make_parameters()
    optimizer = CompiledAdam(parameters)
    walk(optimizer, parameters, 1, idle=None)
    with torch._dynamo.config.patch(error_on_recompile=True):
        walk(optimizer, parameters, 3, idle=None)
    assert [optimizer.state[p]["step"] for p in parameters] == [4, 4, 4]


@needs_compiler
def test_adam_goes_on_from_its_state_and_the_same_way():
    first = make_parameters()
    started = CompiledAdam(first, lr=0.05)
    walk(started, first, 3)
    second = copy.deepcopy(first)
    resumed = Adam(second)
    resumed.load_state_dict(copy.deepcopy(started.state_dict()))  # torch shares tensors otherwise
    walk(started, first, 5, seed=2)
    walk(resumed, second, 5, seed=2)
    for ours, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@needs_compiler
def test_the_closure_is_evaluated_and_its_loss_returned():
    (p, *_) = make_parameters()

    def closure():
        p.grad = None
        loss = p.square().sum()
        loss.backward()
        return loss.item()

    expected = p.detach().square().sum().item()
    before = p.detach().clone()
    assert CompiledAdam([p]).step(closure) == pytest.approx(expected)
    torch.testing.assert_close(p.detach(), before - 1e-3 * before.sign(), rtol=1e-6, atol=1e-9)


@needs_compiler
def test_hooks_run_once_a_step_and_after_the_parameters_have_moved():
    (p, *_) = make_parameters()
    Adam([p])  # torch wraps the step of a class when its first optimizer is made
    p.grad = torch.ones_like(p)
    optimizer, before, seen = CompiledAdam([p]), p.detach().clone(), []
    optimizer.register_step_post_hook(lambda *_: seen.append(p.detach().clone()))
    optimizer.step()
    (after,) = seen
    torch.testing.assert_close(after, before - 1e-3, rtol=1e-6, atol=1e-9)


def test_importing_the_optimizers_does_not_load_the_compiler():
    code = "import sys, course_utils.optimizers; print('torch._dynamo' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
