"""Calls of what `training` writes and reads, for the fuzzer: checkpoints, logs and the runs of others."""

import json
from pathlib import Path

import torch
from calls_training import ANY_PATH, FOLDER, a_path, covering, history, network, run, x
from fuzzing import Call

from course_utils.training import CheckpointError, load_checkpoint, logs, save_checkpoint
from course_utils.training.published import load_published

ABSENT = (OSError, CheckpointError)  # of a file that is not there: the message names it
NO_EVENTS = {"folder": ("empty text",)}  # the current one


@covering("checkpoints.save_checkpoint")
def saved(**arguments):
    save_checkpoint(**arguments)


@covering("checkpoints.load_checkpoint")
def loaded(**arguments):
    return load_checkpoint(**arguments).step_losses


def a_checkpoint():
    path = a_path()
    arguments = {"path": path, **run()}
    save_checkpoint(**arguments, history=history())
    return arguments


@covering("logs.write_csv")
def csv_of(history, path):
    logs.write_csv(history, path)
    return [record.train_loss for record in logs.read_csv(path)]


@covering("logs.write_json")
def json_of(history, path):
    logs.write_json(history, path)
    return logs.read_json(path).step_losses


@covering("logs.write_tensorboard")
def board_of(**arguments):
    logs.write_tensorboard(**arguments)


def a_file(write):
    path = a_path()
    write(history(), path)
    return {"path": path}


def a_board():
    folder = a_path()
    logs.write_tensorboard(history(), folder, model=network(), example=x())
    return {"folder": folder}


BOARD = a_board()
PUBLISHED = Path(FOLDER.name)


def a_published_run():
    (PUBLISHED / "a.config").write_text(
        json.dumps({"input_size": 3, "hidden_sizes": [4], "num_classes": 2, "act_fn": "ReLU"})
    )
    weights = {
        f"layers.{2 * int(n.split('.')[1])}.{n.split('.')[2]}": w for n, w in network().state_dict().items()
    }
    torch.save(weights, PUBLISHED / "a.tar")
    scores = {"test_acc": 0.5, "val_scores": [0.5], "train_scores": [0.5], "train_losses": [0.7]}
    (PUBLISHED / "a_results.json").write_text(json.dumps(scores))
    return {"folder": PUBLISHED, "name": "a", "device": "cpu"}


@covering("published.load_published")
def published(**arguments):
    return load_published(**arguments).step_losses


CALLS = [
    Call(
        saved,
        lambda: {"path": "run", **run(), "history": history()},
        takes={
            "path": ANY_PATH,
            "scheduler": ("None",),
            "model": ("module without weights", "module of another size", "module with nan", "nan vanishes"),
        },
    ),
    Call(loaded, a_checkpoint, takes={"model": ("module with nan",)}, raises=ABSENT),
    Call(csv_of, lambda: {"history": history(), "path": "run.csv"}, takes={"path": ANY_PATH}),
    Call(json_of, lambda: {"history": history(), "path": "run.json"}, takes={"path": ANY_PATH}),
    Call(
        board_of,
        lambda: {"history": history(), "folder": "run", "model": None, "example": None},
        takes={"folder": ANY_PATH},
    ),
    Call(logs.read_csv, lambda: a_file(logs.write_csv), raises=ABSENT),
    Call(logs.read_json, lambda: a_file(logs.write_json), raises=ABSENT),
    Call(logs.read_tensorboard, lambda: dict(BOARD), takes=NO_EVENTS, raises=ABSENT),
    Call(logs.read_graph, lambda: dict(BOARD), takes=NO_EVENTS, raises=ABSENT),
    Call(published, a_published_run, raises=ABSENT),
]
EXEMPT = {}
