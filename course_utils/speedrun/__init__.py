"""How fast does one network reach a published accuracy? The rule, the published recipe, ours, and the leaderboard.

A recipe is one function, `recipe(images, labels, seed) -> network`: uint8 images [N, 784] and their classes in, a
network out that maps such images to logits. `judge` trains it on fresh seeds with the clock running and says whether
it passes; `add_entry` writes that down.
"""

from course_utils.speedrun.baseline import PublishedRecipe, TextbookAdam
from course_utils.speedrun.judge import Entry, judge
from course_utils.speedrun.leaderboard import add_entry, read_entries
from course_utils.speedrun.recipes import RECIPES, fit, train_adamw, train_muon
from course_utils.speedrun.rules import RACES, WIDTHS, Race, fresh_seeds

__all__ = [
    "RACES",
    "RECIPES",
    "WIDTHS",
    "Entry",
    "PublishedRecipe",
    "Race",
    "TextbookAdam",
    "add_entry",
    "fit",
    "fresh_seeds",
    "judge",
    "read_entries",
    "train_adamw",
    "train_muon",
]
