"""A fuzzer for public functions: take a call that works, spoil one argument or several, and judge what happens.

A call is good or it is refused by name. Judged as a defect: any other exception (an error from deep inside, a warning),
a message that does not name a spoiled argument, a result where the call says nothing of taking such a value, another
result for the same numbers in another memory layout, NaN that vanishes, an argument changed by a call that was refused,
a global random stream that moved though a generator was given, a call that does not come back.
"""

import contextlib
import copy
import re
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from spoiled import Spoiled, may_hold_nan, same, spoil

REFUSALS = (ValueError, TypeError)
SECONDS = 20  # for one call; the slowest good one takes less than 1 s


@dataclass(frozen=True)
class Call:
    """A public function with arguments that work.

    Attributes:
        function: what is called, with keyword arguments only.
        arguments: makes them anew for each call.
        takes: argument -> the spoilings (see spoiled.py) that are good too, each for a reason that the docstring gives;
            "*" stands for all of them, and as an argument for every argument.
            "nan" is taken where it comes out again; "nan vanishes" says that it does not, and is meant to.
        names: argument -> other words by which a message may speak of it.
        raises: further exceptions that the docstring promises.
        changes: arguments that the function is meant to change.
    """

    function: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    raises: tuple[type[BaseException], ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return where the function is, without the package."""
        return f"{self.function.__module__.removeprefix('course_utils.')}.{self.function.__qualname__}"

    @property
    def covers(self) -> str:
        """Return the name of the public function or class that the call is of: an attribute of a helper names it."""
        return getattr(self.function, "covers", self.name)

    def allows(self, spoiled: Spoiled) -> bool:
        """Say whether a result is a good answer to this argument."""
        listed = (*self.takes.get(spoiled.argument, ()), *self.takes.get("*", ()))
        return spoiled.is_equal or "*" in listed or spoiled.how in listed


def try_call(call: Call, generator: np.random.Generator, number: int) -> str:
    """Spoil `number` arguments at random, call, and return what is wrong with the answer ("" if nothing is)."""
    arguments = call.arguments()
    chosen = generator.choice(list(arguments), size=min(number, len(arguments)), replace=False)
    ways = [spoil(name, arguments[name]) for name in chosen]
    return judge(call, [options[generator.integers(len(options))] for options in ways])


def all_single(call: Call) -> Iterator[list[Spoiled]]:
    """Yield every way to spoil one argument."""
    for name, value in call.arguments().items():
        yield from ([spoiled] for spoiled in spoil(name, value))


def judge(call: Call, spoilings: list[Spoiled]) -> str:
    """Call with these arguments spoiled and return what is wrong with the answer ("" if nothing is)."""
    arguments = call.arguments() | {spoiled.argument: spoiled.value for spoiled in spoilings}
    before = _copied(arguments)
    streams = _streams()
    words = f"{call.name}({', '.join(f'{s.argument}: {s.how}' for s in spoilings)})"
    try:
        with warnings.catch_warnings(), time_limit(SECONDS):
            warnings.simplefilter("error")
            result = call.function(**arguments)
    except REFUSALS as error:
        found = _judge_refusal(call, spoilings, error)
        changed = [name for name in before if not same(before[name], arguments[name], exactly=True)]
        found = found or (f"refused, but {', '.join(changed)} changed" if changed else "")
    except call.raises:
        found = ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        found = f"{type(error).__name__}: {error}"
    else:
        found = _judge_result(call, spoilings, result, before, arguments)
    is_meant = any(s.argument == "generator" and s.value is None for s in spoilings)
    if _streams() != streams and not is_meant:
        found = found or "a global random stream moved"
    return f"{words}: {found}" if found else ""


def _streams() -> tuple[bytes, bytes]:
    """Return the states of the global random streams, which no call may move."""
    return torch.random.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # noqa: NPY002


def _judge_refusal(call: Call, spoilings: list[Spoiled], error: Exception) -> str:
    message = str(error)
    names = {name for s in spoilings for name in (s.argument, *call.names.get(s.argument, ()))}
    if not any(re.search(rf"\b{re.escape(name)}\b", message) for name in names):
        return f"{type(error).__name__} without the argument's name: {message}"
    if all(s.is_equal for s in spoilings) and all(s.how == "not contiguous" for s in spoilings):
        return f"another memory layout is refused: {message}"
    return ""


def _judge_result(
    call: Call, spoilings: list[Spoiled], result: Any, before: Mapping[str, Any], arguments: Mapping[str, Any]
) -> str:
    unlisted = [f"{s.argument}: {s.how}" for s in spoilings if not call.allows(s)]
    if len(spoilings) == 1 and unlisted:
        return f"accepted, and `takes` does not list it; result {str(result)[:80]!r}"
    swallowed = [
        s.argument
        for s in spoilings
        if s.how == "nan" and "nan vanishes" not in call.takes.get(s.argument, ())
    ]
    if len(spoilings) == 1 and swallowed and not may_hold_nan(result):
        return f"NaN in {swallowed[0]} has vanished; result {str(result)[:80]!r}"
    constant = [name for name in before if name not in call.changes]
    changed = [name for name in constant if not same(before[name], arguments[name], exactly=True)]
    if changed:
        return f"{', '.join(changed)} changed"
    if all(s.is_equal for s in spoilings):
        plain = call.function(**(call.arguments() | {s.argument: s.plain for s in spoilings}))
        if not same(plain, result, exactly=False):
            return f"another result for equal numbers: {str(plain)[:80]!r} and {str(result)[:80]!r}"
    return ""


def _copied(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return copies of the arrays, tensors, lists and dicts, by which a change is noticed."""
    kinds = (torch.Tensor, np.ndarray, list, dict)
    return {name: _copy(value) for name, value in arguments.items() if isinstance(value, kinds)}


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else copy.copy(value)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in this thread after so many seconds, where the system has such an alarm."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise TimeoutError(f"no answer after {seconds} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
