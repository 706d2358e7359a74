"""Which claim or cell answers each row of notebooks/sources.csv, and which rows wait?

A row is covered by every claim that names it in `rows=`, of whichever notebook; a row that no claim names, by the cells
that cite it. What covers a row stands in the ledger's column `covered_by` ("05.3 05.7", or "05#1a2b3c4d" for a cell),
to be read without running anything; `course coverage --write` fills it in, and a test compares it. A row whose object
no longer exists is declined, with the reason in the column `declined`.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from course_utils.authoring.form.ledger import cited_rows, claim_rows
from course_utils.authoring.library import CourseError, Notebook, find_notebooks, read_notebook

Row = dict[str, str]
_STATES = ("by a claim", "by a cell", "declined", "open")


class Ledger(NamedTuple):
    """The columns of sources.csv, in their order, and its rows."""

    columns: tuple[str, ...]
    rows: list[Row]


def read_ledger(path: Path) -> Ledger:
    """Return the ledger.

    Raises: CourseError: if the file is missing or lacks a column.
    """
    if not path.is_file():
        raise CourseError(f"notebooks/{path.name} is missing. Restore it from git.")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), tuple(reader.fieldnames or ())
    if absent := {"id", "source", "notebook", "topic", "covered_by", "declined"} - set(columns):
        raise CourseError(f"{path.name} lacks the columns {', '.join(sorted(absent))}. Restore it from git.")
    return Ledger(columns, rows)


def dumps(ledger: Ledger) -> str:
    """Return the ledger as the text of its file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ledger.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ledger.rows)
    return text.getvalue()


def find_coverage(notebooks: Iterable[tuple[str, Notebook]]) -> dict[str, str]:
    """Return row id -> what covers it, claims before cells, for (number, notebook) pairs."""
    claims, cells = defaultdict(list), defaultdict(list)
    for number, notebook in notebooks:
        for claim_id, row in claim_rows(notebook):
            claims[row].append(claim_id)
        for index, row in cited_rows(notebook):
            cells[row].append(f"{number}#{notebook.cells[index].get('id', index)}")
    return {row: " ".join(claims.get(row) or cells[row]) for row in claims.keys() | cells.keys()}


def with_coverage(ledger: Ledger, root: Path) -> Ledger:
    """Return the ledger with the column `covered_by` as the notebooks under `root` say it now."""
    covered = find_coverage((path.stem[:2], read_notebook(path)) for path in find_notebooks([], root))
    return ledger._replace(rows=[{**row, "covered_by": covered.get(row["id"], "")} for row in ledger.rows])


def problems(stored: Ledger, root: Path) -> list[str]:
    """Return what is wrong: an outdated column, an open row of a notebook that is there, a row declined and covered."""
    there = {path.stem for path in find_notebooks([], root)}
    found = []
    for row, fresh in zip(stored.rows, with_coverage(stored, root).rows, strict=True):
        if row["covered_by"] != fresh["covered_by"]:
            found.append(
                f"{row['id']} is covered by {fresh['covered_by'] or 'nothing'}, sources.csv says "
                f"{row['covered_by'] or 'nothing'}: course coverage --write"
            )
        if row["declined"] and fresh["covered_by"]:
            found.append(f"{row['id']} is declined and covered: empty its column `declined`")
        if row["notebook"] in there and state_of(fresh) == "open":
            found.append(
                f"{row['id']} is neither covered nor declined: cite it in notebook {row['notebook']}"
            )
    return found


def state_of(row: Row) -> str:
    """Return how far a row is: one of "by a claim", "by a cell", "declined", "open"."""
    if not row["covered_by"]:
        return "declined" if row["declined"] else "open"
    return "by a cell" if "#" in row["covered_by"] else "by a claim"


def count_states(rows: Iterable[Row], column: str) -> dict[str, Counter[str]]:
    """Return value of `column` -> how many rows are in which state, in alphabetical order."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row[column]][state_of(row)] += 1
    return dict(sorted(counts.items()))


def print_coverage(rows: Sequence[Row], console: Console) -> None:
    """Print the table by source and by topic, the reasons of what is declined, and a sum."""
    table = Table()
    table.add_column("rows of", no_wrap=True)
    for state in ("rows", *_STATES):
        table.add_column(state, justify="right", no_wrap=True)
    for column in ("source", "topic"):
        for name, counts in count_states(rows, column).items():
            table.add_row(name, *_numbers(counts))
        table.add_section()
    total = Counter(state_of(row) for row in rows)
    table.add_row("all", *_numbers(total))
    console.print(table)
    for row in rows:
        if state_of(row) == "declined":
            console.print(f"{row['id']} declined: {row['declined']}", markup=False)
    done = len(rows) - total["open"]
    console.print(f"{done} of {len(rows)} rows are covered or declined, {total['declined']} declined.")


def _numbers(counts: Counter[str]) -> list[str]:
    return [str(counts.total()), *(str(counts[state]) for state in _STATES)]
