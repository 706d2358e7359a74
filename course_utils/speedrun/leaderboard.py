"""Which recipes pass, and which is the cheapest? A JSON file that a person can read, and recipes from files."""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from course_utils._files import replace_text
from course_utils._types import checked
from course_utils.speedrun import recipes
from course_utils.speedrun.judge import Entry
from course_utils.speedrun.recipes import RECIPES, Recipe


@checked
def read_entries(path: str | Path) -> list[Entry]:
    """Return the entries of a leaderboard, the cheapest first; none where there is no file.

    Raises: ValueError: if the file is no leaderboard.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        records = json.loads(path.read_text(encoding="utf-8"))["entries"]
        entries = [_as_entry(record) for record in records]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is no leaderboard ({error!r}); restore it or move it away.") from None
    return sorted(entries, key=lambda entry: (entry.dataset, entry.units))


@checked
def add_entry(path: str | Path, entry: Entry) -> list[Entry]:
    """Write an entry that passes into a leaderboard and return its entries; an older one of that name gives way.

    Raises: ValueError: if the entry misses the target, or the file is no leaderboard or a folder.
    """
    if not entry.passes:
        raise ValueError(
            f"{entry.name} misses the target: the bound {100 * entry.bound:.2f} % is below {100 * entry.target:.2f} %."
        )
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path must be of a file, got path={str(path)!r}, a folder.")
    key = (entry.dataset, entry.name)
    others = [known for known in read_entries(path) if (known.dataset, known.name) != key]
    entries = sorted([*others, entry], key=lambda each: (each.dataset, each.units))
    text = json.dumps({"entries": [each.as_record() for each in entries]}, ensure_ascii=False, indent=1)
    replace_text(path, text + "\n")
    return entries


@checked
def as_table(entries: Sequence[Entry]) -> str:
    """Return the entries as lines of text: level, recipe, accuracy, bound, cost."""
    head = f"{'data set':<14}{'level':<10}{'recipe':<20}{'mean %':>8}{'bound %':>9}{'seconds':>9}{'epochs of S0':>14}"
    lines = [
        f"{e.dataset:<14}{e.level:<10}{e.name:<20}{100 * e.mean:>8.2f}{100 * e.bound:>9.2f}"
        f"{e.seconds:>9.2f}{e.units:>14.2f}"
        for e in entries
    ]
    return "\n".join([head, *lines])


@checked
def find_recipe(wanted: str) -> tuple[str, str, Recipe]:
    """Return name, text and function of a recipe: one of RECIPES, or that of a Python file.

    Args:
        wanted: "bronze", ..., or the path of a file that defines `recipe(images, labels, seed)`.
    Raises: ValueError: if there is no such recipe; the message says what a file has to hold.
    """
    if wanted in RECIPES:
        return wanted, Path(recipes.__file__).read_text(encoding="utf-8"), RECIPES[wanted]
    path = Path(wanted)
    if not path.is_file():
        raise ValueError(f"there is no recipe {wanted!r}; known: {', '.join(RECIPES)}, or a Python file.")
    spec = importlib.util.spec_from_file_location("speedrun_recipe", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path.name} is no Python file; its name has to end in .py.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, "recipe", None)
    if not callable(function):
        raise ValueError(f"{path.name} needs a function recipe(images, labels, seed) that returns a network.")
    return path.stem, path.read_text(encoding="utf-8"), function


def _as_entry(record: dict[str, Any]) -> Entry:
    named = {field.name: record[field.name] for field in fields(Entry)}
    return Entry(**named | {key: tuple(named[key]) for key in ("seeds", "accuracies")})
