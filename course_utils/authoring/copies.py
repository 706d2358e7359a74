"""Where do the copy of a run and its claims go, and is the stored file still the one that was run?"""

import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import nbformat

from course_utils.authoring.library import CourseError, Notebook
from course_utils.authoring.writing import reason, replace


def keep(notebook: Notebook, target: Path) -> str:
    """Write the executed copy, with one output for each stream of a cell; return why that failed, "" if it did not."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = coalesced(cell.outputs)
    try:
        # Half of a character, which no file can hold, is written as JSON's escape for it.
        target.write_bytes(nbformat.writes(notebook).encode("utf-8", "backslashreplace"))
    except OSError as error:
        target.unlink(missing_ok=True)
        return f"The copy could not be written: {reason(error)}."
    return ""


def coalesced(outputs: list[Notebook]) -> list[Notebook]:
    """Return the outputs with all pieces of a stream in its first, stdout before stderr where they are neighbours.

    As nbclient does it, whose regular expression takes minutes for a line of some 100,000 characters.
    """
    streams: dict[str, Notebook] = {}
    kept: list[Notebook] = []
    for output in outputs:
        if output.output_type == "stream" and output.name in streams:
            streams[output.name].text += output.text
            continue
        if output.output_type == "stream":
            streams[output.name] = output
        kept.append(output)
    for output in streams.values():
        output.text = "\n".join(map(_after_return, output.text.split("\n")))
    for index, (output, following) in enumerate(itertools.pairwise(kept)):
        if output.get("name") == "stderr" and following.get("name") == "stdout":
            kept[index : index + 2] = [following, output]
            break
    return kept


def _after_return(line: str) -> str:
    """Return what a terminal shows of a line: what stands after its last carriage return, but one at the very end."""
    return line[line.rfind("\r", 0, -1) + 1 :]


def meanwhile(source: Path, content: bytes) -> str:
    """Say whether the stored file is still the one that was run."""
    try:
        same = source.read_bytes() == content
    except OSError:
        return f"{source.name} was removed while it ran; the copy is of what it was at the start."
    return "" if same else f"{source.name} was changed while it ran; the copy is of what it was at the start."


def bring(copy: Path, output: Path) -> str:
    """Put an executed copy, and its claims, into the folder `output`; return why that failed, "" where it did not.

    Each file gets there in one step, so that two runs at once do not mix theirs.
    """
    try:
        for path in (copy, records_of(copy)):
            if path.exists():
                replace(output / path.name, path.read_bytes())
            else:
                (output / path.name).unlink(missing_ok=True)
    except CourseError as error:
        return str(error)
    except OSError as error:
        return f"{copy.name} could not be brought to {os.path.relpath(output)}: {reason(error)}."
    return ""


def records_of(copy: Path) -> Path:
    """Return the file that the claims of a run are appended to."""
    return copy.with_suffix(".claims.jsonl")


def read_claims(path: Path) -> list[dict[str, Any]]:
    """Return the records that `claims.check` appended to `path`; a line that was cut off, by a kill, is left out."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records
