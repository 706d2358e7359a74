"""Where do argument errors come from, and what do they teach?

One place for the checks that public functions share. Each message says the rule, the value received and the way out;
each raises ValueError, because a wrong argument is the caller's to mend.
"""

import math
from collections.abc import Collection, Sequence


def check_positive(name: str, value: float, *, strict: bool = True) -> None:
    """Raise ValueError unless `value` is a finite number > 0 (>= 0 where `strict` is False)."""
    inside = value > 0 if strict else value >= 0
    if not (inside and math.isfinite(value)):
        rule = "> 0" if strict else ">= 0"
        raise ValueError(f"{name} must be a finite number {rule}, got {name}={value!r}.")


def check_probability(name: str, value: float, *, below_one: bool = False) -> None:
    """Raise ValueError unless `value` lies in [0, 1], or in [0, 1) where `below_one` is set."""
    inside = 0.0 <= value < 1.0 if below_one else 0.0 <= value <= 1.0
    if not inside:
        interval = "0 <= {0} < 1" if below_one else "0 <= {0} <= 1"
        raise ValueError(f"{name} needs {interval.format(name)}, got {name}={value!r}.")


def check_choice(name: str, value: str, known: Collection[str]) -> None:
    """Raise ValueError unless `value` is one of `known`; the message lists them."""
    if value not in known:
        raise ValueError(f"Unknown {name} {value!r}; known: {', '.join(sorted(known))}.")


def check_shape(name: str, shape: Sequence[int], expected: Sequence[int | None]) -> None:
    """Raise ValueError unless `shape` matches `expected`, where None stands for any size."""
    agrees = len(shape) == len(expected) and all(
        e is None or s == e for s, e in zip(shape, expected, strict=True)
    )
    if not agrees:
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        raise ValueError(f"{name} needs shape ({wanted}), got {tuple(shape)}.")
