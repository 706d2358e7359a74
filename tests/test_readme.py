"""What the README shows is so: its example prints what stands below it, its links and its targets exist."""

import re
from pathlib import Path

import pytest

from course_utils.authoring.tolerance import Tolerance, snap

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)[1]


def test_its_example_prints_what_it_says(capsys):
    exec(compile(block("python"), "README.md", "exec"), {})
    printed, shown = capsys.readouterr().out, block("text")
    assert snap(printed, shown, Tolerance(rtol=0.02, atol=0)) == shown


def test_its_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^\$ )make (\w+)", README, re.MULTILINE))
    assert {"run", "test"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_its_links_lead_somewhere(target):
    assert (ROOT / target).exists()


def test_it_lists_every_notebook():
    listed = set(re.findall(r"notebooks/(\w+)\.ipynb", README))
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
