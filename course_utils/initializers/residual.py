r"""How small must residual branches start? Scaled by the depth, or at zero.

A network :math:`h_{l+1} = h_l + f_l(h_l)` whose branches keep the variance doubles it in every block: :math:`2^L`. With
branches of variance 1/L the product is :math:`(1 + 1/L)^L < e`; with branches that end in zeros every block starts as
the identity, whatever L is.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils._checks import check_finite
from course_utils._types import checked


@checked
@torch.no_grad()
def scale_branches_(branches: Sequence[nn.Module], *, scale: float | None = None) -> None:
    r"""Multiply the last layer of each branch by :math:`1/\sqrt L`, so that the variance grows to e and not to 2^L.

    .. math:: \mathrm{Var}(h_L) = (1 + 1/L)^L\, \mathrm{Var}(h_0)

    Args:
        branches: the L residual branches, each with parameters in the order of its layers; their last weight, and its
            bias, is scaled.
        scale: another factor; 0 makes every block the identity.
    Raises: ValueError: if there is no branch, a branch has no weight of two or more dimensions, or `scale` is not
        finite.
    Source: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3; that a factor of
        order :math:`1/\sqrt L` is what batch normalization does: De and Smith 2020, arXiv:2002.10444.
    """
    scale = 1 / math.sqrt(max(1, len(branches))) if scale is None else scale
    check_finite("scale", scale)
    for weight, bias in [_last_layer(layers) for layers in _layers_of(branches)]:
        weight.mul_(scale)
        if bias is not None:
            bias.mul_(scale)


@checked
@torch.no_grad()
def zero_branches_(branches: Sequence[nn.Module]) -> None:
    r"""Set the last layer of each branch to 0: every block starts as the identity.

    .. math:: W_m \leftarrow 0, \qquad b_m \leftarrow 0 \quad \text{in a branch of m layers, so that } h_{l+1} = h_l

    The same function at the start as a trained factor of 0 behind each branch (SkipInit and ReZero, which
    `course_utils.models.ResidualMLP` has as `branch_scale=0.0`); the first step moves other parameters, though: here
    the last layers, there the factors.

    Args:
        branches: as of `scale_branches_`.
    Raises: ValueError: as `scale_branches_`.
    Source: Zhang, Dauphin and Ma 2019, arXiv:1901.09321, rule 1. A factor of 0: De and Smith 2020,
        arXiv:2002.10444 (SkipInit), and Bachlechner et al. 2020, arXiv:2003.04887 (ReZero).
    """
    for weight, bias in [_last_layer(layers) for layers in _layers_of(branches)]:
        weight.zero_()
        if bias is not None:
            bias.zero_()


@checked
@torch.no_grad()
def fixup_(branches: Sequence[nn.Module]) -> None:
    r"""Set the last layer of each branch to 0 and scale the others, so that the FIRST UPDATE does not grow with L.

    .. math:: W \leftarrow L^{-1/(2m - 2)}\, W \quad \text{in a branch of m layers, but for the last, which is 0}

    Zeros alone keep the signal and not the update, to which all L branches add. Fixup's further rules, a zero
    classifier and trained scalars beside each layer, are not part of it.

    Args:
        branches: as of `scale_branches_`, initialized by a rule that keeps the variance, such as `he_normal_`.
    Raises: ValueError: as `scale_branches_`.
    Source: Zhang, Dauphin and Ma 2019, arXiv:1901.09321, rules 1 and 2.
    """
    for weights in [[w for w in layers if w.ndim >= 2] for layers in _layers_of(branches)]:
        for weight in weights[:-1]:
            weight.mul_(len(branches) ** (-1 / (2 * len(weights) - 2)))
    zero_branches_(branches)


def _layers_of(branches: Sequence[nn.Module]) -> list[list[nn.Parameter]]:
    """Return the parameters of each branch, or raise ValueError where one has no weight."""
    parameters = [list(branch.parameters()) for branch in branches]
    if not parameters or not all(any(p.ndim >= 2 for p in layers) for layers in parameters):
        raise ValueError(
            f"branches need one or more modules, each with a weight of 2 or more dimensions, got {len(branches)} "
            f"with {[sum(p.ndim >= 2 for p in layers) for layers in parameters]} weights."
        )
    return parameters


def _last_layer(layers: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return the last weight, and the bias that follows it, if one does."""
    last = max(place for place, p in enumerate(layers) if p.ndim >= 2)
    following = layers[last + 1 : last + 2]
    return layers[last], (following[0] if following else None)
