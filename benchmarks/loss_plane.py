"""What does a picture of the loss around trained weights cost? Our plane beside loss-landscapes.

Both evaluate S0's network of 633,226 parameters on 2,048 images, on a square of filter-normalised random directions.
The peer sets all weights and runs the whole network at every point. Ours is `loss_on_plane_by_linearity`: the first
layer is linear in its weights, so that three products of it serve the whole plane. Ours is timed on all of the 51 x 51
points. The peer would take a minute and a half a round: it is timed on 3 x 3 and on 15 x 15 points, and a line through
the two gives its time for all, since it does the same at every point. The floor is the products of the other layers,
timed on 15 x 15 points and multiplied.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from networks import FLOORS, half_precision_note, images, products_note, trained
from records import Limit, MissingPeerError, Record, Skipped, compare, label_of, require
from timing import interleave
from torch import Tensor

from course_utils.landscapes import (
    loss_on_plane,
    loss_on_plane_by_linearity,
    orthogonal_directions,
    weights_of,
)
from course_utils.seeding import make_generator
from course_utils.speedrun import WIDTHS
from course_utils.training import has_fast_bfloat16

NUM_IMAGES, NUM_POINTS = 2_048, 51
ROUNDS = 3
FEW, PART = 3, 15  # points a side on which the peer is timed; the floor on PART
WHAT = f"loss plane of S0's network, {NUM_IMAGES:,} images, {NUM_POINTS} x {NUM_POINTS}"
EVERY_POINT, LINEAR, HALF = "loss_on_plane", "by linearity", "by linearity, bfloat16"


def make_peer() -> Callable[[int], object]:
    """Return the plane of loss-landscapes with so many points a side; it works on a copy of the model."""
    package = require("loss_landscapes", "loss-landscapes")
    metric = require("loss_landscapes.metrics", "loss-landscapes").Loss(F.cross_entropy, *images(NUM_IMAGES))
    model = copy.deepcopy(trained())

    @torch.no_grad()
    def plane(num_points: int) -> object:
        return package.random_plane(model, metric, distance=1, steps=num_points, deepcopy_model=True)

    return plane


def make_planes() -> dict[str, Callable[[int], Tensor]]:
    """Return ours by name, each a function of the points a side that returns the losses [points, points]."""
    model, (x, y) = trained(), images(NUM_IMAGES)
    centre = weights_of(model)
    arguments = (model, centre, orthogonal_directions(centre, make_generator(0)), x, y)

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output.float(), y)

    def half(num_points: int) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss_on_plane_by_linearity(*arguments, num_points=num_points, loss=loss)[1]

    planes: dict[str, Callable[[int], Tensor]] = {
        EVERY_POINT: lambda num_points: loss_on_plane(*arguments, num_points=num_points)[1],
        LINEAR: lambda num_points: loss_on_plane_by_linearity(*arguments, num_points=num_points)[1],
    }
    return planes | ({HALF: half} if has_fast_bfloat16() else {})


def make_products(dtype: torch.dtype) -> Callable[[], None]:
    """Return the matrix products of all layers but the first, at PART x PART points, and nothing else: the floor."""
    pairs = [(torch.randn(NUM_IMAGES, m, dtype=dtype), torch.randn(m, n, dtype=dtype))
             for m, n in itertools.pairwise(WIDTHS[1:])]  # fmt: skip

    def products() -> None:
        for _ in range(PART**2):
            for h, weight in pairs:
                torch.mm(h, weight)

    return products


def whole(few: Sequence[float], part: Sequence[float]) -> list[float]:
    """Return the seconds of all points from those of FEW and of PART a side: a start, and as much for every point."""
    share = (NUM_POINTS**2 - FEW**2) / (PART**2 - FEW**2)
    return [short + share * (long - short) for short, long in zip(few, part, strict=True)]


def measure(
    planes: dict[str, Callable[[int], Tensor]], peer: Callable[[int], object]
) -> dict[str, list[float]]:
    """Return CPU seconds of whole planes by name, "peer" among them; few rounds, for each takes a minute."""
    functions: dict[str, Callable[[], object]] = {
        name: partial(plane, NUM_POINTS) for name, plane in planes.items() if name != EVERY_POINT
    }
    functions |= {"few": partial(peer, FEW), "part": partial(peer, PART)}
    functions |= {FLOORS[0]: make_products(torch.float32), FLOORS[1]: make_products(torch.bfloat16)}
    seconds = interleave(functions, ROUNDS, warmup=0)
    for floor in FLOORS:
        seconds[floor] = [s * (NUM_POINTS / PART) ** 2 for s in seconds[floor]]
    return seconds | {"peer": whole(seconds["few"], seconds["part"])}


def rows() -> list[Record]:
    """Return a row for each of ours beside loss-landscapes, and how near the centre is to the model's loss."""
    torch.set_num_threads(1)
    planes = make_planes()
    name, version, skipped = "loss-landscapes", label_of("loss-landscapes"), []
    try:
        peer: Callable[[int], object] = make_peer()
    except MissingPeerError as error:  # then our own of every point stands for it: the two take the same time
        skipped = [Skipped(f"{WHAT}, beside {name}", str(error))]
        name, version, peer = EVERY_POINT, "", planes[EVERY_POINT]
    seconds = measure(planes, peer)
    seconds[name] = seconds.pop("peer")
    notes = {LINEAR: products_note(seconds, LINEAR)}
    if HALF in planes:
        notes[HALF] = half_precision_note(seconds, LINEAR, HALF)
    ratios: list[Record] = [
        compare(seconds, what=WHAT, peer=name, peer_version=version, ours=ours, goal=goal,
                floor=FLOORS[ours == HALF], note=notes[ours])
        for ours, goal in {LINEAR: 2.2, HALF: 6.0}.items() if ours in notes
    ]  # fmt: skip
    return [*ratios, *skipped, *errors({ours: plane(PART) for ours, plane in planes.items()})]


@torch.no_grad()
def errors(planes: dict[str, Tensor]) -> list[Limit]:
    """Return how far the centre is from the model's loss, and how far bfloat16 is from float32."""
    x, y = images(NUM_IMAGES)
    middle = PART // 2
    centre = abs(float(planes[LINEAR][middle, middle]) / float(F.cross_entropy(trained()(x), y)) - 1)
    limits = [Limit("centre of the plane, relative difference from the model's loss", LINEAR, centre, 1e-6)]
    if HALF in planes:
        far = float((planes[HALF] / planes[LINEAR] - 1).abs().median())
        limits += [Limit("median relative difference from float32 over the plane", HALF, far, 0.005)]
    return limits


if __name__ == "__main__":
    for record in rows():
        print(record)
