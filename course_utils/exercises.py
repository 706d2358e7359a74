"""Which mistake was made? Checks for exercises that answer with a diagnosis instead of "wrong".

An exercise ends with `check_answer(answer, expected, mistakes={...})`. Each mistake is a wrong answer somebody could
reach, with the hint that helps there.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class WrongAnswer(AssertionError):
    """The answer is not right yet; the message says what is known about why."""


def check_answer(
    answer: Any,
    expected: Any,
    *,
    mistakes: Mapping[str, Any] | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-12,
) -> None:
    """Print "Right." or raise WrongAnswer with the hint of the mistake that `answer` reproduces.

    Args:
        answer: a number, array or tensor; `...` or None means that nothing was filled in yet.
        expected: the right value, same shape.
        mistakes: hint -> the value that this mistake leads to. The first that agrees is reported.
        rtol: relative tolerance of the comparison, chosen for float64 formulas.
        atol: absolute tolerance.
    """
    if answer is None or answer is ...:
        raise WrongAnswer("Nothing filled in yet: replace the ... above by your answer.")
    if _agrees(answer, expected, rtol, atol):
        print("Right.")
        return
    for hint, wrong in (mistakes or {}).items():
        if _agrees(answer, wrong, rtol, atol):
            raise WrongAnswer(f"Not yet. {hint}")
    got, want = np.shape(_array(answer)), np.shape(_array(expected))
    if got != want:
        raise WrongAnswer(f"Not yet: the shape is {got}, it should be {want}.")
    ratio = _common_ratio(_array(answer), _array(expected))
    raise WrongAnswer("Not yet." + (f" You are off by a factor of {ratio:.4g} everywhere." if ratio else ""))


def _array(value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    return np.asarray(value, dtype=np.float64)


def _agrees(answer: Any, expected: Any, rtol: float, atol: float) -> bool:
    a, b = _array(answer), _array(expected)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=atol))


def _common_ratio(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float | None:
    """Return the constant c with a = c b, or None where there is none."""
    nonzero = b != 0
    if a.shape != b.shape or not nonzero.any() or not np.isfinite(a).all():
        return None
    ratio = float(np.median(a[nonzero] / b[nonzero]))
    return ratio if math.isfinite(ratio) and np.allclose(a, ratio * b) else None


def error_of(action: Callable[[], object]) -> str:
    """Run `action` and return the name of the exception that it raises, such as "TypeError", or "no error"."""
    try:
        action()
    except Exception as error:  # which one it is, is the answer
        return type(error).__name__
    return "no error"
