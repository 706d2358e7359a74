"""The page on promises: every number in it is read from what was measured, and what was measured keeps the promises."""

import json
from pathlib import Path

import pytest

from course_utils.authoring.library import CourseError, find_notebooks, read_notebook, tags_of
from course_utils.authoring.site.promises import promises_page
from course_utils.authoring.stored import read_claim

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEXT = (ROOT / "site" / "promises.md").read_text(encoding="utf-8")


def fault(part, what, tried, message, lost=0):
    return {"part": part, "fault": what, "tried": tried, "lost": lost, "message": message, "seconds": 1.0}


def stored(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def results(tmp_path):
    """Files of results with numbers that are told apart."""
    faults = {
        "date": "2030-01-02", "system": "Linux", "python": "3.99", "torch": "2.98", "minutes": 41.6, "weekly": True,
        "rows": [
            fault("bad input", "losses", 20_000, "lr must be above 0, got lr=-1."),
            fault("downloads", "connection refused", 7, "nobody answers"),
            fault("downloads", "killed", 1_300, "it was <silent> for 5 s " + "x" * 300),
            fault("properties", "losses", 1_001, ""),
        ],
    }  # fmt: skip
    notebooks = {
        "01_first": {"cells": 1400, "moved": ["Cell 5", "Cell 9"], "claims": 800, "claims failed": 2},
        "02_second": {"cells": 55, "moved": ["Cell 7"], "claims": 44, "claims failed": 0},
    }
    row = {"what": "4 threads", "notebooks": notebooks}
    machines = {"machine": {"processor": "X 9000", "cores": 2}, "rows": [row]}
    again = {"run": 1, "minutes": 6.5, "claims": 844, "megabytes of the runner": 612, "threads": 1}
    soak = {"machine": {}, "rows": [again, again | {"run": 2}], "claims that differed": ["16.5", "16.8"]}
    for name, content in {"faults": faults, "machines": machines, "soak": soak}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_numbers_are_those_of_the_files(results):
    page = promises_page(TEXT, results)
    assert "**1,307 faults and 21,001 bad inputs were tried; 0 were lost.**" in page
    assert (
        "2030-01-02, Linux, Python 3.99, torch 2.98, on 2 cores, in 42 minutes, in the large numbers" in page
    )
    assert (
        "<td>downloads</td><td>2</td><td>1,307</td><td>0</td><td>it was &lt;silent&gt; for 5 s …</td>" in page
    )
    assert "<td>downloads</td><td>connection refused</td><td>7</td><td>0</td><td>nobody answers</td>" in page
    assert "| 4 threads | 1,455 | 3 | 844 | 2 |" in page
    assert "The whole course, 2 times in a row" in page
    assert "| run | claims | megabytes of the runner |" in page
    assert "| 2 | 844 | 612 |" in page
    assert "measure time (16.5, 16.8)" in page
    assert "{{" not in page


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("{{ machines }}", ""), "does not show machines"),
        (TEXT + "{{ speed }}", "asks for speed; known are"),
    ],
)
def test_a_number_that_is_missing_on_either_side_is_named(results, text, words):
    with pytest.raises(CourseError, match=words):
        promises_page(text, results)


def test_nothing_was_lost_when_it_was_measured():
    rows = stored("faults")["rows"]
    assert sum(row["lost"] for row in rows) == 0
    assert len({(row["part"], row["fault"]) for row in rows}) == len(rows), "two kinds of fault have one name"


def test_every_claim_held_and_no_stored_output_moved_wherever_it_was_measured():
    rows = stored("machines")["rows"]
    parts = {(row["what"], name): part for row in rows for name, part in row["notebooks"].items()}
    assert {key: part for key, part in parts.items() if part["moved"] or part["claims failed"]} == {}
    sizes = [
        {name: (part["cells"], part["claims"]) for name, part in row["notebooks"].items()} for row in rows
    ]
    assert all(size == sizes[0] for size in sizes), "some were measured with other notebooks"


def timed_claims():
    """Return the claims whose outputs are not compared, because they measure time."""
    for path in find_notebooks([], ROOT):
        for cell in read_notebook(path).cells:
            texts = [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
            if "nbval-ignore-output" in tags_of(cell):
                yield from (claim.id for claim in map(read_claim, texts) if claim is not None)


def test_again_and_again_only_time_differed_and_nothing_grew():
    soak = stored("soak")
    assert set(soak["claims that differed"]) <= set(timed_claims())
    first, *others = soak["rows"]
    for row in others:
        assert (row["exit code"], row["processes left"], row["scratch folders left"]) == (0, 0, 0)
        assert (row["claims"], row["files in build"], row["megabytes in build"]) == (
            first["claims"], first["files in build"], first["megabytes in build"],
        )  # fmt: skip
        assert row["megabytes of the runner"] < 1.05 * first["megabytes of the runner"]
