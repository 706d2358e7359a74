"""Walks of whole grids are those of single runs, and the tasks have the geometry that they claim."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_utils import optimizers
from course_utils.contests import make_bowl, make_network, make_words, pool, walk
from course_utils.optimizers import ZOO
from course_utils.plotting import METHOD_COLORS
from course_utils.seeding import make_generator
from course_utils.training.schedules import linear

SEEDS = [5, 6, 7]
CLASSES = {
    "SGD": optimizers.SGD, "momentum": optimizers.Momentum, "Nesterov": optimizers.Nesterov,
    "AdaGrad": optimizers.AdaGrad, "RMSProp": optimizers.RMSProp, "Adam": optimizers.Adam,
    "AMSGrad": optimizers.AMSGrad, "Lion": optimizers.Lion, "Muon": optimizers.Muon,
    "Shampoo": optimizers.Shampoo, "SOAP": optimizers.SOAP,
    "schedule-free SGD": optimizers.ScheduleFreeSGD, "schedule-free Adam": optimizers.ScheduleFreeAdam,
}  # fmt: skip


def test_the_zoo_holds_the_rules_and_seven_more_each_with_a_colour():
    assert set(optimizers.RULES) < set(ZOO)
    assert len(ZOO) == len(optimizers.RULES) + 7
    assert set(ZOO) <= set(METHOD_COLORS)
    assert all(name == rule.name for name, rule in ZOO.items())


@pytest.mark.parametrize("name", CLASSES)
def test_a_walk_of_all_rates_and_seeds_is_that_of_the_class_with_its_scheduler(name):
    task, lrs = make_bowl(SEEDS, condition=50, size=4), [0.02, 0.3]
    share = None if name.startswith("schedule-free") else linear(30)
    ends = walk(ZOO[name], task.losses, task.starts, lrs, num_steps=30, share=share)
    for k, lr in enumerate(lrs):
        for s in range(len(SEEDS)):
            alone = make_bowl(SEEDS[s : s + 1], condition=50, size=4)
            param = alone.starts[0][0].clone().requires_grad_()
            optimizer = CLASSES[name]([param], lr=lr)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, share or (lambda step: 1.0))
            for step in range(30):
                optimizer.zero_grad()
                alone.losses([param[None]], step).sum().backward()
                optimizer.step()
                scheduler.step()
            if isinstance(optimizer, optimizers.ScheduleFreeSGD | optimizers.ScheduleFreeAdam):
                optimizer.eval()
            loose = {"rtol": 1e-4, "atol": 1e-5} if name == "SOAP" else {"rtol": 1e-7, "atol": 1e-9}
            torch.testing.assert_close(
                ends[0][k, s], param.detach(), **loose
            )  # SOAP turns rounding into angles


def test_weight_decay_is_that_of_adamw():
    task = make_bowl(SEEDS[:1], condition=10, size=3)
    (end,) = walk(ZOO["AdamW"], task.losses, task.starts, [0.1], num_steps=20, weight_decay=0.3)
    param = task.starts[0][0].clone().requires_grad_()
    optimizer = optimizers.AdamW([param], lr=0.1, weight_decay=0.3)
    for step in range(20):
        optimizer.zero_grad()
        task.losses([param[None]], step).sum().backward()
        optimizer.step()
    torch.testing.assert_close(end[0, 0], param.detach(), rtol=1e-10, atol=1e-12)


def test_a_walk_leaves_its_starts_alone_and_shows_every_loss():
    task, seen = make_bowl(SEEDS, size=3), []
    before = task.starts[0].clone()
    walk(
        ZOO["Adam"],
        task.losses,
        task.starts,
        [0.1, 1.0],
        num_steps=4,
        on_step=lambda step, v: seen.append((step, v)),
    )
    assert torch.equal(task.starts[0], before)
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    torch.testing.assert_close(seen[0][1], task.losses(task.starts, 0).expand(2, -1))


def test_the_bowl_has_its_condition_number_turned_or_not_and_starts_at_the_same_loss():
    turned, along = (make_bowl(SEEDS, condition=100, size=3, turned=turned) for turned in (True, False))
    for task in (turned, along):
        hessian = torch.autograd.functional.hessian(
            lambda w, task=task: task.losses([w.view(1, 1, 3, 3).expand(1, 3, 3, 3)], 0)[0, 0],
            torch.zeros(9).double(),
        )
        values = torch.linalg.eigvalsh(hessian)
        assert (values[-1] / values[0]).item() == pytest.approx(100, rel=1e-9)
        assert task.score(task.starts).tolist() == [1.0] * 3
    assert (hessian - hessian.diag().diag()).abs().max() < 1e-12  # along the axes it is diagonal
    torch.testing.assert_close(turned.losses(turned.starts, 0), along.losses(along.starts, 0))


def test_gradient_descent_does_not_see_the_turn_and_adam_does():
    ends = {
        (name, turned): make_bowl(SEEDS, turned=turned).score(
            walk(ZOO[name], make_bowl(SEEDS, turned=turned).losses, make_bowl(SEEDS).starts, [0.3], num_steps=50)
        )
        for name in ("SGD", "Shampoo", "Adam") for turned in (True, False)
    }  # fmt: skip
    torch.testing.assert_close(ends["SGD", True], ends["SGD", False], rtol=1e-9, atol=0)
    torch.testing.assert_close(ends["Shampoo", True], ends["Shampoo", False], rtol=1e-6, atol=0)
    assert (ends["Adam", True] / ends["Adam", False] - 1).abs().min() > 0.05


def test_words_are_as_frequent_as_one_over_their_rank():
    task = make_words([3], num_words=50, num_examples=20_000, length=1, batch_size=20_000)
    grads = torch.autograd.grad(
        task.losses([start := task.starts[0].clone().requires_grad_()], 0).sum(), start
    )[0]
    assert task.score(task.starts).item() == pytest.approx(math.log(5), rel=1e-5)  # guessing
    sizes = grads[0].abs().sum(1)
    assert sizes[:5].mean() > 4 * sizes[40:].mean()


def test_the_network_is_torchs_with_biases_as_rows():
    x, y = torch.randn(40, 6, generator=make_generator(0)), torch.arange(40) % 3
    task = make_network([4, 9], x, y, width=5, batch_size=8)
    first, last = (w[1] for w in task.starts)
    logits = F.linear(F.relu(F.linear(x, first[:-1].T, first[-1])), last[:-1].T, last[-1])
    torch.testing.assert_close(task.score(task.starts)[1], F.cross_entropy(logits, y))
    assert not first[-1].any()
    assert not torch.equal(*task.starts[0])


def test_batches_depend_on_the_step_and_on_nothing_else():
    x, y = torch.randn(40, 6, generator=make_generator(0)), torch.arange(40) % 3
    one, other = make_network([4, 9], x, y, batch_size=8), make_network([4], x, y, batch_size=8)
    one.losses(one.starts, 1)
    torch.testing.assert_close(one.losses(one.starts, 5)[:1], other.losses(other.starts, 5))
    assert not torch.equal(one.losses(one.starts, 5), one.losses(one.starts, 6))


def test_pooling_takes_means_of_blocks():
    images = torch.arange(16.0).reshape(1, 16)
    assert pool(images, side=4).tolist() == [[2.5, 4.5, 10.5, 12.5]]


def test_what_cannot_be_walked_is_refused_by_name():
    task = make_bowl(SEEDS, size=3)
    with pytest.raises(ValueError, match=r"share must be None for schedule-free SGD, which averages"):
        walk(ZOO["schedule-free SGD"], task.losses, task.starts, [0.1], num_steps=2, share=linear(2))
    with pytest.raises(
        ValueError, match=r"losses must return shape \(1, 3\), one for each of lrs and each run"
    ):
        walk(ZOO["SGD"], lambda params, step: params[0].sum(), task.starts, [0.1], num_steps=2)
    with pytest.raises(ValueError, match=r"starts needs real parameters \[S, ...\] of the same S"):
        walk(ZOO["SGD"], task.losses, [torch.zeros(3)], [0.1], num_steps=2)
    with pytest.raises(ValueError, match=r"losses must depend on all of starts, but number 1 is not used"):
        walk(ZOO["SGD"], task.losses, [*task.starts, torch.zeros(3, 2)], [0.1], num_steps=2)
    with pytest.raises(ValueError, match=r"batch_size needs 1 to 4, the number of images"):
        make_network(SEEDS, torch.zeros(4, 3), torch.zeros(4).long(), batch_size=5)
    with pytest.raises(ValueError, match=r"condition must be at most 1e\+12"):
        make_bowl(SEEDS, condition=1e13)
    with pytest.raises(ValueError, match=r"images needs shape \(N, 784\) and a block that divides 28"):
        pool(torch.zeros(2, 100))
