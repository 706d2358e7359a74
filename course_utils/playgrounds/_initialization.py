"""What does the initialization playground begin with, what does it refuse, and how is it drawn where it cannot move?

Its networks are square, without biases but for nn.Linear's default, and have an activation after every layer, the last
included: one rule for all layers, so that the factor per layer is one number. Inputs and the gradient at the top are
standard normal numbers. `initialization.js` computes the same in the browser, and its test compares them.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from course_utils._checks import check_choice
from course_utils.initializers import GAIN, glorot_normal_, he_normal_, lecun_normal_, normal_
from course_utils.models import ACTIVATIONS, MLP
from course_utils.seeding import make_generator

BATCH = 32
LIMITS = {
    "depth": (2, 50),
    "width": (8, 256),
    "gain": (0.02, 4.0),
    "seed": (0, 2**32 - 1),
}  # what the sliders reach
# activation -> its key of GAIN; GELU has none in torch and gets ReLU's, as it does in practice
GAIN_OF = {
    "identity": "linear", "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "leaky_relu": "leaky_relu",
    "gelu": "relu",
}  # fmt: skip
STARTS = {
    "gain": "the gain", "lecun": "LeCun", "xavier": "Xavier", "he": "He", "std 0.01": "std 0.01",
    "torch": "PyTorch default",
}  # fmt: skip


def complete(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole state of the playground, as JSON has it: what was asked for, and defaults for the rest.

    Args:
        asked: depth in 2..50 layers, width in 8..256 units, activation (a key of `GAIN_OF`), start (a key of `STARTS`),
            gain in [0.02, 4], the standard deviation of the weights times the root of the width, which counts where
            start is "gain", and seed, a whole number of 32 bits. A gain without a start means start "gain".
    Raises: ValueError: if a name is unknown or a value is out of range.
    """
    state: dict[str, Any] = {
        "depth": 30, "width": 128, "activation": "relu", "start": "gain" if "gain" in asked else "lecun",
        "gain": 1.0, "seed": 0,
    }  # fmt: skip
    for name, value in asked.items():
        check_choice("part of the state", name, state)
        check(name, value)
    return state | dict(asked)


def check(name: str, value: Any) -> None:
    """Raise ValueError, with the rule and the way out, unless `value` is one that the trait `name` may have."""
    if name == "activation":
        check_choice("activation", value, GAIN_OF)
        return
    if name == "start":
        check_choice("start", value, STARTS)
        return
    low, high = LIMITS[name]
    if name != "gain" and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{name} needs a whole number from {low} to {high}, got {value!r}: write an int.")
    if not low <= value <= high:
        raise ValueError(f"{name} needs {low} <= {name} <= {high}, got {value!r}: choose one in that range.")


def law(state: Mapping[str, Any]) -> tuple[float, float]:
    """Return the gain, std of the weights times the root of the width, and the std of the biases."""
    width = state["width"]
    if state["start"] == "torch":  # U(-1/sqrt(n), 1/sqrt(n)) has variance 1/(3n); the biases too
        return math.sqrt(1 / 3), math.sqrt(1 / (3 * width))
    gains = {
        "gain": state["gain"], "lecun": 1.0, "xavier": 1.0, "he": GAIN[GAIN_OF[state["activation"]]],
        "std 0.01": 0.01 * math.sqrt(width),
    }  # fmt: skip
    return gains[state["start"]], 0.0


def rule(state: Mapping[str, Any], generator: torch.Generator) -> Callable[[Tensor], Tensor] | None:
    """Return the package's own rule for the weights, None for nn.Linear's default."""
    bound = functools.partial
    rules = {
        "gain": bound(lecun_normal_, gain=state["gain"], generator=generator),
        "lecun": bound(lecun_normal_, generator=generator),
        "xavier": bound(glorot_normal_, generator=generator),
        "he": bound(he_normal_, nonlinearity=GAIN_OF[state["activation"]], generator=generator),
        "std 0.01": bound(normal_, std=0.01, generator=generator),
    }
    return rules.get(state["start"])


def measure(state: Mapping[str, Any]) -> dict[str, list[float]]:
    r"""Return the root mean square of every layer's preactivation, output and gradient, of one draw with torch.

    The gradient is that of :math:`L = \sum h_L \odot T` with respect to the preactivations, T standard normal.
    """
    generator = make_generator(state["seed"])
    widths = (state["width"],) * (state["depth"] + 1)
    model = MLP(widths, initializer=rule(state, generator), generator=generator).double()
    h, top = (torch.randn(BATCH, state["width"], generator=generator, dtype=torch.float64) for _ in range(2))
    preactivations, outputs = [], []
    for layer in model.layers:
        preactivations.append(layer(h))
        outputs.append(h := ACTIVATIONS[state["activation"]](preactivations[-1]))
    gradients = torch.autograd.grad((h * top).sum(), preactivations)
    found = {"preactivation": preactivations, "output": outputs, "gradient": gradients}
    return {name: [_rms(values) for values in layers] for name, layers in found.items()}


def _rms(values: Tensor) -> float:
    return float(values.detach().square().mean().sqrt())


def predict(state: Mapping[str, Any]) -> dict[str, list[float]]:
    r"""Return what `measure` returns, as it is for layers without end.

    .. math:: q_l = g^2 m_{l-1} + \sigma_b^2, \quad m_l = E[\phi(z)^2], \quad
        d_l = E[\phi'(z)^2]\, g^2\, d_{l+1}, \qquad z \sim \mathcal N(0, q_l),\; m_0 = 1

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3; Schoenholz et al. 2017, arXiv:1611.01232, eq. 9.
    """
    gain, bias = law(state)
    squares, signal, flow = [], 1.0, 1.0
    for _ in range(state["depth"]):
        q = gain**2 * signal + bias**2
        signal, slope = mean_squares(state["activation"], q)
        squares.append((q, signal, slope))
    gradients: list[float] = []
    for _, _, slope in reversed(squares):
        gradients.insert(0, math.sqrt(flow * slope))
        flow *= slope * gain**2
    q_root, m_root = ([math.sqrt(row[k]) for row in squares] for k in (0, 1))
    return {"preactivation": q_root, "output": m_root, "gradient": gradients}


def mean_squares(activation: str, q: float) -> tuple[float, float]:
    """Return E[phi(z)^2] and E[phi'(z)^2] for z normal with mean square q, by the trapezoidal rule."""
    xi = torch.linspace(
        -9, 9, 18_002, dtype=torch.float64
    )  # an even number of points: none lies on ReLU's kink
    density = torch.exp(-xi.square() / 2)
    z = (math.sqrt(q) * xi).requires_grad_()
    value = ACTIVATIONS[activation](z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    signal, flow = ((part.detach().square() * density).sum() / density.sum() for part in (value, slope))
    return float(signal), float(flow)


def poster(state: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return a PNG of one draw and the prediction, 980 x 400 pixels, and its alternative text.

    The draw is one of torch's: what the browser draws from the same seed has the same law and not the same numbers.
    """
    from matplotlib import pyplot as plt

    from course_utils.plotting import png_of, styled

    measured, predicted = measure(state), predict(state)

    @styled
    def draw() -> bytes:
        figure, (forward, backward) = plt.subplots(1, 2, figsize=(9.8, 4.0), dpi=100, sharey=True)
        _draw_layers(forward, ("preactivation", "output"), measured, predicted)
        _draw_layers(backward, ("gradient",), measured, predicted)
        forward.set(title="signal, forward", ylabel="root mean square")
        backward.set(title="gradient, backward", ylabel="")
        data = png_of(figure)
        plt.close(figure)
        return data

    return draw(), describe(state, measured)


def describe(state: Mapping[str, Any], measured: Mapping[str, list[float]]) -> str:
    """Return the alternative text: which network, and how far signal and gradient are from where they began."""
    start = STARTS[state["start"]] + (f" {state['gain']:g}" if state["start"] == "gain" else "")
    return (
        f"Root mean square of the signal and of the gradient in every layer of a network of {state['depth']} layers of "
        f"{state['width']} units, {state['activation'].replace('_', ' ')}, start by {start}, with the prediction. "
        f"Both begin at 1; the signal ends at {measured['output'][-1]:.2g}, the gradient at "
        f"{measured['gradient'][0]:.2g}."
    )


def _draw_layers(
    ax: Any, names: tuple[str, ...], measured: Mapping[str, list[float]], predicted: Mapping[str, list[float]]
) -> None:
    from course_utils.plotting._base import BLUE, GREEN, VERMILION

    looks = {
        "preactivation": (BLUE, "o", BLUE),
        "output": (GREEN, "o", "white"),
        "gradient": (VERMILION, "^", VERMILION),
    }
    layers = range(1, len(measured["output"]) + 1)
    for name in names:
        color, marker, face = looks[name]
        ax.plot(
            layers, predicted[name], color="black", lw=1.2, label="predicted" if name == names[-1] else None
        )
        ax.plot(layers, measured[name], marker, color=color, mfc=face, ms=4.5, linestyle="none", label=name)
    ax.set(xlabel="layer (1 = closest to the input)", yscale="log")
    ax.legend(fontsize=10)
