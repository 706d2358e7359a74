"""What do 32 seeds of a toy network cost? All in one batched product per layer, beside one after another.

Networks 2-32-32-2 learn a ring from 512 points, batches of 64, by SGD with momentum, each with its own start and order.
The peer is the leanest loop over single networks that we know: tensors in memory, torch's fused SGD, no records. Ours
is `train_replicates`. It pays while a network is too small to keep a core busy: Python's time is what is saved.
"""

import itertools

import torch
import torch.nn.functional as F
from records import Limit, Record, compare, label_of
from timing import interleave
from torch import Tensor, nn

from course_utils.seeding import make_generator
from course_utils.sweeps import train_replicates

WIDTHS, NUM_NETWORKS = (2, 32, 32, 2), 32
NUM_EPOCHS, BATCH_SIZE, LR, MOMENTUM = 5, 64, 0.1, 0.9
WHAT = f"{NUM_NETWORKS} toy networks 2-32-32-2, batch {BATCH_SIZE}"


def make_ring() -> tuple[Tensor, Tensor]:
    """Return points [512, 2] and whether each lies beyond the median radius."""
    x = torch.randn(512, 2, generator=make_generator(0))
    radius = x.norm(dim=1)
    return x, (radius > radius.median()).long()


def make_network(seed: int) -> nn.Sequential:
    """Return one network with the start that `train_replicates` draws for this seed."""
    generator = make_generator(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(WIDTHS):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            linear.weight.copy_(torch.randn(fan_out, fan_in, generator=generator) * (2 / fan_in) ** 0.5)
            linear.bias.zero_()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def one_after_another(x: Tensor, y: Tensor) -> list[Tensor]:
    """Train every network on its own; return the last weight matrix of each."""
    last = []
    for seed in range(NUM_NETWORKS):
        model, generator = make_network(seed), make_generator(seed)
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
        for _ in range(NUM_EPOCHS):
            for index in torch.split(torch.randperm(len(y), generator=generator), BATCH_SIZE):
                loss = F.cross_entropy(model(x[index]), y[index])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        last.append(list(model.parameters())[-2].detach())
    return last


def at_once(x: Tensor, y: Tensor) -> list[Tensor]:
    """Train all of them side by side; return the last weight matrix of each."""
    seeds = range(NUM_NETWORKS)
    run = train_replicates((x, y), widths=WIDTHS, weight_seeds=seeds, order_seeds=seeds, lr=LR, momentum=MOMENTUM,
                           batch_size=BATCH_SIZE, num_epochs=NUM_EPOCHS)  # fmt: skip
    return list(run.parameters[-2].mT)


def products(x: Tensor) -> None:
    """Do the batched products of all steps, forward and backward, and nothing else: the floor."""
    layers = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(WIDTHS)):
        h, delta = torch.ones(NUM_NETWORKS, BATCH_SIZE, fan_in), torch.ones(NUM_NETWORKS, BATCH_SIZE, fan_out)
        layers.append((number, h, torch.ones(NUM_NETWORKS, fan_in, fan_out), delta))
    for _ in range(NUM_EPOCHS * len(x) // BATCH_SIZE):
        for number, h, weight, delta in layers:
            torch.bmm(h, weight)
            torch.bmm(h.mT, delta)
            if number:
                torch.bmm(delta, weight.mT)


def rows() -> list[Record]:
    """Return the ratio, and how far apart the two ways end."""
    torch.set_num_threads(1)
    x, y = make_ring()
    ways = {"one after another": lambda: one_after_another(x, y), "train_replicates": lambda: at_once(x, y),
            "products": lambda: products(x)}  # fmt: skip
    apart = max(
        float((a - b).abs().max()) for a, b in zip(one_after_another(x, y), at_once(x, y), strict=True)
    )
    return [
        compare(interleave(ways, 7), what=WHAT, peer="one after another", peer_version=label_of("torch"),
                ours="train_replicates", goal=4.0, floor="products"),
        Limit("largest difference between their weights after training", "train_replicates", apart, 1e-3,
              note="chosen: the order of sums differs, and 40 steps of momentum enlarge rounding"),
    ]  # fmt: skip


if __name__ == "__main__":
    for record in rows():
        print(record)
