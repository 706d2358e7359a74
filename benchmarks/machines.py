"""Do the claims hold, and the stored outputs stay, on other processors, with more threads, with other packages?

`course validate` runs every stored output again under each condition and counts the cells that moved beyond their
tolerance; the claims on the way are counted as well. It takes an hour, and is no part of `make bench`:

    python benchmarks/machines.py            (the conditions of CONDITIONS, each a row of results/machines.json)
    python benchmarks/machines.py packages   (one row for the interpreter and the packages of this environment)

A row takes the place of an older one of the same name, notebook by notebook: after a change, --notebooks 05 measures
this one alone.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

from records import version_of
from run import describe_machine

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "machines.json"
# A processor without some instructions, for each library that chooses its code by them.
_NO_AVX512 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL",
}
_NO_AVX = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL X86_V3",
}
CONDITIONS: dict[str, tuple[Mapping[str, str], Sequence[str]]] = {
    "as stored: AVX-512, 1 thread": ({}, ()),
    "without AVX-512": (_NO_AVX512, ()),
    "without AVX2, too": (_NO_AVX, ()),
    "2 threads": ({}, ("--threads", "2", "--jobs", "1")),
    "4 threads": ({}, ("--threads", "4", "--jobs", "1")),
}
PACKAGES = ("torch", "numpy", "matplotlib", "ipython", "ipywidgets")
_BESIDE_CELLS = 1  # what nbval counts for a notebook beside its code cells
_COUNT = re.compile(r"(\d+) (passed|failed|error)")
_MOVED = re.compile(r"^(?:FAILED|ERROR) (\S+)(?:::(.*?))?(?: - .*)?$", re.M)
Row = dict[str, Any]


def validated(
    what: str, variables: Mapping[str, str], options: Sequence[str], notebooks: Sequence[str]
) -> Row:
    """Return what became of the stored cells and of the claims under a condition, by notebook."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "claims.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "course_utils.authoring.cli", "validate", *options, *notebooks],
            cwd=ROOT, env={**os.environ, **variables, "COURSE_CLAIMS": str(records)}, capture_output=True, text=True,
        )  # fmt: skip
        claims = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    counts = {word: int(number) for number, word in _COUNT.findall(done.stdout.splitlines()[-1])}
    if not counts:
        raise SystemExit(f"{what}: validate did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = by_notebook(claims, _MOVED.findall(done.stdout))
    if sum(part["cells"] for part in found.values()) != sum(counts.values()):
        raise SystemExit(f"{what}: {counts} are not the cells of {', '.join(found)}")
    return {"what": what, "notebooks": found}


def by_notebook(claims: Sequence[Row], moved: Sequence[tuple[str, str]]) -> dict[str, Row]:
    """Return {notebook: its number of cells, those that moved, its numbers of claims, held or not}."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        own = [claim["holds"] for claim in claims if claim["id"].startswith(f"{path.stem[:2]}.")]
        if own:  # it was run
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            found[path.stem] = {
                "cells": sum(cell["cell_type"] == "code" for cell in cells) + _BESIDE_CELLS,
                "moved": [cell for name, cell in moved if Path(name).stem == path.stem],
                "claims": len(own),
                "claims failed": own.count(False),
            }
    return found


def packages() -> str:
    """Return the name of the row of this environment."""
    versions = (f"{name} {version_of(name)}" for name in PACKAGES)
    return f"Python {platform.python_version()}, {', '.join(versions)}"


def store(rows: Sequence[Row]) -> None:
    """Put the rows into the file, each notebook in the place of its older figures of the same name."""
    stored = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {"rows": []}
    named: dict[str, Row] = {row["what"]: row for row in stored["rows"]}
    for row in rows:
        known = named.get(row["what"], {"notebooks": {}})
        named[row["what"]] = {**row, "notebooks": known["notebooks"] | row["notebooks"]}
    machine = stored.get("machine") or describe_machine()
    text = json.dumps({"machine": machine, "rows": list(named.values())}, indent=1, ensure_ascii=False)
    RESULT.write_text(text + "\n", encoding="utf-8")


def main() -> int:
    """Measure the conditions, store them, and return 1 if a claim failed or a stored output moved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["packages"], help="(default: the conditions)")
    parser.add_argument("--only", choices=CONDITIONS, help="one of the conditions")
    parser.add_argument("--notebooks", nargs="*", default=[])
    options = parser.parse_args()
    chosen = {options.only: CONDITIONS[options.only]} if options.only else CONDITIONS
    conditions = {packages(): ({}, ())} if options.what else chosen
    rows = []
    for what, (variables, arguments) in conditions.items():
        rows.append(validated(what, variables, arguments, options.notebooks))
        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
        store(rows[-1:])
    return int(
        any(part["moved"] or part["claims failed"] for row in rows for part in row["notebooks"].values())
    )


if __name__ == "__main__":
    sys.exit(main())
