"""Do the schedule-free methods train at y, evaluate at the average, and walk as packages of others do?"""

import copy

import pytest
import torch
from walking import assert_agree, by_class, by_rule, matrix, remembered

from course_utils.optimizers import (
    ScheduleFreeAdam,
    ScheduleFreeAdamState,
    ScheduleFreeSGD,
    ScheduleFreeState,
    schedule_free_adam_update,
    schedule_free_sgd_update,
)
from course_utils.training.schedules import warmup

START = matrix(3, 4, seed=1)
CLASSES = pytest.mark.parametrize("make", [ScheduleFreeSGD, ScheduleFreeAdam])


def walked(make, num_steps, **hyper):
    return by_class(lambda p: make(p, lr=0.02, **hyper), START, num_steps)


def to_average(w, optimizer):
    optimizer.eval()
    return w


@pytest.mark.parametrize("rising", [1, 20])
def test_sgd_walks_as_in_pytorch_optimizer_over_150_steps_at_both_points(rising):
    peer = pytest.importorskip("pytorch_optimizer")
    ours = by_class(
        lambda p: ScheduleFreeSGD(p, lr=0.05, beta1=0.8, weight_decay=0.1), START, 150,
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, warmup(rising)),
    )  # fmt: skip
    theirs = by_class(
        lambda p: _training(peer.ScheduleFreeSGD(p, lr=0.05, momentum=0.8, weight_decay=0.1,
                                                 warmup_steps=rising)), START, 150,
    )  # fmt: skip
    assert_agree(ours[0], theirs[0], START)
    assert_agree(to_average(*ours), to_average(*theirs), START)


@pytest.mark.parametrize("rising", [1, 20])
def test_adam_walks_as_in_pytorch_optimizer_over_150_steps_at_both_points(rising):
    peer = pytest.importorskip("pytorch_optimizer")
    ours = by_class(
        lambda p: ScheduleFreeAdam(p, lr=0.05, beta1=0.8, beta2=0.97, eps=1e-7, weight_decay=0.1), START, 150,
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, warmup(rising)),
    )  # fmt: skip
    theirs = by_class(
        lambda p: _training(peer.ScheduleFreeAdamW(p, lr=0.05, betas=(0.8, 0.97), eps=1e-7, weight_decay=0.1,
                                                   warmup_steps=rising)), START, 150,
    )  # fmt: skip
    assert_agree(ours[0], theirs[0], START)
    assert_agree(to_average(*ours), to_average(*theirs), START)


def _training(optimizer):
    optimizer.train()
    return optimizer


@pytest.mark.parametrize(
    ("make", "update", "state", "hyper"),
    [(ScheduleFreeSGD, schedule_free_sgd_update, ScheduleFreeState, {"beta1": 0.7}),
     (ScheduleFreeAdam, schedule_free_adam_update, ScheduleFreeAdamState,
      {"beta1": 0.7, "beta2": 0.9, "eps": 1e-5})],
)  # fmt: skip
def test_the_class_walks_as_the_rule_does(make, update, state, hyper):
    ours, _ = walked(make, 100, weight_decay=0.1, **hyper)
    rule = by_rule(update, state.start_at(START), START, 100, lr=0.02, weight_decay=0.1, **hyper)
    assert_agree(ours, rule, START, 1e-12)


def test_at_a_constant_rate_x_is_the_mean_of_all_z_and_y_lies_between():
    y, state, zs = START, ScheduleFreeState.start_at(START), []
    for k in range(100):
        delta, state = schedule_free_sgd_update(matrix(3, 4, seed=k), state, lr=0.3, beta1=0.6)
        y = y + delta
        zs.append(state.z)
    torch.testing.assert_close(state.x, torch.stack(zs).mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y, 0.4 * state.z + 0.6 * state.x, rtol=1e-12, atol=1e-12)


def test_the_average_weighs_each_step_by_the_square_of_its_rate():
    rates, state, zs = [0.1, 0.3, 0.2], ScheduleFreeState.start_at(START), []
    for k, lr in enumerate(rates):
        _, state = schedule_free_sgd_update(matrix(3, 4, seed=k), state, lr=lr)
        zs.append(state.z)
    expected = sum(lr**2 * z for lr, z in zip(rates, zs, strict=True)) / sum(lr**2 for lr in rates)
    torch.testing.assert_close(state.x, expected, rtol=1e-12, atol=1e-12)


@CLASSES
def test_looking_at_the_average_changes_nothing_in_the_run(make):
    w, optimizer = walked(make, 20)
    y = w.detach().clone()
    optimizer.eval()
    optimizer.eval()  # a second time: nothing more
    assert (w - y).abs().min() > 0
    optimizer.train()
    assert torch.equal(w, y)
    assert remembered(optimizer) == remembered(walked(make, 20)[1])


@CLASSES
def test_a_run_that_is_stored_at_the_average_goes_on_bit_for_bit(make):
    w, optimizer = walked(make, 20)
    optimizer.eval()
    twin = torch.nn.Parameter(w.detach().clone())
    second = make([twin])
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for param, walker in ((w, optimizer), (twin, second)):
        walker.train()
        param.grad = matrix(3, 4, seed=9)
        walker.step()
    assert torch.equal(w, twin)


@CLASSES
def test_a_step_from_the_average_is_refused(make):
    w, optimizer = walked(make, 2)
    optimizer.eval()
    before = w.detach().clone()
    with pytest.raises(RuntimeError, match=r"steps from y, and its parameters stand at x: call train\(\)"):
        optimizer.step()
    assert torch.equal(w, before)


@CLASSES
def test_without_interpolation_the_average_cannot_be_found_again(make):
    with pytest.raises(ValueError, match=r"beta1 of .* must be > 0, got beta1=0\.0"):
        make([torch.nn.Parameter(START)], beta1=0.0)


@CLASSES
def test_a_rate_of_zero_leaves_all_points_where_they_are(make):
    w, optimizer = by_class(lambda p: make(p, lr=0.0), START, 3)
    assert torch.equal(w, START)
    optimizer.eval()
    torch.testing.assert_close(w.detach(), START)


def test_memory_is_one_tensor_for_sgd_and_two_for_adam():
    assert remembered(walked(ScheduleFreeSGD, 1)[1]) == [(3, 4)]
    assert remembered(walked(ScheduleFreeAdam, 1)[1]) == [(3, 4)] * 2
