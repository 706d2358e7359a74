"""Is every row of notebooks/sources.csv answered by the notebook it belongs to?

A row is cited by its id, S1-010, in the `rows=` of a claim, in prose, or as a link text. A lesson cites its own rows; a
row of another one only in a cell that names that notebook. Collections, numbered 90 and up, cite the rows of all.
"""

import ast
import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from course_utils.authoring.form.base import Finding, parse
from course_utils.authoring.library import Notebook

_ROW = re.compile(r"\bS[0-3]-\d{3}\b")
_FIRST_COLLECTION = "90"  # reproductions and errata gather what the lessons teach
_CLAIM_ID = re.compile(r"^(?P<notebook>\d{2})\.(?P<number>\d+)$")


def read_rows(path: Path) -> dict[str, str]:
    """Return row id -> two-digit number of its notebook; empty where the file is missing."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["notebook"][:2] for row in csv.DictReader(file)}


def wrong_rows(notebook: Notebook, number: str, rows: Mapping[str, str]) -> Iterator[Finding]:
    """Compare the rows that are cited with those that belong to notebook `number`; nothing without a ledger."""
    if not rows:
        return
    cited: set[str] = set()
    for index, row in cited_rows(notebook):
        cited.add(row)
        if row not in rows:
            yield Finding(index, f"a cited row is in sources.csv, {row} is not", "correct the id")
        elif _is_foreign(rows[row], number) and not _names_notebook(notebook.cells[index].source, rows[row]):
            yield Finding(
                index, f"{row} belongs to notebook {rows[row]}",
                f"cite a row of notebook {number}, or name notebook {rows[row]} in this cell",
            )  # fmt: skip
    if missing := sorted(row for row, owner in rows.items() if owner == number and row not in cited):
        yield Finding(None, f"{len(missing)} rows of sources.csv are not cited: {', '.join(missing)}",
                      "cover them by a claim's rows=, or cite them in prose")  # fmt: skip


def cited_rows(notebook: Notebook) -> Iterator[tuple[int, str]]:
    """Yield (cell, row id) for each row that a cell cites, once per cell."""
    for index, cell in enumerate(notebook.cells):
        for row in sorted(set(_ROW.findall(cell.source))):
            yield index, row


def claim_rows(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """Yield (claim id, row id) for each row in the `rows=` of a claim."""
    for claim_id, call in _named_claims(notebook):
        named = [
            node for keyword in call.keywords if keyword.arg == "rows" for node in ast.walk(keyword.value)
        ]
        for row in [row for node in named for row in _ROW.findall(_text(node))]:
            yield claim_id, row


def claim_sources(notebook: Notebook) -> dict[str, str]:
    """Return claim id -> the `source=` of its check, where it has one written out."""
    sources = {}
    for claim_id, call in _named_claims(notebook):
        for keyword in call.keywords:
            if keyword.arg == "source" and isinstance(keyword.value, ast.Constant):
                sources[claim_id] = str(keyword.value.value)
    return sources


def _named_claims(notebook: Notebook) -> Iterator[tuple[str, ast.Call]]:
    """Yield (claim id, call) of the claims whose id is written out; `wrong_claim_ids` asks for it."""
    for _, call in _claims(notebook):
        if claim_id := _text(call.args[0] if call.args else None):
            yield claim_id, call


def _text(node: ast.AST | None) -> str:
    """Return the string that a node is, "" for every other node."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_foreign(owner: str, number: str) -> bool:
    return owner != number and number < _FIRST_COLLECTION


def _names_notebook(source: str, number: str) -> bool:
    return bool(re.search(rf"\bnotebooks?\s+0?{int(number)}\b|\b{number}_\w+\.ipynb", source, re.IGNORECASE))


def wrong_claim_ids(notebook: Notebook, number: str) -> Iterator[Finding]:
    """Ask for literal claim ids with the notebook's number, each once, in ascending order."""
    last = 0
    for index, call in _claims(notebook):
        id_node = call.args[0] if call.args else None
        if not (isinstance(id_node, ast.Constant) and isinstance(id_node.value, str)):
            yield Finding(
                index, "a claim's id is written out as its first argument", f'write check("{number}.1", ...)'
            )
            continue
        match = _CLAIM_ID.match(id_node.value)
        if not match or match["notebook"] != number:
            yield Finding(index, f"claim ids start with the notebook's number, got {id_node.value!r}",
                          f'write "{number}.{last + 1}"')  # fmt: skip
        elif int(match["number"]) <= last:
            yield Finding(index, f"claim ids are unique and ascend; {id_node.value} comes after {number}.{last}",
                          f'write "{number}.{last + 1}" and number those below anew')  # fmt: skip
        else:
            last = int(match["number"])


def _claims(notebook: Notebook) -> Iterator[tuple[int, ast.Call]]:
    """Yield (cell, call) for each call of `check` or `claims.check`, in the order of the text."""
    for index, cell in enumerate(notebook.cells):
        tree = parse(cell.source) if cell.cell_type == "code" else None
        calls = [node for node in ast.walk(tree or ast.Module([], [])) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            if _dotted(call.func) in ("check", "claims.check", "course_utils.claims.check"):
                yield index, call


def _dotted(node: ast.expr) -> str:
    """Return "a.b.c" for a name or an attribute of one, "" for every other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""
