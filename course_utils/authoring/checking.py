"""How is the plugin run so that neither the repository's pytest settings nor the user's get in its way?"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.authoring.guard import SCRATCH, end_with_parent
from course_utils.authoring.kernel import kernel_environment
from course_utils.authoring.writing import scratch_folder

_MODULE = "course_utils.authoring.checking"  # this one, which is pytest when it is run
# Settings from outside that would change what is collected or how warnings are treated.
_FOREIGN = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")


def validate_all(
    notebooks: Sequence[Path], root: Path, *, jobs: int = 2, threads: int = 1, **options: Any
) -> int:
    """Run pytest over the notebooks in a process of its own and return its exit code; its report goes to stdout.

    Args:
        notebooks: the stored notebooks, the longest first.
        root: the folder that the names in the report are relative to.
        jobs: how many kernels run at a time.
        threads: how many threads a kernel shares its sums by.
        options: those of `pytest_arguments`.
    """
    with scratch_folder() as scratch:
        arguments = pytest_arguments(notebooks, root, scratch, jobs=jobs, **options)
        inherited = kernel_environment(scratch, threads)
        environment = {name: value for name, value in inherited.items() if name not in _FOREIGN}
        # What pytest and its workers leave behind when they are killed is in our folder too.
        environment |= {SCRATCH: str(scratch), "TMPDIR": str(scratch)}
        return _run_to_its_end([sys.executable, "-m", _MODULE, *arguments], root, environment)


def _run_to_its_end(command: Sequence[str], folder: Path, environment: dict[str, str]) -> int:
    """Run a command in a process group of its own, which does not outlive this process; return its exit code."""
    given: dict[str, Any] = {"cwd": folder, "env": environment, "start_new_session": True}
    with subprocess.Popen(command, stdin=subprocess.PIPE, **given) as process:  # the pipe is for its guard
        try:
            return process.wait()
        except BaseException:  # interrupted; the kernels notice that pytest's workers are gone
            if os.name == "nt":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            raise


def pytest_arguments(
    notebooks: Sequence[Path],
    root: Path,
    scratch: Path,
    *,
    jobs: int = 1,
    rtol: float | None = None,
    atol: float | None = None,
    settings: Sequence[str] = (),
    timeout: float = 600.0,
) -> list[str]:
    """Return the arguments for pytest, with empty settings of its own, written into `scratch`.

    Args:
        notebooks: the stored notebooks.
        root: pytest's root.
        scratch: an existing folder; the caller removes it.
        jobs: how many kernels run at a time.
        rtol: relative tolerance of decimal numbers where no tag is wider; None is the plugin's default.
        atol: absolute tolerance, likewise.
        settings: "name=value" for the parameters cells that have the name.
        timeout: seconds that one cell may take.
    """
    settings_file = scratch / "pytest.ini"
    settings_file.write_text("[pytest]\n", encoding="utf-8")
    return [
        "-c", str(settings_file), "--rootdir", str(root), "--noconftest", "-p", "no:cacheprovider",
        "-p", "course_utils.authoring.validate", "-q", f"--color={'yes' if sys.stdout.isatty() else 'no'}",
        "--nbval", "--nbval-current-env", f"--nbval-cell-timeout={timeout}", "--nbval-kernel-startup-timeout=120",
        *_distribution(min(jobs, len(notebooks))),
        *(f"--nb-{name}={value}" for name, value in (("rtol", rtol), ("atol", atol)) if value is not None),
        *(f"--nb-set={setting}" for setting in settings),
        *map(str, notebooks),
    ]  # fmt: skip


def _distribution(jobs: int) -> list[str]:
    """Return xdist's options: all cells of a notebook on one worker, the notebooks in the order given."""
    return ["-n", str(jobs), "--dist", "loadscope", "--no-loadscope-reorder"] if jobs > 1 else ["-n", "0"]


if __name__ == "__main__":  # pytest, and a guard that is there before pytest takes standard input away
    import pytest

    end_with_parent()
    sys.exit(pytest.main())
