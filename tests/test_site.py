"""The website's generated pages: docstrings become fields, claims become rows, links lead to pages."""

import inspect
import json
import math

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils import initializers, optimizers
from course_utils.authoring.cli import main
from course_utils.authoring.colab import Publication
from course_utils.authoring.form.ledger import claim_sources
from course_utils.authoring.library import CourseError
from course_utils.authoring.site import pages, stage
from course_utils.authoring.site.docstrings import inline, to_rst
from course_utils.authoring.site.leaderboard import leaderboard_page
from course_utils.authoring.stored import read_claim, stored_claims
from course_utils.exercises import SEAL

WITHOUT_AN_AUTHOR = (initializers.constant_, initializers.normal_)
CLAIM = "[05.3 holds] keeps <q>: the mean square: measured 0.98 ± 0.1 (95 %, n = 5), expected 1, within 5 %"
FIRST = "# 5 · Start\n\n**Question.** Which start?\n\n**You need:** 04. **Time:** a minute\non two cores.\n\nAnd more."
CHECK = 'check("05.3", "keeps <q>", measured=q, expected=1.0, rel=0.05, rows=("S0-032",), source="eq. 5.11")'


def lesson_notebook():
    output = new_output("display_data", data={"text/html": "<div></div>", "text/plain": CLAIM})
    return nbformat.from_dict(
        new_notebook(cells=[new_markdown_cell(FIRST), new_code_cell(CHECK, outputs=[output])])
    )


# Claims, read back


def test_a_printed_claim_is_read_back_with_all_of_its_statement():
    claim = read_claim(CLAIM)
    assert (claim.id, claim.holds, claim.statement) == ("05.3", True, "keeps <q>: the mean square")
    assert claim.result.startswith("measured 0.98 ± 0.1")
    assert not read_claim(CLAIM.replace("holds", "FAILS")).holds
    assert read_claim("torch.Size([2])") is None


def test_claims_and_their_sources_are_found_in_a_notebook():
    notebook = lesson_notebook()
    assert [claim.id for claim in stored_claims(notebook)] == ["05.3"]
    assert claim_sources(notebook) == {"05.3": "eq. 5.11"}


# Pages


def test_the_syllabus_has_question_time_and_number_of_claims():
    lesson = pages.lesson_of("05_start", lesson_notebook())
    assert lesson.title == "5 · Start"
    assert lesson.rows == {"05.3": ("S0-032",)}
    last = pages.syllabus([lesson]).splitlines()[-1]
    assert last == "| [5 · Start](notebooks/05_start.ipynb) | Which start? | 1 | a minute on two cores. |"


def test_the_ledger_escapes_what_is_stated_and_links_to_the_notebook():
    text = pages.ledger_page([pages.lesson_of("05_start", lesson_notebook())])
    assert "one of these 1 claims" in text
    assert '<a href="notebooks/05_start.html">05.3</a>' in text
    assert "keeps &lt;q&gt;" in text
    assert '<th scope="col" data-filter>verdict</th>' in text


def test_the_sources_lead_to_the_claims_and_cells_that_answer_them():
    row = {"id": "S0-032", "statement": "a < b", "expected": "", "covered_by": "05.3 05#1a2b3c4d", "topic": "t",
           "source": "S0", "erratum": "", "declined": ""}  # fmt: skip
    lesson = pages.lesson_of("05_start", lesson_notebook())
    text = pages.sources_page([row, row | {"covered_by": "05.3"}, row | {"erratum": "yes"}], [lesson])
    assert (
        '<a href="notebooks/05_start.html">05.3</a> <a href="notebooks/05_start.html">05, a cell</a>' in text
    )
    verdicts = ("answered by a cell", "answered by a claim", "erratum")
    assert all(f"<td>{verdict}</td>" in text for verdict in verdicts)


def test_the_benchmarks_show_ratios_with_their_range(tmp_path):
    row = {
        "what": "a step",
        "peer": "loop",
        "ours": "ours",
        "ratio": 4.158,
        "low": 2.866,
        "high": 5.549,
        "goal": 2.5,
    }
    stored = {"machine": {"processor": "X"}, "rows": [row, row | {"goal": None}]}
    (tmp_path / "latest.json").write_text(json.dumps(stored))
    text = pages.benchmarks_page(tmp_path / "latest.json")
    assert "<td>4.16 [2.87, 5.55]</td><td>2.5</td><td></td><td>reached</td>" in text
    assert "processor X" in text
    assert "##" not in text


def test_the_benchmarks_show_bounds_exponents_and_what_was_missed(tmp_path):
    row = {"what": "a step", "peer": "loop", "peer_version": "torch 2.14.1", "ours": "ours", "ratio": 2.0, "low": 1.0,
           "high": 3.0, "goal": 2.5, "floor": 6.04, "note": "why"}  # fmt: skip
    limit = {"what": "error", "ours": "ours", "measured": math.nan, "at_most": 1e-5, "unit": "", "note": ""}
    growth = {"what": "epoch", "size": "images", "sizes": [500, 50000], "costs": [1.0, 99.0], "exponent": 0.98,
              "low": 0.9, "high": 1.0, "theory": 1.0, "note": ""}  # fmt: skip
    stored = {"machine": {}, "rows": [row], "limits": [limit], "growth": [growth],
              "skipped": [{"what": "density", "reason": "no peer"}]}  # fmt: skip
    (tmp_path / "latest.json").write_text(json.dumps(stored))
    text = pages.benchmarks_page(tmp_path / "latest.json")
    assert "<td>torch 2.14.1</td>" in text
    assert "<td>6.0</td><td>missed</td><td>why</td>" in text
    assert "<td>nan</td><td>1e-05</td><td>missed</td>" in text
    assert "<td>500 to 50,000</td><td>0.98 [0.90, 1.00]</td><td>1</td>" in text
    assert "<td>density</td><td>no peer</td>" in text
    assert "](_static/scaling.svg)" in text


def test_the_speedrun_shows_accuracy_bound_and_cost_of_every_entry(tmp_path):
    entry = {"dataset": "fashion-mnist", "name": "gold", "level": "gold", "mean": 0.89876, "bound": 0.8951,
             "target": 0.8946, "units": 0.5449, "seconds": 2.94, "machine": "X",
             "date": "2026-01-01", "commit": "abc"}  # fmt: skip
    (tmp_path / "speedrun.json").write_text(json.dumps({"entries": [entry, entry | {"name": "mine <b>"}]}))
    text = leaderboard_page(tmp_path / "speedrun.json")
    assert "<td>89.88</td><td>89.51</td><td>89.46</td><td>0.54</td><td>2.9" in text
    assert "mine &lt;b&gt;" in text


def test_every_module_that_notebooks_import_has_a_page_and_no_other():
    reference = pages.reference_pages()
    assert {"optimizers.md", "claims.md", "training.md"} <= set(reference)
    assert "authoring.md" not in reference
    assert ":imported-members:" in reference["optimizers.md"]
    assert ":imported-members:" not in reference["claims.md"]


def test_a_landing_figure_that_is_gone_is_named(tmp_path):
    with pytest.raises(CourseError, match="figure of cell abcd"):
        stage._picture(lesson_notebook(), "abcd", tmp_path / "x.png")


def test_links_to_the_ledger_file_lead_to_its_page():
    notebook = nbformat.from_dict(new_notebook(cells=[new_markdown_cell("see [S0-001](sources.csv)")]))
    assert "[S0-001](../sources.md)" in stage._as_page(notebook)


def test_solutions_and_checks_are_folded_and_seals_left_out():
    cells = [
        new_code_cell("factor = 0.5", metadata={"tags": ["solution"]}),
        new_code_cell("check_answer(factor, 0.5)", metadata={"tags": ["exercise"]}),
        new_code_cell("factor = ...", metadata={"tags": ["exercise"]}),
    ]
    cells[1].outputs = [new_output("display_data", data={"text/plain": "Right.", SEAL: "{}"})]
    page = stage._as_page(nbformat.from_dict(new_notebook(cells=cells)))
    solution, check, stub = (cell["metadata"] for cell in json.loads(page)["cells"])
    assert solution["mystnb"]["code_prompt_show"] == "Show the solution"
    assert "hide-input" in check["tags"]
    assert "mystnb" not in stub
    assert SEAL not in page


def test_the_way_to_a_copy_leads_to_colab_where_the_course_is_published():
    nowhere = Publication("T", "", "v1")
    assert "<../student/05_x.ipynb>`." in stage._where_to_solve("05_x", nowhere)
    assert "github/a/b/blob/v1/student/05_x.ipynb" in stage._where_to_solve(
        "05_x", nowhere._replace(repository="a/b")
    )


# Docstrings


def test_stars_bars_and_final_underscores_mean_themselves_and_code_stays():
    assert inline("(out, *kernel) |z| fill_ of `x_*`") == r"(out, \*kernel) \|z\| fill\_ of ``x_*``"
    assert inline(":math:`|x|` and") == ":math:`|x|` and"


def test_sections_become_fields_and_formulas_stay():
    lines = ["Do it.", "", ".. math:: a |b|", "    c", "", "Args:", "    x: the *input*,", "        long.",
             "Returns: y of `x`.", "    And more.", "Raises: ValueError: if not.", "Source: A 1999."]  # fmt: skip
    assert to_rst(lines) == [
        "Do it.", "", ".. math:: a |b|", "    c", "", "", r":param x: the \*input\*,", "    long.", "",
        ":Returns: y of ``x``.", "    And more.", "", ":Raises: ValueError: if not.", "", ":Source: A 1999.",
    ]  # fmt: skip


STARTS = [
    getattr(initializers, name)
    for name in initializers.__all__
    if name.endswith("_") and name != "initialize_"
]


@pytest.mark.parametrize(
    "rule", STARTS + [rule.update for rule in optimizers.ZOO.values()], ids=lambda rule: rule.__name__
)
def test_every_rule_says_its_equation_and_its_source_or_whose_variance_it_has(rule):
    text = inspect.getdoc(rule)
    assert "math:" in text
    assert "Source:" in text or "the variance of `" in text or rule in WITHOUT_AN_AUTHOR


# The command


def test_without_sphinx_the_message_names_the_extra(tmp_path, monkeypatch, capsys):
    from course_utils.authoring.site import make

    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make.javascript, "install", lambda web: web)
    monkeypatch.setattr(make, "stage", lambda *args, **options: 0)
    monkeypatch.setattr(make.sys, "executable", "python-that-is-not-there")
    monkeypatch.setattr(make.subprocess, "run", lambda command, **options: make.subprocess.CompletedProcess(
        command, 1, "", "No module named sphinx"))  # fmt: skip
    assert main(["site"]) == 2
    assert "pip install 'course-utils[docs]'" in capsys.readouterr().err
