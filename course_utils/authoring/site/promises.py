"""The page on promises: its text stands in site/promises.md, its numbers in benchmarks/results."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.authoring.site.tables import filled, simple_table, table

Row = Mapping[str, Any]
_INPUTS = ("bad input", "properties")  # the parts that are about arguments; all others are faults
_WHERE = ("where", "stored cells", "moved beyond tolerance", "claims", "claims that failed")
_PROFILES = {
    True: "in the large numbers of the weekly run, `make faults`; fewer are tried with each commit",
    False: "in the numbers that are tried with each commit; `make faults` tries many more",
}
_LONGEST = 240  # characters of a message
_NOT_SHOWN = ("minutes", "open files", "threads")  # of the soak: columns that would make the table too wide


def promises_page(text: str, results: Path) -> str:
    """Return the page with its numbers filled in, from faults.json, machines.json and soak.json in `results`.

    Raises: CourseError: if a number is asked for that was not measured, or one was measured and is not asked for.
    """
    faults, machines, soak = (
        json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("faults", "machines", "soak")
    )
    values = _of_faults(faults) | _of_machines(machines) | _of_soak(soak)
    return filled(text, values, "promises.md")


def _of_faults(stored: Row) -> dict[str, str]:
    rows: Sequence[Row] = stored["rows"]
    parts = dict.fromkeys(row["part"] for row in rows)
    by_part = [[row for row in rows if row["part"] == part] for part in parts]
    inputs = [row for row in rows if row["part"] in _INPUTS]
    return {
        "num_faults": f"{_sum(rows, 'tried') - _sum(inputs, 'tried'):,}",
        "num_inputs": f"{_sum(inputs, 'tried'):,}",
        "lost": f"{_sum(rows, 'lost'):,}",
        "parts": table(
            ("of", "kinds", "tried", "lost", "what is read then, for example"), map(_part, by_part)
        ),
        "faults": table(("of*", "what was done", "tried", "lost", "what is read then"), map(_fault, rows)),
        "circumstances": f"{stored['date']}, {stored['system']}, Python {stored['python']}, torch {stored['torch']}",
        "minutes": f"{stored['minutes']:.0f}",
        "profile": _PROFILES[stored["weekly"]],
    }


def _sum(rows: Iterable[Row], name: str) -> int:
    return sum(row[name] for row in rows)


def _part(rows: Sequence[Row]) -> Sequence[str]:
    usual = max(rows, key=lambda row: bool(row["message"]) * row["tried"])  # what is read most often
    tried, lost = _sum(rows, "tried"), _sum(rows, "lost")
    return rows[0]["part"], f"{len(rows)}", f"{tried:,}", f"{lost}", _short(usual["message"])


def _fault(row: Row) -> Sequence[str]:
    return row["part"], row["fault"], f"{row['tried']:,}", f"{row['lost']}", _short(row["message"])


def _short(message: str) -> str:
    """Return a message in one line, the long ones cut: a table is read in passing."""
    return textwrap.shorten(message, _LONGEST, placeholder=" …")


def _of_machines(stored: Row) -> dict[str, str]:
    body = map(_machine, stored["rows"])
    machine = stored["machine"]
    return {
        "machines": simple_table(_WHERE, body),
        "processor": machine["processor"],
        "cores": f"{machine['cores']}",
    }


def _machine(row: Row) -> Sequence[str]:
    parts: Sequence[Row] = list(row["notebooks"].values())
    moved = sum(len(part["moved"]) for part in parts)
    cells, claims, failed = (_sum(parts, name) for name in ("cells", "claims", "claims failed"))
    return row["what"], f"{cells:,}", f"{moved}", f"{claims}", f"{failed}"


def _of_soak(stored: Row) -> dict[str, str]:
    rows: Sequence[Row] = stored["rows"]
    heads = [name for name in rows[0] if name not in _NOT_SHOWN]
    body = ([f"{row[name]:,}" for name in heads] for row in rows)
    return {
        "times": f"{len(rows)}",
        "soak": simple_table(heads, body),
        "timed": ", ".join(stored["claims that differed"]),
    }
