"""What does a notebook look like before anything is in it? The form, as a notebook that runs and whose claim holds."""

import re
from pathlib import Path
from typing import Any

import nbformat

from course_utils.authoring.canonical import dumps, normalize
from course_utils.authoring.library import CourseError, Notebook
from course_utils.authoring.writing import replace

_NAME = re.compile(r"^(?P<number>\d{2})_(?P<title>[a-z][a-z0-9_]*)$")

_TITLE = """# {number} · {title}

**Question.** How far is the mean of $n$ random numbers from the mean of their distribution?

**You need** the variance of a sum of independent numbers. It takes a few seconds on two cores."""
_PREDICT = """## Prediction

For $n$ independent numbers with standard deviation $\\sigma$ the mean has the standard deviation
$$\\frac{{\\sigma}}{{\\sqrt{{n}}}}. \\tag{{{number}.1}}$$
Uniform numbers on $[0, 1)$ have $\\sigma = 1/\\sqrt{{12}}$."""
_MEASURE = """means = [mean(generator.random() for _ in range(n)) for _ in range(num_means)]
print(f"standard deviation of {{num_means}} means: {{stdev(means):.5f}}")"""
# The relative standard error of a standard deviation from m normal numbers is 1/sqrt(2 m): 3.2 % at 500, four of them.
_CLAIM = """check(
    "{file_number}.1",
    "the mean of n uniform numbers scatters by sigma over root n",
    measured=stdev(means),
    expected=predicted,
    rel=4 / sqrt(2 * num_means),
    source="equation ({number}.1)",
)"""
_CONCLUDE = """## Conclusion

The scatter follows ({number}.1), and stops to do so where the numbers are not independent."""
_EXERCISE = """### Exercise

By what factor does the standard deviation of the mean change when $n$ becomes four times as large?"""

_CELLS: tuple[tuple[str, str, str, str], ...] = (
    ("markdown", "question", "slide", _TITLE),
    ("code", "parameters", "skip", "seed = 0"),
    ("code", "setup", "skip", "from math import sqrt\nfrom random import Random\nfrom statistics import mean, stdev\n\n"
     "from course_utils.claims import check\nfrom course_utils.exercises import check_answer\n\n"
     "n, num_means = 100, 500\ngenerator = Random(seed)"),
    ("markdown", "predict", "slide", _PREDICT),
    ("code", "predict", "-", 'predicted = 1 / sqrt(12 * n)\nprint(f"predicted: {{predicted:.5f}}")'),
    ("markdown", "measure", "skip", "## Measurement"),
    ("code", "measure", "slide", _MEASURE),
    ("code", "claim", "fragment", _CLAIM),
    ("markdown", "conclude", "slide", _CONCLUDE),
    ("markdown", "exercise", "skip", _EXERCISE),
    ("code", "exercise", "skip", "factor = ..."),
    ("code", "solution", "skip", "factor = sqrt(1 / 4)"),
    ("code", "exercise", "skip",
     'check_answer(factor, 0.5, mistakes={{"That is the variance: take the root.": 0.25}})'),
)  # fmt: skip


def make_notebook(name: str) -> Notebook:
    """Return a notebook in the course's form, not yet executed.

    Args:
        name: two digits, an underscore and a title in lower case: "10_normalization".
    Raises: CourseError: if the name is something else.
    """
    match = _NAME.match(name)
    if not match:
        raise CourseError(
            f"A notebook is called like 10_normalization: two digits, _, lower case; got {name!r}."
        )
    words = {
        "number": str(int(match["number"])),
        "file_number": match["number"],
        "title": match["title"].replace("_", " ").capitalize(),
    }
    cells: list[dict[str, Any]] = [
        {
            "cell_type": kind,
            "metadata": {"tags": [tag], "slideshow": {"slide_type": slide_type}},
            "source": source.format(**words),
        }
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for kind, tag, slide_type, source in _CELLS
    ]
    notebook = nbformat.from_dict({"cells": cells})
    return normalize(notebook, notebook)


def write_new(name: str, root: Path) -> Path:
    """Write the notebook `name` into notebooks/ and return its path.

    Raises: CourseError: if the name is malformed, or its number is taken.
    """
    notebook = make_notebook(name)
    taken = sorted((root / "notebooks").glob(f"{name[:2]}_*.ipynb"))
    if taken:
        raise CourseError(f"Number {name[:2]} is taken by {taken[0].name}. Choose another.")
    path = root / "notebooks" / f"{name}.ipynb"
    replace(path, dumps(notebook))
    return path
