"""The fast plane is the plane, point by point, and is refused where the first layer is not the only way."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.landscapes import (
    loss_on_plane,
    loss_on_plane_by_linearity,
    orthogonal_directions,
    random_direction,
    weights_of,
)
from course_utils.models import MLP
from course_utils.seeding import make_generator


def data(*shape, seed=1):
    generator = make_generator(seed)
    return (
        torch.randn(25, *shape, dtype=torch.float64, generator=generator),
        torch.randint(0, 4, (25,), generator=generator),
    )


def with_bias_directions(weights):
    """Return two directions that move biases as well: the first layer's bias is part of what is linear."""
    return tuple(
        {name: torch.randn(w.shape, dtype=w.dtype, generator=make_generator(seed + i)) for i, (name, w) in
         enumerate(weights.items())}
        for seed in (10, 20)
    )  # fmt: skip


NETWORKS = {
    "two layers": (lambda: MLP((6, 8, 4), generator=make_generator(0)), "layers.0", (6,)),
    "three layers, tanh": (lambda: MLP((6, 8, 5, 4), activation="tanh", generator=make_generator(0)), "layers.0", (6,)),
    "a ReLU that overwrites its input": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 4)), "0", (6,),
    ),
    "batch norm": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)),
        "1",
        (2, 3),
    ),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)), "0", (1, 4, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_fast_plane_equals_the_plane_point_by_point(name):
    make, first, shape = NETWORKS[name]
    model = make().double()
    x, y = data(*shape)
    weights = weights_of(model)
    directions = with_bias_directions(weights)
    t, slow = loss_on_plane(model, weights, directions, x, y, num_points=5, radius=0.3)
    t_fast, fast = loss_on_plane_by_linearity(
        model, weights, directions, x, y, num_points=5, radius=0.3, first=first
    )
    assert torch.equal(t, t_fast)
    torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-12)


def test_centre_is_the_loss_of_the_model_to_a_millionth_in_float32(generator):
    model = MLP((6, 8, 4), generator=generator)
    x, y = (part.float() if part.is_floating_point() else part for part in data(6))
    weights = weights_of(model)
    _, losses = loss_on_plane_by_linearity(
        model, weights, orthogonal_directions(weights, generator), x, y, num_points=3
    )
    assert float(losses[1, 1]) == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-6)


def test_first_layer_runs_three_times_and_the_rest_once_a_point(generator):
    """A fast form that quietly computes the first layer at every point would pass every other test."""
    model = MLP((6, 8, 4), generator=generator).double()
    x, y = data(6)
    weights = weights_of(model)
    directions = orthogonal_directions(weights, generator)
    calls = []
    original = F.linear

    class Counting(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is original:
                calls.append(args[0].shape[-1])
            return func(*args, **(kwargs or {}))

    with Counting():
        loss_on_plane_by_linearity(model, weights, directions, x, y, num_points=7)
    assert calls.count(6) <= 3 + 2  # and once for its inputs, once for the check at the centre
    assert calls.count(8) == 49 + 3  # and once each for the inputs and the two checks


def test_fast_plane_leaves_the_model_as_it_was(generator):
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4)).train()
    x, y = torch.randn(25, 6, generator=generator), torch.randint(0, 4, (25,), generator=generator)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = weights_of(model)
    loss_on_plane_by_linearity(
        model, weights, orthogonal_directions(weights, generator), x, y, num_points=3, first="0"
    )
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model[0]._forward_pre_hooks
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


class Skip(nn.Module):
    """Adds its inputs to the output of its first layer: the inputs reach the loss past the layer."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)) + x)


def test_a_connection_past_the_first_layer_is_noticed(generator):
    model = Skip().double()
    x, y = data(6)
    weights = weights_of(model)
    directions = tuple(random_direction(weights, generator) for _ in range(2))
    with pytest.raises(ValueError, match="the inputs reach the loss past 'first' too"):
        loss_on_plane_by_linearity(model, weights, directions, x, y, num_points=3, first="first")


def test_fast_plane_refuses_names_that_are_no_first_layer(generator):
    model = MLP((6, 8, 4), generator=generator).double()
    x, y = data(6)
    weights = weights_of(model)
    directions = orthogonal_directions(weights, generator)
    for name, kind in (("layers.7", "no module"), ("layers", "a ModuleList")):
        with pytest.raises(
            ValueError, match=f"first must name a linear layer or a convolution, '{name}' is {kind}"
        ):
            loss_on_plane_by_linearity(model, weights, directions, x, y, num_points=3, first=name)
    with pytest.raises(ValueError, match="num_points must be odd"):
        loss_on_plane_by_linearity(model, weights, directions, x, y, num_points=4)
    shared = nn.Sequential(layer := nn.Linear(6, 6), layer, nn.Linear(6, 4)).double()
    weights = weights_of(shared)
    with pytest.raises(ValueError, match="'0' ran 2 times"):
        loss_on_plane_by_linearity(
            shared, weights, orthogonal_directions(weights, generator), x, y, num_points=3, first="0"
        )
