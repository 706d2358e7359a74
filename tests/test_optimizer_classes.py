"""The optimizer classes: equal to the rules and to torch.optim, and at home in torch's machinery."""

import copy

import pytest
import torch
import torch.nn.functional as F

from course_utils.optimizers import (
    RULES,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    EMAMomentum,
    Momentum,
    Nesterov,
    RMSProp,
    ema_lr_to_torch,
)
from course_utils.seeding import make_generator

CLASSES = {
    "SGD": SGD, "momentum": Momentum, "momentum (EMA)": EMAMomentum, "Nesterov": Nesterov,
    "AdaGrad": AdaGrad, "RMSProp": RMSProp, "Adam": Adam, "AdamW": AdamW,
}  # fmt: skip
BETA1, BETA2, EPS = 0.85, 0.97, 1e-7  # none of them a default, so that an ignored argument shows
OURS = {
    "SGD": {},
    "momentum": {"momentum": BETA1},
    "momentum (EMA)": {"beta1": BETA1},
    "Nesterov": {"momentum": BETA1},
    "AdaGrad": {"eps": EPS},
    "RMSProp": {"beta2": BETA2, "eps": EPS},
    "Adam": {"beta1": BETA1, "beta2": BETA2, "eps": EPS},
    "AdamW": {"beta1": BETA1, "beta2": BETA2, "eps": EPS},
}
TORCH = {
    "SGD": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": BETA1}),
    "momentum (EMA)": (torch.optim.SGD, {"momentum": BETA1}),
    "Nesterov": (torch.optim.SGD, {"momentum": BETA1, "nesterov": True}),
    "AdaGrad": (torch.optim.Adagrad, {"eps": EPS}),
    "RMSProp": (torch.optim.RMSprop, {"alpha": BETA2, "eps": EPS}),
    "Adam": (torch.optim.Adam, {"betas": (BETA1, BETA2), "eps": EPS}),
    "AdamW": (torch.optim.AdamW, {"betas": (BETA1, BETA2), "eps": EPS}),
}
ONES = torch.ones(2)
every_method = pytest.mark.parametrize("name", CLASSES)


class Problem:
    """A two-layer tanh regression in float64: non-convex, with a parameter that never gets a gradient."""

    def __init__(self):
        generator = make_generator(3)
        shapes = {"w1": (5, 3), "b1": (5,), "w2": (2, 5), "b2": (2,), "idle": (2, 3)}
        self.params = {
            name: torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
            for name, shape in shapes.items()
        }
        self.x = torch.randn(7, 3, generator=generator, dtype=torch.float64)
        self.y = torch.randn(7, 2, generator=generator, dtype=torch.float64)

    def groups(self, lr, **decay):
        """Weights with decay and biases without, at half the learning rate; the idle parameter in between."""
        p = self.params
        return [
            {"params": [p["w1"], p["idle"], p["w2"]], "lr": lr, **decay},
            {"params": [p["b1"], p["b2"]], "lr": lr / 2},
        ]

    def loss(self):
        p = self.params
        h = torch.tanh(self.x @ p["w1"].T + p["b1"])
        return F.mse_loss(h @ p["w2"].T + p["b2"], self.y)

    def run(self, optimizer, num_steps, scheduler=None):
        for _ in range(num_steps):
            optimizer.zero_grad()
            self.loss().backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
        return self.weights()

    def weights(self):
        return {name: p.detach().clone() for name, p in self.params.items()}


def make(name, problem, lr=0.03, **decay):
    return CLASSES[name](problem.groups(lr, **decay), **OURS[name])


def assert_same(ours, theirs, tolerance):
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=tolerance, atol=tolerance)


@every_method
def test_class_agrees_with_torch_over_150_steps_with_decay_two_groups_and_an_idle_parameter(name):
    decoupled = name == "AdamW"
    problem, peer = Problem(), Problem()
    start = problem.weights()
    decay = {"weight_decay": 0.02} if decoupled else {"l2": 0.02, "weight_decay": 0.0}
    ours = problem.run(make(name, problem, **decay), 150)
    torch_class, hyper = TORCH[name]
    lr = ema_lr_to_torch(0.03, BETA1) if name == "momentum (EMA)" else 0.03
    groups = peer.groups(lr, weight_decay=0.02)
    groups[1]["weight_decay"] = CLASSES[name](problem.groups(0.03)).defaults["weight_decay"]
    theirs = peer.run(torch_class(groups, **hyper), 150)
    assert_same(ours, theirs, 1e-12)
    assert torch.equal(ours["idle"], start["idle"])
    assert min((ours[k] - start[k]).abs().max() for k in start if k != "idle") > 1e-3


@every_method
def test_class_agrees_with_its_pure_rule(name):
    problem, reference = Problem(), Problem()
    optimizer = CLASSES[name](list(problem.params.values()), lr=0.01, weight_decay=0.0)
    rule = RULES[name]
    states = {key: rule.init(p.detach()) for key, p in reference.params.items()}
    for _ in range(100):
        ours = problem.run(optimizer, 1)
        names = [key for key in reference.params if key != "idle"]
        grads = torch.autograd.grad(reference.loss(), [reference.params[key] for key in names])
        for key, grad in zip(names, grads, strict=True):
            delta, states[key] = rule.update(grad, states[key], lr=0.01)
            reference.params[key].data.add_(delta)
        assert_same(ours, reference.weights(), 1e-14)
        for (
            key,
            value,
        ) in ours.items():  # from the same point again: a difference of 1 ulp may not grow over steps
            reference.params[key].data.copy_(value)


@every_method
def test_defaults_other_than_lr_are_those_of_torch(name):
    problem, peer = Problem(), Problem()
    ours = problem.run(CLASSES[name](list(problem.params.values()), lr=0.01), 30)
    momentum = {"momentum": 0.9} if TORCH[name][1].keys() & {"momentum"} else {}
    extra = {"nesterov": True} if name == "Nesterov" else {}
    lr = 0.001 if name == "momentum (EMA)" else 0.01
    theirs = peer.run(TORCH[name][0](list(peer.params.values()), lr=lr, **momentum, **extra), 30)
    assert_same(ours, theirs, 1e-12)


@every_method
def test_decoupled_decay_multiplies_the_parameter_before_a_step_that_does_not_see_it(name):
    plain, decayed = Problem(), Problem()
    start = plain.weights()["w1"]
    without = plain.run(CLASSES[name](list(plain.params.values()), lr=0.1, weight_decay=0.0), 1)["w1"]
    with_decay = decayed.run(CLASSES[name](list(decayed.params.values()), lr=0.1, weight_decay=0.5), 1)["w1"]
    torch.testing.assert_close(without - with_decay, 0.1 * 0.5 * start, rtol=1e-12, atol=1e-14)


@every_method
def test_gradients_are_left_as_backward_made_them(name):
    problem = Problem()
    optimizer = make(name, problem, l2=0.1, weight_decay=0.1)
    problem.run(optimizer, 2)
    optimizer.zero_grad()
    problem.loss().backward()
    before = {key: p.grad.clone() for key, p in problem.params.items() if p.grad is not None}
    optimizer.step()
    assert all(torch.equal(problem.params[key].grad, grad) for key, grad in before.items())
    assert problem.params["idle"].grad is None


@every_method
def test_resumed_run_is_bit_identical(name, tmp_path):
    whole, first, second = Problem(), Problem(), Problem()
    expected = whole.run(make(name, whole), 40)
    optimizer = make(name, first)
    weights = first.run(optimizer, 25)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    for key, value in weights.items():
        second.params[key].data.copy_(value)
    resumed = make(name, second, lr=123.0)  # the stored groups win
    resumed.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    ours = second.run(resumed, 15)
    assert all(torch.equal(ours[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", ["momentum", "AdaGrad", "RMSProp", "Adam"])
def test_forgetting_the_optimizer_state_changes_the_run(name):
    whole, cut = Problem(), Problem()
    expected = whole.run(make(name, whole), 40)
    cut.run(make(name, cut), 25)
    ours = cut.run(make(name, cut), 15)
    assert (ours["w1"] - expected["w1"]).abs().max() > 1e-3


@every_method
def test_schedulers_drive_the_learning_rate(name):
    problem, peer = Problem(), Problem()
    optimizer = make(name, problem, weight_decay=0.0)
    ours = problem.run(optimizer, 30, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30))
    torch_class, hyper = TORCH[name]
    lr = ema_lr_to_torch(0.03, BETA1) if name == "momentum (EMA)" else 0.03
    groups = [{**group, "weight_decay": 0.0} for group in peer.groups(lr)]
    if name == "AdamW":
        groups[1]["weight_decay"] = 0.01
    oracle = torch_class(groups, **hyper)
    theirs = peer.run(oracle, 30, torch.optim.lr_scheduler.CosineAnnealingLR(oracle, 30))
    assert_same(ours, theirs, 1e-12)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


@every_method
def test_closure_is_evaluated_with_gradients_and_its_loss_returned(name):
    problem, plain = Problem(), Problem()
    optimizer = make(name, problem)

    def closure():
        optimizer.zero_grad()
        loss = problem.loss()
        loss.backward()
        return loss

    expected = plain.loss().item()
    assert optimizer.step(closure).item() == expected
    plain.run(make(name, plain), 1)
    assert_same(problem.weights(), plain.weights(), 0.0)
    assert make(name, plain).step() is None


@every_method
def test_deep_copy_walks_on_by_itself(name):
    problem = Problem()
    optimizer = make(name, problem)
    problem.run(optimizer, 3)
    twin, twin_optimizer = copy.deepcopy((problem, optimizer))
    assert_same(problem.run(optimizer, 5), twin.run(twin_optimizer, 5), 0.0)


def test_adam_holds_twice_the_memory_of_the_weights_and_momentum_once():
    def floats(name):
        problem = Problem()
        optimizer = make(name, problem)
        problem.run(optimizer, 1)
        return sum(x.numel() for s in optimizer.state.values() for x in s.values() if torch.is_tensor(x))

    weights = sum(p.numel() for key, p in Problem().params.items() if key != "idle")
    assert {name: floats(name) / weights for name in CLASSES} == {
        "SGD": 0, "momentum": 1, "momentum (EMA)": 1, "Nesterov": 1, "AdaGrad": 1, "RMSProp": 1, "Adam": 2, "AdamW": 2,
    }  # fmt: skip


@every_method
def test_sparse_gradients_are_refused_with_a_way_out(name):
    weight = torch.nn.Parameter(torch.ones(4, 3))
    F.embedding(torch.tensor([1, 3]), weight, sparse=True).sum().backward()
    with pytest.raises(
        RuntimeError, match=r"needs dense gradients, got a torch.sparse_coo one; use .*SparseAdam"
    ):
        CLASSES[name]([weight]).step()


@every_method
def test_where_one_gradient_is_sparse_no_parameter_moves(name):
    first, table = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(4, 3))
    (F.embedding(torch.tensor([1, 3]), table, sparse=True) * first).sum().backward()
    optimizer = CLASSES[name]([first, table])
    with pytest.raises(RuntimeError, match="needs dense gradients"):
        optimizer.step()
    assert torch.equal(first, torch.ones(3))
    assert not optimizer.state


@every_method
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([torch.ones(2, dtype=torch.complex64)], r"params, number 0, must hold real .*complex64.*view_as_real"),
        ([torch.ones(2), torch.arange(3)], r"params, number 1, must hold real floating point numbers"),
        ([torch.ones(2, requires_grad=True) * 2], r"params must be leaves, number 0 was computed"),
        ([("a", ONES), ("b", ONES)], r"params must hold each parameter once, number 1 came before"),
        ([{"lr": 0.1}], r"a parameter group needs the key 'params', got \['lr'\]"),
        ([{"params": [ONES], "learning_rate": 0.1}], r"unknown key 'learning_rate' .* known: params, lr"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_moved_are_refused_by_number(name, params, message):
    with pytest.raises(ValueError, match=message):
        CLASSES[name](params)


@every_method
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"lr": -0.1}, r"lr must be a finite number >= 0, got lr=-0\.1"),
        ({"lr": float("nan")}, r"lr must be a finite number >= 0, got lr=nan"),
        ({"l2": -1.0}, r"l2 must be a finite number >= 0, got l2=-1\.0"),
        ({"weight_decay": -1e-4}, r"weight_decay must be a finite number >= 0, got weight_decay=-0\.0001"),
    ],
)
def test_bad_hyper_parameters_of_all_methods_raise(name, bad, message):
    with pytest.raises(ValueError, match=message):
        CLASSES[name]([torch.nn.Parameter(torch.ones(2))], **bad)


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("momentum", {"momentum": 1.0}, r"momentum needs 0 <= momentum < 1, got momentum=1\.0"),
        ("Nesterov", {"momentum": -0.5}, r"momentum needs 0 <= momentum < 1, got momentum=-0\.5"),
        ("momentum (EMA)", {"beta1": 1.5}, r"beta1 needs 0 <= beta1 < 1, got beta1=1\.5"),
        ("Adam", {"beta1": 1.0}, r"beta1 needs 0 <= beta1 < 1, got beta1=1\.0"),
        ("AdamW", {"beta2": -0.1}, r"beta2 needs 0 <= beta2 < 1, got beta2=-0\.1"),
        ("RMSProp", {"beta2": 1.0}, r"beta2 needs 0 <= beta2 < 1, got beta2=1\.0"),
        ("AdaGrad", {"eps": -1e-8}, r"eps must be a finite number >= 0, got eps=-1e-08"),
    ],
)
def test_bad_hyper_parameters_of_one_method_raise(name, bad, message):
    with pytest.raises(ValueError, match=message):
        CLASSES[name]([torch.nn.Parameter(torch.ones(2))], **bad)


def test_bad_hyper_parameters_of_a_group_raise_and_the_group_is_not_added():
    optimizer = Adam([torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(ValueError, match=r"beta2 needs 0 <= beta2 < 1, got beta2=2\.0"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))], "beta2": 2.0})
    assert len(optimizer.param_groups) == 1


def test_no_parameters_is_torchs_own_error():
    with pytest.raises(ValueError, match="empty parameter list"):
        Adam([])
