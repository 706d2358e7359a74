"""What counts as reaching the accuracy? The network, the target, the bound on the mean, and seeds nobody tuned on."""

import hashlib
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils._checks import check_at_least, check_probability, check_shape
from course_utils._given import call_given
from course_utils._types import checked, describe

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


@checked
def lower_bound(accuracies: Sequence[float]) -> float:
    r"""Return :math:`\bar a - 1.64\, s / \sqrt n`, which has to reach the target.

    Args:
        accuracies: one a seed, at least two, as fractions.
    Raises: ValueError: if there are fewer than two: one run has no spread; or one is not in [0, 1].
    """
    if len(accuracies) < 2:
        raise ValueError(
            f"accuracies of at least two seeds are needed for a standard error, got {len(accuracies)}."
        )
    for accuracy in accuracies:
        check_probability("accuracies", accuracy)
    standard_error = statistics.stdev(accuracies) / math.sqrt(len(accuracies))
    return statistics.fmean(accuracies) - Z_ONE_SIDED * standard_error


@checked
def fresh_seeds(text: str, n: int = NUM_SEEDS) -> list[int]:
    """Return n seeds that follow from the text of a recipe: nobody can have tuned it on them, and all get the same.

    Whoever changes the text gets others; to change it until they are lucky ones is against the rule's spirit, and an
    entry's bound says how much luck there is to have.

    Raises: ValueError: if n is below 1.
    """
    check_at_least("n", n, 1)
    return [
        int.from_bytes(hashlib.sha256(f"{k}:{text}".encode()).digest()[:4], "big") for k in range(n)
    ]  # 32 bits: valid wherever a seed is taken


@checked
def check_network(network: nn.Module, images: Tensor) -> None:
    """See that a network is the one of the race and looks at every image once.

    Args:
        network: what a recipe returned.
        images: a few test images [N, 784], uint8 as a recipe gets them, at least one.
    Raises: ValueError: if it cannot take the images, its linear layers have other sizes, one of them sees an image more
        than once (test-time augmentation, an ensemble), other layers hold matrices, or its output is not [N, 10].
    """
    check_shape("images", images.shape, (None, WIDTHS[0]))
    check_at_least("the number of images", len(images), 1)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    sizes = tuple((layer.in_features, layer.out_features) for layer in layers)
    if sizes != tuple(itertools.pairwise(WIDTHS)):
        raise ValueError(
            f"network must have the sizes {WIDTHS} of the race; this one has linear layers {sizes}."
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
            logits = call_given("network", network.eval(), "images", images)
    finally:
        for handle in handles:
            handle.remove()
    if any(number != len(images) for number in rows.values()):
        raise ValueError(
            f"each layer sees each image once; {len(images)} images became {list(rows.values())} rows."
        )
    if getattr(logits, "shape", None) != (len(images), WIDTHS[-1]):
        raise ValueError(f"logits need the shape {(len(images), WIDTHS[-1])}, got {describe(logits)}.")
