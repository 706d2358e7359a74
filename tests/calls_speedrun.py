"""Calls of `speedrun`, for the fuzzer: a race on 24 made-up images, and recipes that train nothing."""

import contextlib
import tempfile

import torch
from fuzzing import Call
from torch import nn

from course_utils.datasets.records import Dataset, Split
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.speedrun import (
    WIDTHS,
    Entry,
    PublishedRecipe,
    TextbookAdam,
    add_entry,
    fresh_seeds,
    judge,
    read_entries,
)
from course_utils.speedrun.leaderboard import as_table, find_recipe
from course_utils.speedrun.rules import check_network, lower_bound


def race():
    def split(n):
        images = torch.arange(n * 784).remainder(251).to(torch.uint8).view(n, 1, 28, 28)
        return Split(images, torch.arange(n) % 10)

    return Dataset("mnist-5k", split(12), split(4), split(8), tuple("0123456789"))


class Scaled(nn.Module):
    """The network of the race, which takes uint8 images and was trained by nobody."""

    def __init__(self, seed=0):
        super().__init__()
        self.network = MLP(WIDTHS, generator=make_generator(seed))

    def forward(self, images):
        return self.network(images.float())


def recipe(images, labels, seed):
    return Scaled()


def entry():
    return Entry(
        "mine",
        "mnist-5k",
        "0" * 12,
        (1, 2),
        (0.95, 0.96),
        1.0,
        2.0,
        0.935,
        "gold",
        "2026-01-01",
        "here",
        "2.9",
    )


def one_step(params, lr):
    optimizer = TextbookAdam(params, lr)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    return [param.detach() for param in params]


one_step.covers = "speedrun.baseline.TextbookAdam"


def one_epoch(**arguments):
    published = PublishedRecipe(**arguments)
    published.epoch()
    return published.step_losses


one_epoch.covers = "speedrun.baseline.PublishedRecipe"


def verdict(**arguments):
    return judge(**arguments).accuracies


verdict.covers = "speedrun.judge.judge"


def in_a_folder(function):
    """Return the function, called in a folder of its own."""

    def inside(**arguments):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            return function(**arguments)

    inside.__qualname__ = function.__name__
    inside.covers = f"speedrun.leaderboard.{function.__name__}"
    return inside


TEXTS = ("empty text", "other text", "3")
KINDS = ("empty", "one more dimension", "one dimension fewer", "one row fewer", "one column more")
NUMBERS = ("nan", "inf", "negative", "huge", "half")
CALLS = [
    Call(
        one_step,
        lambda: {"params": [torch.tensor([[0.5, -1.0], [2.0, 0.3]], requires_grad=True)], "lr": 0.1},
        takes={
            "params": (
                "empty",
                "entry missing",
                "entry twice",
                *(f"entry {how}" for how in (*KINDS, *NUMBERS)),
            ),
            "lr": ("0.0", "1e308"),
        },
        changes=("params",),
    ),
    Call(one_epoch, lambda: {"data": race(), "batch_size": 8, "seed": 0}, takes={"seed": ("0",)}),
    Call(
        verdict,
        lambda: {"recipe": recipe, "data": race(), "name": "mine", "text": "def recipe", "num_seeds": 2},
        takes={"name": TEXTS, "text": TEXTS},
    ),
    Call(
        in_a_folder(read_entries), lambda: {"path": "board.json"}, takes={"path": TEXTS}
    ),  # no file, no entry
    Call(in_a_folder(add_entry), lambda: {"path": "board.json", "entry": entry()}, takes={"path": TEXTS[1:]}),
    Call(
        as_table,
        lambda: {"entries": [entry()]},
        takes={"entries": ("empty", "entry missing", "entry twice")},
    ),
    Call(find_recipe, lambda: {"wanted": "gold"}, names={"wanted": ("recipe",)}),
    Call(
        lower_bound,
        lambda: {"accuracies": [0.9, 0.92, 0.95]},
        takes={"accuracies": ("entry missing", "entry twice", "entry 0.0")},
    ),
    Call(fresh_seeds, lambda: {"text": "def recipe", "n": 3}, takes={"text": TEXTS}),
    Call(
        check_network,
        lambda: {"network": Scaled(), "images": race().test.images.flatten(1)},
        takes={
            "network": ("module with nan",),  # it may be as bad as it likes
            "images": ("one row fewer", "fractions", "negative", "too large"),
        },
    ),
]
RECIPE = "its file decides the seeds of the leaderboard, so that it stays; `judge` checks what it returns"
EXEMPT = {
    "speedrun.recipes.Standardize": RECIPE,
    "speedrun.recipes.with_batch_norm": RECIPE,
    "speedrun.recipes.fit": RECIPE,
    "speedrun.recipes.train_adamw": RECIPE,
    "speedrun.recipes.train_muon": RECIPE,
    "speedrun.judge.Entry": "a record that `judge` fills, or the leaderboard's file",
    "speedrun.rules.Race": "the rule itself: RACES holds all there are",
}
