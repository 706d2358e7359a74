"""Can I read the run again next year? A History as CSV, as JSON and as TensorBoard events, and each of them back.

CSV and JSON hold every digit; TensorBoard's events hold float32. A reader of the first two finds the old file or the
new one, never half of one. A file that was cut off or damaged afterwards is named: JSON by its digest, events by their
checksums and their number, CSV by its form. Nothing in a CSV file says how many rows it had, or which digits: one that
was cut between two rows reads as a shorter run, so where that matters read the JSON.
"""

import csv
import hashlib
import io
import json
import math
import warnings
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils._checks import check_file_name
from course_utils._files import replace_text
from course_utils._types import checked
from course_utils.training.records import EpochRecord, History

Points = list[tuple[int, float]]  # (step or epoch, value)
COLUMNS = tuple(f.name for f in fields(EpochRecord))
STEP_LOSS = "step/loss"
SIZE = "size"  # tag of the text that says how much was written


@checked
def write_csv(history: History, path: str | Path) -> None:
    """Write one row per epoch under a header, every float with all its digits."""
    check_file_name("path", path)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in history.epochs)
    replace_text(Path(path), text.getvalue())


@checked
def read_csv(path: str | Path) -> list[EpochRecord]:
    """Return the epochs that `write_csv` wrote.

    Raises: ValueError: if the header is another one, the last line has no end, or a row is not that of the next epoch.
    """
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (ValueError, csv.Error) as error:  # ValueError: no header, or no UTF-8
        raise _damaged(name, str(error)) from error
    if tuple(header) != COLUMNS:
        raise ValueError(f"{name} needs the columns {COLUMNS}, got {header}.")
    if not text.endswith("\n"):
        raise _damaged(name, "its last line has no end")
    epochs = []
    for number, row in enumerate(rows):
        try:
            epochs.append(EpochRecord(int(row[0]), *(float(value) for value in row[1:])))
        except (ValueError, TypeError, IndexError) as error:
            raise _damaged(name, f"row {number + 1} is {row}") from error
        if epochs[-1].epoch != number:
            raise _damaged(name, f"row {number + 1} should be of epoch {number} and is of {epochs[-1].epoch}")
    return epochs


def _damaged(name: str, reason: str) -> ValueError:
    return ValueError(f"{name} is cut off or damaged ({reason}). Write it again, or take a copy.")


@checked
def write_json(history: History, path: str | Path) -> None:
    """Write the losses of all steps and the epochs; not the weights, which belong to a checkpoint.

    JSON knows neither NaN nor infinity: where no validation set was given, the file says null. The digest is SHA-256
    over the rest, as `json.dumps` writes it.
    """
    check_file_name("path", path)
    record = {
        "step_losses": [_or_null(loss) for loss in history.step_losses],
        "epochs": [{k: _or_null(v) for k, v in asdict(e).items()} for e in history.epochs],
        "diverged": history.diverged,
    }
    replace_text(Path(path), json.dumps(record | {"digest": _digest(record)}, allow_nan=False))


def _digest(record: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, allow_nan=False).encode()).hexdigest()


@checked
def read_json(path: str | Path) -> History:
    """Return the history that `write_json` wrote, without weights; null becomes NaN.

    Raises: ValueError: if the file is not what `write_json` wrote, to the last digit.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        digest = record.pop("digest")
        if digest != _digest(record):
            raise ValueError("its digest is that of another content")
        epochs = [
            EpochRecord(epoch["epoch"], *(_or_nan(epoch[name]) for name in COLUMNS[1:]))
            for epoch in record["epochs"]
        ]
        return History([_or_nan(loss) for loss in record["step_losses"]], epochs, None, record["diverged"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(Path(path).name, f"{type(error).__name__}: {error}") from error


@checked
def write_tensorboard(
    history: History, folder: str | Path, *, model: nn.Module | None = None, example: Tensor | None = None
) -> None:
    """Write one event per step loss and per number of an epoch, and close the file.

    A text beside the curves says how many there are, so that `read_tensorboard` notices if some are gone.

    Args:
        history: of the run; NaN is left out.
        folder: of this run alone, made if needed. `tensorboard --logdir` takes the folder above it.
        model: drawn as a graph, if given together with `example`.
        example: an input, on which the model is run once.

    Raises:
        ModuleNotFoundError: if tensorboard is not installed; it is in the extra "lab".
        ValueError: if the name of the folder is empty.
    """
    from torch.utils.tensorboard import SummaryWriter

    if not str(folder):  # which TensorBoard would take for one named by the time
        raise ValueError("folder must have a name, got folder=''.")
    with SummaryWriter(str(folder)) as writer:
        writer.add_text(SIZE, _size(len(history.step_losses), len(history.epochs)))
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


def _size(num_steps: int, num_epochs: int) -> str:
    return f"{num_steps} steps, {num_epochs} epochs"


@checked
def read_tensorboard(folder: str | Path) -> dict[str, Points]:
    """Return tag -> [(step, value)] of all scalars in the event files of a folder, as the board would draw them.

    Where there are no event files yet there are no curves.

    Raises: ValueError: if a file is cut off or damaged, which the board passes over in silence, or if there are not as
        many points as `write_tensorboard` wrote. FileNotFoundError: if there is no such folder.
    """
    events = _events(folder)
    curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    if f"{SIZE}/text_summary" in events.Tags()["tensors"]:
        written = events.Tensors(f"{SIZE}/text_summary")[-1].tensor_proto.string_val[0].decode()
        found = _size(len(curves.get(STEP_LOSS, ())), len(curves.get("epoch/lr", ())))
        if found != written:
            raise _damaged(Path(folder).name, f"{found} of {written}")
    return curves


@checked
def read_graph(folder: str | Path) -> list[tuple[str, str]]:
    """Return (name, operation) of the nodes of the model's graph in a folder; none where no graph was written.

    Raises: ValueError: if a file is cut off or damaged. FileNotFoundError: if there is no such folder.
    """
    events = _events(folder)
    return [(node.name, node.op) for node in events.Graph().node] if events.Tags()["graph"] else []


def _events(folder: str | Path) -> Any:
    """Return what a board would hold, after a look at the checksum of every record."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.tensorflow_stub.errors import DataLossError, OutOfRangeError
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    if not Path(folder).is_dir():  # TensorBoard says that it has been deleted
        raise FileNotFoundError(f"folder must be one that is there, got folder={str(folder)!r}.")
    for file in sorted(Path(folder).glob("*tfevents*")):
        reader = PyRecordReader_New(str(file))
        try:
            while True:
                reader.GetNext()
        except OutOfRangeError:  # the end
            pass
        except DataLossError as error:
            raise _damaged(file.name, str(error).replace(str(file), "a record")) from error
    # 0 keeps all events; by default a board keeps a sample of 10,000 per tag.
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
