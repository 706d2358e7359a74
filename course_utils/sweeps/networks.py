"""Which optimizer, at which rate, on which data? One network with a named optimizer is one job of a sweep.

    runs = grid(optimizer=["SGD", "Adam"], lr=[1e-3, 1e-2, 1e-1], dataset=["mnist-5k"], seed=range(100))
    records = run_sweep(score_network, runs, results="rates.jsonl", num_jobs=-1, progress=True)

`score_replicates` is faster where SGD with momentum is the question; here any optimizer of the course may be asked.
"""

import functools
import math
from typing import Any

from course_utils import optimizers
from course_utils._checks import check_at_least, check_choice
from course_utils._types import checked
from course_utils.initializers import he_normal_
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.sweeps.replicates import load_task
from course_utils.training import evaluate, train

OPTIMIZERS = ("SGD", "Momentum", "Nesterov", "EMAMomentum", "AdaGrad", "RMSProp", "Adam", "AdamW")


@checked
def score_network(
    *,
    seed: int,
    optimizer: str,
    lr: float,
    dataset: str = "mnist-5k",
    split_seed: int = 0,
    width: int = 32,
    batch_size: int = 50,
    num_epochs: int = 1,
    **options: float,
) -> dict[str, Any]:
    """Train a ReLU network with one hidden layer from He's start, and return plain numbers: the job of a sweep.

    Args:
        seed: of the weights, and of the batch order: all configurations with one seed start from the same weights and
            see the same batches.
        optimizer: a name of OPTIMIZERS.
        lr: its learning rate.
        dataset: as in `load_task`, whose 1,000 images it learns; a worker loads each set once.
        split_seed: as in `load_task`.
        width: of the hidden layer.
        batch_size: examples per step.
        num_epochs: passes over the images.
        options: what else the optimizer takes, such as beta1 or weight_decay.
    Returns: "train_loss" (running mean of the last epoch), "val_loss", "val_accuracy" and "test_accuracy" after it, and
        "diverged". A run that diverges stops there: its losses are infinite, its accuracies those of the last weights.
    Raises: ValueError: if the optimizer is unknown, or a number is out of its range.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_at_least("width", width, 1)
    task = load_task(dataset, split_seed)
    model = MLP(
        (task.train[0].shape[1], width, 10),
        initializer=functools.partial(he_normal_, generator=make_generator(seed)),
    )
    history = train(
        model, task.train, getattr(optimizers, optimizer)(model.parameters(), lr=lr, **options),
        num_epochs=num_epochs, batch_size=int(batch_size), generator=make_generator(seed), on_divergence="stop",
    )  # fmt: skip
    validation = evaluate(model, task.validation)
    return {
        "train_loss": math.inf if history.diverged else history.epochs[-1].train_loss,
        "val_loss": math.inf if history.diverged else validation.loss,
        "val_accuracy": validation.accuracy,
        "test_accuracy": evaluate(model, task.test).accuracy,
        "diverged": history.diverged,
    }
