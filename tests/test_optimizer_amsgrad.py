"""Is AMSGrad torch's, and does it find the minimum from which Adam walks away?"""

import pytest
import torch
from walking import assert_agree, by_class, by_rule, matrix, remembered

from course_utils.optimizers import AdamState, AMSGrad, AMSGradState, adam_update, amsgrad_update

START = matrix(3, 4, seed=1)
HYPER = {"lr": 0.03, "beta1": 0.85, "beta2": 0.6, "eps": 1e-7}  # a short memory, so that the maximum matters


def test_the_class_walks_as_the_rule_does():
    ours, _ = by_class(lambda p: AMSGrad(p, **HYPER), START, 150)
    rule = by_rule(amsgrad_update, AMSGradState.zeros_like(START), START, 150, **HYPER)
    assert_agree(ours, rule, START, 1e-12)


@pytest.mark.parametrize("hyper", [{}, HYPER], ids=["defaults", "others"])
def test_amsgrad_is_torchs_over_150_steps_and_not_adam(hyper):
    torchs = {"lr": hyper.get("lr", 1e-3), "eps": hyper.get("eps", 1e-8), "weight_decay": 0.02,
              "betas": (hyper.get("beta1", 0.9), hyper.get("beta2", 0.999))}  # fmt: skip
    ours, _ = by_class(lambda p: AMSGrad(p, l2=0.02, **hyper), START, 150)
    theirs, _ = by_class(lambda p: torch.optim.Adam(p, amsgrad=True, **torchs), START, 150)
    adam, _ = by_class(lambda p: torch.optim.Adam(p, **torchs), START, 150)
    assert_agree(ours, theirs, START, 1e-12)
    assert not torch.equal(theirs, adam)


def test_the_largest_average_never_falls_and_adams_does():
    grads = [torch.tensor([10.0], dtype=torch.float64)] + 50 * [torch.tensor([0.1], dtype=torch.float64)]
    state = AMSGradState.zeros_like(grads[0])
    largest, averages = [], []
    for grad in grads:
        _, state = amsgrad_update(grad, state, lr=1.0, beta2=0.9)
        largest.append(state.v_max.item())
        averages.append(state.v.item())
    assert largest == sorted(largest)
    assert averages[-1] < 0.01 * averages[0]


def test_while_the_gradients_only_grow_amsgrad_is_adam():
    grads = [k * matrix(2, 3) for k in range(1, 20)]
    states = AMSGradState.zeros_like(grads[0]), AdamState.zeros_like(grads[0])
    for grad in grads:
        mended, first = amsgrad_update(grad, states[0], lr=0.1)
        adam, second = adam_update(grad, states[1], lr=0.1)
        states = first, second
        assert torch.equal(mended, adam)


@pytest.mark.parametrize(
    ("update", "state", "end"),
    [(adam_update, AdamState, 1.0), (amsgrad_update, AMSGradState, -1.0)],
    ids=["Adam walks to the worst point", "AMSGrad to the best"],
)
def test_the_example_of_reddi_kale_and_kumar(update, state, end):
    """Of 3 gradients one is C = 3 and two are -1: their sum is +1, so the best point of [-1, 1] is -1 (section 3)."""
    x, beta2 = torch.zeros(1, dtype=torch.float64), 1 / (1 + 3**2)
    memory = state.zeros_like(x)
    for t in range(3000):
        grad = torch.full_like(x, 3.0 if t % 3 == 0 else -1.0)
        delta, memory = update(grad, memory, lr=0.5 / (t + 1) ** 0.5, beta1=0.0, beta2=beta2)
        x = (x + delta).clamp(-1, 1)
    assert x.item() == pytest.approx(end, abs=0.05)


def test_memory_is_three_tensors_of_the_parameters_shape():
    _, optimizer = by_class(AMSGrad, START, 1)
    assert remembered(optimizer) == [(3, 4)] * 3
