"""What the stored outputs of a notebook say of its claims."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from course_utils.authoring.library import Notebook

_PRINTED = re.compile(
    r"\[(?P<id>\d\d\.\d+) (?P<verdict>holds|FAILS)\] (?P<statement>.*?): (?P<result>measured .*)", re.DOTALL
)


class StoredClaim(NamedTuple):
    """A claim as it was printed by the run whose outputs are stored."""

    id: str
    holds: bool
    statement: str
    result: str  # "measured ..., expected ..., within ..."


def read_claim(text: str) -> StoredClaim | None:
    """Return the claim that a printed line holds, or None where it is none."""
    match = _PRINTED.fullmatch(text.strip())
    if match is None:
        return None
    return StoredClaim(match["id"], match["verdict"] == "holds", match["statement"], match["result"])


def stored_claims(notebook: Notebook) -> Iterator[StoredClaim]:
    """Yield the claims of a notebook in the order of its outputs."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            claim = read_claim(output.get("data", {}).get("text/plain", ""))
            if claim is not None:
                yield claim
