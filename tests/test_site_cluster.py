"""The page on clusters: every number in it is read from what was measured, and its call is the sweep that was run."""

import json
import re
from pathlib import Path

import pytest

from course_utils import sweeps
from course_utils.authoring.library import CourseError
from course_utils.authoring.site.scale import cluster_page

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "site" / "cluster.md").read_text(encoding="utf-8")


def row(what, where, jobs, seconds):
    return {"what": what, "where": where, "jobs": jobs, "seconds": seconds}


@pytest.fixture
def results(tmp_path):
    """A file of results with numbers that are told apart."""
    killed = {
        "jobs": 1024, "lines when a worker was killed": 341, "of these lost": 0, "lines at the end": 1024,
        "megabytes of a worker": 456, "records that differ from those of one process": 0,
    }  # fmt: skip
    rows = [
        row("empty job", "2 Dask workers", 10_000, 1.5), row("job of 0.5 s", "2 Dask workers", 20, 5.2),
        row("training", "1 Dask worker", 100, 9.0), row("training", "2 Dask workers", 100, 5.0),
        row("training", "4 Dask workers", 100, 4.0),
    ]  # fmt: skip
    best = [
        {
            "dataset": "d",
            "optimizer": "Adam",
            "lr": 0.003,
            "seeds": 16,
            "test_accuracy": 0.81234,
            "half_width": 0.0051,
        }
    ]
    machine = {"processor": "X", "cores": 2, "load": "0.5"}
    path = tmp_path / "scale-out.json"
    path.write_text(json.dumps({"machine": machine, "rows": rows, "killed": killed, "best": best}))
    return path


def test_numbers_are_those_of_the_file(results):
    page = cluster_page(TEXT, results)
    assert "An empty job costs 150 µs" in page
    assert "travels alone, 20 ms" in page  # 20 jobs of 0.5 s, two at a time, in 5.2 s: 0.52 s each
    assert "two workers are 1.80 times as fast as one, and four 1.25 times as fast as two." in page
    assert "(load 0.5 before) shared\n2 cores" in page
    assert "| training | 2 Dask workers | 100 | 5.00 | 50 |" in page
    assert "| d | Adam | 0.003 | 81.2 ± 0.5 % | 16 |" in page
    assert "killed when 341 of the 1,024 trainings had ended. Of these 0 were lost" in page
    assert "{{" not in page


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("{{ killed }}", ""), "does not show killed"),
        (TEXT + "{{ speed }}", "asks for speed; known are"),
    ],
)
def test_a_number_that_is_missing_on_either_side_is_named(results, text, words):
    with pytest.raises(CourseError, match=words):
        cluster_page(text, results)


def test_the_call_on_the_page_is_the_sweep_whose_numbers_it_shows(monkeypatch):
    stored = ROOT / "benchmarks" / "results" / "scale-out.json"
    killed = json.loads(stored.read_text(encoding="utf-8"))["killed"]
    called = []
    monkeypatch.setattr(
        sweeps, "run_sweep", lambda function, runs, **options: called.append((function, runs, options))
    )
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1], {})
    ((function, runs, options),) = called
    assert function is sweeps.score_network
    assert len(runs) == killed["jobs"]
    assert options["results"] == "rates.jsonl"


def test_nothing_was_lost_when_it_was_measured():
    killed = json.loads((ROOT / "benchmarks" / "results" / "scale-out.json").read_text(encoding="utf-8"))[
        "killed"
    ]
    assert 0 < killed["lines when a worker was killed"] < killed["jobs"] == killed["lines at the end"]
    assert (killed["of these lost"], killed["records that differ from those of one process"]) == (0, 0)
