"""What runs within the walls: the cells of one submission, in IPython, handing out the value of each check.

Nothing that leaves here is believed. The only way out is the standard output this process was started with: a line of
JSON when a cell begins, when one fails, and with the value that a check asks for. No seal and no verdict is in here.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from course_utils.exercises import _array, _unfilled

LARGEST = 100_000  # numbers in one answer; the largest of the course has 100
_NAME = "__course_answer__"
_LONGEST = 300  # characters of an error message


class CellTookTooLong(BaseException):
    """Ends a cell; not an Exception, so that `except Exception` in a loop does not swallow it."""


def main() -> None:
    """Run the program that comes in on standard input, and say what comes of it on standard output."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    program = json.loads(sys.stdin.buffer.read())
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # endless printing costs time and nothing else
        os.dup2(nothing, stream)
    _limit(program["limits"])
    _run(
        program["steps"],
        program["cell_seconds"],
        lambda **said: print(json.dumps(said), file=channel, flush=True),
    )
    os._exit(0)  # what the submission left for the end of the process is not run


def _limit(limits: dict[str, int]) -> None:
    """Set what the system can limit: also for the children, and for good."""
    if sys.platform != "win32":
        import resource

        for name, value in limits.items():
            with suppress(ValueError, OSError):  # macOS knows some of them by name only
                resource.setrlimit(getattr(resource, name), (value, value))


def _run(steps: list[dict[str, str]], seconds: float, say: Callable[..., None]) -> None:
    """Run the cells in order; one that fails or takes too long does not keep the next from running."""
    shell = _shell()
    for index, step in enumerate(steps):
        say(cell=index)
        told: dict[str, Any] = {"name": step["name"]}
        try:
            with _alarm(seconds):
                error = _error_of(shell, step["source"])
                if "answer" in step and not error:
                    error = _error_of(shell, f"{_NAME} = (\n{step['answer']}\n)")
                    told |= {} if error else _value(shell.user_ns.pop(_NAME, None))
        except BaseException as raised:  # an answer of a type with a `__array__` of its own, for example
            error = raised
        if error:
            told["error"] = f"{type(error).__name__}: {error}"[:_LONGEST]
        if told.keys() != {"name"}:
            say(**told)


def _shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    return InteractiveShell.instance(config=settings)


def _error_of(shell: Any, source: str) -> BaseException | None:
    done = shell.run_cell(source, store_history=False)
    error: BaseException | None = done.error_before_exec or done.error_in_exec
    return error


def _value(answer: Any) -> dict[str, Any]:
    """Return the answer in JSON's terms: shape and numbers; {"shape": None} where nothing was filled in."""
    if _unfilled(answer):
        return {"shape": None}
    array = _array(answer)
    if array.size > LARGEST:
        raise ValueError(f"an answer has at most {LARGEST:,} numbers, this one {array.size:,}")
    return {"shape": list(array.shape), "numbers": array.ravel().tolist()}


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise CellTookTooLong in the block after so many seconds; on Windows only who watches from outside ends it."""

    def ring(*_: object) -> None:
        raise CellTookTooLong(f"stopped after {seconds:g} seconds")

    if sys.platform == "win32":
        yield
        return
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
