r"""The same plane for less: a loss on many points whose first layer is computed three times instead of once a point.

A first layer is linear in its weights, so that on a plane its output is a linear function of the two coordinates. This
is the fast form of `loss_on_plane`, and equal to it.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils._given import call_given
from course_utils._types import checked
from course_utils.landscapes.slices import Loss, Weights, _check_plane, _loss_at

LINEAR_IN_WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@checked
def loss_on_plane_by_linearity(
    model: nn.Module,
    centre: Weights,
    directions: tuple[Weights, Weights],
    x: Tensor,
    y: Tensor,
    *,
    first: str = "layers.0",
    radius: float = 1.0,
    num_points: int = 21,
    loss: Loss = F.cross_entropy,
) -> tuple[Tensor, Tensor]:
    r"""Return what `loss_on_plane` returns, with three products of the first layer for the whole grid.

    .. math:: x\,(W + a D_1 + b D_2)^\top = \underbrace{x W^\top}_{P} + a \underbrace{x D_1^\top}_{Q}
              + b \underbrace{x D_2^\top}_{R}

    Args:
        model: as of `loss_on_plane`; it may reshape its inputs before `first`, and use the result once, nowhere else.
        centre: weights at a = b = 0.
        directions: (d1, d2).
        x: inputs on the model's device.
        y: targets.
        first: name of the first layer, linear or a convolution, as in `model.named_modules()`.
        radius: half the side of the square, > 0, in units of the directions.
        num_points: per axis; odd.
        loss: (output, y) -> one number.
    Returns: t [num_points] and losses [num_points, num_points], `losses[i, j]` at a = t[i], b = t[j]; CPU, float64.
    Raises: ValueError: as `loss_on_plane`, and if `first` is no such layer or its inputs reach the loss another way.
    """
    t = _check_plane(model, centre, directions, radius, num_points)
    inputs = _inputs_of(model, first, x)
    rest = copy.deepcopy(model)
    rest.set_submodule(first, nn.Identity())  # what this takes as its input is the first layer's output
    P, Q, R = (_first_output(model, first, weights, inputs) for weights in (centre, *directions))
    own, d1, d2 = ({name: w for name, w in point.items() if not name.startswith(f"{first}.")}
                   for point in (centre, *directions))  # fmt: skip
    _check_only_way(_loss_at(rest, own, P.clone(), y, loss), _loss_at(model, centre, x, y, loss), first)
    losses = torch.empty(num_points, num_points, dtype=torch.float64)
    z = torch.empty_like(P)  # filled anew for each point: a block of this size is slow to ask for
    for i, a in enumerate(t.tolist()):
        row = {name: torch.add(w, d1[name], alpha=a) for name, w in own.items()}
        along = P + a * Q
        for j, b in enumerate(t.tolist()):
            point = {name: torch.add(w, d2[name], alpha=b) for name, w in row.items()}
            losses[i, j] = _loss_at(rest, point, torch.add(along, R, alpha=b, out=z), y, loss)
    return t, losses


@torch.no_grad()
def _inputs_of(model: nn.Module, first: str, x: Tensor) -> Tensor:
    """Return what the layer `first` receives when the model sees x; a copy of the model runs."""
    layer = dict(model.named_modules()).get(first)
    if not isinstance(layer, LINEAR_IN_WEIGHTS):
        kind = "no module" if layer is None else f"a {type(layer).__name__}"
        raise ValueError(f"first must name a linear layer or a convolution, {first!r} is {kind}.")
    seen: list[Tensor] = []
    probe = copy.deepcopy(model)
    probe.get_submodule(first).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    call_given("model", probe, "x", x)
    if len(seen) != 1:
        raise ValueError(f"first must run once per forward pass, {first!r} ran {len(seen)} times.")
    return seen[0]


@torch.no_grad()
def _first_output(model: nn.Module, first: str, weights: Weights, inputs: Tensor) -> Tensor:
    """Return the output of the first layer with these weights; it is linear in weight and bias together."""
    own = {name.removeprefix(f"{first}."): w for name, w in weights.items() if name.startswith(f"{first}.")}
    layer = model.get_submodule(first)
    on = f"x as {first} receives it, with the weights of centre and directions"
    output: Tensor = call_given("model", lambda h: torch.func.functional_call(layer, own, (h,)), on, inputs)
    return output


def _check_only_way(by_rest: float, by_model: float, first: str) -> None:
    """Compare the two losses at the centre; 1e-4 is far above rounding, and far below what a lost path changes."""
    if not math.isfinite(by_model):  # nothing to compare: it will show
        return
    if not abs(by_rest - by_model) <= 1e-4 * max(abs(by_model), 1e-3):
        raise ValueError(
            f"the inputs reach the loss past {first!r} too: with its output in their place the loss at the centre is "
            f"{by_rest:.6g} instead of {by_model:.6g}. Use loss_on_plane."
        )
