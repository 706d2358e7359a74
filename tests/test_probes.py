"""Probes report what a layer saw, and leave nothing behind."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.models import MLP
from course_utils.probes import (
    layer_stats,
    record_gradients,
    record_outputs,
    update_to_weight_ratio,
    weight_gradients,
)
from course_utils.seeding import make_generator


@pytest.fixture
def setting():
    g = make_generator(0)
    model = MLP((5, 4, 3), activation="tanh", generator=g).double()
    return model, torch.randn(7, 5, generator=g).double(), torch.tensor([0, 1, 2, 0, 1, 2, 2])


def test_recorded_outputs_are_the_preactivations(setting):
    model, x, _ = setting
    with record_outputs(model) as outputs:
        logits = model(x)
    first = model.layers[0]
    torch.testing.assert_close(outputs["layers.0"], x @ first.weight.T + first.bias)
    assert list(outputs) == ["layers.0", "layers.1"]
    assert torch.equal(outputs["layers.1"], logits)
    assert not outputs["layers.1"].requires_grad


def test_a_later_inplace_activation_does_not_change_what_was_recorded():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True))
    with torch.no_grad(), record_outputs(model) as outputs:
        model[0].weight.fill_(-1.0)
        model[0].bias.fill_(0.0)
        model(torch.ones(2, 3))
    assert float(outputs["0"].max()) == -3.0


@pytest.mark.parametrize("recorder", [record_outputs, record_gradients])
def test_hooks_are_gone_also_after_an_error(setting, recorder):
    model, *_ = setting

    def fail():
        with recorder(model):
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        fail()
    assert not any(m._forward_hooks for m in model.modules())


def test_recorded_gradients_are_the_deltas_of_backpropagation(setting):
    model, x, y = setting
    with record_gradients(model) as deltas:
        logits = model(x)
        F.cross_entropy(logits, y).backward()
    expected = (logits.softmax(1) - F.one_hot(y, 3)) / len(y)
    torch.testing.assert_close(deltas["layers.1"], expected.detach())
    hidden = torch.tanh(x @ model.layers[0].weight.T + model.layers[0].bias)
    torch.testing.assert_close(
        deltas["layers.0"], ((expected @ model.layers[1].weight) * (1 - hidden**2)).detach()
    )


def test_nothing_is_recorded_where_no_gradient_flows(setting):
    model, x, _ = setting
    with torch.no_grad(), record_gradients(model) as deltas:
        model(x)
    assert deltas == {}


def test_weight_gradients_are_autograds_and_touch_nothing(setting):
    model, x, y = setting
    gradients = weight_gradients(model.eval(), x, y)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    F.cross_entropy(model(x), y).backward()
    assert set(gradients) == {"layers.0.weight", "layers.1.weight"}
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad)


def test_layer_stats_tell_signal_from_bias():
    g = make_generator(3)
    bias = torch.randn(1, 400, generator=g, dtype=torch.float64)
    signal = 0.1 * torch.randn(500, 400, generator=g, dtype=torch.float64)
    (stats,) = layer_stats({"layer": bias + signal})
    assert stats.signal_variance == pytest.approx(0.01, rel=0.02)
    assert stats.variance == pytest.approx(float(bias.var()) + 0.01, rel=0.02)
    assert stats.rms == pytest.approx(math.sqrt(stats.variance + stats.mean**2))


def test_layer_stats_count_saturated_entries_and_dead_units():
    z = torch.tensor([[3.0, -1.0, 0.5, 0.0], [-2.5, -1.0, -0.5, -4.0]])
    (stats,) = layer_stats({"layer": z}, threshold=2.0)
    assert stats.saturated == pytest.approx(3 / 8)
    assert stats.dead == pytest.approx(2 / 4)


def test_one_example_has_no_variance():
    with pytest.raises(ValueError, match="layer needs at least 2 examples"):
        layer_stats({"layer": torch.ones(1, 3)})


def test_update_to_weight_ratio_is_relative():
    before = [torch.tensor([3.0, 4.0]), torch.tensor([[1.0]])]
    after = [torch.tensor([3.0, 4.5]), torch.tensor([[0.75]])]
    assert update_to_weight_ratio(before, after) == pytest.approx([0.1, 0.25])
