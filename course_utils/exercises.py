"""Which mistake was made? Checks for exercises that answer with a diagnosis instead of "wrong".

An exercise ends with `check_answer(answer, expected, mistakes={...})`. Each mistake is a wrong answer somebody could
reach, with the hint that helps there. In the student edition the same check reads `check_answer(answer, sealed="...")`:
it knows as much and tells nothing in advance.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from course_utils._checks import check_positive, check_probability
from course_utils._display import in_notebook, show
from course_utils._seals import NEAR, seal, unseal
from course_utils._types import checked, describe

RIGHT = "Right."
NEARLY = "Nearly: give more digits, or count once more."
_NOTHING = "Nothing filled in yet: replace the ... above by your answer."
SEAL = "application/vnd.course.seal"  # the mime type under which a check leaves its seal in the stored output


class WrongAnswer(AssertionError):
    """The answer is not right yet; the message says what is known about why."""


class Right(NamedTuple):
    """A right answer, displayed as "Right."; the student edition is made from the seal beside it."""

    sealed: str

    def __repr__(self) -> str:
        return RIGHT

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": RIGHT, SEAL: self.sealed}


@checked
def check_answer(
    answer: Any,
    expected: Any = None,
    *,
    mistakes: Mapping[str, Any] | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-12,
    sealed: str | None = None,
) -> None:
    """Show "Right." or raise WrongAnswer with the hint of the mistake that `answer` reproduces.

    Args:
        answer: a number, array or tensor; `...` or None, also inside a list, means that nothing was filled in yet.
        expected: the right value, same shape.
        mistakes: hint -> the value that this mistake leads to. The first that agrees is reported.
        rtol: relative tolerance of the comparison, in [0, 1), chosen for float64 formulas.
        atol: absolute tolerance, >= 0.
        sealed: right value, mistakes and tolerances in the form of the student edition, instead of the four above.

    Raises:
        WrongAnswer: if the answer is not right.
        ValueError: if there is neither `expected` nor `sealed`, a tolerance is out of range, or the seal is damaged.
        TypeError: if the answer, the expected value or a mistake is no number and no array of numbers.
    """
    if _unfilled(answer):
        raise WrongAnswer(_NOTHING)
    if sealed is not None:
        if (text := _opened(answer, sealed)) != RIGHT:
            raise WrongAnswer(text)
        print(RIGHT)
        return
    if expected is None:
        raise ValueError("check_answer needs expected=... or sealed=..., got neither.")
    mistakes = mistakes or {}
    check_probability("rtol", rtol, below_one=True)
    check_positive("atol", atol, strict=False)
    for name, value in {
        "expected": expected,
        **{f"mistakes[{hint!r}]": v for hint, v in mistakes.items()},
    }.items():
        _array(value, name)
    if not _agrees(answer, expected, rtol, atol):
        raise WrongAnswer(_diagnosis(answer, expected, mistakes, rtol, atol))
    if in_notebook():
        texts = {RIGHT: _array(expected)} | {hint: _array(wrong) for hint, wrong in mistakes.items()}
        show(Right(seal(texts, near=NEARLY, shape=np.shape(_array(expected)), rtol=rtol, atol=atol)))
    else:
        print(RIGHT)


def _opened(answer: Any, sealed: str) -> str:
    """Return RIGHT, or what a seal says about a wrong answer."""
    if _unfilled(answer):
        return _NOTHING
    text, shape = unseal(_array(answer), sealed)
    if text == RIGHT:
        return RIGHT
    return f"Not yet. {text}" if text else _about_shape(answer, shape) or "Not yet."


def _diagnosis(answer: Any, expected: Any, mistakes: Mapping[str, Any], rtol: float, atol: float) -> str:
    for hint, wrong in mistakes.items():
        if _agrees(answer, wrong, rtol, atol):
            return f"Not yet. {hint}"
    if _agrees(answer, expected, NEAR, atol):
        return f"Not yet. {NEARLY}"
    if about_shape := _about_shape(answer, np.shape(_array(expected))):
        return about_shape
    ratio = _common_ratio(_array(answer), _array(expected))
    return "Not yet." + (f" You are off by a factor of {ratio:.4g} everywhere." if ratio else "")


def _about_shape(answer: Any, shape: tuple[int, ...]) -> str:
    got = np.shape(_array(answer))
    return f"Not yet: the shape is {got}, it should be {shape}." if got != shape else ""


def _unfilled(answer: Any) -> bool:
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return any(map(_unfilled, answer))
    return answer is None or answer is ...


def _array(value: Any, name: str = "answer") -> np.ndarray[Any, np.dtype[np.float64]]:
    array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    try:
        if value is None:  # which NumPy takes for NaN
            raise TypeError
        return array.astype(np.float64, casting="same_kind" if array.dtype.kind != "O" else "unsafe")
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a number or an array of numbers, got {name}={describe(value)}."
        ) from None


def _agrees(answer: Any, expected: Any, rtol: float, atol: float) -> bool:
    a, b = _array(answer), _array(expected)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=atol))


def _common_ratio(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float | None:
    """Return the constant c with a = c b, or None where there is none."""
    nonzero = b != 0
    if a.shape != b.shape or not nonzero.any() or not np.isfinite([a, b]).all():
        return None
    ratio = float(np.median(a[nonzero] / b[nonzero]))
    return ratio if math.isfinite(ratio) and np.allclose(a, ratio * b) else None


@checked
def error_of(action: Callable[[], object]) -> str:
    """Run `action` and return the name of the exception that it raises, such as "TypeError", or "no error"."""
    try:
        action()
    except Exception as error:  # which one it is, is the answer
        return type(error).__name__
    return "no error"
