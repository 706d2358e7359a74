"""When numbers stop being numbers, does the message name the right place and the right cause, and is nothing lost?"""

import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import course_utils.training.guard as guard
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import Diverged, evaluate, load_checkpoint, train

N, FEATURES, CLASSES = 60, 6, 3


def make_data():
    generator = make_generator(0)
    y = torch.randint(0, CLASSES, (N,), generator=generator)
    return torch.randn(CLASSES, FEATURES, generator=generator)[y] + torch.randn(
        N, FEATURES, generator=generator
    ), y


def make_model(*extra, scale=1.0):
    """Return three linear layers, as layers.0 to layers.2, in front of which `extra` may stand."""
    model = MLP((FEATURES, 8, 7, CLASSES), generator=make_generator(1))
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(scale)
    return nn.Sequential(*extra, model) if extra else model


def run(model, data=None, *, lr=0.1, optimizer=torch.optim.SGD, **options):
    options = {"num_epochs": 5, "batch_size": 16, "generator": make_generator(2), **options}
    return train(
        model, make_data() if data is None else data, optimizer(model.parameters(), lr=lr), **options
    )


def with_value(value, example, which=0):
    data = list(make_data())
    data[which] = data[which].clone()
    data[which][example] = value
    return tuple(data)


class DividedBySpread(nn.Module):
    """Divides by a standard deviation over units, which is 0 for inputs that are alike."""

    def forward(self, x):
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)


class Root(nn.Module):
    """Has an infinite derivative at 0, and a finite value."""

    def forward(self, x):
        return x.square().sqrt()


def entropy_of_probabilities(output, y):
    """Take the logarithm of a probability that rounds to 0."""
    return -(1e3 * output).softmax(1).gather(1, y[:, None]).log().mean()


def spoil(layer, at):
    def on_step(step, model):
        if step == at:
            with torch.no_grad():
                model.get_parameter(layer)[2, 1] = math.nan

    return on_step


def constant_inputs():
    x, y = make_data()
    x = x.clone()
    x[37] = 1.5
    return x, y


def zero_hidden_units():
    """A first layer whose units are 0 for every example: the root behind it has no derivative there."""
    model = nn.Sequential(nn.Linear(FEATURES, 5), Root(), nn.Linear(5, CLASSES))
    with torch.no_grad():
        for p in model[0].parameters():
            p.zero_()
    return model


PLANTED = {  # what is wrong -> (run it, place, cause)
    "learning rate too high": (
        lambda: run(make_model(), lr=1e12),
        r"at step \d .*layers\.\d",
        r"Cause: learning rate too high: the loss rose from 1\.\d* to ",
    ),
    "NaN in the inputs": (
        lambda: run(make_model(), with_value(math.nan, 41)),
        "the inputs have NaN at example 41",
        "data not finite: NaN in 1 of the 12 inputs",
    ),
    "infinity in the inputs": (
        lambda: run(make_model(), with_value(math.inf, 3)),
        "the inputs have inf at example 3",
        "data not finite",
    ),
    "NaN in the targets": (
        lambda: run(
            nn.Linear(FEATURES, 1), (make_data()[0], with_value(math.nan, 8)[0][:, :1]), loss=F.mse_loss
        ),
        "the targets have NaN at example 8",
        "data not finite",
    ),
    "initial weights far too large": (
        lambda: run(make_model(scale=1e16)),
        r"at step 0 .*the output of layers\.2",
        r"initial weights too large: first loss nan, guessing costs ln 3",
    ),
    "initial weights far too large, no classes": (
        lambda: run(make_model(scale=1e16), (make_data()[0], make_data()[0][:, :3]), loss=F.mse_loss),
        r"at step 0 .*the output of layers\.2",
        "initial weights too large: no step had been made",
    ),
    "inputs that were not normalised": (
        lambda: run(make_model(), (1e25 * make_data()[0], make_data()[1])),
        r"at step \d .*first not finite",
        r"inputs not normalised: inputs have mean .*e\+2\d",
    ),
    "logarithm of 0 in the loss": (
        lambda: run(make_model(), loss=entropy_of_probabilities),
        "at step 0 .*the loss itself",
        "operation outside of its domain: outputs are finite, .* Look in the loss for a division by 0",
    ),
    "division by 0 in a layer": (
        lambda: run(make_model(DividedBySpread()), constant_inputs()),
        r"first not finite: the output of 0\.",
        r"operation outside of its domain: .* Look in 0 for a division by 0",
    ),
    "derivative of a root at 0": (
        lambda: run(zero_hidden_units()),
        r"at step 1 .*first not finite: the gradient of 0\.bias",
        r"derivative outside of its domain: the loss of step 0 is finite",
    ),
    "float16 too small for the numbers": (
        lambda: run(make_model(scale=60).half(), (make_data()[0].half(), make_data()[1]), lr=1e-3),
        r"first not finite: the output of layers\.2",
        r"out of the range of float16: it exceeds 65504 from inputs of at most \d",
    ),
    "float16 too coarse for Adam": (
        lambda: run(make_model().half(), (make_data()[0].half(), make_data()[1]), optimizer=torch.optim.Adam),
        r"layers\.\d\.\w+ holds ",
        "out of the range of float16",
    ),
    "a weight set to NaN by on_step": (
        lambda: run(make_model(), on_step=spoil("layers.1.weight", 6)),
        r"at step 7 .*layers\.1\.weight holds NaN \(1 of 56 numbers\)",
        "weights changed outside of the optimizer: the gradient of step 6 is finite there. on_step",
    ),
    "a weight set to NaN by on_step after the last step": (
        lambda: run(make_model(), on_step=spoil("layers.2.weight", 7), num_epochs=2),
        r"weights became infinite or NaN at step 7 .*layers\.2\.weight holds NaN",
        "weights changed outside of the optimizer: the gradient of step 7",
    ),
    "a weight that is NaN from the start": (
        lambda: run(make_model(scale=math.nan)),
        r"at step 0 .*layers\.0\.weight holds NaN \(48 of 48 numbers\)",
        "initial weights not finite",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_the_message_names_place_and_cause(fault, tally):
    start, place, cause = PLANTED[fault]
    with pytest.raises(Diverged, match=place) as caught:
        start()
    assert caught.match(cause)
    tally.note("training", f"diverges: {fault}", tried=1, message=str(caught.value))


# What is said of labels


@pytest.mark.parametrize(("label", "example"), [(3, 17), (-1, 5)])
def test_a_label_without_an_output_is_named_before_anything_changes(label, example, tally):
    data = with_value(label, example, which=1)
    model = make_model()
    with pytest.raises(ValueError, match=rf"labels from 0 to 2, got {label} at example {example}") as caught:
        run(model, data)
    with pytest.raises(ValueError, match=rf"got {label} at example {example}"):
        evaluate(model, data, 7)
    assert same_weights(model, make_model().state_dict())
    tally.note("training", f"a label of {label} for 3 outputs", tried=1, message=str(caught.value))


def test_labels_that_cross_entropy_leaves_out_are_none_of_this_business():
    history = run(make_model(), with_value(-100, 5, which=1))
    assert not history.diverged


# What is kept


def same_weights(model, weights):
    return all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_the_weights_of_the_last_finished_epoch_and_the_history_come_with_the_error():
    model, twin = make_model(), make_model()
    with pytest.raises(
        Diverged, match=r"The weights of epoch 1 are in this error's `last_weights`"
    ) as caught:
        run(model, on_step=spoil("layers.1.weight", 9))
    run(twin, num_epochs=2)
    assert same_weights(twin, caught.value.last_weights)
    history = caught.value.history
    assert history.diverged
    assert len(history.epochs) == 2
    assert len(history.step_losses) == 11  # up to the loss that is not finite
    assert math.isnan(history.step_losses[-1])
    travelled = pickle.loads(pickle.dumps(caught.value))  # from a worker of a sweep
    assert str(travelled) == str(caught.value)
    assert repr(travelled.history.epochs) == repr(history.epochs)


def test_without_a_finished_epoch_they_are_those_of_the_start():
    with pytest.raises(Diverged, match="The weights of the start") as caught:
        run(make_model(), lr=1e12)
    assert same_weights(make_model(), caught.value.last_weights)


@pytest.mark.parametrize("at", [9, 11])  # in the middle of the third epoch, and after its last step
@pytest.mark.parametrize("on_divergence", ["raise", "stop"])
def test_an_epoch_that_diverged_is_never_saved(tmp_path, at, on_divergence, tally):
    path = tmp_path / "run"
    options = {"checkpoint": path, "on_step": spoil("layers.1.weight", at), "on_divergence": on_divergence}
    if on_divergence == "raise":
        with pytest.raises(Diverged, match="`last_weights` and in run;"):
            run(make_model(), **options)
    else:
        assert run(make_model(), **options).diverged
    model, twin = make_model(), make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.random.fork_rng():
        history = load_checkpoint(path, model, optimizer, None, make_generator(0))
    run(twin, num_epochs=2)
    assert len(history.epochs) == 2
    assert same_weights(twin, model.state_dict())
    tally.note("training", f"diverges in step {at} beside a checkpoint, {on_divergence}", tried=1)


def test_looking_for_the_place_leaves_no_trace():
    model = nn.Sequential(nn.Linear(FEATURES, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, CLASSES))
    seen = []

    def loss(output, y):
        seen.append((torch.random.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}))
        return F.cross_entropy(output, y) * (math.nan if len(seen) == 3 else 1.0)

    with torch.random.fork_rng():
        with pytest.raises(Diverged, match=r"at step 2 .*the loss itself"):
            run(model, loss=loss)
        assert torch.equal(torch.random.get_rng_state(), seen[2][0])
    assert same_weights(model, seen[2][1])  # buffers too
    assert not any(module._forward_hooks for module in model.modules())


# A GPU's losses are read once an epoch: there the epoch is repeated. Here a CPU is taken for one.


@pytest.fixture
def unseen_losses(monkeypatch):
    monkeypatch.setattr(guard, "device_of", lambda model: torch.device("meta"))


def run_with_rising_rate(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    rising = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.1 if step < 6 else 1e12)
    train(model, make_data(), optimizer, num_epochs=9, batch_size=16, generator=make_generator(2),
          scheduler=rising, schedule_each="step")  # fmt: skip


def test_where_losses_are_read_once_an_epoch_place_and_step_are_the_same(unseen_losses, monkeypatch):
    models, errors = [make_model(), make_model()], []
    for model in models:
        with pytest.raises(Diverged) as caught:
            run_with_rising_rate(model)
        errors.append(caught.value)
        monkeypatch.undo()  # the second run sees every loss
    assert str(errors[0]) == str(errors[1])
    assert "learning rate too high" in str(errors[0])
    assert errors[0].history.step_losses[:-1] == errors[1].history.step_losses[:-1]
    assert same_weights(models[0], models[1].state_dict())


def test_what_a_repetition_does_not_show_is_said_to_be_unseen(unseen_losses):
    with pytest.raises(Diverged, match=r"not seen a second time: .*Look at what on_step changes") as caught:
        run(make_model(), on_step=spoil("layers.1.weight", 5))
    assert math.isnan(caught.value.history.step_losses[-1])
