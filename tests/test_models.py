"""Is the network the one its equations describe, with parameters under the agreed names?"""

import math
from functools import partial

import pytest
import torch
from torch import nn

from course_utils.models import ACTIVATIONS, MLP, ResidualMLP, count_parameters, summarize
from course_utils.seeding import make_generator


def test_parameters_have_the_names_and_shapes_of_the_equations():
    model = MLP((5, 4, 3, 2))
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "layers.0.weight": (4, 5), "layers.0.bias": (4,),
        "layers.1.weight": (3, 4), "layers.1.bias": (3,),
        "layers.2.weight": (2, 3), "layers.2.bias": (2,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("activation", "module"),
    [
        ("identity", nn.Identity()),
        ("sigmoid", nn.Sigmoid()),
        ("tanh", nn.Tanh()),
        ("relu", nn.ReLU()),
        ("leaky_relu", nn.LeakyReLU()),
        ("selu", nn.SELU()),
        ("gelu", nn.GELU()),
    ],
)
def test_forward_agrees_with_torch_modules_in_a_row(activation, module):
    model = MLP((5, 4, 3), activation=activation, generator=make_generator(0)).double()
    peer = nn.Sequential(model.layers[0], module, model.layers[1])
    x = torch.randn(7, 5, generator=make_generator(1), dtype=torch.float64)
    torch.testing.assert_close(model(x), peer(x), rtol=0, atol=0)


def test_every_activation_is_tested_above():
    assert set(ACTIVATIONS) == {"identity", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "gelu"}


def test_a_linear_network_is_the_product_of_its_matrices():
    model = MLP((5, 4, 3, 2), activation="identity", initializer=nn.init.orthogonal_).double()
    product = model.layers[2].weight @ model.layers[1].weight @ model.layers[0].weight
    x = torch.randn(7, 5, generator=make_generator(1), dtype=torch.float64)
    torch.testing.assert_close(model(x), x @ product.T, rtol=1e-12, atol=1e-12)


def test_images_are_flattened():
    model = MLP((12, 2), generator=make_generator(0))
    images = torch.randn(3, 1, 4, 3, generator=make_generator(1))
    torch.testing.assert_close(model(images), model(images.flatten(1)))


def test_default_weights_are_those_of_nn_linear():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        ours = MLP((50, 40, 10))
        torch.manual_seed(3)
        theirs = [nn.Linear(50, 40), nn.Linear(40, 10)]
    for layer, peer in zip(ours.layers, theirs, strict=True):
        torch.testing.assert_close(layer.weight, peer.weight)
        torch.testing.assert_close(layer.bias, peer.bias)


def test_one_generator_decides_all_weights_and_the_global_stream_stays():
    before = torch.random.get_rng_state()
    first, second = (MLP((6, 5, 4), generator=make_generator(7)) for _ in range(2))
    third = MLP((6, 5, 4), generator=make_generator(8))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.layers[1].weight, second.layers[1].weight)
    assert not torch.equal(first.layers[1].weight, third.layers[1].weight)


def test_an_initializer_fills_weights_and_leaves_biases_at_zero():
    model = MLP((300, 200, 100), initializer=partial(nn.init.normal_, std=0.1, generator=make_generator(0)))
    for layer in model.layers:
        assert not layer.bias.any()
        # the standard deviation of n normal numbers is off by sigma / sqrt(2 n); 4 of these
        n = layer.weight.numel()
        assert layer.weight.std().item() == pytest.approx(0.1, abs=4 * 0.1 / math.sqrt(2 * n))
        assert layer.weight.requires_grad


@pytest.mark.parametrize("widths", [(5,), (5, 0, 2), ()])
def test_widths_that_make_no_network_are_refused(widths):
    with pytest.raises(ValueError, match="two or more positive sizes, input first"):
        MLP(widths)


def test_unknown_activations_are_refused():
    with pytest.raises(ValueError, match="Unknown activation 'Relu'; known: gelu, identity"):
        MLP((3, 2), activation="Relu")


def test_the_network_of_the_sources_has_633_226_parameters():
    model = MLP((784, 512, 256, 256, 128, 10))
    assert count_parameters(model) == 633_226
    model.layers[0].requires_grad_(False)
    assert count_parameters(model) == 633_226 - 512 * 785


def test_summary_lists_every_parameter_and_the_total():
    lines = summarize(MLP((784, 128, 10))).splitlines()
    assert [line.split()[0] for line in lines] == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "total",
    ]  # fmt: skip
    assert lines[0].endswith("100,352")
    assert lines[-1].endswith("101,770")
    assert len({len(line) for line in lines}) == 1  # columns are aligned


@pytest.mark.parametrize("branch_scale", [None, 0.25])
def test_a_residual_network_adds_what_each_branch_makes_of_the_stream(branch_scale):
    g = make_generator(4)
    model = ResidualMLP((5, 4, 3), num_branches=2, branch_depth=2, generator=g, branch_scale=branch_scale)
    x = torch.randn(6, 5, generator=g)
    p = dict(model.named_parameters())

    def affine(name, h):
        return h @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    h = affine("stem.layers.0", x)
    for l in range(2):  # noqa: E741 - the letter of the equation
        inside = affine(f"branches.{l}.layers.0", h.relu()).relu()
        h = h + (branch_scale or 1.0) * affine(f"branches.{l}.layers.1", inside)
    torch.testing.assert_close(model(x), affine("head.layers.0", h))
    assert ("branch_scales" in p) == (branch_scale is not None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_branches": 0}, "num_branches must be at least 1"),
        ({"num_branches": 2, "branch_depth": 0}, "branch_depth must be at least 1"),
        ({"num_branches": 2, "branch_scale": math.nan}, "branch_scale must be a finite number"),
    ],
)
def test_residual_networks_without_a_branch_or_a_scale_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResidualMLP((5, 4, 3), **arguments)
