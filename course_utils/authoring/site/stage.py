"""The sources of the website in one folder: what stands under site/, the notebooks, and the generated pages."""

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from course_utils.authoring.colab import Publication, address, read_publication
from course_utils.authoring.coverage import read_ledger
from course_utils.authoring.form.exercises import kind_of
from course_utils.authoring.library import CourseError, Notebook, find_notebooks, read_notebook, tags_of
from course_utils.authoring.site import pages
from course_utils.authoring.site.leaderboard import leaderboard_page
from course_utils.authoring.site.pages import Lesson
from course_utils.authoring.site.promises import promises_page
from course_utils.authoring.site.scale import cluster_page
from course_utils.authoring.student.make import FOLDER, make_student
from course_utils.exercises import SEAL

_LANDING = ("09_loss_surfaces", "65a27577")  # notebook and cell of the figure on the first page
_MATHJAX = "mathjax/es5/tex-svg-full.js"
_FIRST_COLLECTION = "90"
_FOLDED = {"solution": "the solution", "check": "the check, with the answer"}


def stage(root: Path, folder: Path, *, modules: Path) -> None:
    """Fill `folder`, which is emptied first.

    Args:
        root: of the repository.
        folder: of Sphinx's sources.
        modules: the folder of JavaScript packages that holds MathJax.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "site", folder)
    paths = find_notebooks([], root)
    notebooks = {path.stem: read_notebook(path) for path in paths}
    lessons = [pages.lesson_of(stem, notebook) for stem, notebook in notebooks.items()]
    publication = read_publication(root)
    copies = folder / "student"
    make_student(paths, copies, publication=publication, say=lambda line: None)
    for stem, notebook in notebooks.items():
        notebook.cells[0]["source"] += _where_to_solve(stem, publication)
        _write(folder / "notebooks" / f"{stem}.ipynb", _as_page(notebook))
    reference = pages.reference_pages()
    for name, text in reference.items():
        _write(folder / "api" / name, text)
    _write(folder / "ledger.md", pages.ledger_page(lessons))
    _write(
        folder / "sources.md",
        pages.sources_page(read_ledger(root / "notebooks" / "sources.csv").rows, lessons),
    )
    results = root / "benchmarks" / "results"
    _write(folder / "benchmarks.md", pages.benchmarks_page(results / "latest.json"))
    _write(folder / "speedrun.md", leaderboard_page(results / "speedrun.json"))
    for name, fill, measured in (
        ("cluster.md", cluster_page, results / "scale-out.json"),
        ("promises.md", promises_page, results),
    ):
        _write(folder / name, fill((folder / name).read_text(encoding="utf-8"), measured))
    for figure in ("scaling.svg", "soak.svg"):
        shutil.copy(results / figure, folder / "_static" / figure)
    _write(folder / "index.md", _landing(folder, notebooks, lessons, reference))
    shutil.copy(modules / _MATHJAX, folder / "_static" / "tex-svg-full.js")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _where_to_solve(stem: str, publication: Publication) -> str:
    """Return a paragraph that leads to the copy without solutions, here and on Colab."""
    text = (
        f"\n\nTo solve the exercises, take {{download}}`the copy without solutions <../student/{stem}.ipynb>`"
    )
    if publication.repository:
        text += f", or [open it on Colab]({address(stem, publication, folder=FOLDER)})"
    return f"{text}."


def _as_page(notebook: Notebook) -> str:
    """Return a notebook as the site shows it: ledger's file -> its page, solutions and checks folded."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell["source"] = cell.source.replace("](sources.csv)", "](../sources.md)")
        if what := _FOLDED.get(kind_of(cell)):
            cell.metadata["tags"] = [*tags_of(cell), "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(SEAL, None)  # nothing to be seen
    return json.dumps(notebook)


def _landing(
    folder: Path, notebooks: dict[str, Notebook], lessons: Sequence[Lesson], reference: dict[str, str]
) -> str:
    stem, cell = _LANDING
    alt = _picture(notebooks[stem], cell, folder / "_static" / "landing.png")
    title = next(lesson.title for lesson in lessons if lesson.stem == stem)
    text = (folder / "index.md").read_text(encoding="utf-8")
    stems = [lesson.stem for lesson in lessons]
    for name, value in {
        "num_claims": f"{sum(len(lesson.claims) for lesson in lessons):,}",
        "landing_alt": alt,
        "landing_source": f"From [{title}](notebooks/{stem}.ipynb).",
        "syllabus": pages.syllabus(lessons),
        "lessons": "\n".join(f"notebooks/{stem}" for stem in stems if stem < _FIRST_COLLECTION),
        "collections": "\n".join(f"notebooks/{stem}" for stem in stems if stem >= _FIRST_COLLECTION),
        "api": "\n".join(f"api/{name.removesuffix('.md')}" for name in reference),
    }.items():
        text = text.replace(f"{{{{ {name} }}}}", value)
    return text


def _picture(notebook: Notebook, cell_id: str, target: Path) -> str:
    """Write the figure of a cell to a file, and return its alternative text."""
    outputs = [output for cell in notebook.cells if cell.id == cell_id for output in cell.get("outputs", [])]
    for output in outputs:
        if "image/png" in output.get("data", {}):
            target.write_bytes(base64.b64decode(output["data"]["image/png"]))
            return str(output["metadata"]["image/png"]["alt"])
    raise CourseError(
        f"The first page shows the figure of cell {cell_id}, which has none; name another in stage.py."
    )
