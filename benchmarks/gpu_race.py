"""What does a second seed cost on a GPU? Many networks trained at once through torch.func, beside one after another.

The network is S0's, 784-512-256-256-128-10, on the 50,000 training images of Fashion-MNIST. Two recipes of few epochs:
`adamw` (warm-up, linear decay) and `muon` (Jordan et al. 2024: a momentum that is orthogonalized, for all matrices but
the last; AdamW for the rest). A rate is chosen by validation accuracy on search seeds; test accuracy is that of fresh
seeds, which took no part in the choice. Run it by hand where there is a GPU; it writes results/gpu-race.json:

    python benchmarks/gpu_race.py            (add --small to try it on a CPU with the embedded digits)
"""

import argparse
import datetime
import json
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from course_utils.claims import mean_and_half_width
from course_utils.datasets import load
from course_utils.initializers import he_normal_
from course_utils.models import MLP
from course_utils.optimizers import AdamState, MomentumState, adam_update, muon_update
from course_utils.seeding import fork_seeds, make_generator
from course_utils.speedrun import RACES, WIDTHS
from course_utils.training.schedules import warmup_then_linear

PUBLISHED = 100 * RACES["fashion-mnist"].target  # S0's accuracy after 40 epochs of Adam, in per cent


class Recipe(NamedTuple):
    """What a run needs to know, beside its seed and the rate of its matrices."""

    num_epochs: int
    batch_size: int
    label_smoothing: float
    uses_muon: bool
    rates: tuple[float, ...]  # candidates for the rate of the matrices
    rest_lr: float  # AdamW's rate for what Muon leaves, where it is used


RECIPES = {
    "adamw": Recipe(8, 256, 0.0, False, (5e-4, 1e-3, 2e-3), 0.0),
    "muon": Recipe(5, 2048, 0.1, True, (0.02, 0.05, 0.1), 5e-3),
}
Data = dict[str, tuple[Tensor, Tensor]]


def make_networks(seeds: list[int], device: torch.device) -> dict[str, Tensor]:
    """Return name -> parameters of all networks, stacked along the first axis [S, ...]: He's start, biases 0."""
    networks = [
        MLP(WIDTHS, initializer=partial(he_normal_, generator=make_generator(seed))) for seed in seeds
    ]
    stacked, _ = stack_module_state(networks)  # type: ignore[arg-type]
    return {name: values.detach().to(device) for name, values in stacked.items()}


def train(parameters: dict[str, Tensor], data: Data, recipe: Recipe, lr: float, seeds: list[int]) -> None:
    """Train all networks in place, each on an order of batches of its own."""
    base = MLP(WIDTHS).to("meta")

    def loss(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(base, p, (x,)), y, label_smoothing=recipe.label_smoothing)

    gradients: Callable[..., dict[str, Tensor]] = vmap(grad(loss))
    images, labels = data["train"]
    generator = torch.Generator(images.device).manual_seed(seeds[0])
    by_muon = [
        n for n in parameters if recipe.uses_muon and n.endswith("weight") and parameters[n].shape[1] > 10
    ]
    memory = {
        name: (MomentumState if name in by_muon else AdamState).zeros_like(p)
        for name, p in parameters.items()
    }
    per_epoch = len(images) // recipe.batch_size
    total = recipe.num_epochs * per_epoch
    share_at = warmup_then_linear(total)
    for step in range(total):
        if step % per_epoch == 0:
            order = torch.rand(len(seeds), len(images), device=images.device, generator=generator).argsort(1)
        part = order[:, (start := step % per_epoch * recipe.batch_size) : start + recipe.batch_size]
        share = share_at(step)
        for name, gradient in gradients(parameters, images[part], labels[part]).items():
            if name in by_muon:
                delta, memory[name] = muon_update(gradient, memory[name], lr=share * lr, steps=4)
            else:
                rate = share * (recipe.rest_lr if recipe.uses_muon else lr)
                delta, memory[name] = adam_update(gradient, memory[name], lr=rate, beta2=0.99)
            parameters[name] += delta


def train_plainly(data: Data, recipe: Recipe, lr: float, seed: int) -> float:
    """Return the seconds of one network in the usual loop, with torch's fused AdamW: "one seed" at its best."""
    images, labels = data["train"]
    generator = make_generator(seed)
    network = MLP(WIDTHS, initializer=partial(he_normal_, generator=generator)).to(images.device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True
    )
    total = recipe.num_epochs * (len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_then_linear(total))
    start = _now(images.device)
    for _ in range(recipe.num_epochs):
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for part in order.split(recipe.batch_size)[: total // recipe.num_epochs]:
            optimizer.zero_grad()
            F.cross_entropy(network(images[part]), labels[part]).backward()
            optimizer.step()
            schedule.step()
    return _now(images.device) - start


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def accuracies(parameters: dict[str, Tensor], images: Tensor, labels: Tensor) -> list[float]:
    """Return the accuracy of every network, in per cent."""
    base = MLP(WIDTHS).to("meta")
    logits = vmap(lambda p, x: functional_call(base, p, (x,)), in_dims=(0, None))
    hits = sum((logits(parameters, x).argmax(-1) == y).sum(1)
               for x, y in zip(images.split(1000), labels.split(1000), strict=True))  # fmt: skip
    return (100 * hits / len(labels)).tolist()  # type: ignore[union-attr, no-any-return]


def run(data: Data, recipe: Recipe, lr: float, seeds: list[int], split: str) -> tuple[list[float], float]:
    """Return the accuracies of networks trained at once, and the seconds from their start to their weights."""
    device = data["train"][0].device
    parameters = make_networks(seeds, device)
    start = _now(device)
    train(parameters, data, recipe, lr, seeds)
    seconds = _now(device) - start
    return accuracies(parameters, *data[split]), seconds


def race(data: Data, recipe: Recipe, num_seeds: int) -> dict[str, object]:
    """Choose the rate, confirm on fresh seeds, and time one network against all of them."""
    search, fresh = fork_seeds(0, num_seeds), fork_seeds(1000, num_seeds)
    found = {lr: statistics.fmean(run(data, recipe, lr, search, "val")[0]) for lr in recipe.rates}
    lr = max(found, key=lambda rate: found[rate])
    tests, _ = run(data, recipe, lr, fresh, "test")
    mean, half_width = mean_and_half_width(tests)
    error = statistics.stdev(tests) / math.sqrt(len(tests))
    seconds = {
        count: min(run(data, recipe, lr, fresh[:count], "test")[1] for _ in range(5))
        for count in (1, num_seeds // 16 or 2, num_seeds // 4, num_seeds)
    }
    one = seconds[1]
    if not recipe.uses_muon:
        one = min(one, *(train_plainly(data, recipe, lr, fresh[0]) for _ in range(5)))
    return {
        "recipe": recipe._asdict(), "validation": {str(rate): round(value, 3) for rate, value in found.items()},
        "lr": lr, "seeds": num_seeds, "test": {"mean": round(mean, 3), "half_width": round(half_width or 0.0, 3),
        "lowest": min(tests), "highest": max(tests)}, "passes": mean - 1.64 * error >= PUBLISHED,
        "seconds of one, the faster way": round(one, 4),
        "seconds at once": {str(count): round(value, 4) for count, value in seconds.items()},
        "speed-up per network": round(num_seeds * one / seconds[num_seeds], 2),
    }  # fmt: skip


def main() -> None:
    """Run both recipes and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--small", action="store_true", help="four seeds, the embedded digits, one epoch, no file"
    )
    small = parser.parse_args().small
    torch.set_float32_matmul_precision("high")  # TF32, stated in the results
    device = torch.device("cuda" if torch.cuda.is_available() and not small else "cpu")
    dataset = load("mnist-5k" if small else "fashion-mnist")
    data = {split: dataset.tensors(split, device=device) for split in ("train", "val", "test")}
    results = {}
    for name, recipe in RECIPES.items():
        recipe = recipe._replace(num_epochs=1, batch_size=256) if small else recipe
        run(
            data, recipe._replace(num_epochs=1), recipe.rates[0], [0, 1], "val"
        )  # what is loaded and chosen only once
        results[name] = race(data, recipe, 4 if small else 64)
        print(name, json.dumps(results[name]))
    if not small:
        today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        about = {"date": today, "device": torch.cuda.get_device_name(),
                 "torch": torch.__version__.partition("+")[0], "matmul": "TF32", "published": PUBLISHED}  # fmt: skip
        path = Path(__file__).parent / "results" / "gpu-race.json"
        path.write_text(json.dumps({"about": about, "recipes": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
