"""Each rule has torch's distribution, the variance it promises, and refuses what it cannot fill."""

import math

import pytest
import scipy.stats
import torch
from torch import nn

from course_utils import initializers as init
from course_utils.models import MLP
from course_utils.seeding import make_generator

SHAPES = {"linear": (300, 200), "tall": (90, 700), "convolution": (40, 30, 3, 5)}
RULES = {
    "lecun_normal": (init.lecun_normal_, lambda i, o: 1 / i, "normal"),
    "lecun_uniform": (init.lecun_uniform_, lambda i, o: 1 / i, "uniform"),
    "glorot_normal": (init.glorot_normal_, lambda i, o: 2 / (i + o), "normal"),
    "glorot_uniform": (init.glorot_uniform_, lambda i, o: 2 / (i + o), "uniform"),
    "he_normal": (init.he_normal_, lambda i, o: 2 / i, "normal"),
    "he_uniform": (init.he_uniform_, lambda i, o: 2 / i, "uniform"),
    "he_fan_out": (lambda w, generator: init.he_normal_(w, mode="fan_out", generator=generator),
                   lambda i, o: 2 / o, "normal"),
    "glorot_gain": (lambda w, generator: init.glorot_normal_(w, gain=3.0, generator=generator),
                    lambda i, o: 18 / (i + o), "normal"),
    "normal": (lambda w, generator: init.normal_(w, std=0.3, generator=generator), lambda i, o: 0.09, "normal"),
}  # fmt: skip
TORCH = {
    "glorot_normal": nn.init.xavier_normal_,
    "glorot_uniform": nn.init.xavier_uniform_,
    "he_normal": lambda w, generator: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=generator),
    "he_uniform": lambda w, generator: nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=generator),
    "orthogonal": nn.init.orthogonal_,
}


def fans(shape):
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_fans_count_the_kernel(shape):
    assert init.fan_in_and_fan_out(torch.empty(shape)) == fans(shape)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", RULES)
def test_rule_has_the_mean_and_the_variance_it_promises(name, shape):
    rule, variance, kind = RULES[name]
    w = rule(torch.empty(shape), generator=make_generator(1)).double()
    n, sigma2 = w.numel(), variance(*fans(shape))
    # Var of the sample variance: 2 sigma^4/n for a normal, (9/5 - 1) sigma^4/n for a uniform; 4 sigma
    spread = math.sqrt((2.0 if kind == "normal" else 0.8) / n)
    assert float(w.mean()) == pytest.approx(0.0, abs=4 * math.sqrt(sigma2 / n))
    assert float(w.var()) == pytest.approx(sigma2, rel=4 * spread)


@pytest.mark.parametrize("name", RULES)
def test_rule_has_the_shape_of_its_distribution(name):
    rule, variance, kind = RULES[name]
    w = rule(torch.empty(100, 60), generator=make_generator(2)).double().flatten().numpy()
    sigma = math.sqrt(variance(60, 100))
    bound = math.sqrt(3) * sigma
    cdf = scipy.stats.norm(0, sigma).cdf if kind == "normal" else scipy.stats.uniform(-bound, 2 * bound).cdf
    assert scipy.stats.kstest(w, cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in TORCH if name != "orthogonal"])
def test_rule_and_torch_draw_from_the_same_distribution(name):
    ours = RULES[name][0](torch.empty(120, 80), generator=make_generator(3)).flatten()
    theirs = TORCH[name](torch.empty(120, 80), generator=make_generator(4)).flatten()
    assert scipy.stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("name", ["lecun_uniform", "glorot_uniform", "he_uniform"])
def test_uniform_reaches_its_bound_and_stays_inside(name):
    rule, variance, _ = RULES[name]
    w = rule(torch.empty(400, 300), generator=make_generator(5))
    bound = math.sqrt(3 * variance(300, 400))
    assert float(w.abs().max()) <= bound * (1 + 1e-6)
    assert float(w.abs().max()) > bound * (1 - 20 / w.numel())


def test_gains_are_torchs():
    for name, gain in init.GAIN.items():
        assert gain == pytest.approx(nn.init.calculate_gain(name), rel=1e-12), name


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5), (4, 2, 3)], ids=str)
def test_orthogonal_has_all_singular_values_equal_to_its_gain(shape):
    w = init.orthogonal_(torch.empty(shape, dtype=torch.float64), gain=2.5, generator=make_generator(6))
    singular = torch.linalg.svdvals(w.flatten(1))
    torch.testing.assert_close(singular, torch.full_like(singular, 2.5), rtol=1e-12, atol=0)


def test_orthogonal_has_the_entries_of_a_uniformly_random_rotation():
    g = make_generator(7)
    corner = torch.stack([init.orthogonal_(torch.empty(4, 4), generator=g)[0, 0] for _ in range(2000)])
    # one coordinate of a uniform point on the sphere of R^4 has (x + 1)/2 ~ Beta(3/2, 3/2)
    assert scipy.stats.kstest(((corner + 1) / 2).numpy(), scipy.stats.beta(1.5, 1.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("rule", "activation", "power"),
    [
        (init.lecun_normal_, "identity", 1.0),
        (init.orthogonal_, "identity", 1.0),
        (init.he_normal_, "relu", 2.0),
    ],
    ids=["lecun-linear", "orthogonal-linear", "he-relu"],
)
def test_rule_keeps_the_mean_square_through_its_own_activation(rule, activation, power):
    g, width, depth = make_generator(8), 400, 10
    model = MLP([width] * (depth + 1), activation=activation, initializer=lambda w: rule(w, generator=g))
    x = torch.randn(500, width, generator=g)
    x = x if activation == "identity" else x.relu() * math.sqrt(2)
    with torch.no_grad():
        ratio = model(x).square().mean() / x.square().mean()
    # after the last layer no ReLU follows, so He's output carries the factor 2; each layer adds ~5/width of variance
    assert math.log(float(ratio)) == pytest.approx(math.log(power), abs=4 * math.sqrt(5 * depth / width))


def test_initialize_fills_weights_and_biases_of_linear_and_convolution():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 5))
    assert init.initialize_(model, lambda w: init.constant_(w, value=0.5), bias=0.25) is model
    assert all(bool((p == (0.5 if p.ndim >= 2 else 0.25)).all()) for p in model.parameters())


@pytest.mark.parametrize("target", [1.0, 0.3])
def test_lsuv_brings_every_layer_to_the_target_variance(target):
    g = make_generator(9)
    model = MLP((30, 64, 48, 5), activation="relu", generator=g)
    x = torch.randn(400, 30, generator=g)
    init.lsuv_(model, x, target=target, generator=g)
    outputs = []
    for layer in model.layers:
        layer.register_forward_hook(lambda module, inputs, output: outputs.append(float(output.var())))
    with torch.no_grad():
        model(x)
    assert outputs == pytest.approx([target] * 3, rel=0.02)
    assert all(bool((layer.bias == 0).all()) for layer in model.layers)


def test_lsuv_visits_convolutions_in_forward_order_and_leaves_mode_and_hooks():
    class Reversed(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.conv = nn.Linear(8 * 4 * 4, 3, bias=False), nn.Conv2d(2, 8, 3)

        def forward(self, x):
            return self.head(self.conv(x).relu().flatten(1))

    model = Reversed().eval()
    x = torch.randn(64, 2, 6, 6, generator=make_generator(1))
    init.lsuv_(model, x, generator=make_generator(2))
    assert not model.training
    assert not model.conv._forward_hooks
    with torch.no_grad():
        assert float(model(x).var()) == pytest.approx(1.0, rel=0.02)


def test_same_generator_gives_the_same_weights_and_the_global_stream_stays():
    before = torch.random.get_rng_state()
    for rule in (init.he_normal_, init.glorot_uniform_, init.orthogonal_):
        first = rule(torch.empty(6, 4), generator=make_generator(5))
        assert torch.equal(first, rule(torch.empty(6, 4), generator=make_generator(5)))
    assert torch.equal(before, torch.random.get_rng_state())


def test_parameters_that_require_gradients_are_filled_in_place():
    p = nn.Parameter(torch.zeros(4, 3))
    assert init.he_uniform_(p, generator=make_generator(0)) is p
    assert p.requires_grad
    assert p.grad_fn is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.fan_in_and_fan_out(torch.empty(3)), r"2 or more dimensions .* got shape \(3,\)"),
        (lambda: init.orthogonal_(torch.empty(3)), "2 or more dimensions"),
        (lambda: init.he_normal_(torch.empty(3, 2), nonlinearity="swish"), "Unknown nonlinearity 'swish'; known"),
        (lambda: init.he_normal_(torch.empty(3, 2), mode="fan"), "Unknown mode 'fan'; known: fan_in, fan_out"),
        (lambda: init.glorot_normal_(torch.empty(3, 2), gain=0.0), "gain must be a finite number > 0"),
        (lambda: init.normal_(torch.empty(3, 2), std=-1.0), "std must be a finite number >= 0"),
        (lambda: init.lsuv_(nn.ReLU(), torch.ones(2, 2)), "needs a model with nn.Linear or convolution"),
        (lambda: init.lsuv_(nn.Linear(2, 2), torch.zeros(5, 2)), "output has the variance 0: it is the same for every"),
        (lambda: init.lsuv_(nn.Linear(2, 2), torch.ones(5, 2), target=0.0), "target must be a finite number > 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
