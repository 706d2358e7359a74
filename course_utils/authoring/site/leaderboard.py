"""Which recipe is the fastest to the published accuracy? The leaderboard of the speedrun as a page."""

import json
from pathlib import Path

from course_utils.authoring.site.tables import page, table

_INTRO = """\
How fast does the network 784-512-256-256-128-10 reach the accuracy that a tutorial published? A recipe passes when
its mean test accuracy over ten fresh seeds, less 1.64 standard errors (the bound), reaches the target. Its cost is
that of a whole training, from uint8 images in memory to weights, on one thread, in epochs of the tutorial's own
recipe timed in the same process. Notebook 16 takes it step by step; `course speedrun my_recipe.py` judges yours."""
_HEADS = (
    "data set",
    "recipe",
    "level",
    "mean, %",
    "bound, %",
    "target, %",
    "epochs",
    "CPU s",
    "machine",
    "judged",
)


def leaderboard_page(results: Path) -> str:
    """Return the page of the entries in a file of `course speedrun`, the cheapest first."""
    rows = []
    for entry in json.loads(results.read_text(encoding="utf-8"))["entries"]:
        accuracies = (f"{100 * entry[key]:.2f}" for key in ("mean", "bound", "target"))
        cost = (f"{entry['units']:.2f}", f"{entry['seconds']:.1f}")
        judged = (entry["machine"], f"{entry['date']}, {entry['commit']}")
        rows.append((entry["dataset"], entry["name"], entry["level"], *accuracies, *cost, *judged))
    return page("Speedrun", _INTRO, table(_HEADS, rows))
