r"""Are two trained networks in one valley? The barrier on the line between them, and a curve trained around it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils._checks import check_at_least, check_floating, check_positive, check_probability
from course_utils._given import check_differentiable, loss_of
from course_utils._types import checked
from course_utils.landscapes.slices import Loss, Weights, _check_model, _check_same_network, _loss_at
from course_utils.optimizers import RULES


@checked
def barrier(t: Tensor, losses: Tensor) -> Tensor:
    r"""Return by how much the loss on a path rises above the straight line between the losses of its ends.

    .. math:: \max_t \bigl( L(t) - (1-t)\, L(0) - t\, L(1) \bigr) \ge 0

    Args:
        t: positions [points], from 0 to 1.
        losses: [points] or [paths, points].
    Returns: one number, or one per path; 0 where the path is nowhere above its chord.
    Raises: ValueError: if t does not go from 0 to 1, or there is not one loss for each t. TypeError: if one of them
        holds no floating-point numbers.
    Source: Entezari et al. 2022, arXiv:2110.06296, definition 2.1; Frankle et al. 2020, arXiv:1912.05671, section 2,
        subtract the mean of the ends instead of the chord.
    """
    check_floating(t=t, losses=losses)
    if t.ndim != 1 or len(t) < 2 or losses.ndim < 1 or losses.shape[-1] != len(t):
        raise ValueError(f"t needs two positions or more, [points], and losses [..., points], got t of shape "
                         f"{tuple(t.shape)} and losses of shape {tuple(losses.shape)}.")  # fmt: skip
    t = t.detach()
    if float(t[0]) != 0.0 or float(t[-1]) != 1.0:
        raise ValueError(
            f"t must go from 0 to 1, got {float(t[0]):g} to {float(t[-1]):g}: a barrier is between ends."
        )
    chord = (1 - t) * losses[..., :1] + t * losses[..., -1:]
    return (losses - chord).amax(-1)


@checked
def bezier(start: Weights, bend: Weights, end: Weights, t: float) -> Weights:
    r"""Return the point t of the quadratic Bezier curve from start to end.

    .. math:: \phi(t) = (1-t)^2\, w_{\text{start}} + 2t(1-t)\, \theta + t^2\, w_{\text{end}}

    Args:
        start: weights at t = 0.
        bend: the control point theta, towards which the curve is pulled; the middle of the ends gives the line.
        end: weights at t = 1.
        t: in [0, 1].
    Raises: ValueError: if t lies outside, or the weights are of other networks. TypeError: if they hold no
        floating-point numbers.
    Source: Garipov et al. 2018, arXiv:1802.10026, section 3.
    """
    check_probability("t", t)
    _check_same_network(start, bend, name="bend", of="start")
    _check_same_network(start, end, name="end", of="start")
    return _bezier(start, bend, end, t)


def _bezier(start: Weights, bend: Weights, end: Weights, t: float) -> Weights:
    return {
        name: (1 - t) ** 2 * w + 2 * t * (1 - t) * bend[name] + t**2 * end[name] for name, w in start.items()
    }


@checked
def loss_along_curve(
    model: nn.Module,
    start: Weights,
    bend: Weights,
    end: Weights,
    x: Tensor,
    y: Tensor,
    *,
    num_points: int = 21,
    loss: Loss = F.cross_entropy,
) -> tuple[Tensor, Tensor]:
    """Return (t, loss) on the Bezier curve through start and end, both included.

    Args:
        model: gives the function; its weights and buffers are neither used up nor changed.
        start: weights at t = 0.
        bend: the control point, such as `train_bend` returns.
        end: weights at t = 1.
        x: inputs on the model's device.
        y: targets.
        num_points: equally spaced in t, >= 2.
        loss: (output, y) -> one number.
    Returns: two vectors [num_points] on the CPU, float64.
    Raises: ValueError: if there are fewer than two points, or the weights are of other networks, and both as of
        `loss_along_line`. TypeError: as there.
    """
    check_at_least("num_points", num_points, 2)
    _check_same_network(start, end, name="end", of="start")
    _check_same_network(start, bend, name="bend", of="start")
    _check_model(model, start, name="start")
    t = torch.linspace(0, 1, num_points, dtype=torch.float64)
    losses = [_loss_at(model, _bezier(start, bend, end, s), x, y, loss) for s in t.tolist()]
    return t, torch.tensor(losses, dtype=torch.float64)


@checked
def train_bend(
    model: nn.Module,
    start: Weights,
    end: Weights,
    x: Tensor,
    y: Tensor,
    *,
    generator: torch.Generator,
    num_steps: int = 300,
    batch_size: int = 128,
    lr: float = 0.01,
    loss: Loss = F.cross_entropy,
) -> Weights:
    r"""Return a bend for which the loss is low all along the Bezier curve between two trained networks.

    .. math:: \min_\theta\, \mathbb E_{t \sim U(0,1)}\, L(\phi_\theta(t)), \qquad
              \nabla_\theta L = 2t(1-t)\, \nabla_w L

    Each step draws one t and one batch and takes an Adam step; the ends stay where they are. The start is the middle
    of the line.

    Args:
        model: gives the function; its weights and buffers are neither used up nor changed.
        start: weights at t = 0.
        end: weights at t = 1.
        x: inputs [N, ...] on the model's device.
        y: targets [N].
        generator: of t and of the batches, on the CPU.
        num_steps: updates, >= 1.
        batch_size: examples per step, >= 1.
        lr: of Adam, > 0.
        loss: (output, y) -> mean over the batch.
    Raises: ValueError: if a number is out of range, the ends are of other networks, or x and y of other lengths, and as
        of `loss_along_line`. TypeError: as there.
    Source: Garipov et al. 2018, arXiv:1802.10026, eq. 2 and section 3.
    """
    check_positive("lr", lr)
    if num_steps < 1 or batch_size < 1:
        raise ValueError(f"num_steps and batch_size must be at least 1, got {num_steps} and {batch_size}.")
    _check_same_network(start, end, name="end", of="start")
    _check_model(model, start, name="start")
    if not x.ndim or not y.ndim or not 0 < len(x) == len(y):
        raise ValueError(f"x and y need one entry or more, as many of one as of the other, got x of shape "
                         f"{tuple(x.shape)} and y of shape {tuple(y.shape)}.")  # fmt: skip
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    bend = {name: (w + end[name]) / 2 for name, w in start.items()}
    states = {name: RULES["Adam"].init(w) for name, w in bend.items()}
    for _ in range(num_steps):
        t = float(torch.rand((), generator=generator))
        index = torch.randint(0, len(x), (batch_size,), generator=generator).to(x.device)
        leaves = {name: w.requires_grad_() for name, w in bend.items()}
        with torch.enable_grad():
            weights = {**buffers, **_bezier(start, leaves, end, t)}
            value = loss_of(model, weights, x[index], y[index], loss)
            check_differentiable("loss", value, "the output of the model")
            gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        for (name, w), grad in zip(leaves.items(), gradients, strict=True):
            delta, states[name] = RULES["Adam"].update(grad, states[name], lr=lr)
            bend[name] = w.detach() + delta
    return bend
