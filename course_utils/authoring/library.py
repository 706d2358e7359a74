"""Which notebooks are there, and which parameters does each of them take?

A notebook is found by its number ("05"), its name ("05_initialization") or its path. Parameters are read from the one
cell tagged `parameters`, by parsing it: nothing is executed to find out.
"""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    """Return the notebook as stored, neither validated nor converted, with multi-line strings joined.

    Raises: CourseError: if the file is not JSON or not a notebook of format 4.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CourseError(f"{path.name} is not valid JSON ({error}). Restore it from git.") from None
    if not isinstance(content, dict) or content.get("nbformat") != 4:
        raise CourseError(f"{path.name} is not a notebook of format 4. Save it again with JupyterLab.")
    import nbformat  # seconds of imports; the command answers --help and wrong names without them

    return nbformat.v4.rwbase.rejoin_lines(nbformat.from_dict(content))


def tags_of(cell: Notebook) -> list[str]:
    """Return the cell's tags, in their order."""
    return list(cell.get("metadata", {}).get("tags", []))


def parameters_of(notebook: Notebook) -> dict[str, Any]:
    """Return name -> default of the cell tagged `parameters`; a default that is no literal is given as its source."""
    sources = [cell.source for cell in notebook.cells if "parameters" in tags_of(cell)]
    defaults: dict[str, Any] = {}
    for source in sources[:1]:
        for node in ast.parse(source).body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    defaults[name] = _literal(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    defaults[name] = _literal(value)
    return defaults


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


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
