"""How does a notebook start on Google Colab? With a badge that opens it there, and a cell that installs the package.

Both are put into copies, when the student edition and the downloads of the website are made: the stored notebooks stay
as they are. As long as the course has no public address, copies have neither.
"""

import copy
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import nbformat

from course_utils.authoring.library import CourseError, Notebook, tags_of

BADGE_ID, SETUP_ID = "colab-badge", "colab-setup"  # of the cells, so that a second call finds them

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_REF = re.compile(r"[\w.-]+(?:/[\w.-]+)*")
_PICTURE = "https://colab.research.google.com/assets/colab-badge.svg"
_SETUP = """# Colab lacks the package of the course: this installs it. Elsewhere, and the second time, it does nothing.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("course_utils") is None:
    source = "course-utils @ git+https://github.com/{repository}@{ref}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()  # what was looked for in vain is looked for again
    print("Installed course_utils {ref} from {repository}.")"""


class Publication(NamedTuple):
    """Where the course is to be had: the table `[tool.course]` of pyproject.toml."""

    title: str
    repository: str  # OWNER/NAME on GitHub; "" while there is none
    ref: str  # the tag that badges and installations name


def read_publication(root: Path) -> Publication:
    """Read the table `[tool.course]`.

    Args:
        root: of the repository, with pyproject.toml in it.
    Raises: CourseError: if the table lacks one of its three entries, or one of them is malformed.
    """
    with (root / "pyproject.toml").open("rb") as file:
        table = tomllib.load(file).get("tool", {}).get("course", {})
    if table.keys() != set(Publication._fields):
        wanted, got = ", ".join(Publication._fields), ", ".join(table) or "nothing"
        raise CourseError(f"[tool.course] in pyproject.toml has {wanted}; got {got}. Write these three.")
    made = Publication(**table)
    if made.repository and not _REPOSITORY.fullmatch(made.repository):
        raise CourseError(
            f'repository in [tool.course] is OWNER/NAME, or "" while there is none; got {made.repository!r}.'
        )
    if not _REF.fullmatch(made.ref):
        raise CourseError(f"ref in [tool.course] is a tag such as v0.1.0; got {made.ref!r}.")
    return made


def address(stem: str, publication: Publication, *, folder: str) -> str:
    """Return the address that opens a notebook on Colab.

    Args:
        stem: of the notebook's file: "05_initialization".
        publication: its repository is not empty.
        folder: that holds the notebook in the repository at `publication.ref`, such as "notebooks".
    """
    place = f"{publication.repository}/blob/{publication.ref}/{folder.strip('/')}/{stem}.ipynb"
    return f"https://colab.research.google.com/github/{place}"


def badge_cell(stem: str, publication: Publication, *, folder: str) -> Notebook:
    """Return the Markdown cell whose picture is a link to `address`; it takes the same arguments."""
    alt = f"Open {stem} of {publication.title} on Google Colab"
    text = f"[![{alt}]({_PICTURE})]({address(stem, publication, folder=folder)})"
    return nbformat.v4.new_markdown_cell(text, id=BADGE_ID, metadata=_metadata())


def setup_cell(publication: Publication) -> Notebook:
    """Return the code cell that installs the package, on Colab and where it is missing: the base install at the tag.

    Args:
        publication: its repository is not empty.
    """
    text = _SETUP.format(repository=publication.repository, ref=publication.ref)
    return nbformat.v4.new_code_cell(text, id=SETUP_ID, metadata=_metadata())


def _metadata() -> dict[str, object]:
    return {"slideshow": {"slide_type": "skip"}, "tags": ["setup"]}


def with_colab(notebook: Notebook, stem: str, publication: Publication, *, folder: str) -> Notebook:
    """Return a copy that starts on Colab; cells of an earlier call are replaced, or removed without a repository.

    The badge follows the title; the set-up follows the parameters, which the form wants to be the first code.

    Args:
        notebook: any edition of a notebook; left alone.
        stem: of its file.
        publication: where the course is to be had.
        folder: that holds the notebook in the repository.
    """
    made = copy.deepcopy(notebook)
    made.cells = [cell for cell in made.cells if cell.get("id") not in (BADGE_ID, SETUP_ID)]
    if publication.repository:
        after = next((i for i, cell in enumerate(made.cells) if "parameters" in tags_of(cell)), 0)
        made.cells.insert(after + 1, setup_cell(publication))
        made.cells.insert(1, badge_cell(stem, publication, folder=folder))
    return made
