"""Which Python runs the cells, and with what around it?

Always the interpreter that runs `course`, whatever kernelspecs the machine has: the spec is made in memory, so a fresh
home works and the user's Jupyter folders are neither read nor written. Each kernel has one thread for sums (their
order, hence the last digits, would otherwise depend on the machine) and an empty IPython profile.
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

# No history database: kernels that run side by side would share its lock.
_PROFILE = 'c.HistoryManager.hist_file = ":memory:"\n'

# A socket's address holds 104 to 108 bytes, and "-ipc-5" comes after the name.
_LONGEST_SOCKET_PATH = 90


def kernel_environment(scratch: Path) -> dict[str, str]:
    """Return this process's environment with what every kernel of the course needs on top.

    Args:
        scratch: an existing folder for the kernels' IPython profile; the caller removes it.
    """
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(_PROFILE, encoding="utf-8")
    # A reader has no PYTHONWARNINGS; with that of a caller the kernels would print other warnings.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return inherited | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
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
        self._scratch = scratch
        self._managers: list[AsyncKernelManager] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._stopped = False

    def manager_class(self, environment: dict[str, str]) -> type[AsyncKernelManager]:
        """Return a kernel manager class, as nbclient wants one, whose kernels get `environment`."""
        pool = self

        class PooledKernelManager(AsyncKernelManager):
            async def _async_start_kernel(self, **options: Any) -> None:
                pool._register(self)
                # What a kernel says on stderr before it captures it would tear the progress display.
                options |= {"env": environment, "stderr": subprocess.DEVNULL}
                await super()._async_start_kernel(**options)

            start_kernel = _async_start_kernel

            def __init__(self, **options: Any) -> None:
                number = next(pool._numbers)
                super().__init__(**own_sockets(pool._scratch / f"kernel-{number}.json"), **options)

        return PooledKernelManager

    def _register(self, manager: AsyncKernelManager) -> None:
        with self._lock:
            if self._stopped:
                raise RuntimeError("The run was interrupted: no further kernel is started.")
            self._managers.append(manager)

    def stop_all(self) -> None:
        """Kill every kernel of the pool, with the processes it started; none can be started afterwards."""
        with self._lock:
            self._stopped = True
            for manager in self._managers:
                process = getattr(manager.provisioner, "process", None)
                if process is not None and process.poll() is None:
                    _kill(process)


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


def _kill(process: "subprocess.Popen[bytes]") -> None:
    try:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)  # a kernel leads its own process group
    except ProcessLookupError:  # ended by itself in the meantime
        pass
