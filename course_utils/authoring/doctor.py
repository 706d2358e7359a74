"""What does this machine have, and which commands of the course will do less here because of what it lacks?"""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from course_utils.authoring.data import data_at_hand

_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "firefox",
    "msedge",
    "open",
)
# In a process of its own: torch is asked as the notebooks will find it, and this command stays quick to import.
_PROBE = """
import json, sys
import torch
report = {"torch": torch.__version__, "threads": torch.get_num_threads(),
          "capability": torch.backends.cpu.get_cpu_capability()}
cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
report["device"] = torch.cuda.get_device_name(0) if cuda else "Apple GPU (mps)" if mps else ""
report["bf16"] = bool(cuda and torch.cuda.is_bf16_supported())
print(json.dumps(report))
"""
_LIBRARIES = {
    "papermill": "course run and course refresh",
    "nbval": "course validate",
    "xdist": "course validate",
    "rich": "course run and course refresh",
    "jupyterlab": "make lab",
}


class Entry(NamedTuple):
    """One line of the report: what was looked for, what was found, and what is skipped for lack of it ("": nothing)."""

    name: str
    found: str
    skipped: str = ""


def examine() -> list[Entry]:
    """Return the report, the machine first."""
    return [
        Entry("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *_torch_entries(),
        *_library_entries(),
        _program("browser", _BROWSERS, "make lab shows no notebook here, and make slides makes no PDF"),
        _program("node", ("node",), "nothing: the slides extra brings its own"),
    ]


def _torch_entries() -> list[Entry]:
    """Return what torch finds here, and the data sets; without torch neither is known."""
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return [Entry("torch", f"does not work: {reason}", "every notebook; install the package again")]
    report = json.loads(done.stdout.splitlines()[-1])
    threads = (
        f"{os.cpu_count()} processors, torch takes {report['threads']} threads; the course's kernels take 1"
    )
    return [
        Entry("torch", report["torch"]),
        Entry("processor", f"{threads} ({report['capability']})"),
        Entry("GPU", report["device"] or "none", "" if report["device"] else "make gpu"),
        Entry("bfloat16 on a GPU", "yes" if report["bf16"] else "no",
              "" if report["bf16"] else "autocast runs in bfloat16 on the CPU only, slower than float32"),
        *_data_entries(),
    ]  # fmt: skip


def _data_entries() -> list[Entry]:
    later = "nothing while there is a network: it is downloaded when asked for"
    return [
        Entry(f"data {name}", "found" if there else "not here", "" if there else later)
        for name, there in data_at_hand().items()
    ]


def _library_entries() -> list[Entry]:
    """Return an entry for each library that is missing, and one if none is."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if not missing:
        return [Entry("libraries", "all of the extras lab and test")]
    return [Entry(f"library {name}", "missing", _LIBRARIES[name]) for name in missing]


def _program(name: str, candidates: tuple[str, ...], skipped: str) -> Entry:
    found = next((path for path in map(shutil.which, candidates) if path), None)
    return Entry(name, Path(found).name if found else "none", "" if found else skipped)


def describe(entries: list[Entry]) -> str:
    """Return the report as aligned lines."""
    width = max(len(entry.name) for entry in entries)
    lines = [f"{entry.name:<{width}}  {entry.found}" for entry in entries]
    skipped = [f"  {entry.name}: {entry.skipped}" for entry in entries if entry.skipped]
    return "\n".join([*lines, "", "Skipped here:" if skipped else "Nothing is skipped here.", *skipped])
