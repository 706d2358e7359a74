"""Does SAM step by the gradient of the worst point nearby, leave the weights exact, and walk as others do?"""

import copy

import pytest
import torch
from walking import bumpy, matrix

from course_utils.optimizers import SAM, SGD, Momentum, sam_ascent


class Problem:
    """Two parameters, so that their common norm matters, and one without a gradient."""

    def __init__(self):
        self.a, self.b, self.idle = (torch.nn.Parameter(matrix(*s, seed=k)) for k, s in enumerate(SHAPES))
        self.params = [self.a, self.b, self.idle]
        self.seen = []

    def loss(self):
        self.seen.append(self.a.detach().clone())
        for param in self.params:
            param.grad = None
        loss = bumpy(self.a) + bumpy(self.b).square() / 100 + (self.a[0, 0] * self.b[1, 1])
        loss.backward()
        return loss

    def run(self, optimizer, num_steps):
        for _ in range(num_steps):
            optimizer.step(self.loss)
        return [param.detach().clone() for param in self.params]


SHAPES = ((3, 4), (2, 2), (2, 3))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sam_walks_as_in_pytorch_optimizer_over_120_steps(momentum, monkeypatch):
    peer = pytest.importorskip("pytorch_optimizer")
    ours, theirs, plain = Problem(), Problem(), Problem()
    start = ours.a.detach().clone()
    hyper = {"lr": 0.01 * (1 - momentum), "momentum": momentum}
    ended = ours.run(SAM(Momentum(ours.params, **hyper), rho=0.2), 120)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the peer adds up its norm in float32
    optimizer = peer.SAM(theirs.params, torch.optim.SGD, rho=0.2, **hyper)
    for _ in range(120):
        theirs.loss()  # the peer wants the first gradient to be there
        optimizer.step(theirs.loss)
    for one, other in zip(ended, theirs.params, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-10, atol=1e-10)
    assert (ended[0] - start).abs().min() > 1e-3
    assert (ended[0] - plain.run(Momentum(plain.params, **hyper), 120)[0]).norm() > 1e-3


def test_the_way_up_has_length_rho_over_all_tensors_and_the_gradients_direction():
    grads = [matrix(3, 4), matrix(2, 2, seed=1)]
    ascent = torch.cat([a.flatten() for a in sam_ascent(grads, rho=0.3)])
    flat = torch.cat([g.flatten() for g in grads])
    torch.testing.assert_close(ascent, 0.3 * flat / flat.norm(), rtol=1e-12, atol=0.0)
    assert not any(a.any() for a in sam_ascent([torch.zeros(3)], rho=0.3))
    assert sam_ascent([]) == []


def test_on_a_bowl_sam_is_gradient_descent_with_a_longer_step():
    """Of |w|^2 / 2 the gradient at w + rho w/|w| is w (1 + rho/|w|): the step never gets shorter than lr rho."""
    w = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))

    def closure():
        w.grad = w.detach().clone()
        return w.detach().square().sum() / 2

    SAM(SGD([w], lr=0.1), rho=1.0).step(closure)
    expected = torch.tensor([3.0, 4.0], dtype=torch.float64) * (1 - 0.1 * (1 + 1 / 5))
    torch.testing.assert_close(w.detach(), expected, rtol=1e-12, atol=0.0)


def test_with_a_radius_of_zero_it_is_the_optimizer_within_and_the_loss_is_that_of_the_weights():
    ours, plain = Problem(), Problem()
    optimizer, within = SAM(Momentum(ours.params, lr=0.01), rho=0.0), Momentum(plain.params, lr=0.01)
    for _ in range(20):
        assert optimizer.step(ours.loss) == within.step(plain.loss)
    assert all(torch.equal(one, other) for one, other in zip(ours.params, plain.params, strict=True))


def test_a_closure_that_fails_at_the_worst_point_leaves_the_weights_where_they_were():
    problem = Problem()
    before = [param.detach().clone() for param in problem.params]

    def closure():
        if problem.seen:
            raise ArithmeticError("no loss here")
        return problem.loss()

    with pytest.raises(ArithmeticError, match="no loss here"):
        SAM(SGD(problem.params), rho=0.5).step(closure)
    assert all(torch.equal(p, q) for p, q in zip(problem.params, before, strict=True))


def test_a_scheduler_of_sam_drives_the_optimizer_within():
    problem = Problem()
    optimizer = SAM(SGD(problem.params, lr=1.0))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    problem.run(optimizer, 1)
    scheduler.step()
    assert optimizer.base.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("way", ["state_dict", "deepcopy"])
def test_a_stored_run_goes_on_bit_for_bit(way):
    problem = Problem()
    optimizer = SAM(Momentum(problem.params, lr=0.01), rho=0.2)
    problem.run(optimizer, 10)
    if way == "deepcopy":
        twin, second = copy.deepcopy((problem, optimizer))
    else:
        twin = copy.deepcopy(problem)
        second = SAM(Momentum(twin.params, lr=9.0), rho=9.0)
        second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, other in zip(problem.run(optimizer, 10), twin.run(second, 10), strict=True):
        assert torch.equal(one, other)


def test_a_step_without_a_closure_is_refused():
    with pytest.raises(ValueError, match="closure must be given: SAM needs the gradient twice"):
        SAM(SGD(Problem().params)).step()
    with pytest.raises(ValueError, match="rho must be a finite number >= 0"):
        SAM(SGD(Problem().params), rho=-1.0)


def test_nothing_is_remembered_beside_the_state_of_the_optimizer_within():
    problem = Problem()
    optimizer = SAM(SGD(problem.params))
    problem.run(optimizer, 2)
    assert not any(optimizer.state.values())
