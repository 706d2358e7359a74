"""Every departure from the form of a notebook is found, in its cell, with a way out; the form itself has none."""

import nbformat
import pytest
from conftest import code, figure, printed, text

from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.form import MAX_BYTES, ledger, problems
from course_utils.authoring.form.exercises import telling_lines
from course_utils.authoring.form.outputs import unstable_outputs
from course_utils.authoring.new import make_notebook

PARAMETERS, MEASURE, CLAIM, EXERCISE, STUB, SOLUTION, CHECK = 1, 6, 7, 9, 10, 11, 12


@pytest.fixture
def notebook():
    """The form, with a figure and a print in it: no problem, before a test spoils one thing."""
    good = make_notebook("10_normalization")
    good.cells[MEASURE].outputs = nbformat.from_dict([printed("scatter: 0.0289\n"), figure()])
    return good


@pytest.fixture
def found(tmp_path):
    """Return what is wrong with a notebook stored as 10_normalization."""

    def store(notebook, *, canonical=True):
        path = tmp_path / "10_normalization.ipynb"
        notebook = normalize(notebook, notebook) if canonical else notebook
        path.write_text(dumps(notebook), encoding="utf-8")
        return problems(path)

    return store


def test_form_itself_has_no_problem(notebook, found):
    assert found(notebook) == []


def output(*outputs):
    return lambda cell: cell.update(outputs=nbformat.from_dict(list(outputs)))


def source(words):
    return lambda cell: cell.update(source=words)


def appended(words):
    return lambda cell: cell.update(source=cell.source + words)


def tagged(*tags):
    return lambda cell: cell.metadata.update(tags=list(tags))


def displayed(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


ERROR = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
HTML = {"text/html": '<img src="x.png">'}

SPOILED = {
    "unknown tag": (MEASURE, tagged("measure", "solutoin"), "the tag 'solutoin' is not known"),
    "malformed tolerance": (MEASURE, tagged("measure", "rtol=1%"), "the tag 'rtol=1%' is not known"),
    "injected parameters": (PARAMETERS, tagged("parameters", "injected-parameters"), "has its default parameters"),
    "no section tag": (MEASURE, tagged("hide-input"), "every cell has a section tag"),
    "slide type": (2, lambda cell: cell.metadata.update(slideshow={"slide_type": "page"}), "got 'page'"),
    "empty cell": (8, source(" \n"), "a cell has content"),
    "level skipped": (3, source("#### Deep"), "'Deep' skips one"),
    "two titles": (3, source("# Title"), r"one '# ' heading, in the first cell; got cells \[0, 3\]"),
    "number of the title": (0, source("# 9 · Normalization"), "the title has the file's number"),
    "short alt text": (MEASURE, output(figure("a figure")), "alternative text of 20 characters, got 'a figure'"),
    "no alt text": (MEASURE, output(displayed(**{"image/png": "AAAA"})), "alternative text of 20 characters, got ''"),
    "markdown image": (8, appended("\n![x](x.png)"), "an image has an alternative text, got 'x'"),
    "html image": (MEASURE, output(displayed(**HTML)), "an image has an alternative text, got ''"),
    "path in a source": (PARAMETERS, appended("\nroot = '/home/me/data'"), "no absolute paths, got '/home/m'"),
    "path in an output": (MEASURE, output(printed("saved to /tmp/x")), "no absolute paths, got '/tmp/x'"),
    "Windows path": (MEASURE, output(printed(r"C:\Users\me")), "no absolute paths"),
    "home": (8, appended(" See ~/notes."), "no absolute paths"),
    "address": (8, appended(" See http://localhost:8888."), "no host names or addresses, got 'localhost'"),
    "version": (MEASURE, output(printed("torch 2.15.0+cu13")), r"no versions in a compared output, got '2\.15\.0\+"),
    "timing": (MEASURE, output(printed("done in 3.2 s")), "no timings in a compared output, got '3.2 s'"),
    "progress bar": (MEASURE, output(printed("5.1it/s")), "no timings in a compared output"),
    "device": (MEASURE, output(printed("running on cuda")), "no device names in a compared output"),
    "address of an object": (MEASURE, output(printed("<f at 0x7f12ab34cd>")), "no memory addresses"),
    "error": (MEASURE, output(ERROR), "no stored error, got E"),
    "stderr": (MEASURE, output(printed("careful", "stderr")), "nothing on stderr, got 'careful'"),
    "stub without dots": (STUB, source("factor = None"), "a stub leaves a `...` to be filled in"),
    "both editions": (SOLUTION, tagged("exercise", "solution"), "an exercise or a solution, not both"),
    "heading": (8, appended("\n\n### Solution to the exercise"), "announced by solution cells only, got '### Solution"),
    "label": (EXERCISE, appended("\n\n**Solution:** take the root"), "announced by solution cells only"),
    "leaked line": (EXERCISE, appended(" Hint: `factor = sqrt(1 / 4)`"), "cell 11 has the line 'factor = sqrt"),
    "leaked output": (CHECK, output(printed("factor = sqrt(1 / 4)")), "an exercise does not show its solution"),
    "number of a claim": (CLAIM, source('check("9.1", "s")'), "claim ids start with the notebook's number, got '9.1'"),
    "claim twice": (CLAIM, appended('\nclaims.check("10.1", "s")'), "ids are unique and ascend; 10.1 comes after 10.1"),
    "computed id": (CLAIM, source('check(f"10.{k}", "s")'), "id is written out as its first argument"),
}  # fmt: skip


@pytest.mark.parametrize(("index", "spoil", "message"), SPOILED.values(), ids=SPOILED)
def test_one_departure_is_one_problem_in_its_cell(notebook, found, index, spoil, message):
    spoil(notebook.cells[index])
    problems_here = found(notebook)
    assert len(problems_here) >= 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(
            "\n".join(str(problem) for problem in problems_here if problem.cell in (index, None))
        )
    assert all("Way out: " in str(problem) and problem.way_out for problem in problems_here)


@pytest.mark.parametrize(
    "words",
    ["area 3.25 m", "fc1.0 and 1.25", "1.5 steps", "see S0-001", "CPU", "0.5 of 2 sigma"],
)
def test_harmless_outputs_are_accepted(notebook, found, words):
    notebook.cells[MEASURE].outputs = nbformat.from_dict([printed(words)])
    assert found(notebook) == []


def test_unstable_outputs_are_accepted_where_they_are_not_compared(notebook, found):
    notebook.cells[MEASURE].metadata.tags.append("nbval-ignore-output")
    notebook.cells[MEASURE].outputs = nbformat.from_dict([printed("torch 2.15.0 on cuda, 3.2 s")])
    assert found(notebook) == []


def test_the_program_of_a_figure_is_no_result(notebook):
    program = "<div>fine</div><script>\n// see 26.2.11, 0xd256d193\n</script>"
    notebook.cells[MEASURE].outputs = nbformat.from_dict(
        [{"output_type": "display_data", "data": {"text/html": program}, "metadata": {}}]
    )
    assert list(unstable_outputs(notebook)) == []
    notebook.cells[MEASURE].outputs[0].data["text/html"] += "<p>version 26.2.11</p>"
    assert len(list(unstable_outputs(notebook))) == 1


def test_headings_in_fenced_code_and_solutions_in_prose_are_accepted(notebook, found):
    notebook.cells[
        8
    ].source += "\n```\n# comment\n```\nThe closed-form solution is known.\n\n### Where the solution lies"
    assert found(notebook) == []


@pytest.mark.parametrize("tag", ["question", "predict", "measure", "claim", "conclude"])
def test_each_part_of_the_argument_is_asked_for(notebook, found, tag):
    for cell in notebook.cells:
        if tag in cell.metadata.tags:
            cell.metadata.tags = ["setup"]
    assert [problem.rule for problem in found(notebook)] == [f"the notebook has a cell tagged {tag!r}"]


def test_prediction_after_the_measurement_is_refused(notebook, found):
    cells = notebook.cells
    cells[3:5], cells[5:7] = cells[5:7], cells[3:5]
    (problem,) = found(notebook)
    assert problem.rule == "the first 'predict' cell comes before the first 'measure' cell"


def test_parameters_are_one_cell_before_all_code(notebook, found):
    cells = notebook.cells
    cells[1], cells[2] = cells[2], cells[1]
    assert [problem.rule for problem in found(notebook)] == ["the parameters cell is the first code cell"]
    cells[1].metadata.tags = ["parameters"]
    assert [problem.rule for problem in found(notebook)] == ["one cell is tagged 'parameters', got 2"]


def test_gap_in_the_counts_is_found_at_its_cell(notebook, found):
    notebook.cells[MEASURE].execution_count += 1
    problems_here = found(notebook, canonical=False)
    assert (problems_here[-1].cell, problems_here[-1].rule) == (
        MEASURE, "execution counts are 1 to n without gaps, got 5 for 4")  # fmt: skip


@pytest.mark.parametrize("key", ["metadata", "cell"])
def test_what_a_front_end_adds_is_refused(notebook, found, key):
    if key == "metadata":
        notebook.metadata.language_info.version = "3.11.7"
    else:
        notebook.cells[0].metadata.editable = True
    assert [p.rule for p in found(notebook, canonical=False)] == ["the file is in canonical form"]


def test_notebook_that_is_too_large_is_refused(notebook, found):
    notebook.cells[MEASURE].outputs[0].text = "a long line\n" * (MAX_BYTES // 12)
    assert any("at most 1,000,000 bytes" in problem.rule for problem in found(notebook))


def test_magics_and_broken_cells_are_read_over(notebook, found):
    notebook.cells[2].source += "\n%matplotlib inline"
    assert found(notebook) == []
    notebook.cells[STUB].source = "factor = ... +"
    assert [problem.rule for problem in found(notebook)] == ["a stub leaves a `...` to be filled in"]


def test_file_that_is_no_notebook_is_one_problem(tmp_path):
    path = tmp_path / "10_x.ipynb"
    path.write_text("{")
    (problem,) = problems(path)
    assert "not valid JSON" in problem.way_out
    path.write_text('{"nbformat": 3}')
    assert "format 4" in problems(path)[0].way_out


def test_stub_without_its_solution_and_solution_without_its_stub_are_found(notebook, found):
    del notebook.cells[SOLUTION]
    assert [problem.rule for problem in found(notebook)] == ["a stub is followed by its solution"]
    notebook.cells[STUB] = nbformat.from_dict(code("factor = sqrt(1 / 4)", "solution"))
    assert [problem.rule for problem in found(notebook)] == ["a solution follows its stub"]


def test_telling_lines_leave_out_what_a_stub_shares():
    solution = '''import math
@cache
def variance(x, n):
    """Return the variance of the mean."""
    # divide by n - 1
    centered = x - x.mean()  # a comment
    return x
'''
    assert telling_lines(solution) == ["centered = x - x.mean()"]


LEDGER = """id,source,notebook,statement
S0-001,S0,10_normalization,"a, b"
S0-002,S0,10_normalization,c
S1-003,S1,09_other,d
"""


def test_every_row_of_the_ledger_is_cited_by_its_notebook(notebook, found, tmp_path):
    (tmp_path / "sources.csv").write_text(LEDGER)
    assert [p.rule for p in found(notebook)] == ["2 rows of sources.csv are not cited: S0-001, S0-002"]
    notebook.cells[CLAIM].source = notebook.cells[CLAIM].source.replace("rel=", 'rows=("S0-001",), rel=')
    notebook.cells[8].source += " See [S0-002](sources.csv)."
    assert found(notebook) == []


def test_rows_of_others_are_cited_with_the_name_of_their_notebook(notebook, found, tmp_path):
    (tmp_path / "sources.csv").write_text(LEDGER)
    notebook.cells[8].source += " (S0-001, S0-002). Compare (S1-003)."
    assert [problem.rule for problem in found(notebook)] == ["S1-003 belongs to notebook 09"]
    notebook.cells[8].source += " That is notebook 9."
    assert found(notebook) == []
    notebook.cells[8].source += " (S3-999)"
    assert [problem.rule for problem in found(notebook)] == ["a cited row is in sources.csv, S3-999 is not"]


def test_collections_cite_the_rows_of_all():
    rows = {"S0-001": "10", "S1-003": "09"}
    cells = [nbformat.from_dict(text("Compare (S1-003) with (S0-001).") | {"id": "prose"})]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert [finding.rule for finding in ledger.wrong_rows(notebook, "10", rows)] == [
        "S1-003 belongs to notebook 09"
    ]
    assert list(ledger.wrong_rows(notebook, "91", rows)) == []
