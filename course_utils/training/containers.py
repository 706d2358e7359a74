"""Is the file what was written? Tensors and a text in one safetensors file that knows its own digest.

The digest is SHA-256 over every byte of the file, its own place filled with zeros. So a flipped bit is noticed wherever
it is, which safetensors alone does not do: it checks the form and trusts the weights. The digest is no signature:
against a file made to deceive it says nothing, so that what is read is data only, and its form is checked.

Written here and not by `safetensors.torch.save_file`, which would have to be read again for the digest: that costs half
as much as the writing. Read by safetensors.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT = "course-checkpoint-2"
FORMER = b"course-checkpoint-1"  # without a digest
BLANK = b"0" * 64
LARGEST_HEADER = 100_000_000  # bytes; safetensors reads no larger one
DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


class CheckpointError(RuntimeError):
    """The file is no checkpoint of this course, is damaged, or belongs to another model or optimizer."""


def pack(tensors: dict[str, Tensor], rest: str) -> list[bytes | memoryview]:
    """Return the parts of the file, one after another; the tensors' bytes are not copied if they are on the CPU.

    Raises: TypeError: if a tensor is of a type that is not in DTYPES.
    """
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "digest": BLANK.decode(), "rest": rest}}
    contents = []
    end = 0
    # the widest numbers first, so that every tensor begins where its type wants it
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        if tensor.dtype not in DTYPES:
            raise TypeError(f"{name} is of {tensor.dtype}, which a checkpoint cannot hold.")
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        span = [end, end + len(content)]
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": span}
        contents.append(content.data)
        end = span[1]
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    start = len(head).to_bytes(8, "little") + head
    return [start.replace(BLANK, _digest([start, *contents]), 1), *contents]


def unpack(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and the text of a file that is, byte for byte, what `pack` made.

    Raises: CheckpointError: if it is not; nothing of it has been used.
    """
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except (OSError, MemoryError) as error:
        raise _unreadable(path, str(error) or "it is larger than the memory") from error
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, LARGEST_HEADER):
        raise _unreadable(path, "it is cut off, or no safetensors file")
    start, body = content[: 8 + length], memoryview(content)[8 + length :]
    found = re.match(
        rb'.{8}\{"__metadata__": \{"format": "[^"]*", "digest": "([0-9a-f]{64})"', start, re.DOTALL
    )
    if found is None:
        raise _foreign(path, start)
    blank = start[: found.start(1)] + BLANK + start[found.end(1) :]
    if _digest([blank, body]) != found[1]:
        raise _unreadable(path, "damaged: its content does not belong to its digest")
    try:
        metadata = json.loads(start[8:])["__metadata__"]
        tensors, rest = load(content), metadata["rest"]
    except Exception as error:  # whatever two parsers may say to a file that was made to deceive
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    if metadata["format"] != FORMAT:
        raise _foreign(path, start)
    return tensors, rest


def _digest(parts: list[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()


def _unreadable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path.name} cannot be read ({reason}).")


def _foreign(path: Path, start: bytes) -> CheckpointError:
    if FORMER in start:
        return CheckpointError(
            f"{path.name} was written by an earlier version of the course ({FORMER.decode()}), without the digest that "
            "says whether it is whole. Finish that run with that version, or start it again."
        )
    return CheckpointError(f"{path.name} is not a checkpoint of this course ({FORMAT}).")
