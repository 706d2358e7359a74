"""Judge a recipe and write down what passes: `course speedrun`, in a process of its own so that the clock is clean."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from course_utils.speedrun.rules import NUM_SEEDS, RACES


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where the recipe passes (or the leaderboard was shown), 1 where it does not, 2 where it cannot run."""
    options = make_parser().parse_args(arguments)
    from course_utils.datasets import DatasetUnavailableError, load
    from course_utils.speedrun.judge import judge
    from course_utils.speedrun.leaderboard import add_entry, as_table, find_recipe, read_entries

    try:
        if options.recipe is None:
            print(as_table(read_entries(options.leaderboard)))
            return 0
        name, text, recipe = find_recipe(options.recipe)
        data = load(options.dataset)
        entry = judge(recipe, data, name=name, text=text, num_seeds=options.seeds, progress=_say)
        print(entry.describe())
        if not entry.passes:
            return 1
        if options.seeds != NUM_SEEDS:
            print(f"Not entered: the rule asks for {NUM_SEEDS} seeds.")
            return 0
        print(as_table(add_entry(options.leaderboard, dataclasses.replace(entry, commit=options.commit))))
    except (ValueError, DatasetUnavailableError) as error:
        print(f"course: {error}", file=sys.stderr)
        return 2
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser, which `course speedrun` has too."""
    parser = argparse.ArgumentParser(prog="course speedrun", description="Judge a recipe of the speedrun.")
    parser.add_argument(
        "recipe", nargs="?", help="a level such as gold, or a Python file; none: the leaderboard"
    )
    parser.add_argument(
        "--dataset", choices=sorted(RACES), default="fashion-mnist", help="(default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="runs (default: %(default)s, the rule)")
    parser.add_argument("--leaderboard", type=Path, required=True, help="file that entries are added to")
    parser.add_argument("--commit", default="", help="of the repository, written into the entry")
    return parser


if __name__ == "__main__":
    sys.exit(main())
