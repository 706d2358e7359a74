"""Run Sphinx on the staged sources; a warning is an error."""

import subprocess
import sys
from pathlib import Path

from course_utils.authoring.library import CourseError
from course_utils.authoring.site.stage import stage
from course_utils.authoring.slides import javascript


def make_site(root: Path, output: Path) -> int:
    """Write the website to `output`, and return its number of HTML pages.

    Raises: CourseError: if Sphinx is missing, or finds fault; its warnings are in the message.
    """
    modules = javascript.install(root / "web")
    sources = root / "build" / "site-sources"
    stage(root, sources, modules=modules)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-j",
        "2",
        str(sources),
        str(output),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named" in done.stderr:
        raise CourseError("The website needs Sphinx: pip install 'course-utils[docs]'.")
    if done.returncode:
        raise CourseError(
            f"Sphinx refused the sources in {sources.relative_to(root)}:\n{done.stderr.strip()}"
        )
    return len(list(output.rglob("*.html")))
