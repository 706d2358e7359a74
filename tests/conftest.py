"""What all tests share: one thread, a generator, and courses of a few cells for the tests of the tools."""

import contextlib
import io
import os
import signal
import threading
from pathlib import Path
from typing import Any

# Before torch is imported: the order of sums, hence the last digits, depends on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

import nbformat
import pytest
import torch

from course_utils.seeding import make_generator

torch.set_num_threads(1)

# A shell starts what runs in the background with Ctrl-C ignored, and tests interrupt themselves.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tally"]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
# What axe-core, once it is in the page, holds against it, of serious or critical impact.
BARRIERS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 160)}`);
}"""
# Before a page runs: note what its policy forbids, and which source it would have been.
VIOLATIONS = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`);
});"""
ALT = "a single grey point, which stands for a figure"


@pytest.fixture
def generator() -> torch.Generator:
    """A CPU generator that starts at 0 in every test."""
    return make_generator(0)


def code(source: str, *tags: str, outputs: tuple[dict[str, Any], ...] = (), count: int | None = None) -> Any:
    """Return a code cell as a notebook stores it; without tags it is a `measure` cell."""
    return _cell("code", source, tags) | {"outputs": list(outputs), "execution_count": count}


def text(source: str, *tags: str) -> Any:
    """Return a markdown cell as a notebook stores it; without tags it is a `question` cell."""
    return _cell("markdown", source, tags or ("question",))


def _cell(kind: str, source: str, tags: tuple[str, ...]) -> dict[str, Any]:
    metadata = {"tags": list(tags or ("measure",)), "slideshow": {"slide_type": "skip"}}
    return {"cell_type": kind, "source": source, "metadata": metadata}


def printed(words: str, name: str = "stdout") -> dict[str, Any]:
    """Return the output of a print."""
    return {"output_type": "stream", "name": name, "text": words}


def figure(alt: str = ALT) -> dict[str, Any]:
    """Return the output of a figure."""
    return {
        "output_type": "display_data",
        "data": {"image/png": PNG},
        "metadata": {"image/png": {"alt": alt}},
    }


class TinyCourse:
    """A repository with nothing but notebooks, and the `course` command in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "notebooks").mkdir(parents=True)

    def write(self, name: str, *cells: Any, canonical: bool = False) -> Path:
        """Store a notebook; `canonical` gives it the counts, ids and metadata that `course refresh` would."""
        from course_utils.authoring.canonical import dumps, normalize

        notebook = nbformat.from_dict(
            {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}
        )
        normal = normalize(notebook, notebook)
        for cell, before in zip(normal.cells, notebook.cells, strict=True):
            if cell.cell_type == "code" and not canonical:
                cell.execution_count = before.execution_count
        path = self.root / "notebooks" / f"{name}.ipynb"
        path.write_text(dumps(normal), encoding="utf-8")
        return path

    def command(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and what was printed, on stdout and stderr together."""
        from course_utils.authoring.cli import main

        output = io.StringIO()
        with (
            contextlib.chdir(self.root),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            try:
                exit_code = main(arguments)
            except SystemExit as stop:  # argparse
                exit_code = int(stop.code or 0)
        return exit_code, output.getvalue()


@pytest.fixture
def course(tmp_path: Path) -> TinyCourse:
    """An empty course."""
    return TinyCourse(tmp_path / "repository")


@pytest.fixture(scope="module")
def shared_course(tmp_path_factory: pytest.TempPathFactory) -> TinyCourse:
    """An empty course that the tests of one module share, for runs that are read several times."""
    return TinyCourse(tmp_path_factory.mktemp("shared") / "repository")


@pytest.fixture
def close_figures():
    """Close what a test has drawn."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def legend_labels(ax):
    """Return the words of a legend, in their order."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture(scope="module")
def running():
    """A browser of this machine; the test is skipped where there is none."""
    from course_utils.authoring.slides.browser import browser

    with browser() as found:
        if found is None:
            pytest.skip("no Chromium, Chrome or Edge on this machine")
        yield found


def until(page: Any, expression: str, argument: Any = None, *, patience: int = 60) -> None:
    """Wait until an expression holds; Playwright's own way is a program in words, which a page's policy forbids."""
    for _ in range(patience * 20):
        if page.evaluate(expression, argument):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"after {patience} s it does not hold that {expression}")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of JavaScript packages, installed by the worker that comes first; skips where they cannot be had."""
    from filelock import FileLock

    from course_utils.authoring.library import CourseError
    from course_utils.authoring.slides import javascript

    with FileLock(tmp_path_factory.getbasetemp().parent / "npm.lock"):
        try:
            return javascript.install(Path(__file__).parents[1] / "web")
        except CourseError as error:
            pytest.skip(str(error))
