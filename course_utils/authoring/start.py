"""Where does a reader in JupyterLab begin? The page that `make lab` opens, from the notebooks' own first cells.

It lies beside the notebooks, so that a link is a file name: JupyterLab opens the notebook in a tab beside the page.
"""

from pathlib import Path

from course_utils.authoring.library import find_notebooks, read_notebook
from course_utils.authoring.site import pages
from course_utils.authoring.writing import replace

NAME = "START.md"

_PAGE = """# Why Deep Networks Train

Every sentence with a number in it is a check that runs. Open a notebook, **predict** where it asks you to, then run it
with Run ▸ Run All Cells; change a line, and see which check fails. The lessons build on each other; from 90 on,
notebooks collect what belongs to several of them.

{syllabus}

Where a cell holds `...`, it is your turn: the check below it says which mistake was made, if any. JupyterLab saves into
these files; to keep one as it is, work in a copy (right click on it in the list at the left, Duplicate).
"""


def start_page(root: Path) -> str:
    """Return the page as Markdown: how to begin, and each notebook with its question, number of claims and time.

    Args:
        root: of the repository.
    """
    notebooks = {path.stem: read_notebook(path) for path in find_notebooks([], root)}
    lessons = [pages.lesson_of(stem, notebook) for stem, notebook in notebooks.items()]
    short = [lesson._replace(time=_first_sentence(lesson.time)) for lesson in lessons]
    return _PAGE.format(syllabus=pages.syllabus(short).replace("](notebooks/", "]("))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")


def write_start(root: Path) -> Path:
    """Bring the page up to date, and return its path."""
    path = root / "notebooks" / NAME
    replace(path, start_page(root))
    return path
