"""Which text is a notebook stored as?

One canonical form, so that a diff shows what changed and nothing else: metadata reduced to what the course uses,
execution counts from 1, sorted keys, strings as lists of lines. `refresh` writes it, the form test compares with it.
"""

import hashlib
from typing import Any

import nbformat

from course_utils.authoring.library import Notebook

KEPT_CELL_METADATA = ("tags", "slideshow")
NOTEBOOK_METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# Model ids are drawn anew in each run, and the state they point to is not stored.
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def normalize(stored: Notebook, executed: Notebook) -> Notebook:
    """Return the stored cells with the outputs of the executed ones, in canonical form; neither argument is changed.

    Metadata is reduced to the kernel's name, the language, tags, slide types and the outputs' alternative texts;
    execution counts are 1 to n; a cell without an id gets one that follows from its place and source.
    """
    taken: set[str] = set()
    cells, count = [], 0
    for index, (cell, ran) in enumerate(zip(stored.cells, executed.cells, strict=True)):
        kept: dict[str, Any] = {
            "id": _stable_id(cell, index, taken),
            "cell_type": cell.cell_type,
            "metadata": {key: cell.metadata[key] for key in KEPT_CELL_METADATA if cell.metadata.get(key)},
            "source": cell.source,
        }
        if cell.get("attachments") and cell.cell_type != "code":
            kept["attachments"] = cell.attachments
        if cell.cell_type == "code":
            count += 1
            kept |= {
                "execution_count": count,
                "outputs": [_plain_output(output, count) for output in ran.outputs],
            }
        cells.append(kept)
    return nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": NOTEBOOK_METADATA, "cells": cells}
    )


def _stable_id(cell: Notebook, index: int, taken: set[str]) -> str:
    """Return the cell's own id, or one that the same notebook gives again in the next refresh."""
    candidate, salt = cell.get("id"), 0
    while not candidate or candidate in taken:
        candidate = hashlib.sha256(f"{index} {salt} {cell.source}".encode()).hexdigest()[:8]
        salt += 1
    taken.add(candidate)
    return str(candidate)


def _plain_output(output: Notebook, count: int) -> dict[str, Any]:
    plain = {key: value for key, value in output.items() if key != "transient"}
    if output.output_type == "execute_result":
        plain["execution_count"] = count
    if "data" in output:
        plain["data"] = {mime: value for mime, value in output.data.items() if mime != _WIDGET_VIEW}
    return plain


def dumps(notebook: Notebook) -> str:
    """Return the canonical text: keys sorted, one space of indent, strings as lists of lines, a newline at the end.

    Raises: nbformat.ValidationError: if the notebook is not valid.
    """
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"
