"""Does a recipe pass, and at which cost? Fresh seeds, one thread, the clock from uint8 images to weights."""

import datetime
import hashlib
import inspect
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from course_utils._checks import check_at_least
from course_utils._types import checked, describe
from course_utils.datasets import Dataset
from course_utils.devices import one_thread, processor_name
from course_utils.speedrun.baseline import PublishedRecipe
from course_utils.speedrun.recipes import Recipe
from course_utils.speedrun.rules import NUM_SEEDS, RACES, check_network, fresh_seeds, lower_bound

NUM_UNIT_EPOCHS = 3  # epochs of S0's recipe that are timed: before, between and after the runs
_BATCH = 2048  # test images per forward pass


@dataclass(frozen=True)
class Entry:
    """One line of the leaderboard: what ran, how accurate it was on each seed, and what it cost."""

    name: str
    dataset: str
    source: str  # first 12 digits of the sha256 of the recipe's text
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]  # of the test images, a fraction for each seed
    seconds: float  # median CPU seconds of one training, one thread
    unit_seconds: float  # median CPU seconds of one epoch of S0's recipe in the same process
    target: float
    level: str  # of the race's levels, "finished" beyond them, "" where the target is missed
    date: str
    machine: str
    torch: str
    commit: str = ""

    @property
    def mean(self) -> float:
        """Mean test accuracy over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def bound(self) -> float:
        """What has to reach the target: the mean less 1.64 standard errors."""
        return lower_bound(self.accuracies)

    @property
    def passes(self) -> bool:
        """Say whether the bound reaches the target."""
        return self.bound >= self.target

    @property
    def units(self) -> float:
        """Cost of one training in epochs of S0's recipe."""
        return self.seconds / self.unit_seconds

    def describe(self) -> str:
        """Return the verdict as one sentence."""
        verdict = f"passes: {self.level}" if self.passes else "does not pass"
        return (
            f"{self.name} on {self.dataset}: {100 * self.mean:.2f} % over {len(self.seeds)} fresh seeds, at least "
            f"{100 * self.bound:.2f} % (target {100 * self.target:.2f} %), {self.seconds:.2f} CPU s = "
            f"{self.units:.2f} epochs of S0's recipe; {verdict}."
        )

    def as_record(self) -> dict[str, Any]:
        """Return the fields for a JSON file, with what follows from them for readers without Python."""
        return asdict(self) | {"mean": self.mean, "bound": self.bound, "units": self.units}


@checked
def judge(
    recipe: Recipe,
    data: Dataset,
    *,
    name: str,
    text: str,
    num_seeds: int = NUM_SEEDS,
    progress: Callable[[str], None] | None = None,
) -> Entry:
    """Train a recipe on fresh seeds, one after the other, and return what came out.

    Everything runs in this process on one thread; torch's global generator is seeded for each run and put back. A
    recipe sees the training images and nothing else; that it leaves the test images on the disk alone is its author's
    word.

    Args:
        recipe: (images, labels, seed) -> network; gets copies of the training split.
        data: a data set of RACES.
        name: of the entry.
        text: source of the recipe; the seeds follow from it and from the name.
        num_seeds: how many runs, at least 2; 10 is the rule.
        progress: called with a line after each run.

    Raises:
        ValueError: if the data set has no race, there are fewer than two seeds, or a network breaks the rules (see
            `check_network`). TypeError: if the recipe does not take three arguments or returns no network.
        Exception: what the recipe raises comes as it is, with its line.
    """
    check_at_least("num_seeds", num_seeds, 2)
    _check_signature(recipe)
    if data.name not in RACES:
        raise ValueError(f"there is no race on {data.name}; choose data of one of {', '.join(RACES)}.")
    seeds = fresh_seeds(f"{name}\n{text}", num_seeds)
    with one_thread():
        accuracies, seconds, units = _run_all(recipe, data, seeds, progress)
    cost, unit = statistics.median(seconds), statistics.median(units)
    race = RACES[data.name]
    return Entry(
        name=name,
        dataset=data.name,
        source=hashlib.sha256(text.encode()).hexdigest()[:12],
        seeds=tuple(seeds),
        accuracies=tuple(accuracies),
        seconds=cost,
        unit_seconds=unit,
        target=race.target,
        level=race.level(cost / unit) if lower_bound(accuracies) >= race.target else "",
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        machine=processor_name(),
        torch=torch.__version__.partition("+")[0],
    )


def _run_all(
    recipe: Recipe, data: Dataset, seeds: Sequence[int], progress: Callable[[str], None] | None
) -> tuple[list[float], list[float], list[float]]:
    """Return accuracies and CPU seconds of the runs, and CPU seconds of the epochs of S0's recipe between them."""
    test = (data.test.images.flatten(1), data.test.labels)
    published = PublishedRecipe(data)
    spacing = math.ceil(len(seeds) / (NUM_UNIT_EPOCHS - 1))
    accuracies, seconds, units = [], [], []
    for k, seed in enumerate(seeds):
        if k % spacing == 0:
            units.append(sum(published.epoch().values()))
        network, taken = _timed(recipe, data, seed)
        check_network(network, test[0][:8])
        seconds.append(taken)
        accuracies.append(_accuracy(network, *test))
        if progress is not None:
            progress(f"seed {seed}: {100 * accuracies[-1]:.2f} %, {taken:.2f} CPU s")
    units.append(sum(published.epoch().values()))
    return accuracies, seconds, units


def _timed(recipe: Recipe, data: Dataset, seed: int) -> tuple[nn.Module, float]:
    """Return the network and the CPU seconds of this process and of what it started."""
    images, labels = data.train.images.flatten(1).clone(), data.train.labels.clone()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        start = _cpu_seconds()
        network = recipe(images, labels, seed)
        seconds = _cpu_seconds() - start
    if not isinstance(network, nn.Module):
        raise TypeError(f"recipe must return a network, an nn.Module, got {describe(network)}.")
    return network, seconds


def _check_signature(recipe: Recipe) -> None:
    try:
        inspect.signature(recipe).bind("images", "labels", 0)
    except TypeError as error:
        raise TypeError(f"recipe must take (images, labels, seed): {error}.") from None
    except ValueError:  # a function of C tells nothing of its arguments
        return


def _cpu_seconds() -> float:
    """Return CPU seconds of this process, to the microsecond, and of its finished children."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


@torch.no_grad()
def _accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    network.eval()
    batches = zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True)
    hits = sum((network(x).argmax(1) == y).sum().item() for x, y in batches)
    return float(hits) / len(labels)
