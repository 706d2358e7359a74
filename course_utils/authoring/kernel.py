"""Which Python runs the cells, and with what around it?

Always the interpreter that runs `course`, whatever kernelspecs the machine has: the spec is made in memory, so a fresh
home works and the user's Jupyter folders are neither read nor written. Each kernel has one thread for sums unless more
are asked for (their order, hence the last digits, would otherwise depend on the machine) and an empty IPython profile.
"""

import asyncio
import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipykernel.kernelspec
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop

# No history database: kernels that run side by side would share its lock. The guard is started here, before any cell.
_PROFILE = """c.HistoryManager.hist_file = ":memory:"
from course_utils.authoring import guard
guard.end_with_parent()
"""

_INTERRUPTED = "The run was interrupted: no further kernel is started."

# What a kernel says before it captures its output would tear the progress display; the pipe is for its guard.
_STREAMS = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

# A socket's address holds 104 to 108 bytes, and "-ipc-5" comes after the name.
_LONGEST_SOCKET_PATH = 90


def thread_settings(threads: int) -> dict[str, str]:
    """Return the variables that set how many threads a sum is shared by."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**dict.fromkeys(names, str(threads)), "MKL_DYNAMIC": "FALSE"}  # else no more threads than cores


def kernel_environment(scratch: Path, threads: int = 1) -> dict[str, str]:
    """Return this process's environment with what every kernel of the course needs on top.

    Args:
        scratch: an existing folder for the kernels' IPython profile; the caller removes it.
        threads: how many share a sum. The stored outputs are made with one.
    """
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(_PROFILE, encoding="utf-8")
    # A reader has no PYTHONWARNINGS; with that of a caller the kernels would print other warnings.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return inherited | {
        **thread_settings(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # a waiting thread sleeps; spinning costs the notebook beside it a core
        "PYTHONHASHSEED": "0",  # sets print in the same order in every run
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "IPYTHONDIR": str(profile.parent),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else a line on stderr about frozen modules
    }


class ThisEnvironment(KernelSpecManager):
    """Answers every kernel name with the interpreter that is running."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the spec of ipykernel under `sys.executable`, in memory."""
        return self.kernel_spec_class(
            resource_dir=ipykernel.kernelspec.RESOURCES, **ipykernel.kernelspec.get_kernel_dict()
        )


def own_sockets(connection_file: Path) -> dict[str, Any]:
    """Return the options of a manager of this interpreter's kernel, whose sockets lie beside `connection_file`."""
    return {
        "kernel_spec_manager": ThisEnvironment(),
        "connection_file": str(connection_file),
        "transport": _transport(connection_file),
    }


class KernelPool:
    """Starts kernels for several threads, and can end all of them at once."""

    def __init__(self, scratch: Path) -> None:
        """Make an empty pool.

        Args:
            scratch: an existing folder for the kernels' sockets and connection files; the caller removes it.
        """
        self.scratch = scratch
        self._managers: list[AsyncKernelManager] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._stopped = False

    @contextmanager
    def manager_class(self, environment: dict[str, str]) -> Iterator["type[PooledKernelManager]"]:
        """Yield a kernel manager class, as nbclient wants one, whose kernels get `environment`.

        At the end of the block its kernels are killed, with all that they started, whether or not they still live.
        """
        pool, ours = self, list[PooledKernelManager]()

        class Manager(PooledKernelManager):
            async def _async_start_kernel(self, **options: Any) -> None:
                pool._register(self)
                ours.append(self)
                options |= _STREAMS | {"env": environment}
                await super()._async_start_kernel(**options)
                type(self).process = getattr(self.provisioner, "process", None)
                if pool._stopped:  # in the meantime, when there was nothing to kill yet
                    _kill(self)

            start_kernel = _async_start_kernel  # type: ignore[assignment]  # as in the class above

            def __init__(self, **options: Any) -> None:
                number = next(pool._numbers)
                super().__init__(**own_sockets(pool.scratch / f"kernel-{number}.json"), **options)

        try:
            yield Manager
        finally:
            with self._lock:
                for manager in ours:
                    _kill(manager)
                    self._managers.remove(manager)
            if Manager.process is not None and Manager.process.stdin is not None:
                Manager.process.stdin.close()  # the pipe that the guard waits at

    def _register(self, manager: AsyncKernelManager) -> None:
        with self._lock:
            if self._stopped:
                raise RuntimeError(_INTERRUPTED)
            self._managers.append(manager)

    def stop_all(self) -> None:
        """Kill every kernel of the pool, with the processes it started; none can be started afterwards."""
        self._stopped = True  # first, and without waiting: a kernel that is just being started sees it
        with self._lock:
            for manager in self._managers:
                _kill(manager)


class PooledKernelManager(AsyncKernelManager):
    """A manager that remembers the process of its kernel, also when that has ended."""

    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def how_it_died(cls) -> str:
        """Return in words how the last kernel of the class ended."""
        code = None if cls.process is None else cls.process.poll()
        if code is None:
            return "the kernel does not answer"
        if code >= 0:
            return f"the kernel ended itself with code {code}"
        name = signal.Signals(-code).name
        why = {"SIGKILL": "; the system does so where memory runs out"}.get(name, "")
        return f"the kernel was ended by {name}{why}"


@contextmanager
def own_event_loop() -> Iterator[None]:
    """Give this thread an event loop for Jupyter's client, and close it at the end with what still waits in it.

    The client would make one and leave it open: a cell that ran out of time leaves a task behind there.
    """
    loop = ensure_event_loop()
    try:
        yield
    finally:
        waiting = asyncio.all_tasks(loop)
        for task in waiting:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


def _transport(connection_file: Path) -> str:
    """Return "ipc", sockets that no other user reaches, where the system has them and the path fits into one."""
    return "tcp" if os.name == "nt" or len(str(connection_file)) > _LONGEST_SOCKET_PATH else "ipc"


def _kill(manager: AsyncKernelManager) -> None:
    """Kill a kernel and its process group; what a cell has started stays in that group when the kernel is dead."""
    provisioner: Any = manager.provisioner
    try:
        if os.name != "nt" and getattr(provisioner, "pgid", None):
            os.killpg(provisioner.pgid, signal.SIGKILL)  # a kernel leads its own process group
        elif (process := getattr(provisioner, "process", None)) is not None and process.poll() is None:
            process.kill()
    except (ProcessLookupError, PermissionError):  # nobody is left in it; macOS says so in the second way
        pass
