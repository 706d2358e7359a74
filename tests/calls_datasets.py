"""Calls of `datasets`, for the fuzzer: the embedded set and images of two by two pixels; no network."""

import atexit
import contextlib
import hashlib
import io
import pickle
import struct
import tempfile
from pathlib import Path

import numpy as np
import torch
from fuzzing import Call
from taken import entries

from course_utils.datasets import Dataset, DatasetUnavailableError, Split, load
from course_utils.datasets.readers import read_cifar_batch, read_idx, read_npz
from course_utils.datasets.records import mean_and_std
from course_utils.datasets.storage import download_folder, find, folders

FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)
ROOT = Path(FOLDER.name)
(ROOT / "file").write_bytes(b"four")


def images(number=3):
    return torch.arange(4 * number, dtype=torch.uint8).view(number, 1, 2, 2)


def splits():
    return [Split(images(n), torch.arange(n) % 2) for n in (4, 3, 2)]


def scaled(split, dtype, device, name, classes, known_moments, train, val, test):
    data = Dataset(name, train, val, test, classes, known_moments)
    return data.tensors(split, dtype=dtype, device=device)


def split_of(images, labels):
    return list(Split(images, labels))


def loaded(**arguments):
    return load(**arguments).train.labels


def folder_to_fill(root):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return download_folder(root)


folder_to_fill.covers = "datasets.storage.download_folder"
scaled.covers = "datasets.records.Dataset"
split_of.covers = "datasets.records.Split"
loaded.covers = "datasets.catalog.load"


def dataset():
    train, val, test = splits()
    return {"train": train, "val": val, "test": test, "name": "squares", "classes": ("a", "b")} | {
        "known_moments": ((0.5,), (0.25,)),
        "split": "train",
        "dtype": torch.float32,
        "device": "cpu",
    }


def idx():
    return b"\x00\x00\x08\x02" + struct.pack(">II", 2, 3) + bytes(range(6))


def npz():
    file = io.BytesIO()
    np.savez(file, a=np.arange(4, dtype=np.uint8))
    return file.getvalue()


def cifar():
    return pickle.dumps({"data": bytes(2 * 3072), "labels": [1, 2]}, protocol=4)


CALLS = [
    Call(
        loaded,
        lambda: {"name": "mnist-5k", "root": None, "download": False},
        takes={"root": ("text",)},
        names={"name": ("dataset",)},
        raises=(DatasetUnavailableError,),
    ),
    Call(
        scaled,
        dataset,
        takes={
            "name": ("*",),
            "classes": ("entry twice", *entries("empty text", "other text")),
            "known_moments": ("None", *entries("0.0")),
        },
    ),
    Call(
        split_of,
        lambda: {"images": images(), "labels": torch.tensor([0, 1, 1])},
        takes={
            "images": ("one column more",),
            "labels": ("negative", "too large"),
        },  # Dataset knows the classes
    ),
    Call(mean_and_std, lambda: {"images": images()}, takes={"images": ("one row fewer", "one column more")}),
    Call(read_idx, lambda: {"content": idx()}),
    Call(read_npz, lambda: {"content": npz()}),
    Call(read_cifar_batch, lambda: {"content": cifar()}),
    Call(
        find,
        lambda: {"files": {"file": f"sha256:{hashlib.sha256(b'four').hexdigest()}"}, "places": [ROOT]},
        takes={
            "files": ("empty", "key missing", "other key"),
            "places": ("empty", "entry missing", "entry twice"),
        },
        raises=(DatasetUnavailableError,),
    ),
    Call(folders, lambda: {"root": ROOT}, takes={"root": ("None", "text")}),
    Call(
        folder_to_fill,
        lambda: {"root": ROOT},
        takes={"root": ("None", "text")},
        raises=(DatasetUnavailableError,),
    ),
]
INSIDE = "of `load`, which gives it files and addresses of the catalog: damage in tests/test_faults_*.py"
PARTS = {
    "archives": ("gunzip", "unpack"),
    "download": ("fetch",),
    "storage": ("locked", "way_out"),
    "transfer": ("download",),
}
EXEMPT = {f"datasets.{module}.{name}": INSIDE for module, names in PARTS.items() for name in names}
