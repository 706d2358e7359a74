"""Are the cells tagged, ordered and cut into slides as every notebook of the course is?"""

import itertools
import re
from collections.abc import Iterator

from course_utils.authoring.form.base import Finding, Rule
from course_utils.authoring.library import Notebook, tags_of

SECTION_TAGS = (
    "parameters", "setup", "question", "predict", "derive", "measure", "claim", "conclude", "exercise", "solution",
)  # fmt: skip
DISPLAY_TAGS = ("hide-input", "remove-cell", "nbval-ignore-output")
TOLERANCE_TAG = re.compile(r"^(?P<name>rtol|atol)=(?P<value>\d+(?:\.\d+)?(?:e-?\d+)?)$")
ORDER = ("question", "predict", "measure", "claim", "conclude")
SLIDE_TYPES = ("slide", "subslide", "fragment", "skip", "notes", "-")
_HEADING = re.compile(r"^(#{1,6})\s+(.*)$")


def unknown_tags(notebook: Notebook) -> Iterator[Finding]:
    """Keep the list of tags closed: a mistyped `solution` would hand the answer to the students."""
    for index, cell in enumerate(notebook.cells):
        for tag in tags_of(cell):
            if tag == "injected-parameters":
                yield Finding(index, "the stored notebook has its default parameters", "course refresh")
            elif tag not in SECTION_TAGS + DISPLAY_TAGS and not TOLERANCE_TAG.match(tag):
                known = ", ".join(SECTION_TAGS + DISPLAY_TAGS)
                yield Finding(
                    index, f"the tag {tag!r} is not known", f"use one of {known}, rtol=..., atol=..."
                )


def missing_section_tags(notebook: Notebook) -> Iterator[Finding]:
    """Ask each cell which part of the argument it is."""
    for index, cell in enumerate(notebook.cells):
        if not set(tags_of(cell)) & set(SECTION_TAGS):
            yield Finding(index, "every cell has a section tag", f"add one of {', '.join(SECTION_TAGS)}")


def wrong_order(notebook: Notebook) -> Iterator[Finding]:
    """Ask for question, prediction, measurement, claim and conclusion, first met in this order."""
    first = {tag: index for index, cell in reversed(list(enumerate(notebook.cells))) for tag in tags_of(cell)}
    for tag in ORDER:
        if tag not in first:
            yield Finding(
                None, f"the notebook has a cell tagged {tag!r}", "add the cell, or tag the one that is it"
            )
    present = [tag for tag in ORDER if tag in first]
    for earlier, later in itertools.pairwise(present):
        if first[earlier] >= first[later]:
            yield Finding(
                first[later],
                f"the first {earlier!r} cell comes before the first {later!r} cell",
                "reorder the cells",
            )


def wrong_slide_types(notebook: Notebook) -> Iterator[Finding]:
    """Ask each cell for its place on the slides."""
    for index, cell in enumerate(notebook.cells):
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type")
        if slide_type not in SLIDE_TYPES:
            yield Finding(
                index,
                f"every cell has a slide type, got {slide_type!r}",
                f"set one of {', '.join(SLIDE_TYPES)}",
            )


def wrong_parameters(notebook: Notebook) -> Iterator[Finding]:
    """Ask for exactly one parameters cell, before all other code."""
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    tagged = [index for index, cell in enumerate(notebook.cells) if "parameters" in tags_of(cell)]
    if len(tagged) != 1:
        yield Finding(None, f"one cell is tagged 'parameters', got {len(tagged)}", "tag the first code cell")
    elif tagged != code[:1]:
        yield Finding(tagged[0], "the parameters cell is the first code cell", "move it up")


def empty_cells(notebook: Notebook) -> Iterator[Finding]:
    """Refuse cells without content."""
    for index, cell in enumerate(notebook.cells):
        if not cell.source.strip():
            yield Finding(index, "a cell has content", "delete the empty cell")


def wrong_headings(notebook: Notebook) -> Iterator[Finding]:
    """Ask for one title, in the first cell, and levels that go down one at a time."""
    found = list(headings(notebook))
    titles = [index for index, level, _ in found if level == 1]
    if titles != [0]:
        yield Finding(
            None, f"one '# ' heading, in the first cell; got cells {titles}", "use ## below the title"
        )
    for (_, level, _), (index, deeper, text) in itertools.pairwise(found):
        if deeper > level + 1:
            yield Finding(index, f"headings go down one level at a time; {text!r} skips one", "use fewer #")


def headings(notebook: Notebook) -> Iterator[tuple[int, int, str]]:
    """Yield (cell, level, text) of the headings, leaving out what is in fenced code."""
    for index, cell in enumerate(notebook.cells):
        fenced = False
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            fenced ^= line.lstrip().startswith(("```", "~~~"))
            if not fenced and (match := _HEADING.match(line)):
                yield index, len(match[1]), match[2]


def wrong_title(notebook: Notebook, number: str) -> Iterator[Finding]:
    """Ask for a title that starts with the number of the file: '# 5 · ...' in 05_....ipynb."""
    titles = [text for _, level, text in headings(notebook) if level == 1]
    if not number.isdecimal():
        yield Finding(None, "the file name starts with two digits and _", "rename the file")
    elif titles and not re.match(rf"0?{int(number)} · \S", titles[0]):
        yield Finding(
            0, f"the title has the file's number, got {titles[0]!r}", f"write '# {int(number)} · ...'"
        )


RULES: tuple[Rule, ...] = (
    unknown_tags, missing_section_tags, wrong_order, wrong_slide_types, wrong_parameters, empty_cells, wrong_headings,
)  # fmt: skip
