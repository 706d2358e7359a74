"""Which configuration, and how sure? Lists of configurations become lists of records, here or on a cluster.

`grid` and `random_search` make configurations, `run_sweep` runs a function on each through joblib, and
`successive_halving` spends a budget on the promising ones. The function is imported by the workers, so it lives in a
module and not in a notebook's cell; `score_replicates` is the one that notebook 12 sweeps.
"""

from course_utils.sweeps.halving import Halving, Rung, successive_halving
from course_utils.sweeps.lr_range import LRRange, lr_range_test
from course_utils.sweeps.replicates import Replicates, Task, load_task, score_replicates, train_replicates
from course_utils.sweeps.running import SweepRecord, local_dask, run_sweep, stop_workers
from course_utils.sweeps.spaces import Choice, LogUniform, Uniform, grid, random_search
from course_utils.sweeps.surface import read_surface

__all__ = [
    "Choice",
    "Halving",
    "LRRange",
    "LogUniform",
    "Replicates",
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
    "score_replicates",
    "stop_workers",
    "successive_halving",
    "train_replicates",
]
