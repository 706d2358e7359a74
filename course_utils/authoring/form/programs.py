"""Does a notebook run or load something in the reader's browser? Only the playgrounds' own programs may.

JupyterLab runs the scripts of stored outputs where it trusts a notebook, and websites show them to everybody.
"""

import re
from collections.abc import Iterator

from course_utils.authoring import policy
from course_utils.authoring.form.base import Finding, Rule
from course_utils.authoring.library import Notebook
from course_utils.exercises import SEAL

SHOWN = frozenset({"text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg", SEAL})
_KNOWN = ("arxiv.org", "doi.org", "pytorch.org")  # where outputs may lead
_ADDRESS = re.compile(r"\b(?:https?|ftp|wss?)://(?:[^\s/@<>\"']*@)?([\w.-]+)")
_MARKUP = ("text/html", "text/markdown")  # markdown may hold HTML, as it stands


def unknown_kinds(notebook: Notebook) -> Iterator[Finding]:
    """Refuse outputs of kinds that run, such as application/javascript, or that need a kernel, such as widgets."""
    for index, kind, _ in _shown(notebook):
        if kind not in SHOWN:
            yield Finding(index, f"outputs are text, HTML and pictures, got {kind!r}",
                          "show a PNG with plotting.show, a playground with as_html, no widget")  # fmt: skip


def running_markup(notebook: Notebook) -> Iterator[Finding]:
    """Refuse scripts, handlers, frames and loaded addresses in the HTML of outputs and of Markdown cells."""
    written = [
        (index, cell.source) for index, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"
    ]
    shown = [(index, text) for index, kind, text in _shown(notebook) if kind in _MARKUP]
    for index, text in [*written, *shown]:
        for fault in _faults(text):
            yield Finding(index, f"nothing runs in the reader's browser, got {fault}",
                          "take it out; what moves is a playground: course_utils.playgrounds.as_html")  # fmt: skip


def _faults(text: str) -> Iterator[str]:
    if "<" not in text:
        return
    found = policy.read_page(text)
    yield from found.faults
    scripts = [*found.head_scripts, *found.body_scripts]
    if not scripts:
        return
    ours = policy.playground_programs()
    yield from (
        f"a script that is not ours: {script.strip()[:40]!r}" for script in scripts if script not in ours
    )


def foreign_addresses(notebook: Notebook) -> Iterator[Finding]:
    """Refuse addresses in outputs that are not those of papers and documentation."""
    for index, kind, text in _shown(notebook):
        for host in _ADDRESS.findall(text) if kind.startswith("text/") else ():
            if not any(host == known or host.endswith(f".{known}") for known in _KNOWN):
                yield Finding(index, f"outputs lead to {', '.join(_KNOWN)} only, got {host!r}",
                              "write the address into the text, where a person can judge it")  # fmt: skip


def _shown(notebook: Notebook) -> Iterator[tuple[int, str, str]]:
    """Yield (cell, kind, text) for all that outputs show; what is printed counts as text/plain."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            for kind, value in output.get("data", {}).items():
                yield index, kind, value if isinstance(value, str) else ""
            yield from (
                (index, "text/plain", str(output[key])) for key in ("text", "evalue") if key in output
            )


RULES: tuple[Rule, ...] = (unknown_kinds, running_markup, foreign_addresses)
