"""Do Shampoo and SOAP turn with the gradient, and do they walk as a package of others does?"""

import pytest
import torch
from walking import assert_agree, by_class, by_rule, matrix, remembered

from course_utils.contests import make_words
from course_utils.optimizers import (
    SOAP,
    AdaGradState,
    AdamState,
    Shampoo,
    ShampooState,
    SOAPState,
    adagrad_update,
    adam_update,
    shampoo_update,
    soap_update,
)

START = matrix(3, 5, seed=1)
SQUARE = matrix(4, 4, seed=1)  # its first gradient has one basis, where others leave a null space to rounding
RULES = {"Shampoo": (shampoo_update, ShampooState), "SOAP": (soap_update, SOAPState)}
each = pytest.mark.parametrize(("update", "state"), RULES.values(), ids=RULES)


def steps(update, state, grads, **hyper):
    deltas = []
    for grad in grads:
        delta, state = update(grad, state, **hyper)
        deltas.append(delta)
    return torch.stack(deltas)


@pytest.mark.parametrize("start", [START, START.T.contiguous()], ids=["wide", "tall"])
def test_shampoo_walks_as_in_pytorch_optimizer_over_120_steps(start):
    peer = pytest.importorskip("pytorch_optimizer")
    ours, _ = by_class(lambda p: Shampoo(p, lr=0.3, eps=1e-4), start, 120)
    theirs, _ = by_class(lambda p: peer.Shampoo(p, lr=0.3, matrix_eps=1e-4), start, 120)
    assert_agree(ours, theirs, start)


@pytest.mark.parametrize("every", [3, 10])
def test_soap_walks_as_in_pytorch_optimizer_over_150_steps(every, monkeypatch):
    peer = pytest.importorskip("pytorch_optimizer")
    # the peer adds eps before the correction; and it turns its bases in float32, here in float64 as well
    hyper = {"lr": 0.02, "eps": 1e-15, "weight_decay": 0.0}
    ours, _ = by_class(lambda p: SOAP(p, beta1=0.9, beta2=0.92, every=every, **hyper), SQUARE, 150)
    monkeypatch.setattr(torch, "float32", torch.float64)
    theirs, _ = by_class(
        lambda p: peer.SOAP(p, betas=(0.9, 0.92), precondition_frequency=every, **hyper), SQUARE, 150
    )
    assert_agree(ours, theirs, SQUARE)


@pytest.mark.parametrize(
    ("make", "update", "state", "hyper"),
    [(Shampoo, shampoo_update, ShampooState, {"lr": 0.3, "eps": 1e-3}),
     (SOAP, soap_update, SOAPState, {"lr": 0.02, "beta1": 0.8, "beta2": 0.9, "eps": 1e-6, "every": 4})],
)  # fmt: skip
def test_the_class_walks_as_the_rule_does(make, update, state, hyper):
    ours, _ = by_class(lambda p: make(p, **hyper), START, 100)
    assert_agree(ours, by_rule(update, state.zeros_like(START), START, 100, **hyper), START, 1e-12)


def test_all_singular_values_of_shampoos_first_step_are_lr():
    delta, _ = shampoo_update(matrix(6, 10), ShampooState.zeros_like(matrix(6, 10)), lr=0.1)
    torch.testing.assert_close(
        torch.linalg.svdvals(delta), torch.full((6,), 0.1).double(), rtol=1e-5, atol=0.0
    )


def test_of_one_row_and_one_column_shampoo_is_adagrad():
    grads = [matrix(1, 1, seed=k) for k in range(100)]
    ours = steps(shampoo_update, ShampooState.zeros_like(grads[0]), grads, lr=0.3, eps=0.0)
    theirs = steps(adagrad_update, AdaGradState.zeros_like(grads[0]), grads, lr=0.3, eps=0.0)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0.0)


@each
def test_turned_gradients_give_turned_steps_and_adam_does_not(update, state):
    (q, _), (p, _) = torch.linalg.qr(matrix(4, 4, seed=7)), torch.linalg.qr(matrix(4, 4, seed=8))
    grads = [matrix(4, 4, seed=k) for k in range(30)]
    turned = [q @ grad @ p for grad in grads]
    plain = steps(update, state.zeros_like(SQUARE), grads, lr=1.0, eps=1e-5)
    after = steps(update, state.zeros_like(SQUARE), turned, lr=1.0, eps=1e-5)
    torch.testing.assert_close(after, q @ plain @ p, rtol=1e-6, atol=1e-8)
    adam = [steps(adam_update, AdamState.zeros_like(SQUARE), g, lr=1.0) for g in (grads, turned)]
    assert (adam[1] - q @ adam[0] @ p).abs().max() > 0.1


def test_in_bases_that_stay_soap_is_adam_in_rotated_coordinates():
    grads = [matrix(4, 3, seed=k) for k in range(101)]
    ours = steps(soap_update, SOAPState.zeros_like(grads[0]), grads, lr=0.1, every=1000)
    _, seen = soap_update(grads[0], SOAPState.zeros_like(grads[0]), lr=0.1)
    ql, qr = seen.left_basis, seen.right_basis
    rotated = [ql.T @ grad @ qr for grad in grads[1:]]
    adam = steps(adam_update, AdamState.zeros_like(grads[0]), rotated, lr=0.1, beta1=0.95, beta2=0.95)
    assert not ours[0].any()  # the first gradient only makes the bases
    torch.testing.assert_close(ours[1:], ql @ adam @ qr.T, rtol=1e-10, atol=1e-12)


def test_the_bases_become_those_of_the_averages():
    state = SOAPState.zeros_like(START)
    spread = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)[:, None]
    (q, _) = torch.linalg.qr(matrix(3, 3, seed=5))
    for k in range(300):
        _, state = soap_update(q @ (spread * matrix(3, 5, seed=k)), state, lr=0.1, beta2=0.999, every=1)
    turned = state.left_basis.T @ state.left @ state.left_basis
    off = turned - torch.diag(turned.diagonal())
    assert off.norm() < 0.05 * turned.norm()
    assert turned.diagonal().tolist() == sorted(turned.diagonal().tolist(), reverse=True)


@each
def test_a_stack_moves_matrix_by_matrix(update, state):
    grads = [torch.stack([matrix(4, 4, seed=k), matrix(4, 4, seed=50 + k)]) for k in range(25)]
    both = steps(update, state.zeros_like(grads[0]), grads, lr=0.1)
    alone = [steps(update, state.zeros_like(SQUARE), [g[i] for g in grads], lr=0.1) for i in range(2)]
    torch.testing.assert_close(both, torch.stack(alone, 1), rtol=1e-9, atol=1e-11)


@each
def test_nan_comes_out_again(update, state):
    grads = [matrix(3, 5), matrix(3, 5).index_fill(0, torch.tensor([1]), torch.nan), matrix(3, 5)]
    assert steps(update, state.zeros_like(START), grads, lr=0.1)[-1].isnan().any()


@pytest.mark.parametrize("make", [Shampoo, SOAP])
def test_what_is_no_matrix_is_refused_by_name_and_shape(make):
    with pytest.raises(
        ValueError, match=rf"params of {make.__name__} must be .* \(7,\); give biases to AdamW"
    ):
        make([torch.nn.Parameter(torch.ones(7))])


def test_soap_finds_a_basis_where_most_rows_of_a_gradient_are_alike():
    # float32's eigenvectors of 128 rows and 5 columns: LAPACK gives up on some such matrices
    for seed in (398764591, 1491434855, 7):
        task = make_words([seed])
        (grad,) = torch.autograd.grad(task.losses([w := task.starts[0].clone().requires_grad_()], 0).sum(), w)
        state = soap_update(grad, SOAPState.zeros_like(grad), lr=0.1)[1]
        assert state.left_basis.isfinite().all()
        torch.testing.assert_close(
            state.left_basis.mT @ state.left_basis, torch.eye(128)[None], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("every", [0, 2.5, True])
def test_bases_are_turned_after_a_whole_number_of_steps(every):
    with pytest.raises((ValueError, TypeError), match="every must be a whole number"):
        SOAP([torch.nn.Parameter(START)], every=every)


@each
def test_a_gradient_of_another_shape_than_its_state_is_refused(update, state):
    with pytest.raises(ValueError, match=r"grad needs .* state .* got \(4, 5\)"):
        update(matrix(4, 5), state.zeros_like(START), lr=0.1)


def test_memory_is_a_square_for_each_side_and_for_soap_as_much_again_and_adams():
    factors = [(3, 3), (5, 5)]
    assert remembered(by_class(Shampoo, START, 1)[1]) == factors
    assert remembered(by_class(SOAP, START, 1)[1]) == sorted([(3, 5)] * 2 + factors * 2)
