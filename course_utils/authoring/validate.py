"""Does every stored output come out again, up to the noise of another processor?

A pytest plugin on top of nbval (`-p course_utils.authoring.validate`). It adds three things through public hooks: a
numeric tolerance, the presence of pictures (their bytes are not compared), and the trailing `;`, which nbval would
ignore. The form of a notebook is checked as its first item.
"""

import copy
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from course_utils.authoring.form import problems
from course_utils.authoring.form.cells import TOLERANCE_TAG
from course_utils.authoring.kernel import own_sockets
from course_utils.authoring.library import parameters_of, parse_settings, tags_of
from course_utils.authoring.tolerance import Tolerance, snap
from course_utils.exercises import SEAL

DEFAULT = Tolerance(rtol=1e-4, atol=1e-8)
_EMBEDDED = re.compile(r"data:image/[^\"']*")
# A seal changes with the last digit of its value, where that lies between two points of its grid.
_NOT_COMPARED = "a picture or a seal; its bytes are not compared"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the tolerance and of the parameters."""
    group = parser.getgroup("course", "stored outputs of the course")
    group.addoption(
        "--nb-rtol", type=float, default=DEFAULT.rtol, help="relative tolerance of decimal numbers"
    )
    group.addoption(
        "--nb-atol", type=float, default=DEFAULT.atol, help="absolute tolerance of decimal numbers"
    )
    group.addoption("--nb-set", action="append", default=[], metavar="NAME=VALUE", help="replace a parameter")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
    """Put our file in the place of each notebook that nbval collects."""
    collected = yield
    return [_ours(node, file_path, parent) for node in collected]


def _ours(node: Any, path: Path, parent: pytest.Collector) -> Any:
    return CourseNotebook.from_parent(parent, path=path) if type(node) is IPyNbFile else node


class OwnSocketKernel(RunningKernel):  # type: ignore[misc]  # nbval is untyped
    """A kernel behind sockets of its own. nbval takes free ports, and two that start at once may take the same."""

    def __init__(self, scratch: Path, folder: Path, startup_timeout: float) -> None:
        """Start this interpreter's kernel in `folder`, with its sockets in `scratch`, and wait until it answers."""
        self.km = KernelManager(**own_sockets(scratch / "kernel.json"))
        self.km.start_kernel(cwd=str(folder), stderr=subprocess.DEVNULL, stdin=subprocess.PIPE)
        self.kc = self.km.client()
        self.kc.start_channels()
        try:
            self.kc.wait_for_ready(timeout=startup_timeout)
            self._ensure_iopub_up()
        except RuntimeError:  # it never answered: do not leave it running
            self.stop()
            raise


class CourseNotebook(IPyNbFile):  # type: ignore[misc]  # nbval is untyped
    """A notebook whose items are its form and its code cells."""

    _scratch: tempfile.TemporaryDirectory[str] | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the check of the form, then nbval's cells as ours, with the parameters set."""
        yield Form.from_parent(self, name="form")
        cells = list(super().collect())
        self._set_parameters(parse_settings(self.config.getoption("--nb-set")))
        for item in cells:
            yield CourseCell.from_parent(
                self, name=item.name, cell_num=item.cell_num, cell=item.cell, options=item.options
            )

    def _set_parameters(self, settings: dict[str, Any]) -> None:
        names = parameters_of(self.nb)
        for cell in self.nb.cells:
            if "parameters" in tags_of(cell):
                lines = [f"{name} = {value!r}" for name, value in settings.items() if name in names]
                cell.source = "\n".join([cell.source, *lines])

    def setup(self) -> None:
        """Start the kernel, and make it execute as a front end does: IPython honours a final `;` only then."""
        self._scratch = tempfile.TemporaryDirectory(prefix="k-")  # short: it goes into a socket's path
        timeout = self.config.getoption("nbval_kernel_startup_timeout")
        self.kernel = OwnSocketKernel(Path(self._scratch.name), self.path.parent, timeout)
        self.setup_sanitize_files()
        client = self.kernel.kc

        def execute_cell_input(source: str, allow_stdin: bool | None = None) -> str:
            return str(
                client.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)
            )

        self.kernel.execute_cell_input = execute_cell_input

    def teardown(self) -> None:
        """Stop the kernel, and remove its sockets."""
        super().teardown()
        if self._scratch is not None:
            self._scratch.cleanup()


class Form(pytest.Item):
    """The form of one notebook."""

    def runtest(self) -> None:
        """Fail with the list of problems, if there are any."""
        found = problems(self.path)
        if found:
            pytest.fail("\n".join(map(str, found)), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the item in reports."""
        return self.path, None, f"{self.path.name}::form"


class CourseCell(IPyNbCell):  # type: ignore[misc]  # nbval is untyped
    """A code cell whose decimal numbers are compared with a tolerance."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.output_timeout = 60  # seconds for an output that was announced; 5 are short on a busy machine
        self.tolerance = self._tolerance()

    def _tolerance(self) -> Tolerance:
        """Return the options of the run, widened by the cell's tags rtol=... and atol=...."""
        limits = {"rtol": self.config.getoption("--nb-rtol"), "atol": self.config.getoption("--nb-atol")}
        for match in filter(None, map(TOLERANCE_TAG.match, tags_of(self.cell))):
            limits[match["name"]] = max(limits[match["name"]], float(match["value"]))
        return Tolerance(**limits)

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Sequence[str] | None = None) -> bool:
        """Compare as nbval does, after numbers that are close have been made equal."""
        skip = tuple(
            mime for mime in skip_compare or self.parent.skip_compare if not mime.startswith("image/")
        )
        test, ref = _comparable(test), _comparable(ref)
        stored: dict[str, list[str]] = defaultdict(list)
        for holder, key in _texts(ref):
            stored[_kind(holder, key)].append(holder[key])
        for holder, key in _texts(test):
            if candidates := stored[_kind(holder, key)]:
                holder[key] = snap(holder[key], candidates.pop(0), self.tolerance)
        return bool(super().compare_outputs(test, ref, skip_compare=skip))


def _comparable(outputs: Any) -> Any:
    """Return a copy of the outputs with a word for each picture and seal: one missing or new is a difference."""
    outputs = copy.deepcopy(outputs)
    for output in outputs:
        for mime in output.get("data", {}):
            if mime.startswith("image/") or mime == SEAL:
                output["data"][mime] = _NOT_COMPARED
            elif mime == "text/html":
                output["data"][mime] = _EMBEDDED.sub(_NOT_COMPARED, output["data"][mime])
    return outputs


def _texts(outputs: Any) -> Iterator[tuple[Any, str]]:
    """Yield (holder, key) of every text of the outputs, in order."""
    for output in outputs:
        yield from ((output, key) for key in ("text", "evalue") if isinstance(output.get(key), str))
        data = output.get("data", {})
        yield from ((data, mime) for mime in data if mime.startswith("text/"))


def _kind(holder: Any, key: str) -> str:
    """Return under which name nbval lists a text: the stream's, or its mime type."""
    return str(holder.get("name", key))
