"""What does a picture of fifty layers cost? Variances of signals and gradients in five ReLU networks, without hooks.

The picture (rows S2-040 to S2-044) has 50 layers of 100 units, 100 inputs, weights of five variances. The usual way
builds modules and hooks that take `.var().item()` of every output and gradient. The first of
ours writes the layers out, as notebook 06 does, for all five variances at once, each variance taken while its layer is
in the cache. The second runs one network, and eq. 6.11 of that notebook gives the others. All in float64: with variance
1 the signal of the last layer squared is beyond float32.
"""

import math
from functools import partial
from typing import Any

import torch
from records import Limit, Record, compare, label_of
from timing import interleave
from torch import Tensor, nn

from course_utils.seeding import make_generator

VARIANCES = (0.001, 0.01, 0.02, 0.1, 1.0)
DEPTH, WIDTH, NUM_INPUTS = 50, 100, 100
WHAT = "variances of 50 layers x 100 units, five networks"


def make_draws() -> tuple[Tensor, Tensor]:
    """Return inputs [N, n] and standard normal matrices [depth, n, n] that all networks scale."""
    generator = make_generator(0)
    inputs = torch.randn(NUM_INPUTS, WIDTH, generator=generator, dtype=torch.float64)
    return inputs, torch.randn(DEPTH, WIDTH, WIDTH, generator=generator, dtype=torch.float64)


def hooked(inputs: Tensor, draws: Tensor) -> Tensor:
    """Return variances [2, networks, depth], forward and backward, from modules and hooks: the usual way."""
    found = torch.empty(2, len(VARIANCES), DEPTH, dtype=torch.float64)
    x = inputs.clone().requires_grad_()
    for number, variance in enumerate(VARIANCES):
        layers: list[nn.Module] = []
        for k, matrix in enumerate(draws):
            linear = nn.utils.skip_init(nn.Linear, WIDTH, WIDTH, bias=False, dtype=torch.float64)  # type: ignore[no-untyped-call]
            with torch.no_grad():
                linear.weight.copy_(math.sqrt(variance) * matrix)

            def keep(module: nn.Module, given: Any, output: Tensor, k: int = k, number: int = number) -> None:
                found[0, number, k] = output.var().item()

            def keep_gradient(
                module: nn.Module, given: Any, output: Any, k: int = k, number: int = number
            ) -> None:
                found[1, number, k] = output[0].var().item()

            linear.register_forward_hook(keep)
            linear.register_full_backward_hook(keep_gradient)
            layers += [linear, nn.ReLU()]
        (nn.Sequential(*layers)(x).square().sum() / 2).backward()
    return found


def together(inputs: Tensor, draws: Tensor, variances: tuple[float, ...] = VARIANCES) -> Tensor:
    """Return the same numbers from one pass through the written-out layers, for all variances at once.

    Two buffers are enough, one to read and one to write: a fresh tensor a layer would cost more than its statistics.
    """
    scale = torch.tensor(variances, dtype=torch.float64).sqrt()[:, None, None]
    now = inputs.repeat(len(variances), 1, 1)  # (networks, inputs, units)
    following = torch.empty_like(now)
    idle, forward, backward = [], [], []
    for matrix in draws:
        _product(now, matrix.T, scale, following)
        forward.append(_variance(following))
        idle.append(following <= 0)
        now, following = following.relu_(), now
    for matrix, off in zip(draws.flip(0), reversed(idle), strict=True):
        backward.append(_variance(now.masked_fill_(off, 0.0)))  # ReLU's slope is 0 where the unit is idle
        _product(now, matrix, scale, following)
        now, following = following, now
    return torch.stack([torch.stack(forward, 1), torch.stack(backward[::-1], 1)])


def _product(h: Tensor, matrix: Tensor, scale: Tensor, result: Tensor) -> None:
    """Write scale * h @ matrix into `result`: one matrix product for all networks, which share the draws."""
    torch.mm(h.flatten(0, 1), matrix, out=result.flatten(0, 1))
    result.mul_(scale)


def _variance(z: Tensor) -> Tensor:
    """Return the variance of each network's numbers [networks, inputs, units] from their sum and their norm."""
    flat = z.flatten(1)
    n = flat.shape[1]
    squares: Tensor = torch.linalg.vector_norm(flat, dim=1).square()
    return (squares - flat.sum(1).square() / n) / (n - 1)


def scaled(inputs: Tensor, draws: Tensor) -> Tensor:
    """Return the same numbers from one network: a signal of layer l has the factor sqrt(variance) l times."""
    reference = VARIANCES[2]
    layer = torch.arange(1, DEPTH + 1, dtype=torch.float64)
    exponents = torch.stack([layer, 2 * DEPTH - layer])[
        :, None, :
    ]  # backwards: all of the output, then the rest
    ratios = torch.tensor(VARIANCES, dtype=torch.float64)[:, None] / reference
    return together(inputs, draws, (reference,)) * ratios**exponents


def products(inputs: Tensor, draws: Tensor) -> None:
    """Do the matrix products of the five networks and nothing else: the floor."""
    h = inputs.repeat(len(VARIANCES), 1)
    result = torch.empty_like(h)
    for matrix in draws:
        torch.mm(h, matrix.T, out=result)
        torch.mm(h, matrix, out=result)


def rows() -> list[Record]:
    """Return a row for each of our two ways, and how far they are from the hooks."""
    torch.set_num_threads(1)
    draws = make_draws()
    ways = {"hooks and .item()": hooked, "five networks at once": together, "one network and eq. 6.11": scaled,
            "products": products}  # fmt: skip
    seconds = interleave({name: partial(way, *draws) for name, way in ways.items()}, 7)
    exact = hooked(*draws)
    error = max(float((way(*draws) / exact - 1).abs().max()) for way in (together, scaled))
    peer = {"peer": "hooks and .item()", "peer_version": label_of("torch")}
    return [
        compare(seconds, what=WHAT, ours="five networks at once", goal=4.0, floor="products", **peer),
        compare(seconds, what=WHAT, ours="one network and eq. 6.11", goal=10.0, **peer,
                note="no floor: it does a fifth of the products"),
        Limit("largest relative difference from the hooks", "both ways", error, 1e-5),
    ]  # fmt: skip


if __name__ == "__main__":
    for record in rows():
        print(record)
