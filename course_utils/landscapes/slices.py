r"""What lies around a point of weight space? Losses on lines and planes, along directions that can be compared.

A slice shows one or two of thousands of directions. A random one hardly meets the few eigenvectors of large curvature,
so that flat surroundings in the picture do not rule out a sharp minimum.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils._checks import check_at_least, check_floating, check_positive
from course_utils._given import loss_of
from course_utils._types import checked

Weights = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


@checked
def weights_of(model: nn.Module) -> Weights:
    """Return a copy of the model's parameters by name: a point of weight space."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@checked
def random_direction(weights: Weights, generator: torch.Generator) -> Weights:
    """Return a direction with independent N(0, 1) entries for every parameter of two or more dimensions.

    Parameters of one dimension (biases, scales of a norm layer) get a direction of 0, as in Li et al.'s published
    pictures: a single number has no filter norm to be compared with.

    Args:
        weights: the point, from `weights_of`; gives names, shapes, dtype and device.
        generator: on the CPU, so that every device looks along the same direction.
    Raises: TypeError: if a parameter holds no floating-point numbers.
    """
    _check_floating("weights", weights)
    return {
        name: torch.randn(w.shape, generator=generator, dtype=w.dtype).to(w.device)
        if w.ndim > 1
        else torch.zeros_like(w)
        for name, w in weights.items()
    }


@checked
def normalize_filters(direction: Weights, weights: Weights) -> Weights:
    r"""Give every filter of `direction` the length of the same filter of `weights`.

    .. math:: d_i \leftarrow \frac{d_i}{\|d_i\|}\, \|w_i\|

    A filter is what one unit sees: a row of a matrix, an output channel of a convolution. Units of a ReLU net can be
    scaled against each other without changing the function; the direction then scales along, and so the picture of the
    loss stays the same. A filter of zero length stays 0.

    Raises: ValueError: if the two are of different networks. TypeError: if one holds no floating-point numbers.
    Source: Li et al. 2018, arXiv:1712.09913, section 4.
    """
    _check_same_network(weights, direction, name="direction")
    normalized = {}
    for name, d in direction.items():
        filters = tuple(range(1, d.ndim))
        if not filters:
            normalized[name] = torch.zeros_like(d)
            continue
        own, wanted = (torch.linalg.vector_norm(v, dim=filters, keepdim=True) for v in (d, weights[name]))
        normalized[name] = d * (wanted / own.where(own > 0, 1.0))
    return normalized


@checked
def filter_normalized_direction(weights: Weights, generator: torch.Generator) -> Weights:
    """Return a Gaussian direction whose filters are as long as those of `weights`; biases get 0.

    Source: Li et al. 2018, arXiv:1712.09913, section 4.
    """
    return normalize_filters(random_direction(weights, generator), weights)


@checked
def orthogonal_directions(weights: Weights, generator: torch.Generator) -> tuple[Weights, Weights]:
    """Return two filter-normalized Gaussian directions that are orthogonal, filter by filter.

    The second is made orthogonal within every filter before it gets its length: both properties hold at once, while
    orthogonalizing the whole vectors would change the lengths of the filters again.

    Raises: ValueError: if a filter has less than two entries: a line holds no second direction. TypeError: if a
        parameter holds no floating-point numbers.
    """
    for name, w in weights.items():
        if w.ndim > 1 and w.shape[1:].numel() < 2:
            raise ValueError(f"{name} has filters of one entry, which hold no second direction: draw a line instead, "
                             "or leave it out of weights.")  # fmt: skip
    first = filter_normalized_direction(weights, generator)
    second = random_direction(weights, generator)
    for name, d in first.items():
        if d.ndim > 1:
            unit = F.normalize(d.flatten(1), dim=1, eps=torch.finfo(d.dtype).tiny)
            flat = second[name].flatten(1)
            second[name] = (flat - (flat * unit).sum(1, keepdim=True) * unit).reshape(d.shape)
    return first, normalize_filters(second, weights)


@checked
def loss_along_line(
    model: nn.Module,
    start: Weights,
    end: Weights,
    x: Tensor,
    y: Tensor,
    *,
    span: tuple[float, float] = (0.0, 1.0),
    num_points: int = 21,
    loss: Loss = F.cross_entropy,
) -> tuple[Tensor, Tensor]:
    r"""Return (t, loss) on the line :math:`(1-t)\,w_{\text{start}} + t\,w_{\text{end}}`, both ends included.

    Args:
        model: gives the function, in the mode it is in; its weights and buffers are neither used up nor changed.
        start: weights at t = 0, from `weights_of`.
        end: weights at t = 1.
        x: inputs on the model's device.
        y: targets.
        span: first and last t; (-1, 1) puts `start` in the middle.
        num_points: equally spaced points, >= 2.
        loss: (output, y) -> one number.
    Returns: two vectors [num_points] on the CPU, float64.
    Raises: ValueError: if there are fewer than two points, the span is empty or not finite, the ends are of other
        networks, the model cannot take x, or the loss cannot compare its output with y. TypeError: if weights hold no
        floating-point numbers.
    """
    check_at_least("num_points", num_points, 2)
    if not span[0] < span[1] or not math.isfinite(span[1] - span[0]):
        raise ValueError(f"span needs its first t below its last, both finite, got {span}.")
    _check_same_network(start, end, name="end", of="start")
    _check_model(model, start, name="start")
    t = torch.linspace(*span, num_points, dtype=torch.float64)
    points = ({name: (1 - s) * w + s * end[name] for name, w in start.items()} for s in t.tolist())
    return t, torch.tensor([_loss_at(model, point, x, y, loss) for point in points], dtype=torch.float64)


@checked
def loss_on_plane(
    model: nn.Module,
    centre: Weights,
    directions: tuple[Weights, Weights],
    x: Tensor,
    y: Tensor,
    *,
    radius: float = 1.0,
    num_points: int = 21,
    loss: Loss = F.cross_entropy,
) -> tuple[Tensor, Tensor]:
    r"""Return (t, losses) on the plane :math:`w + a\,d_1 + b\,d_2`, with a and b from -radius to radius.

    Args:
        model: gives the function, in the mode it is in; its weights and buffers are neither used up nor changed.
        centre: weights at a = b = 0.
        directions: (d1, d2), such as `orthogonal_directions`.
        x: inputs on the model's device.
        y: targets.
        radius: half the side of the square, > 0, in units of the directions: 1 moves every filter by its own length.
        num_points: per axis; odd, so that the centre is a point of the grid.
        loss: (output, y) -> one number.
    Returns: t [num_points] and losses [num_points, num_points], `losses[i, j]` at a = t[i], b = t[j]; CPU, float64.
    Raises: ValueError: if the radius is not positive, `num_points` is even, a direction is of another network, the
        model cannot take x, or the loss cannot compare its output with y. TypeError: as of `loss_along_line`.
    """
    t = _check_plane(model, centre, directions, radius, num_points)
    d1, d2 = directions
    losses = torch.empty(num_points, num_points, dtype=torch.float64)
    for i, a in enumerate(t.tolist()):
        row = {name: w + a * d1[name] for name, w in centre.items()}
        for j, b in enumerate(t.tolist()):
            losses[i, j] = _loss_at(model, {name: w + b * d2[name] for name, w in row.items()}, x, y, loss)
    return t, losses


def _check_plane(
    model: nn.Module, centre: Weights, directions: tuple[Weights, Weights], radius: float, num_points: int
) -> Tensor:
    """Return the coordinates of an axis, or raise ValueError; the middle one is exactly 0."""
    check_positive("radius", radius)
    if num_points < 3 or num_points % 2 == 0:
        raise ValueError(
            f"num_points must be odd and at least 3, so that the centre is drawn, got {num_points}."
        )
    for number, direction in enumerate(directions, start=1):
        _check_same_network(centre, direction, name=f"direction {number}", of="centre")
    _check_model(model, centre, name="centre")
    if any(radius > torch.finfo(w.dtype).max for w in centre.values()):
        raise ValueError(f"radius must be a number of the weights' dtype, got radius={radius!r}.")
    half = num_points // 2
    return torch.arange(-half, half + 1, dtype=torch.float64) * (radius / half)


def _check_same_network(weights: Weights, other: Weights, *, name: str, of: str = "weights") -> None:
    """Raise unless both have the same names and shapes, and hold floating-point numbers."""
    expected = {key: tuple(w.shape) for key, w in weights.items()}
    received = {key: tuple(w.shape) for key, w in other.items()}
    if expected != received:
        key = next(k for k in expected | received if expected.get(k) != received.get(k))
        raise ValueError(
            f"{name} belongs to another network than {of}: {key} has shape {received.get(key, 'none')} there, "
            f"{expected.get(key, 'none')} here."
        )
    _check_floating(of, weights)
    _check_floating(name, other)


def _check_floating(name: str, weights: Weights) -> None:
    check_floating(**{f"{name}[{key!r}]": w for key, w in weights.items()})


def _check_model(model: nn.Module, weights: Weights, *, name: str) -> None:
    """Raise ValueError unless the point has a value for every parameter of the model, whose own would be used else."""
    _check_same_network(dict(model.named_parameters()), weights, name=name, of="model")


@torch.no_grad()
def _loss_at(model: nn.Module, weights: Weights, x: Tensor, y: Tensor, loss: Loss) -> float:
    """Evaluate with these weights in place of the model's; copied buffers take what BatchNorm would write."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return float(loss_of(model, {**buffers, **weights}, x, y, loss))
