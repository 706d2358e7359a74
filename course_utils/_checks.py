"""Where do argument errors come from, and what do they teach?

One place for the checks that public functions share. Each message says the rule, the value received and the way out;
each raises ValueError or TypeError, because a wrong argument is the caller's to mend. None of them reads a tensor but
`check_labels`: on a device that would wait for everything before.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any


def check_positive(name: str, value: float, *, strict: bool = True) -> None:
    """Raise ValueError unless `value` is a finite number > 0 (>= 0 where `strict` is False)."""
    inside = value > 0 if strict else value >= 0
    if not (inside and math.isfinite(value)):
        rule = "> 0" if strict else ">= 0"
        raise ValueError(f"{name} must be a finite number {rule}, got {name}={value!r}.")


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise ValueError unless `value` >= `least`."""
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}, got {name}={value!r}.")


def check_finite(name: str, value: object) -> None:
    """Raise ValueError unless `value`, which may be what a function returned, is a finite real number."""
    if not (isinstance(value, Real) and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, got {value!r:.60}.")


def check_all_finite(name: str, values: Sequence[float]) -> None:
    """Raise ValueError unless all are finite numbers, and so small that their sum is one too."""
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite numbers, got {value!r} in {name}.")
    if not math.isfinite(float(len(values)) * max(map(abs, values), default=0)):
        raise ValueError(
            f"{name} must be so small that the sum is a number, got {max(values, key=abs)!r} in {name}."
        )


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


def check_file_name(name: str, path: str | Path) -> None:
    """Raise ValueError unless the path ends in the name of a file."""
    if not Path(path).name:
        raise ValueError(f"{name} must name a file, got {name}={str(path)!r}.")


def check_shape(name: str, shape: Sequence[int], expected: Sequence[int | None]) -> None:
    """Raise ValueError unless `shape` matches `expected`, where None stands for any size."""
    agrees = len(shape) == len(expected) and all(
        e is None or s == e for s, e in zip(shape, expected, strict=True)
    )
    if not agrees:
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        raise ValueError(f"{name} needs shape ({wanted}), got {tuple(shape)}.")


def check_same_shape(**arrays: Any) -> None:
    """Raise ValueError unless these tensors or arrays have the same shape."""
    shapes = [tuple(array.shape) for array in arrays.values()]
    if len(set(shapes)) > 1:
        raise ValueError(f"{' and '.join(arrays)} need the same shape, got {' and '.join(map(str, shapes))}.")


def check_floating(**tensors: Any) -> None:
    """Raise TypeError unless each of these tensors has a floating-point dtype."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise TypeError(f"{name} needs real numbers, got {name} of dtype {dtype}: use {name}.float().")


def check_fillable(name: str, tensor: Any) -> None:
    """Raise unless the tensor can be filled in place with real numbers."""
    check_floating(**{name: tensor})
    if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
        raise ValueError(f"{name} cannot be filled in place: its entries share memory. Use {name}.clone().")


@contextmanager
def naming(arguments: str) -> Iterator[None]:
    """Turn what torch or a function of the reader raises inside into a ValueError that begins with these words."""
    try:
        yield
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, of a GPU: no fault of the arguments
            raise
        raise ValueError(f"{arguments}: {type(error).__name__}: {error}") from error


def check_labels(name: str, labels: Any, num_classes: int) -> None:
    """Raise ValueError unless the tensor holds class numbers from 0 to `num_classes` - 1, TypeError unless int64."""
    if str(labels.dtype) != "torch.int64":
        raise TypeError(f"{name} are class numbers, int64, got {labels.dtype}: use {name}.long().")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"{name} must lie in 0 to {num_classes - 1} for {num_classes} classes, got {int(labels.min())} to "
            f"{int(labels.max())}. Classes are counted from 0."
        )
