"""What stops the command, and with which exit code?

Ctrl-C, a request to end (SIGTERM), a terminal that was closed (SIGHUP): the first of them raises one exception in the
main thread, which ends the kernels on its way up. Those that follow while it tidies up are not needed any more.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE = 10.0  # seconds that tidying up may take before a further signal ends the process at once
_CLOSED_PIPE = 13  # SIGPIPE, which Windows does not have


class Stopped(KeyboardInterrupt):
    """A signal asked the command to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return 128 + the number of the signal, as a shell does: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + getattr(stop, "signum", signal.SIGINT)


def words(stop: KeyboardInterrupt) -> str:
    """Return what to say of it; nothing where the reader of the output has gone."""
    signum = getattr(stop, "signum", signal.SIGINT)
    if signum == _CLOSED_PIPE:
        return ""
    how = "interrupted" if signum == signal.SIGINT else f"ended by {signal.Signals(signum).name}"
    return f"course: {how}; no kernel is left running."


def closed_pipe() -> Stopped:
    """Return the exception for an output that nobody reads any more, as in `course run | head -1`."""
    return Stopped(_CLOSED_PIPE)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped at the first signal inside the block; what handled the signals before does so again afterwards.

    A signal that was ignored, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return
    first: tuple[int, float] | None = None  # signal, and when it came

    def stop(signum: int, frame: Any) -> None:
        nonlocal first
        if first is None:
            first = signum, time.monotonic()
            raise Stopped(signum)
        if time.monotonic() - first[1] > _PATIENCE:
            os._exit(128 + signum)  # the kernels notice, by their guards

    plain = (signal.SIG_DFL, signal.default_int_handler)
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    replaced = {signum: handler for signum, handler in before.items() if handler in plain}
    for signum in replaced:
        signal.signal(signum, stop)
    try:
        yield
    except Exception:
        if first is not None:  # what fails on the way up, such as writing to a terminal that is closed
            raise Stopped(first[0]) from None
        raise
    finally:
        for signum, handler in replaced.items():
            signal.signal(signum, handler)
