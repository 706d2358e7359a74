"""Judge a recipe of the speedrun: in a process of its own, on one thread, so that the clock sees nothing else."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LEADERBOARD = Path("benchmarks", "results", "speedrun.json")


def run_speedrun(root: Path, arguments: Sequence[str], leaderboard: Path | None = None) -> int:
    """Run `python -m course_utils.speedrun` with these arguments and return its exit code.

    Args:
        root: of the repository, whose leaderboard it is and whose commit the entry names.
        arguments: recipe and options.
        leaderboard: another file to add to.
    """
    command = [sys.executable, "-m", "course_utils.speedrun", *arguments]
    command += ["--leaderboard", str(leaderboard or root / LEADERBOARD), "--commit", _commit(root)]
    return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode


def _commit(root: Path) -> str:
    """Return the commit's short name, with a mark where files differ from it; "" where there is no git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
