"""A browser that is on this machine, to print a deck and to test it. None is ever downloaded."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_CHANNELS = ("chrome", "msedge")  # where they are installed but not on the path: macOS and Windows
_OPTIONS = (  # a browser that keeps to itself
    "--disable-background-networking", "--disable-component-update", "--disable-quic", "--disable-sync",
    "--no-first-run", "--no-sandbox",
)  # fmt: skip
_PDF_PAGE = re.compile(rb"/Type\s*/Page\b")
LOADING = 60_000  # milliseconds that a deck may take to lay itself out


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a running Chromium, Chrome or Edge of Playwright, or None where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = _launch(playwright.chromium)
        yield found
        if found is not None:
            found.close()


def _launch(chromium: Any) -> Any:
    from playwright.sync_api import Error

    path = next(filter(None, map(shutil.which, _NAMES)), None)
    wishes: list[dict[str, str]] = [{"executable_path": path}] if path else []
    for wish in [*wishes, *({"channel": channel} for channel in _CHANNELS)]:
        try:
            return chromium.launch(args=list(_OPTIONS), **wish)
        except Error:
            continue
    return None


def print_pdf(running: Any, deck: Path, output: Path) -> int:
    """Print a deck, all fragments shown, and return the number of pages.

    Args:
        running: a browser of `browser`.
        deck: the HTML file.
        output: the PDF file.
    """
    page = running.new_page(viewport={"width": 1280, "height": 720})
    try:
        page.goto(f"{deck.resolve().as_uri()}?print-pdf", timeout=LOADING)
        page.wait_for_selector(".pdf-page", timeout=LOADING)
        page.wait_for_selector("html[data-ready='true']", state="attached", timeout=LOADING)
        page.pdf(path=output, prefer_css_page_size=True, print_background=True)
    finally:
        page.close()
    return len(_PDF_PAGE.findall(output.read_bytes()))
