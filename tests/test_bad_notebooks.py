"""A file that is no notebook, or half of one, is one line with file and cell; no traceback, and no file is changed."""

import copy
import json
import os
import random
import time
from pathlib import Path

import nbformat
import pytest
from conftest import PNG, code, printed, text

from course_utils.authoring import coverage, start
from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.data import waiting_for_data
from course_utils.authoring.form import problems
from course_utils.authoring.library import CourseError, parameters_of, read_notebook, share_settings
from course_utils.authoring.new import make_notebook

PART = "malformed notebooks"
COMMANDS = ("run", "refresh", "validate", "coverage", "student --nbgrader there")
NAME = "10_normalization"
REAL = Path(__file__).parents[1] / "notebooks" / f"{NAME}.ipynb"


def spoiled(*keys, value=None, delete=False):
    """Return the bytes of a good notebook in which the value at `keys` is another, or gone."""
    notebook = json.loads(dumps(make_notebook(NAME)))
    notebook["cells"][6]["outputs"] = [printed("scatter: 0.0289\n")]
    holder = notebook
    for key in keys[:-1]:
        holder = holder[key]
    if delete:
        del holder[keys[-1]]
    else:
        holder[keys[-1]] = value
    return json.dumps(notebook).encode()


CELL, OUTPUT = ("cells", 6), ("cells", 6, "outputs", 0)
NESTED = [[[]]]
for _ in range(30):
    NESTED = [NESTED]
FILES = {
    "empty": (b"", f"{NAME}.ipynb is not valid JSON (Expecting value"),
    "no JSON": (b'{"cells": [', f"{NAME}.ipynb is not valid JSON ("),
    "no UTF-8": (b'{"cells": "\xff"}', f"{NAME}.ipynb is not valid JSON ('utf-8' codec can't decode byte 0xff"),
    "BOM": (b"\xef\xbb\xbf" + spoiled("nbformat", value=4), f"{NAME}.ipynb is not valid JSON (Unexpected UTF-8 BOM"),
    "NUL bytes": (b"\0" * 100, f"{NAME}.ipynb is not valid JSON ("),
    "deep nesting": (b"[" * 100_000, f"{NAME}.ipynb is not valid JSON (it nests too deep)"),
    "a list": (b"[]", f"{NAME}.ipynb is not a notebook of format 4"),
    "format 3": (spoiled("nbformat", value=3), f"{NAME}.ipynb is not a notebook of format 4"),
    "format 5": (spoiled("nbformat", value=5), f"{NAME}.ipynb is not a notebook of format 4"),
    "format in words": (spoiled("nbformat", value="4"), f"{NAME}.ipynb is not a notebook of format 4"),
    "minor format in words": (spoiled("nbformat_minor", value="5"), "nbformat_minor is a whole number, got '5'"),
    "number of 5,000 digits": (spoiled("nbformat").replace(b"null", b"1" * 5000), "not valid JSON (Exceeds the limit"),
    "no metadata": (spoiled("metadata", delete=True), f"{NAME}.ipynb: metadata is a table of keys, got None"),
    "kernel without a name": (spoiled("metadata", "kernelspec", value={}), "metadata.kernelspec has a name, got dict"),
    "no cells": (spoiled("cells", value=[]), f"{NAME}.ipynb has no cells"),
    "cells as a table": (spoiled("cells", value={}), f"{NAME}.ipynb has no list of cells, got dict of 0"),
    "a cell that is text": (spoiled(*CELL, value="x"), "cell 6: a cell is a table of keys, got 'x'"),
    "unknown cell type": (spoiled(*CELL, "cell_type", value="video"), "cell_type is code, markdown or raw, got 'vid"),
    "source as a number": (spoiled(*CELL, "source", value=5), "source is text, got 5"),
    "source as null": (spoiled(*CELL, "source"), "source is text, got None"),
    "source as a list of numbers": (spoiled(*CELL, "source", value=[1]), "source is text, got list of 1"),
    "cell without metadata": (spoiled(*CELL, "metadata", delete=True), "metadata is a table of keys, got None"),
    "cell with another key": (spoiled(*CELL, "more", value=1), "the key 'more' is not known"),
    "Markdown with outputs": (spoiled("cells", 0, "outputs", value=[]), "only a code cell has outputs"),
    "tags as text": (spoiled(*CELL, "metadata", "tags", value="x"), "metadata.tags is a list of words"),
    "tags twice": (spoiled(*CELL, "metadata", "tags", value=["a", "a"]), "metadata.tags names each tag once"),
    "slide type as a list": (spoiled(*CELL, "metadata", "slideshow", value=[]), "metadata.slideshow has a slide_type"),
    "id with a space": (spoiled(*CELL, "id", value="a b"), "id is 1 to 64 letters, digits, - and _, got 'a b'"),
    "no outputs": (spoiled(*CELL, "outputs", delete=True), "outputs is a list, got None"),
    "unknown output type": (spoiled(*OUTPUT, "output_type", value="smell"), "outputs[0].output_type is stream, "),
    "stream without text": (spoiled(*OUTPUT, "text", delete=True), "outputs[0] of type stream has the keys name, text"),
    "stream of numbers": (spoiled(*OUTPUT, "text", value=[1]), "outputs[0].text is text, got list of 1"),
    "count in words": (spoiled(*CELL, "execution_count", value="1"), "execution_count is a whole number or null"),
    "deep metadata": (spoiled(*CELL, "metadata", "x", value=NESTED), "metadata nests at most 20 levels deep"),
    "lone surrogate": (spoiled(*CELL, "source", value="\ud800"), "a lone surrogate (\\ud800 to \\udfff) is half"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_a_malformed_notebook_is_one_line_in_every_command(course, tally, request, content, message):
    path = course.root / "notebooks" / f"{NAME}.ipynb"
    path.write_bytes(content)
    (course.root / "notebooks" / "sources.csv").write_text("id,source,notebook,topic,covered_by,declined\n")
    before = sorted(course.root.rglob("*"))
    (problem,) = problems(path)
    for command in COMMANDS:
        exit_code, output = course.command(*command.split())
        assert (exit_code, len(output.splitlines())) == (2, 1), command
        assert message in output
        assert output.startswith("course: ")
        assert output.endswith(f"{problem.way_out}\n")
    unharmed = path.read_bytes() == content and sorted(course.root.rglob("*")) == before
    tally.note(PART, request.node.callspec.id, tried=5, lost=5 * (not unharmed), message=output.strip())


def test_the_message_names_the_cell_by_its_place_and_its_id(tmp_path):
    path = tmp_path / f"{NAME}.ipynb"
    path.write_bytes(spoiled(*CELL, "source"))
    name = json.loads(path.read_bytes())["cells"][6]["id"]
    with pytest.raises(CourseError) as caught:
        read_notebook(path)
    assert str(caught.value) == (
        f"{NAME}.ipynb cell 6 (id {name}): source is text, got None. Mend it in a text editor, or restore it from git."
    )


PLACES = {
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "a pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes in a file's place")
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_at_all_is_one_line(course, tally, place):
    path = course.root / "notebooks" / f"{NAME}.ipynb"
    PLACES[place](path)
    answers = {command: course.command(*command.split()) for command in COMMANDS if command != "coverage"}
    line = f"{NAME}.ipynb is not a file. Restore it from git.\n"
    lost = sum(not (code == 2 and said.endswith(line)) for code, said in answers.values())
    tally.note(PART, place, tried=len(answers), lost=lost, message=line.strip())


HARMLESS = {
    "CRLF at line ends": dumps(make_notebook(NAME)).replace("\n", "\r\n").encode(),
    "ids twice": spoiled(*CELL, "id", value=json.loads(spoiled("nbformat", value=4))["cells"][0]["id"]),
    "no ids": spoiled(*CELL, "id", delete=True),
    "code with a NUL": spoiled(*CELL, "source", value="check('10.1', 'a\0')"),
    "code of 10,000 brackets": spoiled(*CELL, "source", value="(" * 10_000),
    "code of 10,000 signs": spoiled(*CELL, "source", value="-" * 10_000 + "1"),
    "broken parameters": spoiled("cells", 1, "source", value="seed = = 0"),
    "a claim without arguments": spoiled(*CELL, "source", value="check()"),
    "a claim with a computed id": spoiled(
        *CELL, "source", value="check(f'{1}', rows=('S1-001',), source='x')"
    ),
    "a claim behind 500 dots": spoiled(*CELL, "source", value="x" + ".x" * 500 + "()"),
    "number as a name": spoiled(*CELL, "metadata", "name", value=5),
    "an empty first cell": spoiled("cells", 0, "source", value=""),
}


@pytest.mark.parametrize("content", HARMLESS.values(), ids=HARMLESS)
def test_an_odd_notebook_is_read_and_its_form_judged(course, tally, request, content):
    path = course.root / "notebooks" / f"{NAME}.ipynb"
    path.write_bytes(content)
    assert problems(path) != []
    assert share_settings({}, [path]) == {path: {}}
    assert isinstance(coverage.find_coverage([("10", read_notebook(path))]), dict)
    assert f"({NAME}.ipynb)" in start.start_page(course.root)
    tally.note(PART, request.node.callspec.id, tried=4, lost=4 * (path.read_bytes() != content))


def test_a_notebook_of_50_megabytes_is_refused_within_seconds(course, tally):
    path = course.write(NAME, text("# 10"), code("1", outputs=(printed("word 0.5 " * 5_600_000),)))
    begin = time.perf_counter()
    (problem,) = problems(path)
    assert "a notebook has at most 1,000,000 bytes, this one 50," in problem.rule
    tally.note(PART, "output of 50 MB", tried=1, lost=time.perf_counter() - begin > 20, message=str(problem))


def small():
    """Return a real notebook with two cells of each kind and one exercise, without its pictures."""
    notebook = json.loads(REAL.read_bytes())
    cells = notebook["cells"]
    check = next(index for index, cell in enumerate(cells) if "check_answer(" in "".join(cell["source"])
                 and cell["cell_type"] == "code")  # fmt: skip
    seen = [(cell["cell_type"], cell["metadata"]["tags"][0]) for cell in cells]
    kept = [
        index for index, kind in enumerate(seen) if seen[:index].count(kind) < 2 and "solution" not in kind
    ]
    notebook["cells"] = [cells[index] for index in sorted({*kept, *range(check - 4, check + 1)})]
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", [])):
        for mime in output.get("data", {}):
            if mime.startswith("image/"):
                output["data"][mime] = PNG
    return notebook


ODD = [
    None,
    0,
    -1,
    1.5,
    True,
    "",
    "x",
    [],
    ["x"],
    [1],
    {},
    {"a": 1},
    "\ud800",
    "\0",
    "(",
    "code",
    10**30,
    [[[[]]]],
]


def nodes(value):
    """Yield (holder, key) of everything in a tree."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from nodes(value[key])


def mutated(good, chance):
    """Return the bytes of a notebook with one to three changes in the tree, and sometimes one in the bytes."""
    notebook = copy.deepcopy(good)
    for _ in range(chance.choice([1, 1, 2, 3])):
        lines = chance.random() < 0.2
        holder, key = chance.choice([node for node in nodes(notebook) if lines or isinstance(node[0], dict)])
        kind = chance.choice(["delete", "odd", "twice", "other"])
        if kind == "delete":
            del holder[key]
        elif kind == "twice":
            holder.insert(key, holder[key]) if isinstance(holder, list) else holder.update(again=holder[key])
        else:
            there, place = chance.choice(list(nodes(notebook)))
            holder[key] = copy.deepcopy(chance.choice(ODD) if kind == "odd" else there[place])
    content = bytearray(
        json.dumps(notebook, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    )
    kind = chance.choice(["none", "none", "none", "cut", "flip", "zero"])
    place = chance.randrange(len(content))
    if kind == "cut":
        del content[place:]
    elif kind in ("flip", "zero"):
        content[place] = 0 if kind == "zero" else content[place] ^ 1 << chance.randrange(8)
    return bytes(content)


def readers(path, root):
    """Return what the commands do with a notebook before anything is executed or written."""
    from course_utils.authoring.site.stage import _as_page
    from course_utils.authoring.slides.blocks import blocks_of
    from course_utils.authoring.slides.paging import pages_of
    from course_utils.authoring.student.assignment import assignment

    ledger = coverage.read_ledger(root / "notebooks" / "sources.csv")
    return {
        "form": lambda: problems(path),
        "settings": lambda: share_settings({}, [path]),
        "data": lambda: waiting_for_data([path]),
        "coverage": lambda: coverage.problems(ledger, root),
        "refresh": lambda: dumps(normalize(read_notebook(path), read_notebook(path))),
        "start": lambda: start.start_page(root),
        "slides": lambda: pages_of(blocks_of(read_notebook(path))),
        "student": lambda: assignment(read_notebook(path)),
        "site": lambda: _as_page(read_notebook(path)),
    }  # fmt: skip


def test_every_reader_takes_a_mutated_notebook_or_refuses_it_in_one_line(course, tally, monkeypatch):
    # Which data sets are here does not depend on the notebook; to ask takes a second.
    monkeypatch.setattr("course_utils.authoring.data.data_at_hand", lambda names: {})
    (course.root / "notebooks" / "sources.csv").write_bytes(REAL.with_name("sources.csv").read_bytes())
    path = course.root / "notebooks" / f"{NAME}.ipynb"
    good, chance, found = small(), random.Random(0), []
    number, refused = tally.number(each_time=300, weekly=3000), 0
    reading = readers(path, course.root)
    for seed in range(number):
        content = mutated(good, chance)
        path.write_bytes(content)
        for name, read in reading.items():
            try:
                read()
            except CourseError as error:
                refused += name == "refresh"
                if "\n" in str(error) or (f"{NAME}.ipynb" not in str(error) and name != "student"):
                    found.append((seed, name, str(error)))
            except Exception as error:
                found.append((seed, name, repr(error)[:200]))
        if path.read_bytes() != content or len(list(path.parent.iterdir())) != 2:
            found.append((seed, "a file was changed", ""))
    assert found == []
    assert 0.3 < refused / number < 0.98, (
        "the mutations should neither all be harmless nor all be noticed at once"
    )
    tally.note(PART, "seeded mutations, nine readers", tried=number, message="one line with file and cell")


def test_parameters_of_a_broken_cell_are_none_and_the_run_says_why(course):
    path = course.root / "notebooks" / f"{NAME}.ipynb"
    path.write_bytes(HARMLESS["broken parameters"])
    assert parameters_of(read_notebook(path)) == {}
    exit_code, output = course.command("run")
    assert exit_code == 1
    assert "FAILED 10_normalization: cell 1: SyntaxError: invalid syntax" in output


def old_reader(path):
    """Return the notebook as nbformat reads it, without any check: what reading is compared with."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return nbformat.v4.rwbase.rejoin_lines(nbformat.from_dict(content))


def test_checks_leave_a_good_notebook_as_nbformat_reads_it_and_take_little_time():
    paths = sorted(REAL.parent.glob("*.ipynb"))
    assert [read_notebook(path) for path in paths] == [old_reader(path) for path in paths]
    ratios = []
    for _ in range(5):
        times = []
        for reader in (old_reader, read_notebook):
            begin = time.process_time()
            for path in paths:
                reader(path)
            times.append(time.process_time() - begin)
        ratios.append(times[1] / times[0])
    assert min(ratios) < 2, "1.1 to 1.3 on a quiet machine; on a busy one the ratio varies more"
