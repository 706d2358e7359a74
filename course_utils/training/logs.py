"""Can I read the run again next year? A History as CSV, as JSON and as TensorBoard events, and each of them back.

CSV and JSON hold every digit; TensorBoard's events hold float32. A reader of the
first two finds the old file or the new one, never half of one.
"""

import csv
import io
import json
import math
import warnings
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils._files import replace_text
from course_utils.training.records import EpochRecord, History

Points = list[tuple[int, float]]  # (step or epoch, value)
COLUMNS = tuple(f.name for f in fields(EpochRecord))
STEP_LOSS = "step/loss"


def write_csv(history: History, path: str | Path) -> None:
    """Write one row per epoch under a header, every float with all its digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in history.epochs)
    replace_text(Path(path), text.getvalue())


def read_csv(path: str | Path) -> list[EpochRecord]:
    """Return the epochs that `write_csv` wrote. Raises: ValueError: if the header is another one."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{Path(path).name} needs the columns {COLUMNS}, got {reader.fieldnames}.")
        return [EpochRecord(int(row["epoch"]), *(float(row[name]) for name in COLUMNS[1:])) for row in reader]


def write_json(history: History, path: str | Path) -> None:
    """Write the losses of all steps and the epochs; not the weights, which belong to a checkpoint.

    JSON knows neither NaN nor infinity: where no validation set was given, the file says null.
    """
    record = {
        "step_losses": [_or_null(loss) for loss in history.step_losses],
        "epochs": [{k: _or_null(v) for k, v in asdict(e).items()} for e in history.epochs],
        "diverged": history.diverged,
    }
    replace_text(Path(path), json.dumps(record, allow_nan=False))


def read_json(path: str | Path) -> History:
    """Return the history that `write_json` wrote, without weights; null becomes NaN."""
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    epochs = [
        EpochRecord(epoch["epoch"], *(_or_nan(epoch[name]) for name in COLUMNS[1:]))
        for epoch in record["epochs"]
    ]
    return History([_or_nan(loss) for loss in record["step_losses"]], epochs, None, record["diverged"])


def write_tensorboard(
    history: History, folder: str | Path, *, model: nn.Module | None = None, example: Tensor | None = None
) -> None:
    """Write one event per step loss and per number of an epoch, and close the file.

    Args:
        history: of the run; NaN is left out.
        folder: of this run alone, made if needed. `tensorboard --logdir` takes the folder above it.
        model: drawn as a graph, if given together with `example`.
        example: an input, on which the model is run once.
    Raises: ModuleNotFoundError: if tensorboard is not installed; it is in the extra "lab".
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step, loss in enumerate(history.step_losses):
            writer.add_scalar(STEP_LOSS, loss, step)
        for record in history.epochs:
            for name, value in asdict(record).items():
                if name != "epoch" and not math.isnan(value):
                    writer.add_scalar(f"epoch/{name}", value, record.epoch)
        if model is not None and example is not None:
            with torch.no_grad(), warnings.catch_warnings():
                # add_graph traces with torch.jit, which torch says is deprecated; there is no other way to the board
                warnings.filterwarnings("ignore", message=".*torch.jit")
                writer.add_graph(model, example)


def read_tensorboard(folder: str | Path) -> dict[str, Points]:
    """Return tag -> [(step, value)] of all scalars in the event files of a folder, as the board would draw them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # 0 keeps all events; by default a board keeps a sample of 10,000 per tag.
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def read_graph(folder: str | Path) -> list[tuple[str, str]]:
    """Return (name, operation) of the nodes of the model's graph in a folder; none where no graph was written."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return [(node.name, node.op) for node in events.Graph().node] if events.Tags()["graph"] else []


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
