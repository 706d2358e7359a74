"""Is Lion the sign of a blend, in both forms, and does it walk as a package of others does?"""

import pytest
import torch
from walking import assert_agree, by_class, by_rule, matrix, remembered

from course_utils.optimizers import EMAMomentumState, Lion, lion_update

START = matrix(3, 4, seed=1)
HYPER = {
    "lr": 0.013,
    "beta1": 0.85,
    "beta2": 0.97,
}  # none of them a default, so that an ignored argument shows


def test_the_class_walks_as_the_rule_does():
    ours, _ = by_class(lambda p: Lion(p, **HYPER), START, 150)
    rule = by_rule(lion_update, EMAMomentumState.zeros_like(START), START, 150, **HYPER)
    assert_agree(ours, rule, START, 1e-12)


@pytest.mark.parametrize("hyper", [{}, {"beta1": 0.85, "beta2": 0.97}], ids=["defaults", "others"])
def test_lion_walks_as_in_pytorch_optimizer_over_150_steps_with_decay(hyper):
    peer = pytest.importorskip("pytorch_optimizer")
    betas = (hyper.get("beta1", 0.9), hyper.get("beta2", 0.99))
    ours, _ = by_class(lambda p: Lion(p, lr=0.013, weight_decay=0.2, **hyper), START, 150)
    theirs, _ = by_class(lambda p: peer.Lion(p, lr=0.013, betas=betas, weight_decay=0.2), START, 150)
    assert_agree(ours, theirs, START)


def test_every_entry_moves_by_lr_whatever_the_gradient():
    grad = torch.tensor([1e-9, -3.0, 4e5, 0.0], dtype=torch.float64)
    delta, _ = lion_update(grad, EMAMomentumState.zeros_like(grad), lr=0.1)
    assert delta.tolist() == [-0.1, 0.1, -0.1, 0.0]


def test_a_gradient_turns_the_step_sooner_than_the_average():
    old = EMAMomentumState(torch.tensor([1.0, 1.0], dtype=torch.float64))
    # the blend 0.9 m + 0.1 g changes sign at g = -9 m, the average of decay 0.99 at g = -99 m
    delta, new = lion_update(torch.tensor([-8.9, -9.1], dtype=torch.float64), old, lr=1.0)
    assert delta.tolist() == [-1.0, 1.0]
    assert (new.m > 0).all()


def test_no_step_of_entries_up_to_lr_lowers_a_linear_loss_more():
    grad, none = matrix(4, 5), EMAMomentumState.zeros_like(matrix(4, 5))
    best = (grad * lion_update(grad, none, lr=0.1)[0]).sum()
    for seed in range(20):
        rival = 0.1 * torch.tanh(3 * matrix(4, 5, seed=seed))
        assert best < (grad * rival).sum()


def test_memory_is_one_tensor_of_the_parameters_shape():
    _, optimizer = by_class(Lion, START, 1)
    assert remembered(optimizer) == [(3, 4)]
