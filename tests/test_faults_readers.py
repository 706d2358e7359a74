"""Can a file that was made to hurt, or bytes changed at random, run code, take all memory or end in anything but words?

Readers see a file after its digest; here they see it without.
"""

import gzip
import io
import os
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
import small_set
from hostile_bytes import bounded_memory, changed

from course_utils.datasets.archives import DAMAGED, MAX_BYTES, gunzip
from course_utils.datasets.readers import read_cifar_batch, read_idx, read_npz


class Intruder:
    """A pickle that would call a function of its choice."""

    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def npz(**members):
    """Return a zip of these npy files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(descr="'|u1'", fortran="False", shape="(3,)", content=b"abc", version=b"\x01\x00"):
    """Return an npy file whose header says what it is told to say."""
    header = (
        f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    )
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + content


def objects():
    file = io.BytesIO()
    np.savez(file, a=np.array([Intruder(), None], dtype=object))
    return file.getvalue()


BATCH = pickle.dumps({"data": np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072), "labels": [3, 9]}, 4)
SAID = (
    r"This is not an? (npz file of arrays|batch of CIFAR-10): .|"
    r"An idx file of .* (holds .* bytes|at most 3 dimensions), got"
)
MADE_TO_HURT = {
    "batch that calls a function": (read_cifar_batch, [
        *(pickle.dumps({"data": 1, "labels": Intruder()}, protocol) for protocol in range(5)),
        b"\x80\x02}U\x06labels(K\x01U\x10made-by-a-pickleios\nmkdir\ns.",
        b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c\x10made-by-a-pickle\x85R.",
        b"\x80\x02P1\n.", b"\x80\x02\x82\x01.", b"\x80\x05\x97.",
    ]),
    "batch that claims to be huge": (read_cifar_batch, [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memory address: pickle's table of addresses would take 34 GB
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
        b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little") + b".",
        b"\x80\x04}\x8c\x06labelsJ\xff\xff\xff\x7f\x8c\x04dataT\xff\xff\xff\x7fs.",
        b"\x80\x02]q\x00" + b"(h\x00h\x00tq\x00" * 64 + b"}h\x00h\x00s.",  # a key of 2**64 parts, to be hashed
    ]),
    "idx that claims to be huge": (read_idx, [
        b"\x00\x00\x08\x01\xff\xff\xff\xff", b"\x00\x00\x08\x03" + b"\xff" * 12,
        b"\x00\x00\x08\xff" + b"\x00\x00\x00\x01" * 255 + b"x", b"\x00\x00\x08\xff" + b"\xff" * 1020,
        b"\x00\x00\x08\x03" + b"\xff" * 13,
    ]),
    "npz with objects or other types": (read_npz, [
        objects(), npz(a=npy("'|O'")), npz(a=npy("'<f8'")), npz(a=npy(fortran="True")), npz(a=npy(version=b"\x02\x00")),
        npz(a=npy("__import__('os').mkdir('made-by-a-pickle')")), npz(a=b""), npz(a=pickle.dumps(Intruder())),
    ]),
    "npz that claims to be huge": (read_npz, [
        npz(a=npy(shape="(1099511627776,)")), npz(a=npy(shape="(4294967296, 4294967296)")),
        npz(a=npy(shape=f"({'9' * 60},)")), npz(a=npy(shape=f"({'1, ' * 30})")), npz(a=npy(shape="()")),
        npz(**{f"a{k}": npy(shape="(16777216,)", content=bytes(1 << 24)) for k in range(5)}),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE_TO_HURT)
def test_a_reader_refuses_what_was_made_to_hurt(tmp_path, monkeypatch, tally, kind):
    monkeypatch.chdir(tmp_path)
    reader, contents = MADE_TO_HURT[kind]
    for content in contents:
        with bounded_memory(1_000_000 + 4 * len(content)), pytest.raises(ValueError, match=SAID) as caught:
            reader(content)
    assert list(tmp_path.iterdir()) == []
    tally.note("files", kind, tried=len(contents), message=str(caught.value))


# Bytes changed at random


def gunzipped(content):
    """Unpack, with the reader's kind of error."""
    try:
        gunzip(content)
    except DAMAGED as error:
        raise ValueError(str(error)) from error


NPZ = npz(a=npy(), b=npy(shape="(2, 2)", content=b"wxyz"))
READERS = {
    "idx": (read_idx, small_set.small_mnist()["MNIST/raw/train-images-idx3-ubyte"]),
    "npz": (read_npz, NPZ),
    "npz without checksums": (lambda content: read_npz(npz(a=content)), npy()),
    "batch of CIFAR-10": (read_cifar_batch, BATCH),
    "head of a batch": (lambda content: read_cifar_batch(content + BATCH[-400:]), BATCH[:200]),
    "gz": (gunzipped, gzip.compress(bytes(range(256)) * 4)),
}


@pytest.mark.filterwarnings(
    "ignore:invalid escape sequence"
)  # from the disassembler, at bytes that are no text
@pytest.mark.parametrize("format_name", READERS)
def test_a_reader_of_changed_bytes_answers_or_says_what_is_wrong(tally, format_name):
    reader, content = READERS[format_name]
    tried = tally.number(each_time=400, weekly=40_000)
    generator, refused = random.Random(4), 0
    for _ in range(tried):
        attempt = changed(content, generator)
        try:
            with bounded_memory(2 * MAX_BYTES if format_name == "gz" else 1_000_000 + 8 * len(attempt)):
                reader(attempt)
        except ValueError as error:
            message, refused = str(error), refused + 1
    assert refused > tried / 20
    tally.note("files", f"{format_name}: bytes changed at random", tried=tried, message=message)
