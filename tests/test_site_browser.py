"""The whole website, built once: no fault found by Sphinx, no broken link, no request to other machines, no barrier.

Skipped, with the reason, where there is no Sphinx, no Chromium, or no way to the JavaScript packages.
"""

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import BARRIERS, VIOLATIONS

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
    for page in site.rglob("*.html"):
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


@pytest.fixture
def opened(running, served):
    """Open a new page; when the test is over, nothing was blocked, complained of, or asked of other machines."""
    context, complaints = running.new_context(viewport={"width": 1400, "height": 900}), []
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    own = (served, "file:", "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else complaints.append(r.url[:80]))
    yield page
    context.close()
    assert complaints == []


FAULTY_FORMULAS = """async () => {
  await MathJax.startup.promise;
  const faulty = (f) => f.querySelector("[data-mml-node='merror']") || f.scrollWidth > f.clientWidth;
  return [...document.querySelectorAll("div.math")].filter(faulty).map((formula) => formula.textContent.slice(0, 80));
}"""


def test_every_formula_of_every_page_is_set_and_stands_within_its_column(site, served, opened):
    found = {}
    for page in sorted(site.rglob("*.html")):
        if '"math notranslate' in page.read_text(encoding="utf-8"):
            opened.goto(f"{served}/{page.relative_to(site).as_posix()}")
            found[page.stem] = opened.evaluate(FAULTY_FORMULAS)
    assert len(found) > 20
    assert {page: formulas for page, formulas in found.items() if formulas} == {}


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


@pytest.mark.parametrize("place", ["served", "from a disk"])
def test_under_its_policy_a_page_does_all_that_it_did(place, served, site, opened):
    start = served if place == "served" else site.as_uri()
    opened.goto(f"{start}/index.html")
    before = opened.locator("html").get_attribute("data-theme")
    for _ in range(3):  # light, dark, as the system has it
        opened.locator(".theme-switch-button:visible").first.click()
    assert opened.evaluate("localStorage.theme") in ("light", "dark", before)
    opened.locator(".search-button__button:visible").first.click()
    opened.locator("#pst-search-dialog input").fill("Xavier")
    opened.locator("#pst-search-dialog input").press("Enter")
    opened.wait_for_selector("#search-results li")
    opened.locator("#search-results a[href*='05_initialization']").first.click()
    opened.wait_for_selector("mjx-container svg")
    assert opened.locator("mjx-merror").count() == 0
    assert opened.locator("img").evaluate_all("all => all.every((one) => one.naturalWidth > 0)")
    opened.locator("button.copybtn").first.click(force=True)
    opened.wait_for_selector("button.copybtn.success")
    opened.evaluate("window.print = () => { window.printed = true; }")
    opened.locator("[data-prints]").evaluate("(button) => button.click()")
    assert opened.evaluate("window.printed")
    figure = opened.locator(".playground[data-mounted]")
    said = figure.inner_text()
    figure.locator("input[type=range]").first.press("ArrowRight")
    opened.wait_for_timeout(300)
    assert figure.inner_text() != said
    assert opened.evaluate("window.violations") == []


EVIL = """<script>window.ran = "inline"</script>
<img src="missing.png" onerror="window.ran = 'handler'"><a id="trap" href="javascript:window.ran='address'">x</a>
<img src="ELSEWHERE/a.png"><script src="ELSEWHERE/a.js"></script><link rel="stylesheet" href="ELSEWHERE/a.css">
<iframe src="ELSEWHERE/a.html"></iframe><iframe srcdoc="<script>parent.ran = 'frame'</script>"></iframe>
<object data="ELSEWHERE/a.svg"></object><form action="ELSEWHERE/form"><button id="send">x</button></form>"""
RUN_EVIL = """async (elsewhere) => {
  const script = document.createElement("script");
  script.textContent = "window.ran = 'appended'";
  document.body.append(script);
  try { setTimeout("window.ran = 'words'"); } catch {}
  const asked = [fetch(elsewhere + "/fetch"), import(elsewhere + "/module.js")];
  navigator.sendBeacon(elsewhere + "/beacon");
  try { new WebSocket(elsewhere.replace("http", "ws")); } catch {}
  try { new Worker("data:text/javascript,1"); } catch {}
  const refused = (await Promise.allSettled(asked)).map((one) => one.status);
  document.querySelector("#trap").click();
  document.querySelector("#send").click();
  await new Promise((wait) => setTimeout(wait, 300));
  return refused;
}"""


@pytest.mark.parametrize("name", ["notebooks/05_initialization.html", "search.html"])
def test_what_is_smuggled_into_a_page_neither_runs_nor_asks_another_machine(
    name, served, site, running, tally
):
    asked = []

    class Elsewhere(Quiet):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{elsewhere.server_port}"
    body = (site / name).read_text(encoding="utf-8")
    body = body.replace("</main>", EVIL.replace("ELSEWHERE", address) + "</main>", 1)
    context = running.new_context()
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    page.route(f"**/{name}", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{served}/{name}")
    page.wait_for_load_state("networkidle")
    refused = page.evaluate(RUN_EVIL, address)
    blocked = page.evaluate("window.violations.map((one) => one.split(' ')[0])")
    ran = page.evaluate("window.ran ?? null")
    here = page.url
    context.close()
    elsewhere.shutdown()
    elsewhere.server_close()
    assert (ran, asked, here) == (None, [], f"{served}/{name}")
    assert refused == ["rejected", "rejected"]
    assert {"script-src-elem", "script-src-attr", "img-src", "style-src-elem", "frame-src", "object-src",
            "connect-src", "form-action", "worker-src"} <= set(blocked)  # fmt: skip
    tally.note("pages", f"15 ways to run a program or to ask another machine, planted in {name}", tried=15,
               message="the browser's console: refused, because it violates the Content Security Policy")  # fmt: skip
