"""Do the claims hold, and the stored outputs stay, on other processors, with more threads, with other packages?

`course validate` runs every stored output again under each condition and counts the cells that moved beyond their
tolerance; the claims on the way are counted as well. It takes an hour, and is no part of `make bench`:

    python benchmarks/machines.py            (the conditions of CONDITIONS, each a row of results/machines.json)
    python benchmarks/machines.py packages   (one row for the interpreter and the packages of this environment)

A row takes the place of an older one of the same name. --notebooks 01 02 tries it, and stores nothing.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
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
_COUNT = re.compile(r"(\d+) (passed|failed|error)")
_MOVED = re.compile(r"^(?:FAILED|ERROR) (\S+)(?:::(.*?))?(?: - .*)?$", re.M)
Row = dict[str, Any]


def validated(
    what: str, variables: Mapping[str, str], options: Sequence[str], notebooks: Sequence[str]
) -> Row:
    """Return what became of the stored cells and of the claims under a condition."""
    start = time.perf_counter()
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
    moved = counts.get("failed", 0) + counts.get("error", 0)
    return {
        "what": what,
        "cells": counts.get("passed", 0) + moved,
        "moved": moved,
        "claims": len(claims),
        "claims failed": sum(not claim["holds"] for claim in claims),
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "those that moved": [
            f"{Path(name).name} {cell}".strip() for name, cell in _MOVED.findall(done.stdout)
        ],
    }


def packages() -> str:
    """Return the name of the row of this environment."""
    versions = (f"{name} {version_of(name)}" for name in PACKAGES)
    return f"Python {platform.python_version()}, {', '.join(versions)}"


def store(rows: Sequence[Row]) -> None:
    """Put the rows into the file, in the place of those of the same name."""
    stored = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {"rows": []}
    named = {row["what"]: row for row in [*stored["rows"], *rows]}
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
        print(*(f"{name} {value}" for name, value in rows[-1].items()), sep=", ", flush=True)
        if not options.notebooks:
            store(rows[-1:])
    return int(any(row["moved"] or row["claims failed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
