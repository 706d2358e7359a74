"""Does a notebook have the form of the course?

`problems(path)` returns every departure with a way out; an empty list is the rule. Each rule is a pure function of the
notebook: tags and slides in `cells`, stored outputs in `outputs`, exercises in `exercises`, sources in `ledger`.
"""

from pathlib import Path

from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.form import cells, exercises, ledger, outputs
from course_utils.authoring.form.base import Finding, Problem, Rule
from course_utils.authoring.library import CourseError, Notebook, read_notebook

__all__ = ["MAX_BYTES", "Problem", "problems"]

MAX_BYTES = 1_000_000
RULES: tuple[Rule, ...] = (*cells.RULES, *outputs.RULES, *exercises.RULES)


def problems(path: Path) -> list[Problem]:
    """Return what is wrong with the form of the notebook, in the order of its cells.

    The rows of sources.csv beside the notebook are compared with those it cites, where that file is there.
    """
    try:
        notebook = read_notebook(path)
    except CourseError as error:
        return [Problem(path.name, None, "the file is a notebook", str(error))]
    if path.stat().st_size > 10 * MAX_BYTES:  # the patterns below would search it for a minute
        return [Problem(path.name, *finding) for finding in _too_large(path)]
    number = path.stem[:2]
    findings = [finding for rule in RULES for finding in rule(notebook)]
    findings += ledger.wrong_claim_ids(notebook, number)
    findings += ledger.wrong_rows(notebook, number, ledger.read_rows(path.parent / "sources.csv"))
    findings += cells.wrong_title(notebook, number)
    findings += _wrong_file(notebook, path)
    findings.sort(key=lambda finding: -1 if finding.cell is None else finding.cell)
    return [Problem(path.name, *finding) for finding in findings]


def _too_large(path: Path) -> list[Finding]:
    size = path.stat().st_size
    rule = f"a notebook has at most {MAX_BYTES:,} bytes, this one {size:,}"
    return [Finding(None, rule, "draw fewer points, print less")] if size > MAX_BYTES else []


def _wrong_file(notebook: Notebook, path: Path) -> list[Finding]:
    """Refuse files that are too large to read in a browser, or that something else than `refresh` wrote."""
    found = _too_large(path)
    if dumps(normalize(notebook, notebook)).encode("utf-8") != path.read_bytes():
        found.append(Finding(None, "the file is in canonical form", f"course refresh {path.stem[:2]}"))
    return found
