"""What counts as reaching the accuracy? The network, the target, the bound on the mean, and seeds nobody tuned on."""

import hashlib
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WIDTHS = (
    784,
    512,
    256,
    256,
    128,
    10,
)  # the network of S0 (row S0-055 and its neighbours): 633,226 parameters
NUM_SEEDS = 10
Z_ONE_SIDED = 1.64  # a recipe whose true mean is the target passes about once in fifteen times (claim 16.1)


@dataclass(frozen=True)
class Race:
    """A data set, the accuracy to reach on its test images, and what each level may cost at most.

    Costs are in units of one epoch of S0's recipe (with its validation) timed in the same process.
    """

    dataset: str
    target: float  # fraction in [0, 1]
    levels: Mapping[str, float]  # level -> largest cost, the hardest level first

    def level(self, units: float) -> str:
        """Return the hardest level that a cost reaches, "finished" where it is none."""
        return next((name for name, most in self.levels.items() if units <= most), "finished")


RACES = {
    "fashion-mnist": Race("fashion-mnist", 0.8946, {"gold": 0.55, "silver": 0.85, "bronze": 1.5}),  # S0-072
    # the small race: what S0's settings reach there in 40 epochs (93.50 % over 12 seeds; notebook 16 measures it
    # again), and levels a little above what recipes of two to four epochs cost in float32
    "mnist-5k": Race("mnist-5k", 0.935, {"gold": 0.9, "silver": 1.3, "bronze": 2.0}),
}


def lower_bound(accuracies: Sequence[float]) -> float:
    r"""Return :math:`\bar a - 1.64\, s / \sqrt n`, which has to reach the target.

    Args:
        accuracies: one a seed, at least two, as fractions.
    Raises: ValueError: if there are fewer than two: one run has no spread.
    """
    if len(accuracies) < 2:
        raise ValueError(f"a mean needs at least two seeds to have a standard error, got {len(accuracies)}.")
    standard_error = statistics.stdev(accuracies) / math.sqrt(len(accuracies))
    return statistics.fmean(accuracies) - Z_ONE_SIDED * standard_error


def fresh_seeds(text: str, n: int = NUM_SEEDS) -> list[int]:
    """Return n seeds that follow from the text of a recipe: nobody can have tuned it on them, and all get the same.

    Whoever changes the text gets others; to change it until they are lucky ones is against the rule's spirit, and an
    entry's bound says how much luck there is to have.
    """
    return [
        int.from_bytes(hashlib.sha256(f"{k}:{text}".encode()).digest()[:4], "big") for k in range(n)
    ]  # 32 bits: valid wherever a seed is taken


def check_network(network: nn.Module, images: Tensor) -> None:
    """See that a network is the one of the race and looks at every image once.

    Args:
        network: what a recipe returned.
        images: a few uint8 test images [N, 784].
    Raises: ValueError: if its linear layers have other sizes, one of them sees an image more than once (test-time
        augmentation, an ensemble), other layers hold matrices, or its output is not [N, 10].
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    sizes = tuple((layer.in_features, layer.out_features) for layer in layers)
    if sizes != tuple(itertools.pairwise(WIDTHS)):
        raise ValueError(
            f"the race is between networks of sizes {WIDTHS}; this one has linear layers {sizes}."
        )
    own = {id(layer.weight) for layer in layers}
    if others := [n for n, p in network.named_parameters() if p.ndim > 1 and id(p) not in own]:
        raise ValueError(f"only the linear layers may hold matrices; {', '.join(others)} do as well.")
    rows = dict.fromkeys(layers, 0)

    def count(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        rows[layer] += len(inputs[0])  # type: ignore[index]

    handles = [layer.register_forward_pre_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            logits = network.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    if any(number != len(images) for number in rows.values()):
        raise ValueError(
            f"each layer sees each image once; {len(images)} images became {list(rows.values())} rows."
        )
    if logits.shape != (len(images), WIDTHS[-1]):
        raise ValueError(f"logits need the shape {(len(images), WIDTHS[-1])}, got {tuple(logits.shape)}.")
