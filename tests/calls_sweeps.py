"""Calls of `sweeps`, for the fuzzer: functions of microseconds in this process, networks of a few steps."""

import contextlib
import tempfile

import torch
from fuzzing import Call

from course_utils.models import MLP
from course_utils.optimizers import SGD
from course_utils.seeding import make_generator
from course_utils.sweeps import (
    Choice,
    LogUniform,
    ResultsFile,
    Uniform,
    grid,
    load_task,
    lr_range_test,
    random_search,
    read_surface,
    run_sweep,
    score_network,
    score_replicates,
    successive_halving,
    train_replicates,
)
from course_utils.sweeps.jobs import Job, SweepRecord, number_jobs, run_batch, run_job
from course_utils.sweeps.store import check_storable, name_of
from course_utils.sweeps.workers import compute


def cost(*, seed, x=1, units=1):
    """Return a loss of a configuration: the function of the sweeps here."""
    return float(x) + seed % 7 / units


def drawn(cls):
    """Return a function that makes a range or a choice and takes its middle."""

    def middle(**arguments):
        return cls(**arguments).at(0.5)

    middle.__qualname__ = f"{cls.__name__} and its middle"
    middle.covers = f"sweeps.spaces.{cls.__name__}"
    return middle


def stored(path, function, seed):
    """Write a record into a results file in a folder of its own, and find it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with ResultsFile(path, function, seed) as file:
            file.append([SweepRecord({"x": 1}, 3, 0.5)])
        with ResultsFile(path, function, seed) as file:
            return file.find(Job(0, {"x": 1}, 3)).result


stored.covers = "sweeps.store.ResultsFile"


def computed(function, jobs):
    return [record.result for ended in compute(function, jobs, 1) for _, record in ended]


computed.covers = "sweeps.workers.compute"


def batch(**arguments):
    return [record.result for record in run_batch(**arguments)[0]]


batch.covers = "sweeps.jobs.run_batch"


def jobs():
    return [Job(0, {"x": 1}, 3), Job(1, {"x": 2}, 4)]


def examples(n=6):
    x = torch.linspace(-1, 1, 3 * n).view(n, 3)
    return x, torch.arange(n) % 2


def network():
    return MLP((3, 4, 2), generator=make_generator(0))


def range_test(**arguments):
    model = network()
    return lr_range_test(model, optimizer=SGD(model.parameters()), **arguments).smoothed


range_test.covers = "sweeps.lr_range.lr_range_test"


def replicates(**arguments):
    run = train_replicates(**arguments)
    return run.val_loss, run.step_losses


replicates.covers = "sweeps.replicates.train_replicates"

CONFIGURATIONS = [{"x": 1}, {"x": 2}, {"x": 3}]
OF_A_TASK = {"dataset": "mnist-5k", "split_seed": 0, "width": 2, "batch_size": 500, "num_epochs": 1}
VALUES = (
    "None",
    "text",
    "dict",
    "list of text",
    "array",
    "object",
    "complex",
    "-1",
    "0",
    "True",
    "0.5",
    "nan",
    "2**70",
)
# what is tried, and what a function is given, is for the function to judge
ANY_VALUE = (
    "entry missing",
    "entry twice",
    *(f"entry {how}" for how in (*VALUES, "-1.0", "0.0", "inf", "-inf", "1e308")),
)
JOBS = ("empty", "entry missing", "entry twice")
ANY_JOB = ("empty", "entry empty", "entry key missing", "entry other key", *ANY_VALUE)
# what it raises or returns stands in the record
ANY_FUNCTION = tuple(
    f"function {how}" for how in ("without arguments", "that returns None", "that returns text")
)
ANY_FUNCTION += ("function that returns nan",)
HALVED = tuple(how for how in ANY_JOB if how not in ("empty", "entry missing"))
SURFACE = ("one more dimension", "one column more", "nan", "inf", "half", "negative", "huge")
EXAMPLES = ("entry nan", "entry inf", "entry negative", "entry huge")
SEEDS = {"weight_seeds": ("entry 0",), "order_seeds": ("entry 0",), "seed": ("0",), "split_seed": ("0",)}
SIZES = {"lr": ("0.0",), "momentum": ("0.0",), "weight_decay": ("0.0",), "beta1": ("0.0",)}
CALLS = [
    Call(
        drawn(Uniform),
        lambda: {"low": 0.5, "high": 2.0},
        takes={"low": ("-1.0", "0.0"), "high": ("1e308", "2**70")},
    ),
    Call(drawn(LogUniform), lambda: {"low": 0.5, "high": 2.0}, takes={"high": ("1e308", "2**70")}),
    Call(drawn(Choice), lambda: {"options": [1, 2, 3]}, takes={"options": ANY_VALUE}),
    Call(
        grid,
        lambda: {"lr": [0.1, 0.2], "width": range(3, 5)},
        takes={"lr": ANY_VALUE, "width": ANY_VALUE},
    ),
    Call(
        random_search,
        lambda: {
            "space": {"lr": LogUniform(1e-3, 1.0), "p": Uniform(0.0, 0.5)},
            "n": 3,
            "generator": make_generator(0),
        },
        takes={"space": ("key missing", "other key")},
    ),
    Call(
        number_jobs,
        lambda: {"configurations": [{"x": 1}, {"x": 2, "seed": 5}], "seed": 0},
        takes=SEEDS | {"configurations": ANY_JOB},
    ),
    Call(run_job, lambda: {"function": cost, "job": jobs()[0]}, takes={"function": ANY_FUNCTION}),
    Call(
        batch,
        lambda: {"function": cost, "jobs": jobs(), "seconds": 0.1},
        takes={"function": ANY_FUNCTION, "jobs": JOBS[1:], "seconds": ("0.0", "inf", "1e308")},
    ),
    Call(
        computed,
        lambda: {"function": cost, "jobs": jobs()},
        takes={"function": ANY_FUNCTION, "jobs": JOBS},
    ),
    Call(
        run_sweep,
        lambda: {"function": cost, "configurations": list(CONFIGURATIONS), "seed": 0, "progress": False},
        takes=SEEDS | {"function": ANY_FUNCTION, "configurations": ANY_JOB},
    ),
    Call(
        successive_halving,
        lambda: {"function": cost, "configurations": list(CONFIGURATIONS), "budget": 3, "eta": 3, "seed": 0},
        takes=SEEDS | {"configurations": HALVED},
    ),
    Call(
        stored,
        lambda: {"path": "results.jsonl", "function": cost, "seed": 0},
        takes=SEEDS | {"path": ("other text", "3")},
    ),
    Call(name_of, lambda: {"function": cost}),
    Call(check_storable, lambda: {"jobs": jobs()}, takes={"jobs": JOBS}),
    Call(
        read_surface,
        lambda: {
            "table": torch.arange(6.0).view(2, 3),
            "u": torch.tensor([0.0, 0.3, 1.0]),
            "v": torch.tensor([0.5, 0.2, 0.9]),
        },
        takes={"table": SURFACE, "u": ("half",), "v": ("half",)},
    ),
    Call(
        range_test,
        lambda: {
            "data": examples(),
            "generator": make_generator(0),
            "batch_size": 3,
            "lr_min": 1e-3,
            "lr_max": 1.0,
            "num_steps": 4,
            "smoothing": 0.5,
            "divergence": 4.0,
        },
        takes={
            "data": EXAMPLES,  # the run ends where the loss is no number
            "lr_max": ("1e308",),
            "smoothing": ("0.0",),
            "divergence": ("inf", "1e308"),
        },
        names={"data": ("x", "y")},
    ),
    Call(
        replicates,
        lambda: {
            "data": examples(),
            "widths": [3, 4, 2],
            "weight_seeds": [1, 2],
            "order_seeds": [3, 4],
            "lr": 0.1,
            "batch_size": 3,
            "num_epochs": 2,
            "momentum": 0.5,
            "weight_decay": 0.01,
            "validation": examples(4),
            "evaluate_after": [1, 2],
        },
        takes=SEEDS
        | SIZES
        | {
            "data": EXAMPLES,
            "widths": ("entry missing", "entry twice"),  # of a network of other layers
            "validation": ("None", *EXAMPLES),
            "evaluate_after": ("None", "empty", "entry missing", "entry twice"),
        },
        names={"data": ("x", "y"), "weight_seeds": ("seed",), "order_seeds": ("seed",)},
    ),
    Call(
        load_task,
        lambda: {"dataset": "mnist-5k", "split_seed": 0, "sizes": (20, 10, 10), "device": "cpu"},
        takes=SEEDS,
    ),
    Call(
        score_network,
        lambda: {"seed": 0, "optimizer": "Adam", "lr": 0.01, "beta1": 0.5, **OF_A_TASK},
        takes=SEEDS | SIZES,
    ),
    Call(
        score_replicates,
        lambda: {"seed": 0, "num_replicates": 2, "device": "cpu", "lr": 0.1, **OF_A_TASK},
        takes=SEEDS | SIZES,
    ),
]
FILLED = "a record that the package fills, for its readers"
EXEMPT = {
    "sweeps.halving.Rung": FILLED,
    "sweeps.halving.Halving": FILLED,
    "sweeps.jobs.SweepRecord": FILLED,
    "sweeps.lr_range.LRRange": FILLED,
    "sweeps.replicates.Replicates": FILLED,
    "sweeps.running.local_dask": "starts a cluster of processes: tests/test_sweeps_dask.py",
}
