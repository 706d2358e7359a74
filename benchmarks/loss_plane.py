"""What does a picture of the loss around trained weights cost? Our plane beside loss-landscapes.

Both evaluate S0's network of 633,226 parameters on 2,048 images, on a square of filter-normalised random directions.
The peer sets all weights and runs the whole network at every point. Ours is `loss_on_plane_by_linearity`: the first
layer is linear in its weights, so that three products of it serve the whole plane. Timed are 15 x 15 points, which
favours the peer a little: of 51 x 51, more points share our three products. The floor is the products of the other
layers.
"""

import copy
import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from networks import FLOORS, half_precision_note, images, trained
from optimizer_step import WIDTHS
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
from course_utils.training import has_fast_bfloat16

NUM_IMAGES, NUM_POINTS = 2_048, 15
WHAT = f"loss plane of S0's network, {NUM_IMAGES:,} images, {NUM_POINTS} x {NUM_POINTS}"
EVERY_POINT, LINEAR, HALF = "loss_on_plane", "by linearity", "by linearity, bfloat16"


def make_peer() -> Callable[[], object]:
    """Return the plane of loss-landscapes; it works on a copy of the model."""
    package = require("loss_landscapes", "loss-landscapes")
    metric = require("loss_landscapes.metrics", "loss-landscapes").Loss(F.cross_entropy, *images(NUM_IMAGES))
    model = copy.deepcopy(trained())

    @torch.no_grad()
    def plane() -> object:
        return package.random_plane(model, metric, distance=1, steps=NUM_POINTS, deepcopy_model=True)

    return plane


def make_planes() -> dict[str, Callable[[], Tensor]]:
    """Return ours by name, each a function that returns the losses [points, points]."""
    model, (x, y) = trained(), images(NUM_IMAGES)
    centre = weights_of(model)
    arguments = (model, centre, orthogonal_directions(centre, make_generator(0)), x, y)

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output.float(), y)

    def half() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss_on_plane_by_linearity(*arguments, num_points=NUM_POINTS, loss=loss)[1]

    planes: dict[str, Callable[[], Tensor]] = {
        EVERY_POINT: lambda: loss_on_plane(*arguments, num_points=NUM_POINTS)[1],
        LINEAR: lambda: loss_on_plane_by_linearity(*arguments, num_points=NUM_POINTS)[1],
    }
    return planes | ({HALF: half} if has_fast_bfloat16() else {})


def make_products(dtype: torch.dtype) -> Callable[[], None]:
    """Return the matrix products of all layers but the first, at every point, and nothing else: the floor."""
    pairs = [(torch.randn(NUM_IMAGES, m, dtype=dtype), torch.randn(m, n, dtype=dtype))
             for m, n in itertools.pairwise(WIDTHS[1:])]  # fmt: skip

    def products() -> None:
        for _ in range(NUM_POINTS**2):
            for h, weight in pairs:
                torch.mm(h, weight)

    return products


def rows() -> list[Record]:
    """Return a row for each of ours beside loss-landscapes, and how near the centre is to the model's loss."""
    torch.set_num_threads(1)
    planes = make_planes()
    functions: dict[str, Callable[[], object]] = {
        **planes, FLOORS[0]: make_products(torch.float32), FLOORS[1]: make_products(torch.bfloat16),
    }  # fmt: skip
    peer, version, skipped = "loss-landscapes", label_of("loss-landscapes"), []
    try:
        functions[peer] = make_peer()
    except (
        MissingPeerError
    ) as error:  # then our own plane of every point stands for it: the two take the same time
        skipped = [Skipped(f"{WHAT}, beside {peer}", str(error))]
        peer, version = EVERY_POINT, ""
    seconds = interleave(functions, 3)
    goals = {LINEAR: 2.2, HALF: 6.0}
    ratios: list[Record] = [
        compare(seconds, what=WHAT, peer=peer, peer_version=version, ours=name, goal=goals[name],
                floor=FLOORS[name == HALF], note=half_precision_note(seconds) if name == HALF else "")
        for name in planes if name in goals
    ]  # fmt: skip
    return [*ratios, *skipped, *errors({name: plane() for name, plane in planes.items()})]


@torch.no_grad()
def errors(planes: dict[str, Tensor]) -> list[Limit]:
    """Return how far the centre is from the model's loss, and how far bfloat16 is from float32."""
    x, y = images(NUM_IMAGES)
    middle = NUM_POINTS // 2
    centre = abs(float(planes[LINEAR][middle, middle]) / float(F.cross_entropy(trained()(x), y)) - 1)
    limits = [Limit("centre of the plane, relative difference from the model's loss", LINEAR, centre, 1e-6)]
    if HALF in planes:
        far = float((planes[HALF] / planes[LINEAR] - 1).abs().median())
        limits += [Limit("median relative difference from float32 over the plane", HALF, far, 0.005)]
    return limits


if __name__ == "__main__":
    for record in rows():
        print(record)
