"""What ends a process, and all that it started, when the one that started it is gone without a word?

A killed `course` cannot tidy up. But the pipe that it holds to each of its processes then closes, which the other side
notices at once: a thread waits there. ipykernel looks for its parent too, once a second; what a cell has started would
outlive it. Standard library only: this runs in every kernel.
"""

import os
import shutil
import signal
import stat
import threading

SCRATCH = "COURSE_SCRATCH"  # the environment variable that names the scratch folder of a run


def end_with_parent() -> None:
    """Start a thread that kills this process's group when its parent is gone, and removes the scratch folder first.

    The folder is the one that SCRATCH names; the variable is taken away, so that no process further down does the same.
    Nothing happens where standard input is no pipe of ours: on Windows, and in a process that leads no group.
    """
    scratch = os.environ.pop(SCRATCH, "")
    # On Windows a thread that reads from the pipe would block the start of every other process.
    if os.name == "nt" or os.getpgrp() != os.getpid() or not stat.S_ISFIFO(os.fstat(0).st_mode):
        return
    pipe, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # what reads from standard input finds its end, instead of waiting with us
    os.close(nothing)
    threading.Thread(target=_watch, args=(pipe, scratch), daemon=True).start()


def _watch(pipe: int, scratch: str) -> None:
    while os.read(pipe, 1024):  # nobody writes: it returns when the other end is closed
        pass
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
