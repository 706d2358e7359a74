"""Can the student edition be cut out of this notebook without giving an answer away?

An exercise is a stub with `...` in it, the solution right after it, and a check. The student edition leaves out the
cells tagged `solution`; whatever else says the answer is a leak.
"""

import ast
import re
from collections.abc import Iterator

from course_utils.authoring.form.base import Finding, Rule, parse
from course_utils.authoring.form.outputs import texts
from course_utils.authoring.library import Notebook, tags_of

MIN_LINE = 12  # characters: a shorter line ("return x") says nothing about the answer
CHECK = "check_answer("
_SAYS_SOLUTION = re.compile(
    r"^[ \t]*(?:#+\s*(?:[\d.]+\s*)?solutions?\b|#+\s.*\bexercise.*\bsolutions?\b"
    r"|(?:\*\*|__|<summary>)?solutions?\s*(?:\*\*|__|:|</summary>|$))",
    re.IGNORECASE | re.MULTILINE,
)
# Lines that a stub and its solution share by nature.
_SHARED = re.compile(r"^(?:def |class |import |from |@|#|[\W\d]*$)")


def stubs_without_solution(notebook: Notebook) -> Iterator[Finding]:
    """Ask each stub for its `...` and for the solution right after it, each solution for a stub before it."""
    code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    previous = ""
    for place, (index, cell) in enumerate(code):
        kind = kind_of(cell)
        following = kind_of(code[place + 1][1]) if place + 1 < len(code) else ""
        if kind == "stub":
            if not _has_ellipsis(cell.source):
                yield Finding(index, "a stub leaves a `...` to be filled in", "put ... where the answer goes")
            if following != "solution":
                yield Finding(index, "a stub is followed by its solution", "add the cell tagged 'solution'")
        if kind == "solution" and previous not in ("stub", "solution"):
            yield Finding(
                index, "a solution follows its stub", "put the stub, tagged 'exercise', right before it"
            )
        previous = kind


def kind_of(cell: Notebook) -> str:
    """Return "stub", "solution", "check", or "" for every other cell."""
    tags = tags_of(cell)
    if "solution" in tags:
        return "solution"
    if "exercise" not in tags or cell.cell_type != "code":
        return ""
    return "check" if CHECK in cell.source else "stub"


def _has_ellipsis(source: str) -> bool:
    tree = parse(source)
    return tree is not None and any(
        isinstance(node, ast.Constant) and node.value is Ellipsis for node in ast.walk(tree)
    )


def both_tags(notebook: Notebook) -> Iterator[Finding]:
    """Refuse cells that are exercise and solution at once: one of the two editions would be wrong."""
    for index, cell in enumerate(notebook.cells):
        if {"exercise", "solution"} <= set(tags_of(cell)):
            yield Finding(index, "a cell is an exercise or a solution, not both", "split it")


def announced_solutions(notebook: Notebook) -> Iterator[Finding]:
    """Refuse headings and labels "Solution" outside of solution cells: the text below them would stay."""
    for index, cell in enumerate(notebook.cells):
        if "solution" not in tags_of(cell) and (match := _SAYS_SOLUTION.search(cell.source)):
            yield Finding(index, f"'solution' is announced by solution cells only, got {match[0].strip()!r}",
                          "tag the cell 'solution'")  # fmt: skip


def leaked_lines(notebook: Notebook) -> Iterator[Finding]:
    """Refuse exercise cells that hold, or print, a line of a solution."""
    answers = {
        line: index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "solution" in tags_of(cell)
        for line in telling_lines(cell.source)
    }
    for index, cell in enumerate(notebook.cells):
        if "exercise" not in tags_of(cell) or "solution" in tags_of(cell):
            continue
        printed = [text for output in cell.get("outputs", []) for text in texts(output)]
        visible = "\n".join([cell.source, *printed])
        for line in [line for line in answers if line in visible]:
            yield Finding(
                index, f"an exercise does not show its solution; cell {answers[line]} has the line {line!r} too",
                "leave the line out of the exercise, or out of the solution",
            )  # fmt: skip


def telling_lines(source: str) -> list[str]:
    """Return the lines of a solution that say the answer: no definitions, imports, comments or docstrings."""
    documented = _docstring_lines(source)
    lines = (
        re.sub(r"\s+#.*$", "", line).strip()
        for number, line in enumerate(source.splitlines(), start=1)
        if number not in documented
    )
    return [line for line in lines if len(line) > MIN_LINE and not _SHARED.match(line)]


def _docstring_lines(source: str) -> set[int]:
    numbers: set[int] = set()
    for node in ast.walk(parse(source) or ast.Module([], [])):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            numbers |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return numbers


RULES: tuple[Rule, ...] = (stubs_without_solution, both_tags, announced_solutions, leaked_lines)
