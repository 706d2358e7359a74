"""How can a check know the answer, and every mistake, without telling them? It keeps each text locked with its value.

A seal is a list of texts, each encrypted with a key made of the value that it belongs to: the right answer opens
"Right.", a mistake opens its own hint, anything else opens nothing. The values themselves are not in it. A value is
first rounded to a grid as wide as the tolerance; an answer is tried at all grid points next to it.

This keeps a reader from meeting the answer before the thought. It does not keep out who tries a million numbers.
"""

import base64
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

_ROUNDS = 2_000  # of key derivation: a millisecond for one guess
_TAG = 6  # bytes that tell whether a key fits; one wrong key in 3e14 would
# Cells of the grid in units of rtol. Where each entry of an array is off by up to rtol, log(size) is off by rtol and a
# weighted sum over size by 4 rtol, for weights between 1 and 2: never more than half a cell.
_CELL = 8
_WEIGHTS = ((5**0.5 - 1) / 2, 2**0.5 - 1)  # irrational steps: the weights of different entries differ
NEAR = 1e-3  # relative distance within which an answer is called nearly right
_LARGEST = (
    1e307  # a sum of absolute values beyond it has no place on the grid: its weighted sums could overflow
)
_WIDE = "near "  # begins the places of the grid that is as wide as that


class Seal(NamedTuple):
    """Locked texts, and what may be known about the value that opens the right one."""

    shape: tuple[int, ...]
    rtol: float
    atol: float
    salt: str  # another one in each check, so that equal answers do not look alike
    locked: tuple[str, ...]


def seal(texts: Mapping[str, Any], *, near: str, shape: tuple[int, ...], rtol: float, atol: float) -> str:
    """Return a seal as text: one line of what is open, one line per locked text.

    Args:
        texts: text -> the value that opens it, a number or an array; the right one first.
        near: a text for what opens none of them and lies within about `NEAR` of the right value.
        shape: the shape that the right answer has.
        rtol: relative tolerance: values that differ by no more open the same texts; beyond 12 times this they do not.
        atol: sizes (sum of the absolute values) below it count as 0.
    Raises: ValueError: if one value would open two texts.
    """
    salt = hashlib.sha256("".join(texts).encode()).hexdigest()[:8]
    made = Seal(shape, rtol, atol, salt, ())
    for text, value in texts.items():
        if _opened(value, made) is not None:
            raise ValueError(
                f"The value of {text!r} opens another text as well: merge the two, or lower rtol={rtol}."
            )
        made = _with(made, text, next(_codes(value, rtol, atol, nearest=True)))
    right = next(iter(texts.values()))
    made = _with(made, near, _WIDE + next(_codes(right, NEAR, atol, nearest=True)))
    head = json.dumps({name: value for name, value in made._asdict().items() if name != "locked"})
    return "\n".join([head, *made.locked])


def unseal(value: Any, sealed: str) -> tuple[str | None, tuple[int, ...]]:
    """Return (the text that `value` opens or None, the shape of the right answer).

    Raises: ValueError: if `sealed` is not what `seal` returned, but for line breaks.
    """
    try:
        head, brace, locked = sealed.partition("}")
        contents = Seal(**json.loads(head + brace), locked=tuple(locked.split()))
        return _opened(value, contents), tuple(contents.shape)
    except (ValueError, TypeError):
        raise ValueError("The seal of this check is damaged: restore the cell from the course.") from None


def _with(contents: Seal, text: str, code: str) -> Seal:
    """Return the seal with one more text, locked by a place on the grid."""
    return contents._replace(locked=(*contents.locked, _encrypt(text, _key(code, contents.salt))))


def _opened(value: Any, contents: Seal) -> str | None:
    wide = (_WIDE + code for code in _codes(value, NEAR, contents.atol))
    for code in itertools.chain(_codes(value, contents.rtol, contents.atol), wide):
        key = _key(code, contents.salt)
        for line in contents.locked:
            if (text := _decrypt(line, key)) is not None:
                return text
    return None


def _codes(value: Any, rtol: float, atol: float, *, nearest: bool = False) -> Iterator[str]:
    """Yield the names of the grid points around a value: the nearest one, or all corners of its cell."""
    array: Array = np.asarray(value, dtype=np.float64)
    finite = np.isfinite(array)
    kinds = "" if finite.all() else "".join(str(entry) for entry in np.where(finite, 0.0, array).flat)
    entries = np.where(finite, array, 0.0).ravel()
    with np.errstate(over="ignore"):
        size = float(np.abs(entries).sum())
    if size <= atol or size > _LARGEST:
        yield f"{array.shape} {kinds} {'zero' if size <= atol else 'beyond'}"
        return
    index = np.arange(1, entries.size + 1)
    sums = (float(entries @ (1 + (index * step) % 1)) / size for step in _WEIGHTS)
    places = [feature / (_CELL * rtol) for feature in (math.log(size), *sums)]
    corners = [(round(p),) if nearest else (math.floor(p), math.floor(p) + 1) for p in places]
    yield from (f"{array.shape} {kinds} {point}" for point in itertools.product(*corners))


def _key(code: str, salt: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", code.encode(), salt.encode(), _ROUNDS)


def _encrypt(text: str, key: bytes) -> str:
    return base64.b64encode(_tag(key) + _mask(text.encode(), key)).decode("ascii")


def _decrypt(line: str, key: bytes) -> str | None:
    data = base64.b64decode(line, validate=True)
    return _mask(data[_TAG:], key).decode() if data[:_TAG] == _tag(key) else None


def _tag(key: bytes) -> bytes:
    return hashlib.sha256(b"tag" + key).digest()[:_TAG]


def _mask(data: bytes, key: bytes) -> bytes:
    """Add the key's stream to the data, bit by bit; twice gives the data again."""
    stream = hashlib.shake_256(key).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))
