"""Run Sphinx on the staged sources, a warning is an error; then give each page its policy."""

import subprocess
import sys
from pathlib import Path

from course_utils.authoring import policy
from course_utils.authoring.library import CourseError
from course_utils.authoring.site.stage import stage
from course_utils.authoring.slides import javascript

_PRINTS = (
    '<button onclick="window.print()"',
    "<button data-prints",
)  # course.js listens: no handlers in attributes


def make_site(root: Path, output: Path) -> int:
    """Write the website to `output`, and return its number of HTML pages.

    Raises: CourseError: if Sphinx is missing, or finds fault; its warnings are in the message. Or if a page holds a
        script that is not ours, or asks another machine for something.
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
    return protect(output)


def protect(site: Path) -> int:
    """Give each page below `site` its policy, remove the theme's templates, and return the number of pages.

    Raises: CourseError: for a page that holds what no page of ours may; the page is named.
    """
    for template in (site / "_static").rglob("*.html"):  # the theme's own, of no use to a reader
        template.unlink()
    search = site / "search.html"  # of which the theme writes the body too
    known = policy.playground_programs() | set(
        policy.read_page(search.read_text(encoding="utf-8")).body_scripts
    )
    pages = sorted(site.rglob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8").replace(*_PRINTS)
        try:
            guarded = policy.with_policy(text, policy.SITE, known=known)
        except CourseError as error:
            raise CourseError(f"{page.relative_to(site).as_posix()} holds {error}.") from error
        page.write_text(guarded, encoding="utf-8", newline="\n")
    return len(pages)
