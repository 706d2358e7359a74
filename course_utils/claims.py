"""Is that so? Every sentence of the course with a number in it is a call of `check`.

A claim has an id, a statement, a measured value (or one value per seed), and a band. `evaluate` is pure and returns the
record; `check` shows it, appends it to the file named by COURSE_CLAIMS, and raises ClaimFailed when it does not hold.
"""

import html
import json
import math
import os
import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from course_utils._checks import check_finite
from course_utils._display import show
from course_utils._types import checked, describe

# Student's t, two-sided 95 %, for 1 to 30 degrees of freedom; beyond, the expansion 1.96 + 2.4/df is good to 0.002.
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_ID = re.compile(r"^\d{2}\.\d+$")
_ROW = re.compile(r"^S[0-3]-\d{3}$")

Number = float | int | bool


class ClaimFailed(AssertionError):
    """A claim of the course is not so: the message has measured, expected and band."""


@dataclass(frozen=True)
class Claim:
    """What was claimed and what was measured.

    `measured` is the mean over seeds where several were given; `half_width` is half of its 95 % interval (Student's t
    over the n values), None for a single value. `band` is the condition in words.
    """

    id: str
    statement: str
    measured: Number | str
    half_width: float | None
    n: int
    expected: Number | str | None
    band: str
    holds: bool
    source: str
    rows: tuple[str, ...]
    device: str
    dtype: str
    versions: dict[str, str]

    def describe(self) -> str:
        """Return 'measured 1.02 ± 0.03 (95 %, n = 5), expected 1, within 10 %' for this claim."""
        measured = _format(self.measured)
        if self.half_width is not None:
            measured += f" ± {self.half_width:.2g} (95 %, n = {self.n})"
        expected = "" if self.expected is None else f", expected {_format(self.expected)}"
        return f"measured {measured}{expected}, {self.band}"

    def __repr__(self) -> str:
        mark = "holds" if self.holds else "FAILS"
        return f"[{self.id} {mark}] {self.statement}: {self.describe()}"

    def _repr_html_(self) -> str:
        colour, mark = ("#1b7f4d", "✓") if self.holds else ("#b3261e", "✗")
        style = (
            f"border-left:4px solid {colour};padding:.35em .8em;margin:.3em 0;"
            f"background:color-mix(in srgb, {colour} 10%, transparent)"
        )
        return (
            f'<div style="{style}" role="note"><b style="color:{colour}">{mark} {self.id}</b> '
            f"{html.escape(self.statement)}<br><small>{html.escape(self.describe())}</small></div>"
        )


@checked
def mean_and_half_width(values: Sequence[float]) -> tuple[float, float | None]:
    r"""Return the mean and half of its 95 % interval, :math:`t_{0.975,n-1}\, s/\sqrt{n}`.

    The half-width is None for one value, and where the mean is not finite.

    Raises: ValueError: if there is no value.
    """
    if not len(values):
        raise ValueError("values is empty: a mean needs at least one number.")
    mean = statistics.fmean(values)
    if len(values) < 2 or not math.isfinite(mean):
        return mean, None
    df = len(values) - 1
    quantile = _T_975[df - 1] if df <= len(_T_975) else 1.96 + 2.4 / df
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


@checked
def interval(values: Sequence[float], digits: int = 2) -> str:
    """Return the text "1.02 ± 0.03": the mean and half of its 95 % interval, which a single value does not have.

    Raises: ValueError: if there is no value, or `digits`, those behind the point, are not in 0 to 17.
    """
    if not 0 <= digits <= 17:
        raise ValueError(f"digits needs 0 <= digits <= 17, got digits={digits}.")
    mean, half_width = mean_and_half_width(values)
    return f"{mean:.{digits}f}" if half_width is None else f"{mean:.{digits}f} ± {half_width:.{digits}f}"


def evaluate(
    id: str,
    statement: str,
    *,
    measured: Any,
    expected: Number | None = None,
    rel: float | None = None,
    abs: float | None = None,
    factor: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    between: tuple[float, float] | None = None,
    equal: Any = None,
    rows: Iterable[str] = (),
    source: str = "",
) -> Claim:
    """Compare `measured` with its band and return the record; nothing is shown, written or raised by a failing claim.

    Args:
        id: "05.3": two digits of the notebook, a dot, a number unique in it.
        statement: the sentence that is checked, without its numbers.
        measured: a number, a bool, a string (with `equal`), a tensor or array of one element, or one number per seed.
            With several values the MEAN is compared with the band.
        expected: the value predicted; needed with `rel`, `abs` and `factor`.
        rel: |measured - expected| <= rel * |expected|.
        abs: |measured - expected| <= abs.
        factor: expected / factor <= measured <= expected * factor, both positive, factor > 1.
        at_least: measured >= at_least.
        at_most: measured <= at_most.
        between: (low, high): low <= measured <= high.
        equal: measured == equal, exactly.
        rows: ids of the rows of notebooks/sources.csv that this claim covers.
        source: paper with equation number, or the number of the notebook's equation.
    Raises: ValueError: if the id, the rows or the band is malformed: exactly one band is given, of finite numbers.
        TypeError: if an argument has another type.
    """
    rows = _checked_rows(id, statement, source, rows)
    bands = {"rel": rel, "abs": abs, "factor": factor, "at_least": at_least, "at_most": at_most,
             "between": between, "equal": equal}  # fmt: skip
    given = [name for name, value in bands.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"A claim needs exactly one of {', '.join(bands)}; got {', '.join(given) or 'none'}."
        )
    values, device, dtype = _as_values(measured)
    if given != ["equal"] or len(values) > 1:
        _check_numbers(values)
    mean, half_width = _summarize(values)
    holds, band, wanted = _judge(given[0], _plain(bands[given[0]]), mean, _plain(expected))
    return Claim(id, statement, mean, half_width, len(values), wanted, band, holds, source, rows, device, dtype,
                 _versions())  # fmt: skip


def check(id: str, statement: str, **band: Any) -> None:
    """Show the claim, record it where COURSE_CLAIMS names a file, and raise ClaimFailed unless it holds.

    Takes what `evaluate` takes. Prints one line; in a notebook it shows a green box instead.
    """
    claim = evaluate(id, statement, **band)
    show(claim)
    if path := os.environ.get("COURSE_CLAIMS"):
        # One write of one line in append mode: notebooks that run side by side do not tear each other's records.
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(claim), ensure_ascii=False) + "\n")
    if not claim.holds:
        raise ClaimFailed(repr(claim))


def _checked_rows(id: str, statement: str, source: str, rows: Iterable[str]) -> tuple[str, ...]:
    for name, text in (("id", id), ("statement", statement), ("source", source)):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a string, got {name}={describe(text)}.")
    if not _ID.match(id):
        raise ValueError(f"A claim's id is two digits, a dot and a number, such as '05.3'; got {id!r}.")
    rows = tuple(rows) if isinstance(rows, Iterable) else (rows,)
    if wrong := [row for row in rows if not (isinstance(row, str) and _ROW.match(row))]:
        raise ValueError(f"rows are ids such as 'S0-047' of notebooks/sources.csv, got {wrong}.")
    return rows


def _as_values(measured: Any) -> tuple[list[Any], str, str]:
    """Return the measured values as Python objects, with the device and dtype they had."""
    device, dtype = (
        str(getattr(measured, "device", "cpu")),
        str(getattr(measured, "dtype", "")).removeprefix("torch."),
    )
    if hasattr(measured, "tolist"):
        measured = measured.tolist()
    values = list(measured) if isinstance(measured, list | tuple) else [measured]
    values = [_plain(value) for value in values]
    if not values:
        raise ValueError("measured is empty: a claim needs at least one value.")
    return values, device, dtype or type(values[0]).__name__


def _plain(value: Any) -> Any:
    """Return a number or a pair of them as Python objects: NumPy's scalars and torch's do not go into JSON."""
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value.tolist() if hasattr(value, "tolist") else value


def _check_numbers(values: list[Any]) -> None:
    for value in values:
        if not isinstance(value, int | float):
            raise TypeError(f"measured must be a number or a list of numbers, got {describe(value)} in it.")


def _summarize(values: list[Any]) -> tuple[Any, float | None]:
    if len(values) == 1:
        return values[0], None
    return mean_and_half_width([float(value) for value in values])


def _judge(
    kind: str, band: Any, measured: Any, expected: Number | None
) -> tuple[bool, str, Number | str | None]:
    """Return (holds, the band in words, the expected value) of one comparison. NaN never holds."""
    if kind == "equal":
        return bool(measured == band), "exactly", band
    if kind == "between":
        low, high = _ends(band)
        return bool(low <= measured <= high), f"between {_format(low)} and {_format(high)}", expected
    check_finite(kind, band)
    if kind == "at_least":
        return bool(measured >= band), f"at least {_format(band)}", expected
    if kind == "at_most":
        return bool(measured <= band), f"at most {_format(band)}", expected
    if expected is None:
        raise ValueError(f"The band {kind}={band!r} compares with expected=..., which is missing.")
    check_finite("expected", expected)
    if band < 0:
        raise ValueError(f"{kind} must be >= 0, got {kind}={band!r}.")
    if kind == "rel":
        return (
            math.fabs(measured - expected) <= band * math.fabs(expected),
            f"within {100 * band:.3g} %",
            expected,
        )
    if kind == "abs":
        return math.fabs(measured - expected) <= band, f"within ±{_format(band)}", expected
    if band <= 1 or expected <= 0:
        raise ValueError(
            f"factor needs factor > 1 and expected > 0, got factor={band!r}, expected={expected!r}."
        )
    return expected / band <= measured <= expected * band, f"within a factor {_format(band)}", expected


def _ends(between: Any) -> tuple[float, float]:
    if not isinstance(between, tuple | list) or len(between) != 2:
        raise ValueError(f"between must be (low, high), got between={describe(between)}.")
    for end in between:
        check_finite("an end of between", end)
    low, high = between
    if low > high:
        raise ValueError(f"between must be (low, high) with low <= high, got between=({low}, {high}).")
    return low, high


def _format(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the numerical libraries that are loaded; importing none."""
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("torch", "numpy"):
        if name in sys.modules:
            versions[name] = str(sys.modules[name].__version__)
    return versions
