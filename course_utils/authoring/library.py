"""Which notebooks are there, and which parameters does each of them take?

A notebook is found by its number ("05"), its name ("05_initialization") or its path. Parameters are read from the one
cell tagged `parameters`, by parsing it: nothing is executed to find out.
"""

import ast
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.authoring.structure import complaint, join_lines, lone_surrogate

Notebook = Any  # nbformat.NotebookNode: a dict with attributes, untyped upstream


class CourseError(Exception):
    """A request that cannot be met; its message is one line that says the way out. The command exits with 2."""


def find_root(start: Path | None = None) -> Path:
    """Return the nearest folder at or above `start` (default: the working directory) that holds notebooks/.

    Raises: CourseError: if there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "notebooks").is_dir():
            return folder
    raise CourseError("No notebooks/ folder at or above this one. Change into the repository of the course.")


def find_notebooks(names: Sequence[str], root: Path) -> list[Path]:
    """Return the notebooks that `names` stand for, each once, in the order asked; without names all of notebooks/.

    Raises: CourseError: if a name stands for no notebook; the message lists those there are.
    """
    known = sorted((root / "notebooks").glob("*.ipynb"))
    found = [path for name in names for path in _match(name, known)] if names else known
    return list(dict.fromkeys(found))


def _match(name: str, known: list[Path]) -> list[Path]:
    path = Path(name)
    if path.suffix == ".ipynb" and path.is_file():
        return [path.resolve()]
    exact = [path for path in known if name in (path.stem, path.name)]
    matches = exact or [path for path in known if path.stem.startswith(f"{name}_")]
    if not matches:
        stems = ", ".join(path.stem for path in known) or "none yet"
        raise CourseError(f"No notebook {name!r}; known: {stems}.")
    return matches


def read_notebook(path: Path) -> Notebook:
    """Return the notebook as stored, not converted, with multi-line strings joined.

    Raises: CourseError: if the file cannot be read, or is no notebook of format 4; the message names the cell.
    """
    return parse_notebook(read_bytes(path), path.name)


def read_bytes(path: Path) -> bytes:
    """Return the content of the file.

    Raises: CourseError: if it is gone, no file at all, such as a folder or a link to itself, or closed to us.
    """
    try:
        if not path.is_file():  # a pipe would never end
            there = "is not a file" if os.path.lexists(path) else "is not there any more"
            raise CourseError(f"{path.name} {there}. Restore it from git.")
        return path.read_bytes()
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}. Restore it from git.") from None


def parse_notebook(content: bytes, name: str) -> Notebook:
    """Return the notebook that a file of this content holds.

    Raises: CourseError: if it is none of format 4; the message has the `name` of the file, and the cell.
    """
    try:
        raw = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise CourseError(f"{name} is not valid JSON ({error}). Restore it from git.") from None
    except RecursionError:
        raise CourseError(f"{name} is not valid JSON (it nests too deep). Restore it from git.") from None
    if not isinstance(raw, dict) or raw.get("nbformat") != 4:
        raise CourseError(f"{name} is not a notebook of format 4. Save it again with JupyterLab.")
    join_lines(raw)
    wrong = complaint(raw)
    if not wrong and (b"\\ud" in content or b"\\uD" in content):  # else no string can hold one
        wrong = lone_surrogate(raw)
    if wrong:
        raise CourseError(f"{name}{wrong}. Mend it in a text editor, or restore it from git.")
    import nbformat  # seconds of imports; the command answers --help and wrong names without them

    return nbformat.from_dict(raw)


def tags_of(cell: Notebook) -> list[str]:
    """Return the cell's tags, in their order."""
    return list(cell.get("metadata", {}).get("tags", []))


def parameters_of(notebook: Notebook) -> dict[str, Any]:
    """Return name -> default of the cell tagged `parameters`; a default that is no literal is given as its source."""
    sources = [cell.source for cell in notebook.cells if "parameters" in tags_of(cell)]
    defaults: dict[str, Any] = {}
    for source in sources[:1]:
        for node in body_of(source):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    defaults[name] = _literal(value, source)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    defaults[name] = _literal(value, source)
    return defaults


def body_of(source: str) -> list[ast.stmt]:
    """Return the statements of a code cell, none where it is no Python: the run of the cell says what is wrong."""
    try:
        return ast.parse(source).body
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # a NUL byte; brackets in brackets in brackets
        return []


def _literal(node: ast.expr, source: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast.get_source_segment(source, node)


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Return {"seed": 1, "device": "cuda"} for ["seed=1", "device=cuda"]: Python literals, else strings.

    Raises: CourseError: if a setting is not name=value.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.isidentifier():
            raise CourseError(f"--set takes name=value, such as seed=1; got {setting!r}.")
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return values


def share_settings(settings: Mapping[str, Any], notebooks: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    """Return for each notebook those of the settings that its parameters cell names.

    Raises: CourseError: if a setting is a parameter of none of the notebooks; the message lists what they take.
    """
    taken = {path: parameters_of(read_notebook(path)) for path in notebooks}
    known = sorted({name for names in taken.values() for name in names})
    if unknown := [name for name in settings if name not in known]:
        wrong, listed = ", ".join(unknown), ", ".join(known) or "none"
        raise CourseError(f"No notebook here has a parameter {wrong}; known: {listed}.")
    return {path: {name: settings[name] for name in settings if name in taken[path]} for path in notebooks}
