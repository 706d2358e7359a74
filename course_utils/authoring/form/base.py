"""What do the rules of the form return?"""

import ast
from collections.abc import Callable, Iterable
from typing import NamedTuple

from course_utils.authoring.library import Notebook


class Finding(NamedTuple):
    """One departure: the index of the cell (None for the whole notebook), the rule it breaks, the way out."""

    cell: int | None
    rule: str
    way_out: str


class Problem(NamedTuple):
    """A finding with the name of its file."""

    file: str
    cell: int | None
    rule: str
    way_out: str

    def __str__(self) -> str:
        place = self.file if self.cell is None else f"{self.file} cell {self.cell}"
        return f"{place}: {self.rule}. Way out: {self.way_out}."


Rule = Callable[[Notebook], Iterable[Finding]]


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree of a code cell without its magics, None where it is no Python."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a NUL byte; brackets in brackets
        return None
