r"""Why does the best learning rate change with the width, and how is it kept? The maximal update parameterization, muP.

Table 3 of Yang et al. 2022 in one line each, with :math:`r_{in}, r_{out}` the factors by which a weight's fan-in and
fan-out exceed those of a base model (1 for the pixels and the classes, the width's factor for hidden units):

.. math:: \mathrm{std} = \frac{g}{\sqrt{n_{in}}} \min\Bigl(1, \sqrt{r_{out} / r_{in}}\Bigr), \qquad
    \eta_{SGD} = \eta\, \frac{r_{out}}{r_{in}}, \qquad \eta_{Adam} = \frac{\eta}{r_{in}}

and a bias is a weight with one input, :math:`r_{in} = 1`. At the base width all of it is standard.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from course_utils._checks import check_positive
from course_utils._types import checked
from course_utils.initializers.rules import fan_in_and_fan_out, initialize_

Method = Literal["adam", "sgd"]


@checked
def width_ratios(parameter: Tensor, base: Tensor) -> tuple[float, float]:
    r"""Return :math:`(r_{in}, r_{out})`, fan-in and fan-out as multiples of those of the base model's parameter.

    Args:
        parameter: weight [fan_out, fan_in, *kernel], bias [fan_out], or a number [], whose ratios are 1.
        base: the parameter of the same name in the base model.
    Raises: ValueError: if one of the two has more dimensions than the other, or no entries.
    """
    if parameter.ndim != base.ndim or 0 in (parameter.numel(), base.numel()):
        raise ValueError(
            "parameter and base need as many dimensions as each other, and entries, got shapes "
            f"{tuple(parameter.shape)} and {tuple(base.shape)}."
        )
    if parameter.ndim < 2:
        return 1.0, parameter.numel() / base.numel()
    (fan_in, fan_out), (base_in, base_out) = fan_in_and_fan_out(parameter), fan_in_and_fan_out(base)
    return fan_in / base_in, fan_out / base_out


@checked
@torch.no_grad()
def mup_initialize_(
    model: nn.Module, base: nn.Module, rule: Callable[[Tensor], Tensor], *, bias: float = 0.0
) -> nn.Module:
    r"""Initialize with `rule`, and make weights that narrow smaller: the logits start small and not of order 1.

    .. math:: W \leftarrow \min\bigl(1, \sqrt{r_{out} / r_{in}}\bigr)\, W

    Between hidden layers nothing changes; the last layer's variance becomes c / fan_in^2 times the base width.

    Args:
        model: overwritten.
        base: a model of the same parts at the width where the learning rate was tuned; only its shapes are read.
        rule: with a variance of c / fan_in, such as `he_normal_` or `lecun_normal_`.
        bias: as of `initialize_`.
    Returns: `model` itself.
    Raises: ValueError: if the two models do not have the same parameters by name, or as `initialize_`.
    Source: Yang et al. 2022, arXiv:2203.03466, Table 3, row of variances; the parameterization is from Yang and Hu
        2020, arXiv:2011.14522; one formula for all columns as in Yang, Simon and Bernstein 2023, arXiv:2310.17813.
    """
    pairs = list(_pairs(model, base))
    initialize_(model, rule, bias=bias)
    for _, parameter, r_in, r_out in pairs:
        if parameter.ndim >= 2:
            parameter.mul_(min(1.0, math.sqrt(r_out / r_in)))
    return model


@checked
def mup_lr(lr: float, r_in: float, r_out: float, *, method: Method) -> float:
    r"""Return the learning rate of one parameter, whose update then changes the signal as much at every width.

    .. math:: \eta_{Adam} = \eta / r_{in}, \qquad \eta_{SGD} = \eta\, r_{out} / r_{in}

    Args:
        lr: of the base model, >= 0.
        r_in: factor of the fan-in, > 0, as from `width_ratios`.
        r_out: factor of the fan-out, > 0.
        method: "adam" for all rules that divide by the gradient's size, "sgd" also with momentum.
    Raises: ValueError: if a number is out of its range. TypeError: if the method is unknown.
    Source: Yang et al. 2022, arXiv:2203.03466, Table 3, rows of learning rates.
    """
    check_positive("lr", lr, strict=False)
    check_positive("r_in", r_in)
    check_positive("r_out", r_out)
    scaled = lr / r_in if method == "adam" else lr * r_out / r_in
    check_positive("lr times the ratio of r_out and r_in", scaled, strict=False)
    return scaled


@checked
def mup_groups(model: nn.Module, base: nn.Module, lr: float, *, method: Method) -> list[dict[str, Any]]:
    r"""Return parameter groups for an optimizer, one for each parameter: `Adam(mup_groups(model, base, lr, ...))`.

    A learning rate that is best for `base` stays nearly so for wider models. Decoupled weight decay is lr times
    `weight_decay` per step and shrinks with it.

    Args:
        model: initialized by `mup_initialize_`.
        base: as there.
        lr: of the base model, >= 0.
        method: as of `mup_lr`.
    Returns: dicts with "params", "lr" and "name".
    Raises: ValueError: if the two models do not have the same parameters by name, or lr is out of its range.
    Source: as of `mup_lr`.
    """
    return [
        {"params": [parameter], "lr": mup_lr(lr, r_in, r_out, method=method), "name": name}
        for name, parameter, r_in, r_out in _pairs(model, base)
    ]


def _pairs(model: nn.Module, base: nn.Module) -> Iterator[tuple[str, nn.Parameter, float, float]]:
    """Yield (name, parameter, r_in, r_out)."""
    parameters, bases = dict(model.named_parameters()), dict(base.named_parameters())
    if parameters.keys() != bases.keys() or not parameters:
        raise ValueError(
            f"model and base need the same parameters by name, got {len(parameters)} and {len(bases)}, of which "
            f"{len(parameters.keys() & bases.keys())} agree: make both with one function of the width."
        )
    for name, parameter in parameters.items():
        yield name, parameter, *width_ratios(parameter, bases[name])
