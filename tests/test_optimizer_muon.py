"""Is Muon's step the one its paper describes, in both forms, beside the decomposition and beside torch's own?"""

import pytest
import torch

from course_utils.optimizers import MomentumState, Muon, muon_update, orthogonalize
from course_utils.optimizers.muon import NEWTON_SCHULZ
from course_utils.seeding import make_generator


def matrix(m, n, seed=0):
    return torch.randn(m, n, dtype=torch.float64, generator=make_generator(seed))


@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (32, 32), (1, 7)])
def test_five_steps_bring_all_but_the_smallest_singular_values_near_one_and_keep_the_vectors(shape):
    g = matrix(*shape)
    u, s, vh = torch.linalg.svd(g, full_matrices=False)
    rotated = u.T @ orthogonalize(g) @ vh.T  # diagonal, where the singular vectors are kept
    torch.testing.assert_close(rotated, torch.diag(torch.diagonal(rotated)), atol=1e-10, rtol=0)
    seen = torch.diagonal(rotated)[s > 0.02 * g.norm()]
    assert len(seen) >= 1
    assert seen.min() > 0.68
    assert seen.max() < 1.14


def test_each_singular_value_moves_by_the_polynomial_alone():
    g = matrix(6, 9)
    u, s, vh = torch.linalg.svd(g, full_matrices=False)
    a, b, c = NEWTON_SCHULZ
    moved = s / g.norm()
    for _ in range(3):
        moved = a * moved + b * moved**3 + c * moved**5
    torch.testing.assert_close(orthogonalize(g, steps=3), u @ torch.diag(moved) @ vh, rtol=1e-11, atol=1e-12)


def test_a_stack_is_orthogonalized_matrix_by_matrix_and_zeros_stay_zeros():
    stack = torch.stack([matrix(5, 8, 1), 100 * matrix(5, 8, 2), torch.zeros(5, 8, dtype=torch.float64)])
    torch.testing.assert_close(
        orthogonalize(stack), torch.stack([orthogonalize(g) for g in stack]), rtol=1e-12, atol=1e-14
    )
    assert not orthogonalize(stack)[2].any()


@pytest.mark.parametrize(
    ("shape", "steps", "message"),
    [
        ((5,), 5, r"matrix must have two or more axes \[\.\.\., m, n\], got the shape \(5,\)"),
        ((5, 5), 0, "steps must be a whole number from 1 to 1000, got steps=0"),
    ],
)
def test_a_vector_or_no_step_is_refused(shape, steps, message):
    with pytest.raises(ValueError, match=message):
        orthogonalize(torch.ones(shape), steps=steps)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12)])
def test_the_class_walks_as_the_rule_does(shape):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(matrix(*shape))
    optimizer = Muon([weight], lr=0.03, momentum=0.9, steps=4)
    ours, state = weight.detach().clone(), MomentumState.zeros_like(weight.detach())
    for step in range(100):
        grad = matrix(*shape, seed=step) + ours
        weight.grad = grad.clone()
        optimizer.step()
        delta, state = muon_update(grad, state, lr=0.03, momentum=0.9, steps=4)
        ours = ours + delta
        torch.testing.assert_close(weight.detach(), ours, rtol=1e-11, atol=1e-12)
        weight.data.copy_(ours)


@pytest.mark.parametrize("shape", [(12, 20), (40, 10)])
def test_the_class_walks_as_torch_does_up_to_the_bfloat16_of_torch(shape):
    ours, theirs = (torch.nn.Parameter(matrix(*shape).float()) for _ in range(2))
    pair = [
        (ours, Muon([ours], lr=0.02, momentum=0.95, weight_decay=0.1, dtype=torch.bfloat16)),
        (theirs, torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.1)),
    ]
    for step in range(100):
        for weight, optimizer in pair:
            weight.grad = matrix(*shape, seed=step).float() + weight.detach()
            optimizer.step()
    # a step has singular values near lr; after 100 of them, which do not cancel, both are within a step
    moved = (theirs - matrix(*shape).float()).norm()
    assert (ours - theirs).norm() < 0.01 * moved


def test_a_wide_step_has_singular_values_of_the_rate_and_a_tall_one_larger_by_the_root():
    for shape, gain in (((10, 40), 1.0), ((40, 10), 2.0)):
        delta, _ = muon_update(matrix(*shape), MomentumState.zeros_like(matrix(*shape)), lr=0.02)
        singular = torch.linalg.svdvals(delta) / (0.02 * gain)
        assert singular.min() > 0.65
        assert singular.max() < 1.15


def test_the_step_does_not_know_how_large_the_gradient_is():
    g, state = matrix(8, 8), MomentumState.zeros_like(matrix(8, 8))
    small, _ = muon_update(1e-4 * g, state, lr=0.1)
    large, _ = muon_update(1e4 * g, state, lr=0.1)
    torch.testing.assert_close(small, large, rtol=1e-9, atol=1e-12)


def test_what_is_no_matrix_is_refused_by_name_and_shape():
    with pytest.raises(ValueError, match=r"shape \(7,\); give biases to AdamW"):
        Muon([torch.nn.Parameter(torch.ones(7))])
    with pytest.raises(ValueError, match="steps"):
        Muon([torch.nn.Parameter(torch.ones(7, 7))], steps=0)


def test_memory_is_one_tensor_of_the_weights_shape():
    weight = torch.nn.Parameter(torch.ones(3, 4))
    weight.grad = torch.ones(3, 4)
    optimizer = Muon([weight])
    optimizer.step()
    assert [tuple(v.shape) for v in optimizer.state[weight].values()] == [(3, 4)]
