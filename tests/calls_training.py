"""Calls of `training`, for the fuzzer: networks of four units on three examples, files in a folder of this process."""

import atexit
import contextlib
import itertools
import tempfile
from pathlib import Path

import torch
from fuzzing import Call
from taken import NUMBERS, entries
from torch.optim.lr_scheduler import StepLR

from course_utils.models import MLP
from course_utils.optimizers import Momentum
from course_utils.seeding import make_generator
from course_utils.training import (
    Diverged,
    EpochRecord,
    History,
    Recorder,
    Symptoms,
    evaluate,
    examine,
    has_fast_bfloat16,
    train,
)
from course_utils.training.schedules import (
    cosine,
    linear,
    one_cycle,
    product,
    step_decay,
    warmup,
    warmup_then_linear,
)

FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)
NUMBER = itertools.count()


def x():
    return torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5], [-0.75, 1.25, 0.1]])


def y():
    return torch.tensor([0, 1, 1])


def network():
    return MLP((3, 4, 2), generator=make_generator(0))


def mean_square(output, y):
    return ((output - torch.nn.functional.one_hot(y, 2)) ** 2).mean()


def watched(step, model):
    """Look at a step, as a reader's function would."""


def history():
    return History(
        [0.7, 0.5], [EpochRecord(0, 0.7, 0.5, 0.6, 0.5, 0.1), EpochRecord(1, 0.5, 1.0, 0.4, 1.0, 0.1)]
    )


def run():
    """Return what a run is of; the scheduler is of this optimizer and that of this model."""
    model = network()
    optimizer = Momentum(model.parameters(), lr=0.1, momentum=0.5)
    scheduler = StepLR(optimizer, step_size=1)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler, "generator": make_generator(0)}


def a_path(ending=""):
    return Path(FOLDER.name) / f"{next(NUMBER)}{ending}"


def covering(name):
    """Return a decorator for a helper that calls the function `name`, in a folder where it may write what it likes."""

    def decorate(function):
        def inside(**arguments):
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                return function(**arguments)

        inside.covers = f"training.{name}"
        inside.__qualname__ = function.__qualname__
        return inside

    return decorate


@covering("loop.train")
def trained(x, y, **arguments):
    run = train(data=(x, y), **arguments)
    return run.step_losses, [(e.train_loss, e.val_loss) for e in run.epochs]


@covering("evaluation.evaluate")
def evaluated(x, y, **arguments):
    result = evaluate(data=(x, y), **arguments)
    return result.loss, result.accuracy


def recorded(model, validation, losses, accuracies, evaluation, error):
    with Recorder(model, validation) as watch:
        model(x()).sum().backward()
        watch.on_step(0, model)
    return watch.symptoms(losses, accuracies=accuracies, evaluation=evaluation, error=error)


recorded.covers = "training.symptoms.Recorder"


def shares_of(make):
    """Return a function that makes a share and returns it for the first steps."""

    @covering(f"schedules.{make.__name__}")
    def shares(**arguments):
        return [make(**arguments)(step) for step in range(5)]

    return shares


@covering("schedules.product")
def shares_of_a_product(first, second):
    return [product(first, second)(step) for step in range(5)]


ANY_PATH = ("text", "other text", "3")
DATA = {"x": ("data",), "y": ("data", "labels")}
RETURNS = tuple(f"function that returns {what}" for what in ("None", "text", "nan"))
RUN = entries("nan", "inf", "negative", "huge")
LIST = ("empty", "entry missing", "entry twice", *entries("-1.0", "0.0", "nan", "inf", "-inf", "1e308"))
CALLS = [
    Call(
        trained,
        lambda: (
            run()
            | {
                "x": x(),
                "y": y(),
                "num_epochs": 1,
                "batch_size": 2,
                "validation": (x(), y()),
                "loss": mean_square,
            }
            | {"schedule_each": "epoch", "on_step": watched, "on_divergence": "raise", "checkpoint": "run"}
            | {"resume": False, "autocast": False, "progress": False}
        ),
        names=DATA | {"validation": ("x",)},
        takes={
            "x": NUMBERS,
            "validation": ("None", *RUN),
            "scheduler": ("None",),
            "on_step": ("None", *RETURNS),
            "checkpoint": ("None", *ANY_PATH),
        },
        raises=(Diverged,),
    ),
    Call(
        evaluated,
        lambda: {
            "model": network(),
            "x": x(),
            "y": y(),
            "batch_size": 2,
            "loss": mean_square,
            "autocast": False,
        },
        names=DATA,
        takes={"x": NUMBERS, "model": ("module with nan",), "loss": RETURNS[-1:]},
    ),
    Call(has_fast_bfloat16, lambda: {"device": "cpu"}),
    Call(examine, lambda: {"symptoms": Symptoms(losses=(0.7, 0.5), num_classes=2)}),
    Call(
        recorded,
        lambda: (
            {"model": network(), "validation": (x(), y()), "losses": [0.7, 0.5], "accuracies": [0.5]}
            | {"evaluation": lambda: 0.5, "error": RuntimeError("no memory")}
        ),
        takes={
            "model": ("module of another size", "module with nan"),
            "validation": ("None", *RUN),
            "losses": LIST,  # what a loop reports is for the rules to judge
            "accuracies": LIST,
            "evaluation": ("None", *RETURNS[-1:]),
            "error": ("None",),
        },
    ),
    Call(shares_of(warmup_then_linear), lambda: {"total": 4, "warmup": 0.25}, takes={"warmup": ("0.0",)}),
    Call(shares_of(warmup), lambda: {"num_steps": 3.0}, takes={"num_steps": ("1e308",)}),
    Call(shares_of(step_decay), lambda: {"every": 2, "factor": 0.1}, takes={"factor": ("0.0",)}),
    Call(shares_of(cosine), lambda: {"total": 4, "floor": 0.1}, takes={"floor": ("0.0",)}),
    Call(
        shares_of_a_product,
        lambda: {"first": warmup(3), "second": cosine(4)},
        names={"first": ("shares",), "second": ("shares",)},
    ),
    Call(shares_of(linear), lambda: {"total": 4}),
    Call(
        shares_of(one_cycle),
        lambda: {"total": 8, "peak": 0.3, "start": 0.04, "end": 0.01},
        takes={"start": ("0.0",), "end": ("0.0",)},
    ),
]
FILLED = "a record that the package fills, for its readers"
INSIDE = (
    "of the loop or of checkpoints, which have checked its arguments: damage in tests/test_faults_training.py and "
    "tests/test_training_divergence.py"
)
PARTS = {
    "checkpoints": ("has_checkpoint", "kinds", "previous_of"),
    "containers": ("pack", "unpack"),
    "divergence": ("Passage", "Scene", "bad_weights", "explain", "trace"),
    "evaluation": ("check_labels", "check_sizes", "count_hits", "has_classes", "mean_over_examples"),
    "forms": ("check_kinds", "check_states", "check_weights", "give_tensors", "history", "take_tensors"),
    "guard": ("Guard", "check_belonging", "check_takes_step", "has_finite_weights"),
    "snapshots": ("Snapshot", "clone_weights", "device_of", "global_streams", "set_streams"),
}
EXEMPT = {f"training.{module}.{name}": INSIDE for module, names in PARTS.items() for name in names} | {
    "training.published.PublishedRun": FILLED,
    "training.records.EpochRecord": FILLED,
    "training.records.Evaluation": FILLED,
    "training.records.History": FILLED,
    "training.symptoms.Symptoms": FILLED,
    "training.records.Diverged": "an exception",
}
