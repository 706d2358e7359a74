"""How does the cost grow? Training, landscape, curvature and trajectories at four sizes over two decades.

An exponent is the slope of log(cost) against log(size), by least squares, fitted in every round; the table has the
median and the range of the rounds. Theory counts arithmetic: an epoch is linear in its images, a plane in its points, a
Hessian-vector product in the parameters. A batch of trajectories costs what Python costs, whatever its size, until the
arithmetic of thousands outweighs it: exponent 0. Exponents below 1 come from what does not grow: Python's time per
step, the three products that a plane starts with, and that narrow matrix products use a core less well than wide ones;
where that is the reason, the exponent between the two largest sizes is nearer to theory, and the note has it.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from records import Growth, Record
from timing import interleave
from trajectories import walk_all

from course_utils.curvature import hessian_vector_product
from course_utils.landscapes import loss_on_plane_by_linearity, orthogonal_directions, weights_of
from course_utils.models import MLP, count_parameters
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator
from course_utils.training import train

Work = Callable[[], object]
WIDTHS = (784, 100, 100, 10)


def fit_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    r"""Return the slope of log(cost) against log(size), by least squares.

    .. math:: \hat p = \frac{\sum_i (u_i - \bar u)\, v_i}{\sum_i (u_i - \bar u)^2}, \qquad u = \log n,\; v = \log c

    Args:
        sizes: two or more different positive numbers.
        costs: as many, positive.

    Raises:
        ValueError: if the numbers differ, or no line is determined.
    """
    if len(sizes) != len(costs) or len(set(sizes)) < 2 or min(*sizes, *costs) <= 0:
        raise ValueError(
            f"an exponent needs positive costs at two or more different sizes, got {costs} at {sizes}."
        )
    logs = [math.log(size) for size in sizes]
    mean = statistics.fmean(logs)
    above = sum((u - mean) * math.log(cost) for u, cost in zip(logs, costs, strict=True))
    return above / sum((u - mean) ** 2 for u in logs)


def grow(
    what: str, size: str, theory: float, work: dict[int, Work], *, rounds: int = 5, calls: int = 1
) -> Growth:
    """Time the work of every size and return how its cost grows.

    Args:
        what: what is done.
        size: what is counted.
        theory: exponent expected.
        work: size -> function without arguments, from the smallest on.
        rounds: timings of each size.
        calls: calls one timing holds.
    """
    sizes = tuple(work)
    seconds = interleave({str(n): work[n] for n in sizes}, rounds, calls=calls)
    exponents = [fit_exponent(sizes, costs) for costs in zip(*seconds.values(), strict=True)]
    medians = [statistics.median(values) for values in seconds.values()]
    costs = tuple(cost / medians[0] for cost in medians)
    note = f"{fit_exponent(sizes[-2:], costs[-2:]):.2f} between the two largest sizes"
    return Growth(
        what, size, sizes, costs, statistics.median(exponents), min(exponents), max(exponents), theory, note
    )


def epoch_over(number: int) -> Work:
    """Return one epoch over so many images of noise, batches of 250."""
    model, generator = MLP(WIDTHS, generator=make_generator(0)), make_generator(0)
    x, y = torch.randn(number, WIDTHS[0], generator=generator), torch.arange(number) % WIDTHS[-1]
    optimizer = Adam(model.parameters())
    return lambda: train(model, (x, y), optimizer, num_epochs=1, batch_size=250, generator=generator)


def plane_of(num_points: int) -> Work:
    """Return a plane of so many points a side, on 200 images of noise."""
    model, generator = MLP(WIDTHS, generator=make_generator(0)), make_generator(0)
    x, y = torch.randn(200, WIDTHS[0], generator=generator), torch.arange(200) % WIDTHS[-1]
    centre = weights_of(model)
    directions = orthogonal_directions(centre, generator)
    return partial(loss_on_plane_by_linearity, model, centre, directions, x, y, num_points=num_points)


def product_with(width: int) -> tuple[int, Work]:
    """Return the number of parameters of a network of this width, and a product with its Hessian on 500 images."""
    model, generator = MLP((100, width, width, 10), generator=make_generator(0)), make_generator(0)
    x, y = torch.randn(500, 100, generator=generator), torch.arange(500) % 10
    product = hessian_vector_product(F.cross_entropy(model(x), y), list(model.parameters()))
    v = torch.ones(count_parameters(model))
    return len(v), partial(product, v)


def rows() -> list[Record]:
    """Return the growth of the four costs."""
    torch.set_num_threads(1)
    return [
        grow("training epoch", "images", 1.0, {n: epoch_over(n) for n in (500, 2_250, 11_250, 50_000)}),
        grow("loss plane", "points", 1.0, {n**2: plane_of(n) for n in (5, 11, 23, 51)}),
        grow("Hessian-vector product", "parameters", 1.0, dict(map(product_with, (40, 110, 290, 760))), calls=3),
        grow("trajectories of 100 Adam steps", "paths", 0.0,
             {n: partial(walk_all, n) for n in (10, 46, 215, 1_000)}, calls=3),
    ]  # fmt: skip


if __name__ == "__main__":
    for record in rows():
        print(record)
