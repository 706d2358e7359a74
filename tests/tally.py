"""A pytest plugin: how many faults of each class were tried, and what came of them? Printed, and stored on request.

A test asks for `tally`, tries a number of faults and notes the result; the noted numbers travel to the process that
writes the report. `--weekly` makes the numbers large, `--tally FILE` stores them, for the website's page on promises.
"""

import datetime
import json
import platform
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_START = time.perf_counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults", "faults and bad input")
    group.addoption("--weekly", action="store_true", help="as many faults and inputs as the weekly run tries")
    group.addoption("--tally", type=Path, metavar="FILE", help="store the numbers of faults as JSON")


class Tally:
    """What one test tried; each `note` is a row of the report."""

    def __init__(self, weekly: bool, record: Callable[[str, object], None], scratch: Path) -> None:
        self._weekly = weekly
        self._record = record
        self._scratch = re.compile(re.escape(str(scratch)) + r"/[^/\s']+")
        self._start = time.perf_counter()

    def number(self, *, each_time: int, weekly: int) -> int:
        """Return how many to try: `each_time` in CI, `weekly` in the weekly run."""
        return weekly if self._weekly else each_time

    def note(self, part: str, fault: str, *, tried: int, lost: int = 0, message: str = "") -> None:
        """Add a row, and fail if anything was lost or nothing was tried.

        Args:
            part: what was under test, such as "downloads".
            fault: what was done to it, such as "killed at a random byte".
            tried: how many times.
            lost: how often it did not survive.
            message: what the user reads then; "" where nobody is there to read. A test's own folder, below
                `scratch`, is FOLDER in it: the report is published.
        """
        seconds = round(time.perf_counter() - self._start, 1)
        row = {
            "part": part,
            "fault": fault,
            "tried": tried,
            "lost": int(lost),
            "message": self._scratch.sub("FOLDER", message),
            "seconds": seconds,
        }
        self._record("tally", row)
        assert tried > 0
        assert lost == 0, f"{part}, {fault}: {lost} of {tried} did not survive"


@pytest.fixture
def tally(
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Tally:
    """What this test tries, for the report."""
    return Tally(request.config.getoption("--weekly"), record_property, tmp_path_factory.getbasetemp())


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print a line for each class of fault, and store all of them where asked."""
    rows = sorted(_rows(terminalreporter), key=lambda row: (row["part"], row["fault"]))
    if not rows:
        return
    terminalreporter.write_sep("-", "faults and bad input")
    for row in rows:
        survived = f"{row['tried'] - row['lost']:,} of {row['tried']:,} survived"
        terminalreporter.write_line(f"{row['part']}: {row['fault']}: {survived}")
    terminalreporter.write_line(
        f"{sum(row['tried'] for row in rows):,} tried, {sum(row['lost'] for row in rows)} lost"
    )
    if (path := config.getoption("--tally")) is not None:
        stored = {**_circumstances(), "weekly": config.getoption("--weekly"), "rows": rows}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _circumstances() -> dict[str, Any]:
    """Return when and with what the faults were tried, and how long it took."""
    import torch

    return {
        "date": datetime.date.today().isoformat(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__.partition("+")[0],
        "minutes": round((time.perf_counter() - _START) / 60, 1),
    }


def _rows(terminalreporter: Any) -> Iterator[dict[str, Any]]:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            yield from (row for name, row in report.user_properties if name == "tally")
