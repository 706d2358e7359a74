"""The course in JupyterLab, as `make lab` opens it: a page to begin with, notebooks that run, widgets that answer.

Everything happens in a copy, with a home of its own. Skipped, with the reason, where there is no JupyterLab or browser.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil  # comes with ipykernel
import pytest

pytest.importorskip("jupyterlab", reason="the lab extra is not installed")
pytest.importorskip("playwright", reason="the slides extra is not installed")

from course_utils.authoring.canonical import NOTEBOOK_METADATA
from course_utils.authoring.library import find_notebooks, read_notebook
from course_utils.authoring.start import NAME, start_page
from course_utils.authoring.stored import stored_claims

ROOT = Path(__file__).parents[1]
SHORT = "02_backpropagation"  # seconds, and it needs no data
TOKEN = "of-this-test"
PATIENCE = 60_000  # milliseconds: a shared machine may be slow
WIDGETS = """import anywidget, ipywidgets, traitlets

slider = ipywidgets.IntSlider(value=3, description="n")
square = ipywidgets.Label()
slider.observe(lambda change: setattr(square, "value", f"{change.new}² = {change.new ** 2}"), "value")

class Counter(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
      const button = el.appendChild(document.createElement("button"));
      button.className = "counter";
      const write = () => { button.textContent = `${model.get("count")} to go`; };
      button.onclick = () => { model.set("pressed", model.get("pressed") + 1); model.save_changes(); };
      model.on("change:count", write);
      write();
    } };'''
    pressed = traitlets.Int(0).tag(sync=True)
    count = traitlets.Int(9).tag(sync=True)

    @traitlets.observe("pressed")
    def _count_down(self, change):
        self.count = 9 - change.new

ipywidgets.VBox([slider, square, Counter()])"""
PLAYGROUNDS = """from course_utils.playgrounds import InitializationPlayground, OptimizerPlayground

race, place = OptimizerPlayground(surface="quadratic"), ipywidgets.Label()
race.observe(lambda change: setattr(place, "value", f"now at {change.new[0]:.2f}"), "start")
ipywidgets.VBox([race, place, InitializationPlayground(depth=5, width=16)])"""
RUN_ALL = """async (patience) => {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error("the cells did not end")), patience));
  await Promise.race([late, jupyterapp.shell.currentWidget.context.sessionContext.ready]);
  await Promise.race([late, jupyterapp.commands.execute("notebook:run-all-cells")]);
  const cells = Array.from(jupyterapp.shell.currentWidget.content.widgets);
  return cells.flatMap((cell) => cell.model.outputs ? cell.model.outputs.toJSON() : []);
}"""
# MathJax shows what it cannot parse as an error, and a command that it does not know in red.
WRONG_FORMULAS = "mjx-merror, mjx-container [style*='color: red']"
UNRENDERED = """() => {
  const text = [];
  for (const part of document.querySelectorAll(".jp-RenderedMarkdown")) {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("code, mjx-container").forEach((known) => known.remove());
    text.push(...(copy.textContent.match(/\\$[^$]+\\$|\\\\(?:frac|mathcal|text)/g) ?? []));
  }
  return text;
}"""


def options_of_make_lab():
    """Return the options that the Makefile gives to JupyterLab."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lab:.*\n\t\$\(BIN\)/jupyter lab notebooks(.*)$", makefile, re.M)
    return dict(option.split("=", 1) for option in shlex.split(recipe[1]))


class Lab:
    """A server of JupyterLab over a copy of some notebooks, with a home of its own."""

    def __init__(self, folder):
        self.folder, self.notebooks, self.records = folder, folder / "notebooks", folder / "claims.jsonl"
        self.notebooks.mkdir(parents=True)
        for name in (NAME, "sources.csv", f"{SHORT}.ipynb"):
            shutil.copy(ROOT / "notebooks" / name, self.notebooks)
        # Without a kernel's name JupyterLab asks for one.
        tiny = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(WIDGETS), nbformat.v4.new_code_cell(PLAYGROUNDS)],
            metadata=NOTEBOOK_METADATA,
        )
        nbformat.write(tiny, self.notebooks / "widgets.ipynb")
        with (folder / "log").open("w") as log:
            command = [sys.executable, "-m", "jupyterlab", str(self.notebooks), *self._options()]
            self.process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)
        self.url = self._wait()

    def _options(self):
        given = options_of_make_lab()
        settings = Path(shutil.copytree(ROOT / given["--LabApp.app_settings_dir"], self.folder / "settings"))
        changed = json.loads((settings / "overrides.json").read_text(encoding="utf-8"))
        # Otherwise cells that are off the screen are taken out of the page, and cannot be looked at.
        changed["@jupyterlab/notebook-extension:tracker"] = {"windowingMode": "none"}
        (settings / "overrides.json").write_text(json.dumps(changed), encoding="utf-8")
        given |= {
            "--LabApp.app_settings_dir": str(settings),
            "--LabApp.workspaces_dir": str(self.folder / "workspaces"),
            "--LabApp.expose_app_in_browser": "True",
            "--LabApp.extension_manager": "readonly",
            "--IdentityProvider.token": TOKEN,
            "--ServerApp.ip": "127.0.0.1",
            "--ServerApp.port": "0",
        }
        return ["--no-browser", "--allow-root", *(f"{name}={value}" for name, value in given.items())]

    def _environment(self):
        own = ("HOME", "USERPROFILE", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
        return os.environ | dict.fromkeys(own, str(self.folder / "home")) | {
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"), "COURSE_CLAIMS": str(self.records),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def _wait(self):
        for _ in range(600):
            with contextlib.suppress(OSError, StopIteration, ValueError):
                url = json.loads(next((self.folder / "runtime").glob("jpserver-*.json")).read_text())["url"]
                urllib.request.urlopen(f"{url}api?token={TOKEN}").close()
                return url
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)
        self.stop()
        raise AssertionError((self.folder / "log").read_text())

    def stop(self):
        """End the server, and return those of its kernels that outlive it by ten seconds."""
        kernels = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        return psutil.wait_procs(kernels, timeout=10)[1]


def test_opened_run_and_closed_again_and_again_it_leaves_no_kernel(running, tmp_path, tally):
    number, left = tally.number(each_time=1, weekly=20), 0
    for k in range(number):
        server = Lab(tmp_path / f"{k}")
        context = running.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        outputs = run_all(page, server, SHORT)
        context.close()
        assert psutil.Process(server.process.pid).children(), "a closed page does not end its kernel"
        left += bool(server.stop() or not outputs or any(o["output_type"] == "error" for o in outputs))
    tally.note("JupyterLab", "opened, a lesson run, closed", tried=number, lost=left)


@pytest.fixture(scope="module")
def lab(running, tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    assert server.stop() == []


@pytest.fixture
def page(lab, running):
    """A page; when the test is over, nothing was asked of other machines and nothing complained of."""
    context = running.new_context(viewport={"width": 1400, "height": 900})
    shown, complaints = context.new_page(), []
    shown.set_default_timeout(PATIENCE)
    shown.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    own = (lab.url, lab.url.replace("http", "ws"), "data:", "blob:")
    shown.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
    shown.on("websocket", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
    yield shown
    context.close()
    assert complaints == []


def run_all(page, lab, name):
    """Open a notebook, run its cells, and return their outputs."""
    page.goto(f"{lab.url}lab/tree/{name}.ipynb?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    return page.evaluate(RUN_ALL, PATIENCE)


def test_a_lesson_runs_in_the_browser_and_all_its_claims_hold(lab, page):
    outputs = run_all(page, lab, SHORT)
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    claims = [json.loads(line) for line in lab.records.read_text(encoding="utf-8").splitlines()]
    assert [claim["id"] for claim in claims if not claim["holds"]] == []
    assert len(claims) == len(list(stored_claims(read_notebook(ROOT / "notebooks" / f"{SHORT}.ipynb")))) > 20
    assert page.locator("mjx-container").count() > 100
    assert page.locator(WRONG_FORMULAS).count() == 0
    assert page.evaluate(UNRENDERED) == []
    figures = page.locator(".jp-OutputArea .jp-RenderedImage img")
    drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    assert figures.count() == drawn > 0
    assert figures.evaluate_all("all => all.every((one) => one.naturalWidth > 100)")


def test_widgets_of_both_kinds_are_drawn_and_answer(lab, page):
    outputs = run_all(page, lab, "widgets")
    assert [output for output in outputs if output["output_type"] == "error"] == []
    page.wait_for_selector(".jupyter-widgets .noUi-handle")
    page.locator(".noUi-handle").press("ArrowRight")
    page.wait_for_selector("text=4² = 16")
    page.locator("button.counter").click()
    page.wait_for_selector("text=8 to go")
    page.locator(".pg-plane").press("ArrowRight")
    page.wait_for_selector("text=now at -1.76")
    page.wait_for_function("[...document.querySelectorAll('.pg-readout')].every((said) => said.textContent)")


def test_the_first_page_is_shown_as_a_page_and_its_links_open_notebooks(lab, page):
    page.goto(f"{lab.url}?token={TOKEN}")
    page.wait_for_selector(".jp-MarkdownViewer table")
    assert page.locator(".jp-FileEditor").count() == 0
    assert page.locator(".jp-Dialog").count() == 0
    # nbgrader comes with the environment, but its menus are the lecturer's.
    assert page.get_by_text("Create Assignment").count() == 0
    assert page.locator(".jp-MarkdownViewer tbody tr").count() == len(find_notebooks([], ROOT))
    page.wait_for_selector(".jp-MarkdownViewer mjx-container")
    assert page.evaluate(UNRENDERED) == []
    page.locator(f'.jp-MarkdownViewer a[href*="{SHORT}"]').click()
    page.wait_for_function(f"jupyterapp.shell.currentWidget?.context?.path === '{SHORT}.ipynb'")
    page.wait_for_selector(".jp-NotebookPanel:visible .jp-MarkdownCell h1")


def test_the_first_page_is_that_of_the_notebooks():
    stored = (ROOT / "notebooks" / NAME).read_text(encoding="utf-8")
    assert stored == start_page(ROOT), "bring it up to date: course_utils.authoring.start.write_start"
