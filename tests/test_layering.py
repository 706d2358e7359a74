"""Do imports go strictly down, does the package stay light, and is every helper of a notebook written once?"""

import ast
import json
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

import course_utils

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "course_utils"

LAYERS = (
    {"_checks", "_display", "_files", "_seals", "_types"},  # the ground
    {"seeding", "devices", "claims", "exercises", "_given"},
    {
        "gradcheck", "autodiff", "initializers", "optimizers", "objectives", "datasets",
        "normalization", "regularization", "calibration", "intervals", "ranks", "phase",
    },
    {"models", "probes", "landscapes", "curvature", "contests"},
    {"training"},
    {"sweeps", "speedrun"},
)  # fmt: skip
LEVEL = {module: level for level, layer in enumerate(LAYERS) for module in layer}
BESIDE = {
    "plotting": {"_types"},
    "playgrounds": {  # figures that move: they draw what the layers below compute, and nothing imports them
        "_checks",
        "seeding",
        "initializers",
        "objectives",
        "optimizers",
        "models",
        "probes",
        "landscapes",
        "plotting",
    },
    "authoring": {"_files", "claims", "exercises", "seeding", "playgrounds"},
}  # module beside the layers -> what it may import

# What takes long to import, or is not there in the base install; each is imported in the function that needs it.
HEAVY = {"torchvision", "matplotlib", "pandas", "seaborn", "sklearn", "scipy", "networkx", "IPython", "tqdm",
         "safetensors", "joblib", "filelock", "optuna", "dask", "distributed", "tensorboard"}  # fmt: skip


def sources():
    """Return {file: (module, syntax tree)} for the package: a sub-package's files belong to its module."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        trees["/".join(parts)] = (parts[0], ast.parse(path.read_text(encoding="utf-8")))
    return trees


SOURCES = sources()
MODULES = {module for module, _ in SOURCES.values()} - {"__init__"}


def imported_modules(tree):
    """Return the modules of this package that a file imports, anywhere in it; relative imports appear as "."."""
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            if node.level:
                found.add(".")
            # `from course_utils import x` names a module, `from course_utils.x import y` is in one
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("course_utils.")}
    return found


def allowed_imports(module):
    """Return what a file of this module may import of ours: lower layers, and its own sub-package."""
    if module in BESIDE:
        return BESIDE[module] | {module}
    return {other for other, level in LEVEL.items() if level < LEVEL[module]} | {module}


def test_every_module_has_a_layer():
    assert MODULES - LEVEL.keys() - BESIDE.keys() == set(), (
        "put the new module into LAYERS of tests/test_layering.py"
    )


@pytest.mark.parametrize("file", sorted(SOURCES))
def test_imports_go_strictly_down(file):
    module, tree = SOURCES[file]
    if module == "__init__":
        assert imported_modules(tree) == set()
        return
    found = imported_modules(tree)
    assert "." not in found, "write `from course_utils.x import y`, not a relative import"
    assert found <= allowed_imports(module), (
        f"{file} may not import {sorted(found - allowed_imports(module))}"
    )


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("optimizers", "from course_utils.training import train"),
        ("optimizers", "from course_utils.datasets.records import Split"),
        ("models", "import course_utils.plotting._base"),
        ("plotting", "from course_utils import claims"),
        ("authoring", "def f():\n    from course_utils.training import train"),
        ("training", "from .records import History"),
    ],
)
def test_the_rule_notices_a_wrong_import(module, line):
    assert not imported_modules(ast.parse(line)) <= allowed_imports(module)


def test_a_public_module_begins_with_a_docstring_and_is_listed_in_the_package():
    for file, (module, tree) in SOURCES.items():
        assert ast.get_docstring(tree), f"{file} says nothing about what it is for"
        assert f"`{module}`" in course_utils.__doc__ or module == "__init__", f"list {module} in course_utils"


def test_the_version_is_that_of_the_distribution():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert course_utils.__version__ == project["version"]


def run_python(code):
    """Return what a fresh interpreter prints."""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_package_and_its_layers_import_nothing_heavy_and_cost_little():
    modules = [f"course_utils.{module}" for module in sorted(MODULES - BESIDE.keys())]
    code = f"""
import sys, time, importlib, json
import torch
before = set(sys.modules)
start = time.process_time()
import course_utils
seconds = time.process_time() - start
for module in {modules!r}: importlib.import_module(module)
from course_utils.datasets import load
load("mnist-5k").tensors("train")
print(json.dumps([seconds, sorted({{name.split(".")[0] for name in set(sys.modules) - before}})]))
"""
    seconds, added = json.loads(run_python(code))
    assert "course_utils" in added
    assert set(added) & HEAVY == set()
    assert seconds < 0.1


def test_plotting_brings_matplotlib_and_nothing_heavier():
    code = "import sys, course_utils.plotting; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(run_python(code).split())
    assert "matplotlib" in loaded
    assert loaded & {"torchvision", "pandas", "seaborn", "sklearn", "IPython", "scipy"} == set()


# Notebooks


def function_bodies(source):
    """Return {normalised body: name} of the functions in Python source; those of one statement may be recalled."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    bodies = {}
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if len(body) > 1:
                bodies["\n".join(ast.dump(statement) for statement in body)] = node.name
    return bodies


def repeated_functions(code_by_notebook):
    """Return [(function, notebooks)] for bodies that stand in more than one notebook."""
    places = defaultdict(set)
    names = {}
    for notebook, code in code_by_notebook.items():
        for body, name in function_bodies(code).items():
            places[body].add(notebook)
            names[body] = name
    return [(names[body], sorted(where)) for body, where in places.items() if len(where) > 1]


def code_of(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_no_function_is_written_in_two_notebooks():
    notebooks = {path.name: code_of(path) for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb"))}
    assert repeated_functions(notebooks) == [], "move the helper to course_utils"


def test_a_copied_function_is_found_whatever_its_name_and_docstring():
    first = '%matplotlib inline\ndef f(x):\n    """One."""\n    y = x + 1\n    return y * y\n'
    second = "def g(x):\n    y = x + 1  # again\n    return y * y\n"
    other = "def f(x):\n    y = x + 2\n    return y * y\n"
    assert repeated_functions({"a": first, "b": second, "c": other}) == [("g", ["a", "b"])]
