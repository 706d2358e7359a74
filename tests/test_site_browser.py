"""The whole website, built once: no fault found by Sphinx, no broken link, no request to other machines, no barrier.

Skipped, with the reason, where there is no Sphinx, no Chromium, or no way to the JavaScript packages.
"""

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import BARRIERS

pytest.importorskip("sphinx", reason="the docs extra is not installed")
pytest.importorskip("playwright", reason="the slides extra is not installed")

from course_utils.authoring.site.make import make_site

ROOT = Path(__file__).parents[1]
PAGES = ["index.html", "ledger.html", "sources.html", "benchmarks.html", "speedrun.html", "cluster.html",
         "api/optimizers.html", "notebooks/04_vanishing_and_exploding.html",
         "notebooks/08_optimizers.html"]  # fmt: skip


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site(packages, tmp_path_factory, worker_id):
    """The website; the worker that comes first builds it for the others."""
    from filelock import FileLock

    alone = worker_id == "master"
    shared = tmp_path_factory.mktemp("site") if alone else tmp_path_factory.getbasetemp().parent
    with FileLock(shared / "site.lock"):
        if not (shared / "site").exists():
            assert make_site(ROOT, shared / "site") >= 40
    return shared / "site"


def test_no_link_within_the_site_is_broken(site):
    broken = []
    for page in set(site.rglob("*.html")) - set((site / "_static").rglob("*")):
        text = page.read_text(encoding="utf-8")
        for address in re.findall(r'(?:href|src)="([^"#?]+)[^"]*"', text):
            if not re.match(r"[a-z]+:|//", address) and not (page.parent / address).exists():
                broken.append(f"{page.relative_to(site)}: {address}")
    assert broken == []


@pytest.fixture(scope="module")
def served(site):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_ask_nobody_and_have_no_barriers(served, running, packages, scheme):
    axe = (packages / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    context = running.new_context(color_scheme=scheme, viewport={"width": 1400, "height": 900})
    page, complaints, found = context.new_page(), [], {}
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    own = (served, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else complaints.append(r.url[:80]))
    for address in PAGES:
        page.goto(f"{served}/{address}")
        page.wait_for_load_state("networkidle")
        assert page.locator("mjx-merror").count() == 0, address
        page.evaluate(axe)
        found[address] = page.evaluate(BARRIERS)
    context.close()
    assert complaints == []
    assert found == {address: [] for address in PAGES}


def test_the_ledger_is_filtered_by_words_and_by_notebook(served, running):
    page = running.new_page()
    page.goto(f"{served}/ledger.html")
    count = page.locator(".ledger-filter output")
    number = int(re.match(r"\d+", count.text_content())[0])
    assert count.text_content() == f"{number} of {number} rows"
    page.get_by_label("notebook").select_option(label="8 · Optimizers")
    shown = int(count.text_content().split()[0])
    assert 30 <= shown < number
    page.get_by_label("Words").fill("adam lr")
    assert 0 < int(count.text_content().split()[0]) < shown
    assert page.locator("table.ledger tbody tr:visible").count() == int(count.text_content().split()[0])
    page.close()


def test_a_word_is_found_without_a_network(served, running):
    page = running.new_page()
    page.goto(f"{served}/search.html?q=Xavier")
    page.wait_for_selector("#search-results li")
    assert any("05_initialization" in link for link in page.locator("#search-results li a").evaluate_all(
        "links => links.map((link) => link.getAttribute('href'))"))  # fmt: skip
    page.close()
