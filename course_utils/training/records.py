"""What is known about a run afterwards? Plain records: numbers with names, ready for a table, a plot or JSON."""

import math
from dataclasses import dataclass, field

from torch import Tensor


class Diverged(RuntimeError):
    """A loss or a weight became infinite or NaN; the message names the step, the place, the cause and a way out.

    The model is left with the weights of the step before, where these are finite.
    """

    def __init__(
        self, message: str, history: "History | None" = None, last_weights: dict[str, Tensor] | None = None
    ) -> None:
        super().__init__(message)
        self.history = history  # with the loss that is not finite as its last
        self.last_weights = last_weights  # of the last finished epoch, or of the start if there is none


@dataclass(frozen=True)
class Evaluation:
    """Mean loss (nats) and accuracy (fraction in [0, 1]) over a whole set."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, counted from 0. Training figures are running means WHILE the weights moved, validation follows it."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float  # NaN where no validation set was given
    val_accuracy: float
    lr: float  # of the first parameter group, during this epoch


@dataclass
class History:
    """A run as records: the loss of every step, one record per epoch, and the weights of the best epoch."""

    step_losses: list[float] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)
    best_weights: dict[str, Tensor] | None = None  # None where no validation set was given
    diverged: bool = False

    @property
    def best(self) -> EpochRecord:
        """The epoch with the highest validation accuracy, the earliest of several.

        Where labels are not classes it is the one with the lowest validation loss; without validation, the last.

        Raises: ValueError: if no epoch has been finished.
        """
        if not self.epochs:
            raise ValueError("No epoch has been finished yet: train for at least one.")
        if not math.isnan(self.epochs[0].val_accuracy):
            return max(self.epochs, key=lambda record: record.val_accuracy)
        if not math.isnan(self.epochs[0].val_loss):
            return min(self.epochs, key=lambda record: record.val_loss)
        return self.epochs[-1]
