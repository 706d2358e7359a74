"""Would the stored outputs be the same on another machine, and can everybody read them?"""

import re
from collections.abc import Iterator
from typing import Any

from course_utils.authoring import traces
from course_utils.authoring.form import programs
from course_utils.authoring.form.base import Finding, Rule
from course_utils.authoring.library import Notebook, tags_of

MIN_ALT = 20  # characters; below it is a label and not a description

_UNSTABLE = {
    "versions": re.compile(r"(?<![\w.])v?\d+\.\d+\.\d+(?:\+\w+)?(?![\w.]*\d)|\+cu\d+|\bPython \d"),
    "timings": re.compile(
        r"(?<![\w.])\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s|sec|secs|seconds?|minutes?|it/s|s/it)(?!\w)"
    ),
    "device names": re.compile(
        r"\b(?:cpu|cuda|mps|cuda:\d|NVIDIA|GeForce|Tesla|[AH][12]00|Intel\(R\)|x86_64|aarch64|arm64)\b"
    ),
    "memory addresses": re.compile(r"\b0x[0-9a-f]{6,}\b"),
}
_HTML_TAG = re.compile(r"</?\w+(?:\s+[\w-]+=(?:\"[^\"]*\"|'[^']*'))*\s*/?>")  # and not <f at 0x7f...>
_PROGRAM = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)  # of a playground: it is no result
_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\(")
_IMG = re.compile(r"<img\b(?P<attributes>[^>]*)>", re.IGNORECASE)
_ALT = re.compile(r"\balt\s*=\s*([\"'])(?P<alt>.*?)\1", re.IGNORECASE | re.DOTALL)


def texts(output: Notebook) -> list[str]:
    """Return what an output says in words: streams, text/* and the message of an error; no pictures."""
    data: dict[str, Any] = output.get("data", {})
    found = [value for mime, value in data.items() if mime.startswith("text/") and isinstance(value, str)]
    return [*found, *(output[key] for key in ("text", "evalue") if key in output)]


def _outputs(notebook: Notebook) -> Iterator[tuple[int, Notebook]]:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield index, output


def missing_alt_texts(notebook: Notebook) -> Iterator[Finding]:
    """Ask each picture, drawn or embedded, for a sentence that stands in for it."""
    for index, output in _outputs(notebook):
        for mime in output.get("data", {}):
            alt = output.metadata.get(mime, {}).get("alt", "") if mime.startswith("image/") else None
            if alt is not None and len(alt.strip()) < MIN_ALT:
                yield Finding(
                    index, f"a figure has an alternative text of {MIN_ALT} characters, got {alt!r}",
                    'show it with course_utils.plotting.show(figure, alt="...")',
                )  # fmt: skip
    for index, cell in enumerate(notebook.cells):
        written = cell.source if cell.cell_type == "markdown" else ""
        shown = "".join(text for output in cell.get("outputs", []) for text in texts(output))
        for alt in [*(match["alt"] for match in _IMAGE.finditer(written)), *_html_alts(written + shown)]:
            if len(alt.strip()) < MIN_ALT:
                yield Finding(
                    index, f"an image has an alternative text, got {alt!r}", "write one between ![ and ]"
                )


def _html_alts(text: str) -> Iterator[str]:
    for image in _IMG.finditer(text):
        match = _ALT.search(image["attributes"])
        yield match["alt"] if match else ""


def machine_traces(notebook: Notebook) -> Iterator[Finding]:
    """Refuse what names the machine or its user, and what looks like a key, in sources and in all outputs."""
    for index, cell in enumerate(notebook.cells):
        said = [text for output in cell.get("outputs", []) for text in (*texts(output), *_asides(output))]
        text = "\n".join([str(cell.source), *said])
        for kind, found in traces.machine_traces(text):
            yield Finding(index, f"no {kind}, got {found!r}", "write relative paths, print no machine")
        for kind, found in traces.secrets(text):
            yield Finding(
                index, f"nothing that looks like a key ({kind}), got {found!r}",
                "take it out, and make it worthless where it is from: what was committed is known",
            )  # fmt: skip


def _asides(output: Notebook) -> Iterator[str]:
    """Yield what stands in an output beside what it says: the lines of a traceback, the words of its metadata."""
    yield from (str(line) for line in output.get("traceback", []))
    for told in output.get("metadata", {}).values():
        yield from map(str, told.values() if isinstance(told, dict) else [told])


def unstable_outputs(notebook: Notebook) -> Iterator[Finding]:
    """Refuse what differs between machines in outputs that are compared."""
    for index, output in _outputs(notebook):
        if "nbval-ignore-output" in tags_of(notebook.cells[index]):
            continue
        words = "\n".join(_HTML_TAG.sub(" ", _PROGRAM.sub(" ", text)) for text in texts(output))
        for kind, pattern in _UNSTABLE.items():
            if match := pattern.search(words):
                yield Finding(
                    index, f"no {kind} in a compared output, got {match[0]!r}",
                    "do not print it, or tag the cell nbval-ignore-output",
                )  # fmt: skip


def errors_and_stderr(notebook: Notebook) -> Iterator[Finding]:
    """Refuse stored errors, warnings and progress bars."""
    for index, output in _outputs(notebook):
        if output.output_type == "error":
            yield Finding(index, f"no stored error, got {output.ename}", "mend the cell, then course refresh")
        elif output.get("name") == "stderr":
            way_out = "mend the cause of the warning, set progress=False"
            yield Finding(index, f"nothing on stderr, got {output.text[:60]!r}", way_out)


def wrong_counts(notebook: Notebook) -> Iterator[Finding]:
    """Ask for the counts of one run from the top: 1 to n."""
    code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for expected, (index, cell) in enumerate(code, start=1):
        if cell.get("execution_count") != expected:
            got = cell.get("execution_count")
            yield Finding(
                index,
                f"execution counts are 1 to n without gaps, got {got} for {expected}",
                "course refresh",
            )
            return


RULES: tuple[Rule, ...] = (
    missing_alt_texts, machine_traces, unstable_outputs, errors_and_stderr, wrong_counts, *programs.RULES,
)  # fmt: skip
