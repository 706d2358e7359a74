"""What does the reader of a terminal see while notebooks run, and at the end?

A live line per notebook where the output is a terminal; plain lines in a log.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from course_utils.authoring.execute import Outcome
from course_utils.authoring.interrupts import closed_pipe

_CELL_WIDTH = 44
_LOG_WIDTH = 140  # a log has no width of its own; the table should not be wrapped there


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Stop the command where nobody reads on; rich would leave with code 1, as if a notebook had failed."""
        raise closed_pipe()


def make_console() -> Console:
    """Return a console on stdout, wide enough for the table where stdout is no terminal."""
    console = _Console(highlight=False)
    return console if console.is_terminal else _Console(highlight=False, width=_LOG_WIDTH)


class Watcher:
    """Shows how far each notebook is. `on_cell` may be called from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("cells"),
            TimeElapsedColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the live display up inside the block."""
        with self._progress:
            yield

    def on_cell(self, notebook: str, done: int, total: int) -> None:
        """Note that `done` of `total` cells are behind."""
        with self._lock:
            if notebook not in self._tasks:
                self._tasks[notebook] = self._progress.add_task(notebook, total=total)
                if not self._console.is_terminal:
                    self._console.print(f"{notebook} starts")
            self._progress.update(self._tasks[notebook], completed=done)

    def on_done(self, outcome: Outcome) -> None:
        """Say in a log that a notebook has ended; a terminal shows it anyway."""
        if not self._console.is_terminal:
            verdict = "ends" if outcome.holds else f"FAILS: {outcome.error}"
            self._console.print(f"{outcome.notebook} {verdict} after {outcome.seconds:.1f} s", markup=False)


def print_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print the table of notebooks with seconds, cells, claims and slowest cell, then what failed, then a sum."""
    table = Table(title=None)
    table.add_column("notebook", no_wrap=True)
    for column in ("seconds", "cells", "claims held", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    # a long first line must not squeeze the columns that are read
    table.add_column("slowest cell", overflow="ellipsis", no_wrap=True, max_width=_CELL_WIDTH)
    for outcome in outcomes:
        failed = outcome.num_failed_claims
        style = None if outcome.holds else "red"
        table.add_row(
            outcome.notebook, f"{outcome.seconds:.1f}", str(outcome.num_cells), str(len(outcome.claims) - failed),
            str(failed), escape(_slowest(outcome)), style=style,
        )  # fmt: skip
    console.print(table)
    for outcome in outcomes:
        _print_failure(outcome, console)
        if outcome.note:
            console.print(outcome.note, style="yellow", markup=False)
    num_claims = sum(len(outcome.claims) for outcome in outcomes)
    num_failed = sum(outcome.num_failed_claims for outcome in outcomes)
    ended = sum(not outcome.error for outcome in outcomes)
    console.print(
        f"{ended} of {len(outcomes)} notebooks ran to the end; {num_claims - num_failed} of {num_claims} claims hold."
    )


def _slowest(outcome: Outcome) -> str:
    cell = outcome.slowest
    return "" if cell is None else f"[{cell.index}] {cell.seconds:.1f} s  {cell.first_line}"


def _print_failure(outcome: Outcome, console: Console) -> None:
    if outcome.holds:
        return
    console.print(
        f"FAILED {outcome.notebook}: {outcome.error or 'a claim does not hold'}", style="red", markup=False
    )
    for claim in outcome.claims:
        if not claim["holds"]:
            console.print(
                f"  claim {claim['id']}: {claim['statement']}: measured {claim['measured']}, {claim['band']}"
                + ("" if claim["expected"] is None else f" of {claim['expected']}"),
                markup=False,
            )
    if outcome.copy.exists():
        console.print(f"  see {outcome.copy}", markup=False)
