"""Many runs at once equal the runs one by one; slices of a network are exact, and leave it as they found it."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.landscapes import (
    filter_normalized_direction,
    loss_along_line,
    loss_on_plane,
    normalize_filters,
    orthogonal_directions,
    random_direction,
    trajectories,
    weights_of,
)
from course_utils.models import MLP
from course_utils.objectives import BEALE, HIMMELBLAU, RAVINE, STEEP_OPTIMA, quadratic
from course_utils.optimizers import RULES
from course_utils.seeding import make_generator

STARTS = torch.tensor([[1.0, 2.0], [-2.5, 0.3], [3.0, -1.5]], dtype=torch.float64)
LRS = [0.001, 0.004]
TORCH = {
    "SGD": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "Adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "RMSProp": lambda p, lr: torch.optim.RMSprop(p, lr=lr),
}


def one_run(make_optimizer, value, start, lr, num_steps, clip_norm=None):
    """Return [T+1, 3] of a single run with torch.optim, written as in a training loop."""
    w = nn.Parameter(start.clone())
    optimizer = make_optimizer([w], lr)
    path = []
    for _ in range(num_steps):
        loss = value(w)
        path.append([*w.tolist(), loss.item()])
        optimizer.zero_grad()
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_([w], clip_norm)
        optimizer.step()
    path.append([*w.tolist(), value(w).item()])
    return torch.tensor(path, dtype=torch.float64)


@pytest.mark.parametrize("name", TORCH)
def test_every_run_of_the_batch_is_the_run_that_torch_makes_alone(name):
    paths = trajectories(RULES[name], HIMMELBLAU.value, STARTS, LRS, 30)
    assert paths.shape == (31, 3, 2, 3)
    for b, start in enumerate(STARTS):
        for lr_index, lr in enumerate(LRS):
            alone = one_run(TORCH[name], HIMMELBLAU.value, start, lr, 30)
            torch.testing.assert_close(paths[:, b, lr_index], alone, rtol=1e-10, atol=1e-12)


def test_clipping_is_that_of_torch_applied_to_each_run_alone():
    paths = trajectories(RULES["SGD"], BEALE.value, STARTS, LRS, 20, clip_norm=2.0)
    for b, start in enumerate(STARTS):
        alone = one_run(TORCH["SGD"], BEALE.value, start, LRS[1], 20, clip_norm=2.0)
        torch.testing.assert_close(paths[:, b, 1], alone, rtol=1e-5, atol=0.0)  # torch adds 1e-6 to the norm


def test_no_clipped_step_is_longer_than_lr_times_the_norm_and_short_ones_are_as_they_were():
    starts = torch.tensor([[0.9, -0.5], [0.0, 0.0]], dtype=torch.float64)
    clipped = trajectories(RULES["SGD"], STEEP_OPTIMA.value, starts, [0.5], 1, clip_norm=0.05)
    free = trajectories(RULES["SGD"], STEEP_OPTIMA.value, starts, [0.5], 1)
    length = (clipped[1] - clipped[0])[..., :2].norm(dim=-1).flatten()
    assert float(length[0]) == pytest.approx(0.5 * 0.05, rel=1e-12)
    assert torch.equal(clipped[:, 1], free[:, 1])


def test_a_gradient_of_exactly_zero_survives_clipping():
    paths = trajectories(
        RULES["SGD"], quadratic((1.0, 2.0)).value, torch.zeros(1, 2), [0.1], 3, clip_norm=1.0
    )
    assert torch.equal(paths, torch.zeros(4, 1, 1, 3))


def test_records_hold_the_start_first_and_the_value_at_the_same_point():
    paths = trajectories(RULES["Adam"], RAVINE.value, STARTS, LRS, 8)
    assert torch.equal(paths[0, :, 0, :2], STARTS)
    torch.testing.assert_close(paths[..., 2], RAVINE(paths[..., :2]), rtol=0.0, atol=0.0)


def test_recording_every_third_step_keeps_every_third_record():
    every = trajectories(RULES["momentum"], HIMMELBLAU.value, STARTS, LRS, 12)
    third = trajectories(RULES["momentum"], HIMMELBLAU.value, STARTS, LRS, 12, record_every=3)
    assert torch.equal(third, every[::3])


def test_hyper_parameters_reach_the_rule():
    plain = trajectories(RULES["SGD"], HIMMELBLAU.value, STARTS, LRS, 5)
    none = trajectories(RULES["momentum"], HIMMELBLAU.value, STARTS, LRS, 5, momentum=0.0)
    torch.testing.assert_close(plain, none, rtol=1e-14, atol=0.0)


def test_starts_are_left_alone_and_may_carry_a_graph():
    starts = STARTS.clone().requires_grad_()
    paths = trajectories(RULES["SGD"], HIMMELBLAU.value, starts, LRS, 4)
    assert torch.equal(starts, STARTS)
    assert starts.grad is None
    assert not paths.requires_grad


@pytest.mark.parametrize(("lr", "converges"), [(0.99, True), (1.01, False)])
def test_gradient_descent_is_stable_below_two_over_the_largest_curvature(lr, converges):
    """Curvatures 2 and 0.1: the limit is 2 / 2 = 1."""
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    last = trajectories(RULES["SGD"], quadratic((2.0, 0.1)).value, start, [lr], 400)[-1, 0, 0]
    assert (float(last[0].abs()) < 0.01) is converges


def test_one_run_that_diverges_does_not_disturb_its_neighbours():
    starts = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    value = HIMMELBLAU.value
    paths = trajectories(RULES["SGD"], value, starts, [0.001, 1.0], 50)
    assert not torch.isfinite(paths[-1, 0, 1]).all()
    assert torch.equal(paths[:, :, :1], trajectories(RULES["SGD"], value, starts, [0.001], 50))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": torch.zeros(2)}, r"starts needs shape \(B, 2\), got \(2,\)"),
        ({"starts": torch.zeros(4, 3)}, r"starts needs shape \(B, 2\), got \(4, 3\)"),
        ({"starts": torch.zeros(4, 2, dtype=torch.int64)}, "starts must be floating point"),
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"record_every": 3}, "record_every must divide num_steps=10"),
        ({"record_every": 0}, "record_every must divide num_steps=10"),
        ({"clip_norm": 0.0}, "clip_norm must be a finite number > 0"),
        ({"lrs": [0.1, -0.1]}, "lr must be a finite number > 0"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {"starts": STARTS, "lrs": LRS, "num_steps": 10} | change
    with pytest.raises(ValueError, match=message):
        trajectories(RULES["SGD"], RAVINE.value, **arguments)


def network(seed=0, dtype=torch.float64):
    """Return a ReLU net of three layers with 25 examples of 4 classes."""
    generator = make_generator(seed)
    model = MLP((6, 5, 7, 4), generator=generator).to(dtype)
    x = torch.randn(25, 6, dtype=dtype, generator=generator)
    return model, x, torch.randint(0, 4, (25,), generator=generator)


def filter_norms(weights):
    return torch.cat([w.flatten(1).norm(dim=1) for w in weights.values() if w.ndim > 1])


def test_every_filter_of_a_normalized_direction_is_as_long_as_its_own(generator):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 5))
    weights = weights_of(model)
    direction = filter_normalized_direction(weights, generator)
    torch.testing.assert_close(filter_norms(direction), filter_norms(weights), rtol=1e-5, atol=0.0)
    assert direction["0.weight"].shape == (4, 3, 3, 3)


def test_biases_do_not_move(generator):
    direction = filter_normalized_direction(weights_of(network()[0]), generator)
    assert not any(d.any() for name, d in direction.items() if name.endswith("bias"))


def test_a_raw_direction_has_standard_normal_entries(generator):
    direction = random_direction({"w": torch.zeros(200, 300)}, generator)["w"]
    # the mean of 60,000 entries is off by 1/sqrt(60000), their variance by sqrt(2/60000); 4 sigma
    assert float(direction.mean()) == pytest.approx(0.0, abs=4 / math.sqrt(60_000))
    assert float(direction.var()) == pytest.approx(1.0, abs=4 * math.sqrt(2 / 60_000))


def test_a_filter_of_zeros_gets_no_direction_and_a_zero_direction_stays_zero():
    weights = {"w": torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]])}
    direction = {"w": torch.tensor([[1.0, 2.0], [0.0, 2.0], [0.0, 0.0]])}
    expected = torch.tensor([[0.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
    assert torch.equal(normalize_filters(direction, weights)["w"], expected)


def test_an_orthogonal_pair_is_orthogonal_in_every_filter_and_both_are_normalized(generator):
    weights = weights_of(network()[0])
    first, second = orthogonal_directions(weights, generator)
    for name, w in weights.items():
        if w.ndim > 1:
            overlap = (first[name] * second[name]).flatten(1).sum(1) / w.flatten(1).square().sum(1)
            torch.testing.assert_close(overlap, torch.zeros_like(overlap), rtol=0.0, atol=1e-12)
    for direction in (first, second):
        torch.testing.assert_close(filter_norms(direction), filter_norms(weights), rtol=1e-12, atol=0.0)


def test_a_filter_of_one_entry_holds_no_orthogonal_pair(generator):
    with pytest.raises(ValueError, match=r"layers\.0\.weight has filters of one entry"):
        orthogonal_directions(weights_of(MLP((1, 5, 2), generator=generator)), generator)


def test_directions_come_from_the_generator_alone():
    weights = weights_of(network()[0])
    before = torch.random.get_rng_state()
    first, again = (filter_normalized_direction(weights, make_generator(3)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_line_holds_both_ends():
    (model, x, y), (other, *_) = network(0), network(1)
    t, losses = loss_along_line(model, weights_of(model), weights_of(other), x, y, num_points=5)
    assert t.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    with torch.no_grad():
        ends = [F.cross_entropy(net(x), y).item() for net in (model, other)]
    assert [losses[0].item(), losses[-1].item()] == ends


def test_a_line_through_a_linear_loss_is_straight(generator):
    model = nn.Linear(6, 4).double()
    x = torch.randn(9, 6, dtype=torch.float64, generator=generator)
    start, end = (weights_of(nn.Linear(6, 4).double()) for _ in range(2))
    mean = lambda output, y: output.mean()  # noqa: E731
    t, losses = loss_along_line(model, start, end, x, x, span=(-1.0, 3.0), num_points=9, loss=mean)
    slope = (losses[-1] - losses[0]) / (t[-1] - t[0])
    torch.testing.assert_close(losses, losses[0] + slope * (t - t[0]), rtol=1e-12, atol=1e-12)
    assert t[[0, -1]].tolist() == [-1.0, 3.0]


def test_the_centre_of_a_plane_is_the_loss_of_the_model(generator):
    model, x, y = network(dtype=torch.float32)
    weights = weights_of(model)
    t, losses = loss_on_plane(model, weights, orthogonal_directions(weights, generator), x, y, num_points=5)
    expected = F.cross_entropy(model(x), y).item()
    assert float(t[2]) == 0.0
    assert float(losses[2, 2]) == pytest.approx(expected, rel=1e-6)


def test_the_grid_is_regular_a_linear_loss_gives_a_plane(generator):
    """A grid that is shifted from row to row, or has its axes swapped, fails here: d2 counts 10 times d1."""
    model = nn.Linear(6, 4, bias=False).double()
    weights = weights_of(model)
    first = random_direction(weights, generator)
    second = {name: 10 * d for name, d in random_direction(weights, generator).items()}
    x = torch.randn(9, 6, dtype=torch.float64, generator=generator)
    mean = lambda output, y: output.mean()  # noqa: E731
    t, losses = loss_on_plane(model, weights, (first, second), x, x, radius=0.7, num_points=7, loss=mean)
    slopes = [(x @ d["weight"].T).mean() for d in (first, second)]
    centre = (x @ weights["weight"].T).mean()
    expected = centre + slopes[0] * t[:, None] + slopes[1] * t[None, :]
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    assert float(t[-1]) == 0.7


def test_scaling_two_layers_against_each_other_changes_the_raw_picture_only():
    """W1 and b1 times 10, W2 over 10: the same ReLU function (Dinh et al. 2017, eq. 1), another weight vector."""
    model, x, y = network()
    weights = weights_of(model)
    factor = {"layers.0.weight": 10.0, "layers.0.bias": 10.0, "layers.1.weight": 0.1}
    scaled = {name: w * factor.get(name, 1.0) for name, w in weights.items()}
    lines = {}
    for kind in (random_direction, filter_normalized_direction):
        for label, point in (("as trained", weights), ("scaled", scaled)):
            direction = kind(point, make_generator(1))
            end = {name: w + 0.5 * direction[name] for name, w in point.items()}
            lines[kind.__name__, label] = loss_along_line(model, point, end, x, y, num_points=5)[1]
    normalized = [lines["filter_normalized_direction", label] for label in ("as trained", "scaled")]
    raw = [lines["random_direction", label] for label in ("as trained", "scaled")]
    torch.testing.assert_close(*normalized, rtol=1e-10, atol=0.0)
    assert float(raw[0][0]) == pytest.approx(float(raw[1][0]), rel=1e-12)
    assert float((raw[0] - raw[1]).abs().max()) > 0.05


def test_slices_leave_the_model_exactly_as_it_was(generator):
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4)).train()
    x, y = torch.randn(25, 6, generator=generator), torch.randint(0, 4, (25,), generator=generator)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = weights_of(model)
    loss_on_plane(model, weights, orthogonal_directions(weights, generator), x, y, num_points=3)
    loss_along_line(model, weights, random_direction(weights, generator), x, y, num_points=3)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_a_slice_that_fails_leaves_the_model_as_it_was_too(generator):
    model, x, y = network()
    before = weights_of(model)
    end = random_direction(before, generator)
    with pytest.raises(ValueError, match=r"model failed on x, a tensor of shape \(25, 4\)"):
        loss_along_line(model, before, end, x[:, :4], y)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())


def test_a_copied_point_does_not_follow_the_model():
    model, *_ = network()
    weights = weights_of(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    assert all(
        torch.equal(p, weights[name] + 1.0) and not torch.equal(p, weights[name])
        for name, p in model.named_parameters()
    )


def test_slices_refuse_grids_without_ends_or_centre_and_other_networks(generator):
    model, x, y = network()
    weights = weights_of(model)
    other = weights_of(MLP((6, 8, 4), generator=generator))
    with pytest.raises(ValueError, match="num_points must be at least 2"):
        loss_along_line(model, weights, weights, x, y, num_points=1)
    with pytest.raises(ValueError, match="span needs its first t below its last"):
        loss_along_line(model, weights, weights, x, y, span=(1.0, 0.0))
    with pytest.raises(
        ValueError, match=r"end belongs to another network than start: layers\.0\.weight has shape \(8, 6\)"
    ):
        loss_along_line(model, weights, other, x, y)
    with pytest.raises(ValueError, match="direction 2 belongs to another network"):
        loss_on_plane(model, weights, (weights, other), x, y)
    with pytest.raises(ValueError, match="num_points must be odd"):
        loss_on_plane(model, weights, (weights, weights), x, y, num_points=4)
    with pytest.raises(ValueError, match="radius must be a finite number > 0"):
        loss_on_plane(model, weights, (weights, weights), x, y, radius=0.0)
