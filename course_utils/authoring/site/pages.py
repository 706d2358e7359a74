"""The pages that nobody writes: the syllabus, the ledger of claims, the sources, the benchmarks, the reference."""

import html
import importlib
import json
import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import course_utils
from course_utils.authoring.coverage import Row, state_of
from course_utils.authoring.form.ledger import claim_rows, claim_sources
from course_utils.authoring.library import Notebook
from course_utils.authoring.site.tables import link, page, table
from course_utils.authoring.stored import StoredClaim, stored_claims

_GROWTH_ALT = (
    "Four costs against size on logarithmic axes. Marks of the training epoch, the loss plane and the Hessian-vector "
    "product lie on or a little below the dashed line of slope 1, those of the trajectories on the flat line."
)
_VERDICTS = {"by a claim": "answered by a claim", "by a cell": "answered by a cell"}


class Lesson(NamedTuple):
    """One notebook as the pages speak of it."""

    stem: str
    title: str
    question: str
    time: str
    claims: tuple[StoredClaim, ...]
    sources: Mapping[str, str]  # claim id -> source
    rows: Mapping[str, tuple[str, ...]]  # claim id -> rows of sources.csv


def lesson_of(stem: str, notebook: Notebook) -> Lesson:
    """Read a notebook's first cell and its claims."""
    first = notebook.cells[0].source
    rows: dict[str, list[str]] = {}
    for claim, row in claim_rows(notebook):
        rows.setdefault(claim, []).append(row)
    return Lesson(
        stem,
        title=first.partition("\n")[0].lstrip("# ").strip() or stem,
        question=_after("Question", first),
        time=_after("Time", first),
        claims=tuple(stored_claims(notebook)),
        sources=claim_sources(notebook),
        rows={claim: tuple(named) for claim, named in rows.items()},
    )


def _after(label: str, text: str) -> str:
    """Return the sentences behind a label in bold, up to the next label or paragraph."""
    found = re.search(rf"\*\*{label}[.:]\*\*\s*(.*?)(?=\s*\*\*\w[\w ]*[.:]\*\*|\n\n|\Z)", text, re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def syllabus(lessons: Sequence[Lesson]) -> str:
    """Return the table of notebooks as Markdown."""
    lines = ["| notebook | question | claims | time |", "|---|---|---|---|"]
    for lesson in lessons:
        link = f"[{lesson.title}](notebooks/{lesson.stem}.ipynb)"
        lines.append(f"| {link} | {lesson.question} | {len(lesson.claims)} | {lesson.time} |")
    return "\n".join(lines)


def ledger_page(lessons: Sequence[Lesson]) -> str:
    """Return the page of all claims: what is stated, what was measured, what was expected, where it stands."""
    body = [
        (
            link(f"notebooks/{lesson.stem}.html", claim.id),
            claim.statement,
            claim.result,
            lesson.sources.get(claim.id, ""),
            " ".join(lesson.rows.get(claim.id, ())),
            lesson.title,
            "holds" if claim.holds else "fails",
        )
        for lesson in lessons
        for claim in lesson.claims
    ]
    heads = ("claim", "statement", "measured and expected", "source", "rows", "notebook*", "verdict*")
    return page(
        "The ledger",
        f"Every number in the course is one of these {len(body):,} claims. They were measured by the run whose outputs "
        "are stored, on a CPU; `course run` measures them again, and fails if one does not hold.",
        table(heads, body, raw=[0]),
    )


def sources_page(rows: Iterable[Row], lessons: Sequence[Lesson]) -> str:
    """Return the page of the statements of the four sources, errata included, with what answers each."""
    stems = {lesson.stem[:2]: lesson.stem for lesson in lessons}
    body = [
        (
            row["id"],
            row["statement"],
            row["expected"],
            " ".join(_cover(part, stems) for part in row["covered_by"].split()),
            row["topic"],
            row["source"],
            "erratum" if row["erratum"] else _VERDICTS.get(state_of(row), state_of(row)),
        )
        for row in rows
    ]
    heads = ("row", "statement", "what holds", "answered in", "topic*", "source*", "verdict*")
    return page(
        "The sources",
        "The course stands on four sources: a tutorial (S0), a slide deck (S1), lecture notes (S2) and a lecture unit "
        f"(S3). These are their {len(body)} teachable statements, each with the claims that answer it.",
        table(heads, body, raw=[3]),
    )


def _cover(part: str, stems: Mapping[str, str]) -> str:
    stem = stems.get(part[:2])
    label = part if "#" not in part else f"{part[:2]}, a cell"
    return link(f"notebooks/{stem}.html", label) if stem else html.escape(label)


def benchmarks_page(results: Path) -> str:
    """Return the page of the last benchmark run: ratios to peers, numbers with a bound, how costs grow."""
    stored = json.loads(results.read_text(encoding="utf-8"))
    machine = ", ".join(f"{name} {value}" for name, value in stored["machine"].items())
    rows = [
        (row["what"], row["peer"], row.get("peer_version", ""), row["ours"],
         f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]", _number(row["goal"]),
         _number(row.get("floor"), ".1f"), _verdict(row), row.get("note", ""))
        for row in stored["rows"]
    ]  # fmt: skip
    heads = (
        "what",
        "the usual way",
        "version",
        "ours",
        "times as fast [range]",
        "goal",
        "floor",
        "verdict",
        "remark",
    )
    intro = (
        "How many times longer does the usual way take? CPU seconds of one thread, side by side in one process, median "
        "of the ratios with their range. The floor is the ratio that work which nobody can leave out would reach. "
        f"`make bench` measures it again. Machine: {machine}."
    )
    return page("Benchmarks", intro, "\n\n".join([table(heads, rows), *_further_tables(stored)]))


def _further_tables(stored: Mapping[str, list[dict[str, Any]]]) -> Iterable[str]:
    """Yield what a run has beside its ratios, each with its heading."""
    if limits := stored.get("limits"):
        body = [
            (one["what"], one["ours"], f"{one['measured']:.2g} {one['unit']}".strip(), f"{one['at_most']:g}",
             "missed" if not one["measured"] <= one["at_most"] else "holds", one["note"])
            for one in limits
        ]  # fmt: skip
        yield "## Numbers with a bound"
        yield table(("what", "ours", "measured", "at most", "verdict", "remark"), body)
    if growth := stored.get("growth"):
        exponents = [
            (one["what"], one["size"], f"{one['sizes'][0]:,} to {one['sizes'][-1]:,}",
             f"{one['exponent']:.2f} [{one['low']:.2f}, {one['high']:.2f}]", f"{one['theory']:g}", one.get("note", ""))
            for one in growth
        ]  # fmt: skip
        yield "## How costs grow"
        yield table(("what", "size", "from, to", "exponent [range]", "theory", "remark"), exponents)
        yield f"![{_GROWTH_ALT}](_static/scaling.svg)"
    if skipped := stored.get("skipped"):
        yield "## Not measured"
        yield table(("what", "why"), [(one["what"], one["reason"]) for one in skipped])


def _number(value: float | None, form: str = "g") -> str:
    return "" if value is None else format(value, form)


def _verdict(row: Mapping[str, Any]) -> str:
    if row["goal"] is None:
        return ""
    return "missed" if row["ratio"] < row["goal"] else "reached"


def reference_pages() -> dict[str, str]:
    """Return file name -> page for each public module of course_utils that notebooks import."""
    names = [module.name for module in pkgutil.iter_modules(course_utils.__path__)]
    return {
        f"{name}.md": _reference(name) for name in names if not name.startswith("_") and name != "authoring"
    }


def _reference(name: str) -> str:
    """Return the page of one module; a package shows what its __all__ names, wherever that is written."""
    module = importlib.import_module(f"course_utils.{name}")
    options = [":members:", *([":imported-members:"] if hasattr(module, "__all__") else [])]
    lines = [f".. automodule:: course_utils.{name}", *(f"   {option}" for option in options)]
    return "\n".join([f"# {name}", "", "```{eval-rst}", *lines, "```", ""])
