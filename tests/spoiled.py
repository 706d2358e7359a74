"""What can be wrong with an argument? For each kind of value the ways to spoil it, and the harmless ones beside them.

A spoiling that `is_equal` keeps the numbers and changes how they are stored: the result has to stay the same.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

Array = np.ndarray[Any, Any]


class Spoiled(NamedTuple):
    """One spoiled argument; `plain` is the value that an equal one has to agree with."""

    argument: str
    how: str
    value: Any
    is_equal: bool = False
    plain: Any = None


def spoil(argument: str, value: Any) -> list[Spoiled]:
    """Return every way to spoil this value."""
    spoiled = [Spoiled(argument, how, wrong) for how, wrong in (*_other_types(value), *_of_its_kind(value))]
    return spoiled + [Spoiled(argument, how, v, True, plain) for how, v, plain in _equal(value)]


def _other_types(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is of no use wherever this value is."""
    if value is not None:
        yield "None", None
    if not isinstance(value, str):
        yield "text", "seven"
    if not isinstance(value, Mapping):
        yield "dict", {"a": 1}
    if not isinstance(value, torch.Tensor | np.ndarray | Sequence):
        yield "list of text", ["a", "b"]
        yield "array", np.ones((2, 3))
    if not callable(value):
        yield "object", object()
    if not isinstance(value, complex):
        yield "complex", 1 + 2j


def _of_its_kind(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield from (("1", 1), ("0.0", 0.0))
    elif isinstance(value, int):
        yield from (
            ("-1", -1),
            ("0", 0),
            ("True", True),
            ("0.5", 0.5),
            ("nan", float("nan")),
            ("2**70", 2**70),
        )
    elif isinstance(value, float):
        yield from (
            ("-1.0", -1.0),
            ("0.0", 0.0),
            ("nan", float("nan")),
            ("inf", float("inf")),
            ("-inf", float("-inf")),
        )
        yield from (("1e308", 1e308), ("True", True), ("2**70", 2**70))
    elif isinstance(value, str):
        yield from (("empty text", ""), ("other text", "no such thing"), ("3", 3))
    elif isinstance(value, torch.Tensor):
        yield from _tensors(value)
    elif isinstance(value, np.ndarray):
        yield from _arrays(value)
    elif isinstance(value, nn.Module):
        yield from _modules(value)
    elif type(value).__module__.startswith("matplotlib.axes"):
        yield from _axes()
    elif isinstance(value, Mapping):
        yield from _mappings(value)
    elif isinstance(value, list | tuple):
        yield from _sequences(value)
    elif callable(value) and not isinstance(value, type):
        yield from _functions(value)


def _tensors(value: torch.Tensor) -> Iterator[tuple[str, Any]]:
    yield "empty", value[:0] if value.ndim else value.new_zeros(0)
    yield "one more dimension", value.unsqueeze(0).repeat(2, *(1 for _ in value.shape))
    if value.ndim:
        yield "one dimension fewer", value[0]
        yield "one row fewer", value[:-1] if len(value) > 1 else torch.cat([value, value])
        yield "one column more", torch.cat([value, value[..., :1]], dim=-1)
    yield "number", 0.5
    if value.is_floating_point():
        yield from (("nan", _with_entry(value, float("nan"))), ("inf", _with_entry(value, float("inf"))))
        yield "whole numbers", value.detach().round().long()
        yield "half", value.detach().half()
        yield "complex tensor", value.detach().to(torch.complex64)
        yield "negative", -value.detach().abs() - 1
        yield "huge", value.detach() * 1e30
    else:
        yield "fractions", value.to(torch.float32) + 0.5
        yield from (("negative", -value.long() - 1), ("too large", value.long() + 10_000))


def _arrays(value: Array) -> Iterator[tuple[str, Any]]:
    yield "empty", value[:0] if value.ndim else np.zeros(0)
    yield "one more dimension", np.stack([value, value])
    if value.ndim:
        yield "one dimension fewer", value[0]
        yield "one row fewer", value[:-1] if len(value) > 1 else np.concatenate([value, value])
    if value.dtype.kind == "f":
        for how, entry in (("nan", np.nan), ("inf", np.inf)):
            array = value.copy()
            array.flat[:1] = entry
            yield how, array
        yield "negative", -np.abs(value) - 1
        yield "huge", value * 1e300
    yield "objects", value.astype(object)
    yield "array of text", value.astype(str)
    yield "complex array", value.astype(complex)


def _modules(value: nn.Module) -> Iterator[tuple[str, Any]]:
    yield "module without weights", nn.Identity()
    yield "class", type(value)
    yield "module of another size", nn.Linear(3, 3)
    if any(True for _ in value.parameters()):
        with torch.no_grad():
            next(iter(value.parameters())).view(-1)[0] = float("nan")
        yield "module with nan", value


@functools.cache
def _axes() -> list[tuple[str, Any]]:
    """Return Axes that are no place to draw; made once, because each takes milliseconds."""
    from matplotlib.figure import Figure

    kinds = [(f"{kind} axes", Figure().add_subplot(projection=kind)) for kind in ("polar", "3d")]
    removed = Figure().add_subplot()
    removed.remove()
    return [*kinds, ("removed axes", removed)]


def _mappings(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    yield "empty", {}
    if value:
        first, *rest = value
        yield "key missing", {key: value[key] for key in rest}
        yield "other key", {("no such key" if key == first else key): item for key, item in value.items()}
        yield "key of another type", {(3.5 if key == first else key): item for key, item in value.items()}
        yield from _in_an_entry(value[first], lambda wrong: {**value, first: wrong})


def _sequences(value: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    kind = type(value) if type(value) in (list, tuple) else list
    yield "empty", kind()
    if value:
        yield "entry missing", kind(value[:-1])
        yield "entry twice", kind([*value, value[-1]])
        yield from _in_an_entry(value[0], lambda wrong: kind([wrong, *value[1:]]))


def _in_an_entry(entry: Any, put: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    for how, wrong in (*_other_types(entry), *_of_its_kind(entry)):
        yield f"entry {how.removeprefix('entry ')}", put(wrong)


def _functions(value: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    def returns(answer: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: answer

    yield "function without arguments", lambda: None
    yield "function that returns None", returns(None)
    yield "function that returns text", returns("seven")
    yield "function that returns nan", lambda *args, **kwargs: _nan_like(value(*args, **kwargs))


def _nan_like(answer: Any) -> Any:
    return answer * float("nan") if isinstance(answer, float | torch.Tensor | np.ndarray) else float("nan")


def _with_entry(value: torch.Tensor, entry: float) -> torch.Tensor:
    """Return a copy with one entry replaced; it is a leaf that requires a gradient where `value` does."""
    copied = value.detach().clone()
    copied.view(-1)[:1] = entry
    return copied.requires_grad_(value.requires_grad)


def _equal(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (how, the same numbers stored in another way, the plain value)."""
    if isinstance(value, torch.Tensor) and value.ndim and value.numel() > 1:
        wide = torch.stack([value.detach(), value.detach()], dim=-1)
        yield "not contiguous", wide[..., 0].requires_grad_(value.requires_grad), value
        rows = value.detach()[:1].expand_as(value)
        yield "stride zero", rows, rows.clone()
        if value.is_floating_point() and not value.requires_grad:
            yield "requires a gradient", value.clone().requires_grad_(), value
    elif isinstance(value, np.ndarray) and value.ndim and value.size > 1:
        yield "not contiguous", np.stack([value, value], axis=-1)[..., 0], value
        yield "reversed", value[::-1].copy()[::-1], value
        yield "other byte order", value.astype(value.dtype.newbyteorder()), value
        frozen = value.copy()
        frozen.flags.writeable = False
        yield "read-only", frozen, value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield "whole number of NumPy", np.int64(value), value
    elif isinstance(value, float):
        yield "number of NumPy", np.float64(value), value


def same(first: Any, second: Any, *, exactly: bool) -> bool:
    """Say whether two results are the same, up to rounding in other orders of summation unless `exactly`."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        if first.shape != second.shape or first.dtype != second.dtype:
            return False
        first, second = first.detach(), second.detach()
        rtol, atol = (0.0, 0.0) if exactly else (1e-4, 1e-6)
        return bool(torch.allclose(first, second, rtol, atol, equal_nan=True)) if first.numel() else True
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray) and first.dtype.kind in "biufc":
        tolerance = {"rtol": 0.0, "atol": 0.0} if exactly else {"rtol": 1e-6, "atol": 1e-9}
        return first.shape == second.shape and bool(np.allclose(first, second, equal_nan=True, **tolerance))
    if isinstance(first, float | np.floating) and isinstance(second, float | np.floating):
        return bool(np.isclose(first, second, rtol=1e-4, atol=1e-9, equal_nan=True))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return list(first) == list(second) and all(same(first[k], second[k], exactly=exactly) for k in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(
            same(a, b, exactly=exactly) for a, b in zip(first, second, strict=True)
        )
    return True  # objects of other kinds have no equality that could be relied on


def may_hold_nan(result: Any) -> bool:
    """Say whether a result has a NaN or an infinity in it, or is an object that may hide one."""
    if isinstance(result, torch.Tensor):
        return not result.is_floating_point() or not bool(torch.isfinite(result).all())
    if isinstance(result, np.ndarray | float | np.floating):
        return not bool(np.isfinite(np.asarray(result, dtype=np.float64)).all())
    if isinstance(result, Mapping):
        return any(may_hold_nan(item) for item in result.values())
    if isinstance(result, list | tuple):
        return any(may_hold_nan(item) for item in result)
    return not isinstance(result, bool | int)
