"""When do two printed outputs say the same?

When their words agree, their whole numbers are equal, and their decimal numbers are close. Numbers that are close are
replaced by the reference's, so that the report of a difference shows the real ones only. Versions (2.15.0), dates and
names with digits (cuda:0, fc1) are words and not numbers.
"""

import math
import re
from typing import NamedTuple

# A full stop that ends a sentence is no decimal point, while torch and NumPy print 2. for 2.0.
_NUMBER = re.compile(
    r"(?<![\w.])(?<!\d[-/])(?:(?<![\w)\]])[-+−])?"
    r"(?:\d+\.\d+|\.\d+|\d+\.(?![\w.])(?!\s+[A-Za-z]|\s*$)|\d+)(?:[eE][-+]?\d+)?(?!\.?\d)",
    re.MULTILINE,
)
_RULE = re.compile(r"([-=_─━═])\1{2,}")  # the line under a table's head is as long as its columns are wide


class Tolerance(NamedTuple):
    """|test - reference| <= max(rtol * max(|test|, |reference|), atol), as in `math.isclose`."""

    rtol: float
    atol: float

    def agrees(self, test: str, reference: str) -> bool:
        """Compare two printed numbers; exactly where both are whole."""
        if test == reference:
            return True
        if _is_whole(test) and _is_whole(reference):
            return int(_ascii(test)) == int(_ascii(reference))
        return math.isclose(
            float(_ascii(test)), float(_ascii(reference)), rel_tol=self.rtol, abs_tol=self.atol
        )


def _is_whole(number: str) -> bool:
    return not set(number) & set(".eE")


def _ascii(number: str) -> str:
    return number.replace("−", "-")


def snap(test: str, reference: str, tolerance: Tolerance) -> str:
    """Return `test` with each number that agrees with its counterpart replaced by it.

    Where every number and every word agrees, this is `reference` itself: columns that became wider when 9.99 turned
    into 10.0 are no difference. Where the counts of numbers differ nothing is replaced.
    """
    tests, references = list(_NUMBER.finditer(test)), list(_NUMBER.finditer(reference))
    if len(tests) != len(references):
        return test
    snapped, end, all_agree, moved = "", 0, True, False
    for new, old in zip(tests, references, strict=True):
        agrees = tolerance.agrees(new[0], old[0])
        all_agree &= agrees
        moved |= new[0] != old[0]
        snapped += test[end : new.start()] + (old[0] if agrees else new[0])
        end = new.end()
    snapped += test[end:]
    if all_agree and moved and _words(test) == _words(reference):
        return reference
    return snapped


def _words(text: str) -> list[str]:
    """Return what stands between the numbers, with one space for several and with rules of one length."""
    return [_RULE.sub(r"\1", re.sub(r"\s+", " ", piece)).strip() for piece in _NUMBER.split(text)]
