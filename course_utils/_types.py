"""Is each argument what its annotation says? One decorator, so that a wrong type is named before it does harm.

The checks are made from the annotations at the first call; a call costs about a microsecond per argument. Ranges and
shapes are the function's own to check (see `_checks`). What an annotation cannot be checked for (Any, a type variable,
what a callable takes) is left to the function too.
"""

import collections.abc as abc
import functools
import inspect
import os
import reprlib
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

P = ParamSpec("P")
R = TypeVar("R")
Test = Callable[[Any], bool]
Check = tuple[Test, str]  # (does the value fit?, the rule in words)

_LARGEST = 2**64 - 1  # the largest seed; beyond it torch and NumPy speak of overflow
_ARRAY_LIKE = typing.get_args(ArrayLike)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` with its arguments checked against their annotations.

    int takes whole numbers (NumPy's too, not True or False) that fit into 64 bits, float any real number, ArrayLike
    what NumPy turns into an array of numbers. Elements of sequences and mappings are checked as well.

    Raises: TypeError: at a call with an argument of another type; the message names it, the rule and the value.
    """
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]  # the name of *args, if there are any
    checks: dict[str, Check] | None = None

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal checks
        if checks is None:
            checks = dict(_checks_of(function))
        named = zip(names + rest * len(args), args, strict=False)  # Python refuses a wrong number itself
        for name, value in (*named, *kwargs.items()):
            if name in checks and not checks[name][0](value):
                raise _wrong(name, value, checks[name][1])
        return function(*args, **kwargs)

    return wrapper


def describe(value: object) -> str:
    """Return a value in a few words for a message: the shape and dtype of an array or tensor, else a short repr."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and hasattr(value, "dtype"):
        kind = "a tensor" if type(value).__module__.startswith("torch") else "an array"
        return f"{kind} of shape {tuple(shape)} and {str(value.dtype).removeprefix('torch.')}"
    try:
        return f"{reprlib.repr(value)} ({type(value).__name__})"
    except ValueError:  # Python does not write whole numbers of more than 4300 digits
        return f"{type(value).__name__} that is too long to write"


def _wrong(name: str, value: object, rule: str) -> TypeError:
    is_attached = getattr(value, "requires_grad", False) is True and rule.endswith("array of numbers")
    hint = " that requires a gradient; pass its .detach()" if is_attached else ""
    return TypeError(f"{name} must be {rule}, got {name}={describe(value)}{hint}.")


def _checks_of(function: Callable[..., Any]) -> Iterator[tuple[str, Check]]:
    """Yield (name, check) of the parameters whose annotation can be checked."""
    for name, hint in typing.get_type_hints(function).items():
        if name != "return" and (check := _check_of(hint)) is not None:
            yield name, check


def _check_of(hint: Any) -> Check | None:
    """Return the check that an annotation stands for, or None where there is none."""
    if hint is Any or hint is object:
        return None
    if hint is None or hint is type(None):
        return (lambda value: value is None), "None"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _any_of(list(_alternatives(arguments)))
    if origin is typing.Literal:
        words = f"one of {', '.join(map(repr, arguments))}"
        return (lambda value: isinstance(value, str) and value in arguments), words
    if hint is abc.Callable or origin is abc.Callable:
        return callable, "a function"
    if origin is tuple:
        return _tuple_of(arguments)
    container = origin if isinstance(origin, type) else object
    if issubclass(container, abc.Mapping):
        return _mapping_of(origin, *arguments)
    if origin is abc.Iterable or (issubclass(container, abc.Collection) and origin is not np.ndarray):
        return _collection_of(origin, *arguments)
    if isinstance(origin or hint, type):
        return _instance_of(origin or hint)
    return None


def _instance_of(kind: type) -> Check | None:
    if kind in _KINDS:
        return _KINDS[kind]
    if getattr(kind, "_is_protocol", False) and kind.__module__ != "collections.abc":
        return (callable, "a function") if "__call__" in vars(kind) else None
    return (lambda value: isinstance(value, kind)), f"a{'n' * (kind.__name__[0] in 'AEIOU')} {kind.__name__}"


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) <= _LARGEST


def _is_number(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= _LARGEST
    return isinstance(value, float | np.integer | np.floating)


_KINDS: dict[Any, Check] = {
    int: (_is_whole, "a whole number"),
    float: (_is_number, "a number"),
    bool: (lambda value: isinstance(value, bool | np.bool_), "True or False"),
    str: (lambda value: isinstance(value, str), "a string"),
    np.ndarray: (
        lambda value: isinstance(value, np.ndarray | np.generic) and _is_array(value),
        "a NumPy array",
    ),
    os.PathLike: (lambda value: isinstance(value, os.PathLike), "a path"),
}


def _alternatives(hints: tuple[Any, ...]) -> Iterator[Check | None]:
    """Yield the checks of a union's members; NumPy's ArrayLike is a union that has no name of its own at run time."""
    is_array_like = set(_ARRAY_LIKE) <= set(hints)
    yield from (_check_of(hint) for hint in hints if not (is_array_like and hint in _ARRAY_LIKE))
    if is_array_like:
        yield _is_array, "an array of numbers"


def _is_array(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    if value is None or isinstance(value, str | bytes | abc.Mapping | abc.Set):
        return False
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except (TypeError, ValueError, RuntimeError, OverflowError):  # ragged, no numbers, or on another device
        return False


def _any_of(checks: list[Check | None]) -> Check | None:
    known = [check for check in checks if check is not None]
    if len(known) < len(checks):  # one of them takes anything
        return None
    tests = [test for test, _ in known]
    return (lambda value: any(test(value) for test in tests)), " or ".join(
        dict.fromkeys(words for _, words in known)
    )


def _tuple_of(hints: tuple[Any, ...]) -> Check:
    if len(hints) == 2 and hints[1] is Ellipsis:
        return _collection_of(tuple, hints[0])
    checks = [_check_of(hint) for hint in hints]
    words = ", ".join("anything" if check is None else check[1] for check in checks)

    def fits(value: Any) -> bool:
        return (
            isinstance(value, tuple | list)
            and len(value) == len(checks)
            and all(check is None or check[0](item) for check, item in zip(checks, value, strict=True))
        )

    return fits, f"a tuple ({words})"


def _collection_of(kind: Any, item: Any = Any) -> Check:
    """Return the check of a sequence, list, set or iterable; an array of numbers stands for a sequence of them."""
    check = _check_of(item)
    takes_arrays = kind in (abc.Sequence, abc.Collection, abc.Iterable) and item in (int, float)

    def fits(value: Any) -> bool:
        if takes_arrays and hasattr(value, "ndim") and hasattr(value, "tolist"):
            return bool(value.ndim == 1) and fits(value.tolist())
        if not isinstance(value, (list, tuple) if kind is tuple else kind) or isinstance(value, str | bytes):
            return False
        if getattr(value, "ndim", 1) == 0:  # it says that it can be iterated over, and cannot
            return False
        if check is None or not isinstance(value, abc.Collection):  # looking would use a generator up
            return True
        return all(map(check[0], value))

    noun = f"a {kind.__name__}" if kind in (list, tuple) else "a sequence"
    return fits, noun if check is None else f"{noun}, each entry {check[1]}"


def _mapping_of(kind: Any, key: Any = Any, item: Any = Any) -> Check:
    keys, items = _collection_of(abc.Collection, key), _collection_of(abc.Collection, item)

    def fits(value: Any) -> bool:
        return isinstance(value, kind) and keys[0](value.keys()) and items[0](value.values())

    parts = (("key", keys), ("value", items))
    words = [check[1].replace("a sequence, each entry", f"each {noun}", 1) for noun, check in parts]
    return fits, ", ".join(["a dict", *(part for part in words if part != "a sequence")])
