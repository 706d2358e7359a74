"""Which configuration, and how sure? Lists of configurations become lists of records, here or on a cluster.

`grid` and `random_search` make configurations, `run_sweep` runs a function on each through joblib, and
`successive_halving` spends a budget on the promising ones. With `results=` a sweep that was cut off goes on where it
was. The function is imported by the workers, so it lives in a module and not in a notebook's cell: `score_replicates`
is the one that notebook 12 sweeps, `score_network` trains with any optimizer.
"""

from course_utils.sweeps.halving import Halving, Rung, successive_halving
from course_utils.sweeps.jobs import SweepRecord
from course_utils.sweeps.lr_range import LRRange, lr_range_test
from course_utils.sweeps.networks import score_network
from course_utils.sweeps.replicates import Replicates, Task, load_task, score_replicates, train_replicates
from course_utils.sweeps.running import local_dask, run_sweep, stop_workers
from course_utils.sweeps.spaces import Choice, LogUniform, Uniform, grid, random_search
from course_utils.sweeps.store import ResultsFile
from course_utils.sweeps.surface import read_surface

__all__ = [
    "Choice",
    "Halving",
    "LRRange",
    "LogUniform",
    "Replicates",
    "ResultsFile",
    "Rung",
    "SweepRecord",
    "Task",
    "Uniform",
    "grid",
    "load_task",
    "local_dask",
    "lr_range_test",
    "random_search",
    "read_surface",
    "run_sweep",
    "score_network",
    "score_replicates",
    "stop_workers",
    "successive_halving",
    "train_replicates",
]
