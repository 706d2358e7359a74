"""Every deck in a real browser: it asks nobody, overflows nowhere, renders all formulas, is accessible, obeys the keys.

Skipped, with the reason, where there is no Chromium or no way to the JavaScript packages.
"""

from pathlib import Path

import pytest
from conftest import VIOLATIONS, until

pytest.importorskip("playwright", reason="the slides extra is not installed")

from course_utils.authoring.slides.browser import print_pdf
from course_utils.authoring.slides.deck import write_deck

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"
pytestmark = pytest.mark.usefixtures("packages")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MEASURE = """() => [...document.querySelectorAll(".slides > section")].map((slide) => {
  const display = slide.style.display;
  slide.style.display = "block";
  const frame = slide.getBoundingClientRect(), body = slide.querySelector(".body");
  const prose = slide.cloneNode(true);
  prose.querySelectorAll(".katex, pre, code, aside, script, style").forEach((part) => part.remove());
  const overlaps = [...slide.querySelectorAll(".katex-display")].some((formula) => {
    const tag = formula.querySelector(".katex-tag"), ends = [...formula.querySelectorAll(".katex-html > .katex-base")];
    return tag && ends.at(-1).getBoundingClientRect().right > tag.getBoundingClientRect().left + 1;
  });
  const found = {
    heading: slide.querySelector("h1, h2").textContent.trim(),
    below: body.getBoundingClientRect().bottom - frame.top,
    wide: [...body.querySelectorAll(".katex-display, pre, table, img")].some(
      (part) => part.scrollWidth > part.clientWidth + 1 || part.getBoundingClientRect().right > frame.right),
    overlaps,
    scale: Number(body.style.zoom || 1),
    broken: slide.querySelectorAll(".katex-error").length,
    raw: /[$]|\\\\[a-z]+/.test(prose.textContent),
    silent: [...slide.querySelectorAll("img")].filter((image) => !image.alt).length,
  };
  slide.style.display = display;
  return found;
})"""

# The title, and the first slide with each kind of piece: all that a deck is made of.
SAMPLE = """() => {
  const slides = [...document.querySelectorAll(".slides > section")];
  const kinds = ["prose", "equation", "list", "table", "code", "output", "claim", "figure", "live", "subheading"];
  const first = kinds.map((kind) => slides.findIndex((slide) => slide.querySelector(`.body > .${kind}`)));
  return [...new Set([0, ...first.filter((slide) => slide >= 0)])];
}"""
# What axe-core holds against the slide that is shown, of impact serious or critical.
BARRIERS = """async () => {
  document.querySelectorAll("section.present .fragment").forEach((part) => part.classList.add("visible"));
  const { violations } = await axe.run(
    { include: ["section.present", ".rail"] }, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 120)}`);
}"""


@pytest.fixture
def page(running):
    """A page that notes what it asks for, what it complains about, and what its policy forbids."""
    page = running.new_page(viewport={"width": 1280, "height": 720})
    page.add_init_script(VIOLATIONS)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.complaints.append(request.url[:80])
            if not request.url.startswith(("file:", "data:", "blob:")) else None)  # fmt: skip
    yield page
    page.close()


def open_deck(page, deck):
    page.goto(deck.as_uri())
    page.wait_for_selector("html[data-ready='true']", state="attached")


def go_to(page, slide):
    """Ask for a slide until it is there: for a second after the last one the deck may write its address over ours."""
    page.wait_for_function(
        """(slide) => {
          location.hash = `#/${slide}`;
          return document.querySelectorAll(".slides > section")[slide].classList.contains("present");
        }""",
        arg=slide, polling=100,
    )  # fmt: skip


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_is_whole_and_fits(notebook, page, running, tmp_path):
    deck = tmp_path / f"{notebook.stem}.html"
    number = write_deck(notebook, deck, web=WEB)
    assert 25 <= number <= 45
    assert deck.stat().st_size < 2.5e6
    open_deck(page, deck)
    assert page.locator("section.present").bounding_box() == {"x": 0, "y": 0, "width": 1280, "height": 720}
    slides = page.evaluate(MEASURE)
    assert len(slides) == number
    for slide in slides:
        faults = [name for name in ("wide", "overlaps", "broken", "raw", "silent") if slide[name]]
        assert faults == [], slide
        assert slide["below"] <= 720, slide
        assert slide["scale"] >= 0.8, slide
    assert page.complaints == page.evaluate("window.violations") == []
    assert print_pdf(running, deck, tmp_path / "deck.pdf") == number


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_has_no_barriers(notebook, page, packages, tmp_path):
    deck = tmp_path / "deck.html"
    write_deck(notebook, deck, web=WEB)
    open_deck(page, deck)
    page.evaluate((packages / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    for slide in page.evaluate(SAMPLE):
        go_to(page, slide)
        assert page.evaluate(BARRIERS) == [], f"slide {slide + 1}"


@pytest.fixture
def deck(tmp_path):
    path = tmp_path / "deck.html"
    write_deck(NOTEBOOKS[0], path, web=WEB)
    return path


def test_arrows_walk_through_fragments_and_slides(page, deck):
    open_deck(page, deck)
    page.keyboard.press("ArrowRight")
    until(page, "location.hash === '#/1'")
    hidden = page.locator("section.present .fragment:not(.visible)")
    while hidden.count() == 0:  # on to the first slide on which something appears later
        page.keyboard.press("ArrowRight")
    before = hidden.count()
    page.keyboard.press("ArrowRight")
    assert hidden.count() == before - 1
    page.keyboard.press("ArrowLeft")
    assert hidden.count() == before


def test_o_shows_all_slides_and_f_asks_for_the_whole_screen(page, deck):
    open_deck(page, deck)
    page.keyboard.press("o")
    assert page.locator(".reveal.overview").count() == 1
    page.keyboard.press("o")
    page.keyboard.press("f")
    until(page, "document.fullscreenElement !== null")


def test_s_opens_the_speakers_window_with_the_notes(page, deck):
    open_deck(page, deck)
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    window = popup.value
    window.wait_for_selector(".speaker-controls-notes, #speaker-controls")
    noted = page.evaluate(
        "[...document.querySelectorAll('.slides > section')].findIndex((s) => s.querySelector('aside'))"
    )
    go_to(page, noted)
    said = page.locator("section.present aside.notes").text_content()
    until(window, "(said) => document.body.textContent.includes(said)", said.strip()[:40])
    for shown in window.frames[1:]:  # the slide that is shown, and the next one
        shown.wait_for_selector("html[data-ready='true']", state="attached")
    assert len(window.frames) == 3
    assert page.complaints == page.evaluate("window.violations") == []


def test_the_rail_leads_to_its_sections_and_marks_the_one_that_is_shown(page, deck):
    open_deck(page, deck)
    links = page.locator(".rail a")
    links.nth(2).click()
    assert page.locator("section.present").get_attribute("data-section") == "3"
    assert links.nth(2).get_attribute("aria-current") == "true"
    assert page.locator(".rail a[aria-current]").count() == 1


def test_a_playground_in_a_deck_answers(page, tmp_path):
    deck = tmp_path / "deck.html"
    write_deck(ROOT / "notebooks" / "05_initialization.ipynb", deck, web=WEB)
    open_deck(page, deck)
    number = page.evaluate("""[...document.querySelectorAll('.slides > section')]
      .findIndex((slide) => slide.querySelector('.playground[data-mounted]'))""")
    go_to(page, number)
    figure = page.locator("section.present .playground")
    said = figure.inner_text()
    figure.locator("input[type=range]").first.press("ArrowRight")
    page.wait_for_timeout(300)
    assert figure.inner_text() != said
    assert page.complaints == page.evaluate("window.violations") == []


def test_what_is_smuggled_into_a_deck_neither_runs_nor_asks_another_machine(running, deck, tally):
    # no machine answers at this address: what was not blocked would be a request
    evil = """<script>window.ran = 1</script><img src="x" onerror="window.ran = 2"><img src="http://x.invalid/a.png">
      <script src="http://x.invalid/a.js"></script><script src="deck.js"></script><iframe src="http://x.invalid/"></iframe>
      <a id="trap" href="javascript:window.ran=3">x</a><link rel="stylesheet" href="http://x.invalid/a.css">"""
    deck.write_text(deck.read_text(encoding="utf-8").replace("</main>", f"{evil}</main>"), encoding="utf-8")
    (deck.parent / "deck.js").write_text("window.ran = 4", encoding="utf-8")
    page, asked = running.new_page(), []
    page.add_init_script(VIOLATIONS)
    page.on("requestfinished", lambda request: asked.append(request.url))
    open_deck(page, deck)
    refused = page.evaluate("""async () => {
      document.querySelector("#trap").click();
      return await fetch("http://x.invalid/").then(() => "answered", (error) => error.name);
    }""")
    blocked = page.evaluate("window.violations.map((one) => one.split(' ')[0])")
    ran = page.evaluate("window.ran ?? null")
    page.close()
    assert (ran, refused) == (None, "TypeError")
    assert [one for one in asked if not one.startswith(("data:", deck.as_uri()))] == []
    assert {
        "script-src-elem",
        "script-src-attr",
        "img-src",
        "style-src-elem",
        "frame-src",
        "connect-src",
    } <= {*blocked}
    tally.note("decks", "9 ways to run a program or to ask another machine, planted in a deck", tried=9,
               message="the browser's console: refused, because it violates the Content Security Policy")  # fmt: skip
