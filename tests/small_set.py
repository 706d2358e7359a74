"""A small MNIST behind a mirror of these tests, what must be true of its folder, and processes that load it on demand.

`python small_set.py ADDRESS SCALE here|fork` reads folders from its standard input, one a line.
"""

import contextlib
import gzip
import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import HTTPHandler

import mirrors
import numpy as np
import pytest

from course_utils.datasets import DatasetUnavailableError, catalog, load, storage, transfer


def idx(array: Any) -> bytes:
    """Write an idx file of bytes: what read_idx reads."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def small_mnist(scale: int = 1) -> dict[str, bytes]:
    """Return four idx files of a set with 7 training and 3 test images of 5 x 4 pixels, or `scale` times as many."""
    pixels = np.random.default_rng(3).integers(0, 256, (10 * scale, 5, 4))
    labels = np.arange(10 * scale) % 10
    return {
        "MNIST/raw/train-images-idx3-ubyte": idx(pixels[: 7 * scale]),
        "MNIST/raw/train-labels-idx1-ubyte": idx(labels[: 7 * scale]),
        "MNIST/raw/t10k-images-idx3-ubyte": idx(pixels[7 * scale :]),
        "MNIST/raw/t10k-labels-idx1-ubyte": idx(labels[7 * scale :]),
    }


def packed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the archives of these files, as a mirror serves them."""
    return {f"{name.rpartition('/')[2]}.gz": gzip.compress(text, mtime=0) for name, text in files.items()}


def sha256(content: bytes) -> str:
    """Return a digest as the catalog writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def teach(address: str, scale: int = 1, patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let load("mnist") know the small set at this address, look nowhere but in a root, and take http for once."""
    files = small_mnist(scale)
    archives = tuple(
        transfer.Archive(f"{address}/{archive}", len(content), sha256(content), (name,))
        for name, (archive, content) in zip(files, packed(files).items(), strict=True)
    )
    digests = {name: sha256(content) for name, content in files.items()}
    small = catalog._SOURCES["mnist"]._replace(archives=archives, files=digests, num_train=5 * scale)
    patch(catalog, "_SOURCES", {**catalog._SOURCES, "mnist": small})
    patch(storage, "folders", lambda root=None: [root])
    only_https = transfer._opener

    def http_too() -> Any:
        opener = only_https()
        opener.add_handler(HTTPHandler())
        return opener

    patch(transfer, "_opener", http_too)
    patch(
        transfer, "_trusted", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )  # to read all authorities takes long


@contextlib.contextmanager
def serving(monkeypatch, scale=1):
    """Yield a mirror with the small set, which load("mnist") then asks."""
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    with mirrors.serving(packed(small_mnist(scale))) as mirror:
        teach(mirror.address, scale, monkeypatch.setattr)
        yield mirror


# Bad mirrors


FINAL = sorted(small_mnist())


def left_over(root):
    """Return what lies below a folder: files, and folders that no file explains."""
    found = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    return sorted(found - {".mnist.lock", "MNIST", "MNIST/raw"})


def assert_whole(root, scale=1):
    """Every file under its final name is whole."""
    for name, content in small_mnist(scale).items():
        assert not (root / name).exists() or (root / name).read_bytes() == content


def assert_next_try_works(root, scale=1):
    """The next load succeeds, and leaves the four files as torchvision lays them out, and nothing else."""
    data = load("mnist", root=root)
    assert len(data.train) == 5 * scale
    assert_whole(root, scale)
    assert left_over(root) == FINAL


def refusal(root, address="http:"):
    """Load, which must fail and say the way out; return the message without what is of this machine."""
    with pytest.raises(DatasetUnavailableError) as caught:
        load("mnist", root=root)
    return checked(str(caught.value), root, address)


def checked(message, root, address="http:"):
    for part in ('load("mnist-5k")', "COURSE_DATA", str(root)):
        assert part in message
    return message.replace(str(root), "FOLDER").replace(
        address, "https:" if address == "http:" else "https://MIRROR"
    )


def command(address, scale, where):
    """Return the command line of a process that loads."""
    return [sys.executable, __file__, address, str(scale), where]


def environment():
    """Return the variables for it: this package, wherever it is, comes first."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}


@contextlib.contextmanager
def loader(address, scale, where):
    """A process that loads on demand: folders go in, one a line, and answers come out."""
    process = subprocess.Popen(
        command(address, scale, where),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    with process:
        yield process
        process.stdin.close()


def ask(process, root):
    process.stdin.write(f"{root}\n")
    process.stdin.flush()


def _answer(root: str) -> str:
    try:
        return f"{load('mnist', root=storage.Path(root)).train.images.shape[0]} images"
    except DatasetUnavailableError as error:
        return str(error)


def _serve_loads(address: str, scale: str, where: str) -> None:
    """For each folder on stdin load the set, here or in a fork: its number is told, and at a further line how it ended.

    Until that line a fork that has ended keeps its number, so that nobody else can be killed in its place.
    """
    teach(address, int(scale))
    for line in sys.stdin:
        if where == "here":
            print(json.dumps(_answer(line.strip())), flush=True)
        elif pid := os.fork():
            print(pid, flush=True)
            sys.stdin.readline()
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        else:
            _answer(line.strip())
            os._exit(0)


if __name__ == "__main__":
    _serve_loads(*sys.argv[1:])
