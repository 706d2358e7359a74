"""A refresh writes outputs of a clean run in one canonical form, twice the same bytes, or leaves the file alone."""

import json

import nbformat
import pytest
from conftest import ALT, PNG, code, figure, printed, text

from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.writing import replace

FIGURE = f"""import base64

from IPython.display import Image, display

display(Image(base64.b64decode("{PNG}"), alt="{ALT}"))"""


@pytest.fixture(scope="module")
def refreshed(shared_course):
    """Two refreshes of one notebook that runs and one that does not."""
    good = shared_course.write(
        "01_good", text("# 1"), code("seed = 0", "parameters"),
        code("print('a')\nprint('b')", outputs=(printed("old\n"),), count=7),
        code("{'x', 'y', 'z'}"), code(FIGURE), code("import sys\nsys.stdout.write('c\\n');"),
    )  # fmt: skip
    bad = shared_course.write(
        "02_bad", text("# 2"), code("print(1)", outputs=(printed("old\n"),), count=1), code("1 / 0")
    )
    before = bad.read_bytes()
    first = shared_course.command("refresh"), good.read_bytes()
    second = shared_course.command("refresh", "01"), good.read_bytes()
    return first, second, bad.read_bytes() == before, list(good.parent.iterdir())


def cells(refreshed):
    return nbformat.reads(refreshed[0][1].decode(), as_version=4).cells


def test_second_refresh_is_byte_identical(refreshed):
    (_, first), (_, second), *_ = refreshed
    assert first == second


def test_failing_notebook_is_left_untouched_and_the_command_fails(refreshed):
    ((exit_code, output), _), ((second_exit_code, _), _), untouched, files = refreshed
    assert untouched
    assert (exit_code, second_exit_code) == (1, 0)
    assert "FAILED 02_bad: cell 2: ZeroDivisionError" in output
    expected = ["01_good.ipynb", "02_bad.ipynb", "START.md"]
    assert sorted(file.name for file in files) == expected, "a temporary file was left"


def test_outputs_are_those_of_the_run_with_counts_from_one(refreshed):
    code_cells = [cell for cell in cells(refreshed) if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code_cells] == [1, 2, 3, 4, 5]
    assert code_cells[1].outputs == [printed("a\nb\n")]
    assert code_cells[2].outputs[0].execution_count == 3


def test_figure_keeps_its_alternative_text(refreshed):
    (output,) = cells(refreshed)[4].outputs
    assert output.metadata["image/png"]["alt"] == ALT


def test_file_is_canonical_and_carries_no_machine(refreshed):
    content = refreshed[0][1].decode()
    notebook = json.loads(content)
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert content.endswith("}\n")
    assert "\n" not in content[-2:-1]
    assert notebook["cells"][2]["source"] == ["print('a')\n", "print('b')"]
    assert "papermill" not in content


def test_problems_of_form_are_said_after_a_refresh(refreshed):
    ((_, output), _), *_ = refreshed
    assert "form: 01_good.ipynb: the notebook has a cell tagged 'predict'" in output


def notebook_of(*cells):
    return nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {"widgets": {}, "x": 1}, "cells": list(cells)}
    )


def test_normal_form_drops_what_a_front_end_adds_and_keeps_what_the_author_wrote():
    cell = code("1", "measure", "rtol=0.1") | {"id": "kept"}
    cell["metadata"] |= {"execution": {"t": 1}, "papermill": {}, "collapsed": True}
    (normal,) = normalize(notebook_of(cell), notebook_of(cell)).cells
    assert normal.metadata == {"tags": ["measure", "rtol=0.1"], "slideshow": {"slide_type": "skip"}}
    assert normal.id == "kept"


def test_ids_are_kept_unique_and_the_same_in_every_refresh():
    stored = notebook_of(code("1"), code("1"), code("2") | {"id": "a"}, code("3") | {"id": "a"})
    ids = [cell.id for cell in normalize(stored, stored).cells]
    assert len(set(ids)) == 4
    assert ids[2] == "a"
    assert ids == [cell.id for cell in normalize(stored, stored).cells]


def test_widget_views_are_dropped_and_their_text_kept():
    data = {"text/plain": "IntSlider()", "application/vnd.jupyter.widget-view+json": {"model_id": "1f"}}
    output = {"output_type": "display_data", "metadata": {}, "data": data}
    ran = notebook_of(code("1", outputs=(output,)))
    assert normalize(notebook_of(code("1")), ran).cells[0].outputs[0].data == {"text/plain": "IntSlider()"}


def test_arguments_of_normalize_are_left_as_they_were():
    stored, ran = notebook_of(code("1")), notebook_of(code("1", outputs=(figure(),), count=9))
    before = json.dumps(stored), json.dumps(ran)
    normalize(stored, ran)
    assert (json.dumps(stored), json.dumps(ran)) == before


def test_invalid_notebook_is_not_written():
    cell = code("1", outputs=({"output_type": "nonsense"},))
    with pytest.raises(nbformat.ValidationError):
        dumps(normalize(notebook_of(cell), notebook_of(cell)))


def test_replacing_keeps_the_old_file_where_writing_fails(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
