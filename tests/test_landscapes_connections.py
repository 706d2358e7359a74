"""Barriers are heights above a chord; a Bezier curve goes through its ends, and its bend follows the gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.landscapes import (
    barrier,
    bezier,
    loss_along_curve,
    loss_along_line,
    train_bend,
    weights_of,
)
from course_utils.models import MLP
from course_utils.seeding import make_generator


def networks():
    generator = make_generator(2)
    start, end = (weights_of(MLP((6, 8, 4), generator=make_generator(seed)).double()) for seed in (0, 1))
    x = torch.randn(25, 6, dtype=torch.float64, generator=generator)
    return MLP((6, 8, 4)).double(), start, end, x, torch.randint(0, 4, (25,), generator=generator)


def test_barrier_is_the_height_above_the_chord_and_not_above_the_lower_end():
    t = torch.tensor([0.0, 0.25, 1.0])
    assert float(barrier(t, torch.tensor([1.0, 3.0, 5.0]))) == 1.0
    assert barrier(t, torch.tensor([[1.0, 3.0, 5.0], [5.0, 9.0, 1.0]])).tolist() == [1.0, 5.0]


def test_barrier_of_a_valley_is_zero():
    assert float(barrier(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([1.0, 0.2, 1.0]))) == 0.0


def test_barrier_needs_both_ends():
    with pytest.raises(ValueError, match="t must go from 0 to 1, got -1 to 1"):
        barrier(torch.tensor([-1.0, 0.0, 1.0]), torch.zeros(3))


def test_curve_goes_through_its_ends_and_half_way_to_its_bend():
    _, start, end, *_ = networks()
    bend = {name: torch.full_like(w, 3.0) for name, w in start.items()}
    for name, w in start.items():
        assert torch.equal(bezier(start, bend, end, 0.0)[name], w)
        assert torch.equal(bezier(start, bend, end, 1.0)[name], end[name])
        torch.testing.assert_close(bezier(start, bend, end, 0.5)[name], (w + end[name]) / 4 + 1.5)


def test_curve_bent_to_the_middle_is_the_line():
    model, start, end, x, y = networks()
    middle = {name: (w + end[name]) / 2 for name, w in start.items()}
    t, straight = loss_along_line(model, start, end, x, y, num_points=7)
    t_curve, curved = loss_along_curve(model, start, middle, end, x, y, num_points=7)
    torch.testing.assert_close(t_curve, t)
    torch.testing.assert_close(curved, straight, rtol=1e-12, atol=1e-12)


def test_first_step_of_the_bend_is_adams_along_the_gradient_at_a_drawn_point():
    """Adam's first step is lr times the sign of the gradient: for all entries, where 2t(1 - t) > 0."""
    model, start, end, x, y = networks()
    middle = {name: (w + end[name]) / 2 for name, w in start.items()}
    bend = train_bend(
        model, start, end, x, y, generator=make_generator(4), num_steps=1, batch_size=9, lr=0.03
    )
    generator = make_generator(4)
    s = float(torch.rand((), generator=generator))
    index = torch.randint(0, 25, (9,), generator=generator)
    point = {name: w.clone().requires_grad_() for name, w in bezier(start, middle, end, s).items()}
    loss = F.cross_entropy(torch.func.functional_call(model, point, (x[index],)), y[index])
    for (name, w), grad in zip(middle.items(), torch.autograd.grad(loss, list(point.values())), strict=True):
        strong = grad.abs() > 1e-5
        torch.testing.assert_close((bend[name] - w)[strong], -0.03 * grad.sign()[strong], rtol=1e-2, atol=0.0)


def test_trained_bend_lowers_the_hill_and_leaves_model_and_ends_alone():
    model, start, end, x, y = networks()
    before = weights_of(model)
    kept = {name: w.clone() for name, w in (*start.items(),)}
    state = torch.random.get_rng_state()
    bend = train_bend(model, start, end, x, y, generator=make_generator(0), num_steps=150, lr=0.05)
    t, curved = loss_along_curve(model, start, bend, end, x, y)
    _, straight = loss_along_line(model, start, end, x, y)
    assert float(curved.mean()) < 0.8 * float(straight.mean())
    assert all(torch.equal(w, before[name]) for name, w in weights_of(model).items())
    assert all(torch.equal(w, kept[name]) and not w.requires_grad for name, w in start.items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert float(t[-1]) == 1.0


def test_bend_of_a_network_with_batch_norm_leaves_its_statistics_alone():
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4)).double().train()
    _, _, _, x, y = networks()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start = weights_of(model)
    end = {name: w + 0.1 for name, w in start.items()}
    train_bend(model, start, end, x, y, generator=make_generator(0), num_steps=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_curves_refuse_other_networks_and_empty_budgets():
    model, start, end, x, y = networks()
    other = weights_of(MLP((6, 7, 4)).double())
    with pytest.raises(ValueError, match="end belongs to another network"):
        train_bend(model, start, other, x, y, generator=make_generator(0))
    with pytest.raises(ValueError, match="bend belongs to another network"):
        loss_along_curve(model, start, other, end, x, y)
    with pytest.raises(ValueError, match="num_points must be at least 2"):
        loss_along_curve(model, start, start, end, x, y, num_points=1)
    with pytest.raises(ValueError, match="num_steps and batch_size must be at least 1, got 0 and 128"):
        train_bend(model, start, end, x, y, generator=make_generator(0), num_steps=0)
    with pytest.raises(ValueError, match="lr must be a finite number > 0"):
        train_bend(model, start, end, x, y, generator=make_generator(0), lr=-1.0)
