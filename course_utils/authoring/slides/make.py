"""All decks of the course: HTML always, PDF where a browser is at hand."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from course_utils.authoring.library import CourseError

NO_BROWSER = (
    "No Chromium, Chrome or Edge was found here: the decks have no PDF handouts. "
    "Install one of them (Debian: apt-get install chromium) and run `course slides` again."
)


def make_slides(
    notebooks: Sequence[Path], output: Path, *, web: Path, with_pdf: bool = True, say: Callable[[str], None]
) -> None:
    """Write NAME.html, and NAME.pdf where a browser is found, for each notebook.

    Args:
        notebooks: with stored outputs.
        output: folder of the decks.
        web: folder of the templates and of package.json.
        with_pdf: False leaves the handouts out without looking for a browser.
        say: takes one line of report per deck.
    Raises: CourseError: if the packages of the `slides` extra are missing.
    """
    try:
        from course_utils.authoring.slides.browser import browser, print_pdf
        from course_utils.authoring.slides.deck import write_deck
    except ImportError as error:
        raise CourseError(
            f"The slides need the package {error.name}: pip install 'course-utils[slides]'."
        ) from error
    context: Any = browser() if with_pdf else nullcontext()
    with context as running:
        for notebook in notebooks:
            deck = output / f"{notebook.stem}.html"
            slides = write_deck(notebook, deck, web=web)
            line = f"{deck.name}: {slides} slides, {deck.stat().st_size / 1e6:.1f} MB"
            if running is not None:
                pages = print_pdf(running, deck, deck.with_suffix(".pdf"))
                line += f"; {deck.stem}.pdf: {pages} pages"
            say(line)
    if with_pdf and running is None:
        say(NO_BROWSER)
