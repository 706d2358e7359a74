r"""Which start keeps the signal? Rules that fill a weight in place, with torch's names and the trailing underscore.

Every rule is a variance: what differs is whose variance it keeps. A layer :math:`z = Wh` with independent zero-mean
weights has :math:`E[z_i^2] = n_{in}\, \mathrm{Var}(W)\, E[h^2]`, so LeCun takes 1/fan_in, Glorot
the mean of what the forward and the backward pass ask for, and He twice 1/fan_in, because ReLU halves the mean square.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils._checks import (
    check_choice,
    check_fillable,
    check_finite,
    check_positive,
)
from course_utils._types import checked

LEAKY_SLOPE = 0.01  # torch's default slope of leaky ReLU

# std = gain / sqrt(fan_in). linear and relu are derived (the mean square of the output equals that of the input);
# leaky_relu likewise, sqrt(2 / (1 + slope^2)). sigmoid's 1 is a convention: no gain repairs its mean of 1/2. tanh's 5/3
# is torch's, a fit: layers of equal width settle at preactivations of mean square 1.18 (notebook 05, eq. 5.19). selu's
# 3/4 is torch's too, chosen for the flow of gradients; its own fixed point (Klambauer et al. 2017, arXiv:1706.02515)
# asks for 1.
GAIN = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1 + LEAKY_SLOPE**2)),
    "selu": 3 / 4,
}


@checked
def fan_in_and_fan_out(weight: Tensor) -> tuple[int, int]:
    """Return the inputs per output unit and the outputs per input unit, each times the size of the kernel.

    Args:
        weight: shape (fan_out, fan_in), or (out_channels, in_channels, *kernel) of a convolution.
    Raises: ValueError: if the weight has fewer than two dimensions or no entries.
    """
    if weight.ndim < 2 or weight.numel() == 0:
        raise ValueError(
            f"fan_in needs a weight of 2 or more dimensions (out, in, *kernel) and with entries, got shape "
            f"{tuple(weight.shape)}. Initialize biases with torch.nn.init.zeros_."
        )
    receptive_field = math.prod(weight.shape[2:])
    return weight.shape[1] * receptive_field, weight.shape[0] * receptive_field


@checked
@torch.no_grad()
def constant_(weight: Tensor, *, value: float) -> Tensor:
    """Fill `weight` with one number, :math:`W_{ij} = c`: units start equal, and stay equal (notebook 05, part I)."""
    _check_weight(weight, "value", value)
    return weight.fill_(value)


@checked
@torch.no_grad()
def normal_(weight: Tensor, *, std: float, generator: torch.Generator | None = None) -> Tensor:
    r"""Fill `weight` from :math:`\mathcal N(0, \sigma^2)`. `std` is σ, a standard deviation, never a variance."""
    check_positive("std", std, strict=False)
    return _normal(weight, std, generator)


@checked
def lecun_normal_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    r"""Keep the mean square of the signal through a LINEAR layer, forward.

    .. math:: W_{ij} \sim \mathcal N(0,\; g^2 / n_{in})

    Args:
        weight: shape (fan_out, fan_in, *kernel); overwritten.
        gain: g > 0, the factor on the standard deviation.
        generator: source of randomness, on the CPU; None uses torch's global one.
    Returns: `weight` itself.
    Source: LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", eq. 16.
    """
    check_positive("gain", gain)
    return _normal(weight, gain / math.sqrt(fan_in_and_fan_out(weight)[0]), generator)


@checked
def lecun_uniform_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    r"""Fill `weight` with the variance of `lecun_normal_` from :math:`U(-a, a)`, :math:`a = g\sqrt{3/n_{in}}`."""
    check_positive("gain", gain)
    return _uniform(weight, gain / math.sqrt(fan_in_and_fan_out(weight)[0]), generator)


@checked
def glorot_normal_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    r"""Compromise between the forward and the backward pass of a linear layer (Xavier).

    .. math:: W_{ij} \sim \mathcal N\bigl(0,\; 2 g^2 / (n_{in} + n_{out})\bigr)

    The variance is the harmonic mean of 1/n_in and 1/n_out. Neither pass keeps its mean square unless the layer is
    square: the forward factor is 2 n_in / (n_in + n_out).

    Args:
        weight: shape (fan_out, fan_in, *kernel); overwritten.
        gain: g > 0, the factor on the standard deviation.
        generator: source of randomness, on the CPU; None uses torch's global one.
    Returns: `weight` itself.
    Source: Glorot and Bengio 2010 (AISTATS), eq. 12.
    """
    check_positive("gain", gain)
    return _normal(weight, gain * math.sqrt(2 / sum(fan_in_and_fan_out(weight))), generator)


@checked
def glorot_uniform_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    r"""Fill with `glorot_normal_`'s variance from :math:`U(-a, a)`, :math:`a = g\sqrt{6/(n_{in}+n_{out})}`.

    Source: Glorot and Bengio 2010 (AISTATS), eq. 16.
    """
    check_positive("gain", gain)
    return _uniform(weight, gain * math.sqrt(2 / sum(fan_in_and_fan_out(weight))), generator)


@checked
def he_normal_(
    weight: Tensor,
    *,
    nonlinearity: str = "relu",
    mode: str = "fan_in",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Keep the mean square of the signal through a layer and the nonlinearity before it.

    .. math:: W_{ij} \sim \mathcal N(0,\; g^2 / n), \qquad g^2 = 2 \text{ for ReLU}

    Holds at initialization, for weights independent of the input and biases at 0; says nothing about later steps.

    Args:
        weight: shape (fan_out, fan_in, *kernel); overwritten.
        nonlinearity: key of GAIN.
        mode: "fan_in" keeps the forward pass, "fan_out" the backward pass.
        generator: source of randomness, on the CPU; None uses torch's global one.
    Returns: `weight` itself.
    Raises: ValueError: if the nonlinearity or the mode is unknown, or the weight has fewer than two dimensions.
    Source: He et al. 2015, arXiv:1502.01852, eqs. 10 and 14.
    """
    return _normal(weight, _he_std(weight, nonlinearity, mode), generator)


@checked
def he_uniform_(
    weight: Tensor,
    *,
    nonlinearity: str = "relu",
    mode: str = "fan_in",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Fill `weight` with the variance of `he_normal_` from :math:`U(-a, a)`, :math:`a = g\sqrt{3/n}`."""
    return _uniform(weight, _he_std(weight, nonlinearity, mode), generator)


@checked
@torch.no_grad()
def orthogonal_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    r"""Give every direction the same gain: all singular values equal g, and not only their mean square.

    .. math:: W W^\top = g^2 I \text{ (wide)}, \qquad W^\top W = g^2 I \text{ (tall)}

    A convolution's kernel is treated as the matrix (out_channels, in_channels * kernel).

    Args:
        weight: shape (fan_out, fan_in, *kernel); overwritten.
        gain: g > 0.
        generator: source of randomness, on the CPU; None uses torch's global one.
    Returns: `weight` itself.
    Source: Saxe, McClelland and Ganguli 2014, arXiv:1312.6120, section 3; signs as in Mezzadri 2007 (Notices AMS 54).
    """
    check_positive("gain", gain)
    fan_in_and_fan_out(weight)  # refuses vectors
    _check_weight(weight, "gain", gain)
    rows, columns = weight.shape[0], weight[0].numel()
    gaussian = torch.randn(max(rows, columns), min(rows, columns), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    q = (
        q * r.diagonal().sign()
    )  # without this the distribution of q depends on the conventions of the QR routine
    return weight.copy_(gain * (q if rows >= columns else q.T).reshape(weight.shape))


@checked
@torch.no_grad()
def initialize_(model: nn.Module, rule: Callable[[Tensor], Tensor], *, bias: float = 0.0) -> nn.Module:
    """Apply `rule` to every parameter of two or more dimensions, set the others to `bias`, and return the model.

    Gains and shifts of normalization layers have one dimension too: set them again if the model has any.

    Raises: ValueError: if the model has no parameters, or `bias` is not finite.
    """
    parameters = list(model.parameters())
    if not parameters:
        raise ValueError(
            f"initialize_ needs a model with parameters, got model={type(model).__name__} without any."
        )
    for parameter in parameters:
        _check_weight(parameter, "bias", bias)
    for parameter in parameters:
        if parameter.ndim >= 2:
            rule(parameter)
        else:
            parameter.fill_(bias)
    return model


def _he_std(weight: Tensor, nonlinearity: str, mode: str) -> float:
    check_choice("nonlinearity", nonlinearity, GAIN)
    check_choice("mode", mode, ("fan_in", "fan_out"))
    fan_in, fan_out = fan_in_and_fan_out(weight)
    return GAIN[nonlinearity] / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _check_weight(weight: Tensor, name: str, size: float) -> None:
    """Raise unless `weight` can be filled with numbers of this size."""
    check_fillable("weight", weight)
    check_finite(name, size)
    if abs(size) > torch.finfo(weight.dtype).max:
        raise ValueError(f"{name} is too large for a weight of {weight.dtype}: {size:g}.")


@torch.no_grad()
def _normal(weight: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    """Fill in place; a CPU generator draws on the CPU, so that every device starts from the same numbers."""
    _check_weight(weight, "gain or std", 10 * std)
    drawn = torch.empty(weight.shape, dtype=weight.dtype).normal_(0.0, std, generator=generator)
    return weight.copy_(drawn)


@torch.no_grad()
def _uniform(weight: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    bound = math.sqrt(3.0) * std  # Var U(-a, a) = a^2 / 3
    _check_weight(weight, "gain", 2 * bound)
    drawn = torch.empty(weight.shape, dtype=weight.dtype).uniform_(-bound, bound, generator=generator)
    return weight.copy_(drawn)
