"""Which data sets are on this machine, and which notebooks wait for one that is not?

A notebook's stored outputs rest on the data set that its parameters cell names. All but a few name the one that comes
with the course; the others are left out of a run of everything where their data are absent, and say so.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from course_utils.authoring.library import CourseError, parameters_of, read_notebook

EMBEDDED = "mnist-5k"
# In a process of its own: the files are found and hashed as the notebooks will do it, and torch is not imported here.
_PROBE = """
import json, sys
from course_utils.datasets import NAMES, DatasetUnavailableError, load
there = {}
wanted = sys.argv[1:] or NAMES  # a name that does not exist is for the notebook to report
for name in filter(wanted.__contains__, NAMES):
    try:
        load(name, download=False)
        there[name] = True
    except DatasetUnavailableError:
        there[name] = False
print(json.dumps(there))
"""


def data_at_hand(names: Collection[str] = ()) -> dict[str, bool]:
    """Return name -> whether the data set can be loaded here without a network, for those of `names`, or for all.

    Raises: CourseError: if course_utils cannot be imported.
    """
    command = [sys.executable, "-c", _PROBE, *sorted(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CourseError(
            f"course_utils does not load its data sets here: {reason}. Install the package again."
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def waiting_for_data(notebooks: Sequence[Path]) -> dict[Path, str]:
    """Return notebook -> the data set that its parameters cell names and this machine lacks."""
    named = {path: parameters_of(read_notebook(path)).get("dataset", EMBEDDED) for path in notebooks}
    wanted = set(named.values()) - {EMBEDDED}
    there = data_at_hand(wanted) if wanted else {}
    return {path: name for path, name in named.items() if not there.get(name, True)}
