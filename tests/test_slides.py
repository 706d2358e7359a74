"""Lecture slides: what is shown of a notebook, what is said, and what shares a slide."""

import base64
import struct
import sys
from contextlib import nullcontext

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.authoring.cli import main
from course_utils.authoring.library import CourseError
from course_utils.authoring.slides import javascript
from course_utils.authoring.slides.blocks import CLAIMS, FIGURE_SIZE, OUTPUT_LINES, Block, blocks_of
from course_utils.authoring.slides.deck import render
from course_utils.authoring.slides.paging import ROOM, SQUEEZE, pages_of
from course_utils.authoring.slides.prose import pieces_of, sentences_of, shorten

LONG = (
    "This sentence is here to be long, so that what comes after it has no room within the first two lines. "
)


def markdown(source, role="subslide", tag="question"):
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": role}, "tags": [tag]})


def code(source, outputs=(), role="fragment", tag="measure"):
    metadata = {"slideshow": {"slide_type": role}, "tags": [tag]}
    return new_code_cell(source, outputs=list(outputs), metadata=metadata)


def printed(text):
    return new_output("stream", name="stdout", text=text)


def claim(number):
    data = {"text/html": "<div></div>", "text/plain": f"[06.{number} holds] a < b: measured 1, at most 2"}
    return new_output("display_data", data=data)


def picture(width=900, height=450, alt="a curve"):
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08" * 40
    data = {"image/png": base64.b64encode(header).decode(), "text/plain": "<Figure>"}
    return new_output("display_data", data=data, metadata={"image/png": {"alt": alt}})


def blocks(*cells):
    return list(blocks_of(nbformat.from_dict(new_notebook(cells=list(cells)))))


def kinds(*cells):
    return [block.kind for block in blocks(*cells)]


# What of a paragraph is shown


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("He et al. (2015) say so. It is 0.5.", ["He et al. (2015) say so.", "It is 0.5."]),
        ("By eq. 3 it holds. *Why?* Because.", ["By eq. 3 it holds.", "*Why?*", "Because."]),
        ("Let $a. B$ be one. Then `x. Y` is too", ["Let $a. B$ be one.", "Then `x. Y` is too"]),
    ],
)
def test_sentences_end_at_full_stops_and_not_inside_formulas_or_after_abbreviations(text, sentences):
    assert sentences_of(text) == sentences


def test_a_short_paragraph_is_shown_whole_and_of_a_long_one_the_first_sentence():
    assert shorten("One. Two. Three.") == ("One. Two. Three.", "")
    assert shorten(2 * LONG + "The end.") == (LONG.strip(), f"{LONG}The end.")


@pytest.mark.parametrize("kept", ["A **bold** one.", "It leads into an equation,"])
def test_bold_sentences_and_those_that_lead_on_are_shown(kept):
    shown, said = shorten(f"{LONG}{LONG}{kept}")
    assert shown.endswith(kept)
    assert said == LONG.strip()


def test_a_question_is_shown_with_the_sentence_that_it_is_about():
    shown, said = shorten(f"{LONG}{LONG}Two of three learn. *Which two?* Wait.")
    assert shown.endswith("Two of three learn. *Which two?*")
    assert said == f"{LONG}Wait."


def test_a_label_is_shown_with_its_sentence_and_an_aside_is_said():
    shown, said = shorten(f"**How to read it.** {LONG}{LONG}")
    assert shown == f"**How to read it.** {LONG}".strip()
    assert shorten("One. (He et al. 2015.)") == ("One.", "(He et al. 2015.)")
    assert said == LONG.strip()
    shown, said = shorten(f"{LONG}{LONG}**Correct.** It is so. And more.")
    assert (shown, said) == (f"{LONG}**Correct.** It is so.", f"{LONG}And more.")


def test_emphasis_that_spans_sentences_is_not_cut_in_two():
    text = f"{LONG}*Guess: first. And second: {LONG}third?*"
    shown, _ = shorten(text)
    assert shown.count("*") % 2 == 0


def test_rows_links_to_files_and_hints_stay_in_the_notebook():
    (piece,) = pieces_of(
        "A start (S0-044, S3-056) as in [notebook 5](05.ipynb).\n\n<details>secret</details>"
    )
    assert piece.shown == "A start as in notebook 5."


def test_a_cell_is_taken_apart_into_heading_prose_equation_list_and_table():
    text = "### Title\nText:\n\n$$a = b$$\n\n1. One.\n2. Two,\n\n   $$c$$\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    pieces = pieces_of(text)
    assert [piece.kind for piece in pieces] == ["heading", "prose", "equation", "list", "table"]
    assert pieces[3].shown == "1. One.\n2. Two,\n\n   $$c$$"


def test_an_equation_inside_a_paragraph_stands_alone():
    assert [piece.kind for piece in pieces_of("So\n$$y$$\nand on.")] == ["prose", "equation", "prose"]


# What of a notebook is shown


def test_setup_exercises_and_skipped_cells_are_left_out():
    cells = [code("seed = 0", tag="parameters"), code("import os", tag="setup"), markdown("## 13", tag="exercise"),
             code("x = 1", role="skip")]  # fmt: skip
    assert kinds(*cells) == []


def test_notes_are_said_and_not_shown():
    (block,) = blocks(markdown("Ask the room.", role="notes"))
    assert (block.kind, block.said, block.height) == ("notes", "Ask the room.", 0.0)


def test_code_is_shown_where_it_is_short_and_longer_where_it_is_the_lesson():
    ten = "\n".join(f"x{k} = {k}" for k in range(10))
    assert kinds(code("x = 1")) == ["code"]
    assert kinds(code(ten)) == []
    assert kinds(code(ten, tag="derive")) == ["code"]


def test_code_that_draws_or_claims_is_not_shown():
    assert kinds(code("show(ax)", [picture()])) == ["figure"]
    assert kinds(code("check(...)", [claim(1)], tag="claim")) == ["claim"]


def test_more_claims_than_a_slide_takes_are_said():
    found = blocks(code("check(...)", [claim(k) for k in range(CLAIMS + 2)], tag="claim"))
    assert [block.kind for block in found] == ["claim"] * CLAIMS + ["notes"] * 2
    assert "06.4" in found[-1].said


def test_a_long_output_is_cut_and_says_so():
    (_, output) = blocks(code("x", [printed("\n".join(map(str, range(50))))]))
    assert len(output.content.splitlines()) == OUTPUT_LINES
    assert output.content.endswith("...")


def test_a_figure_fills_its_frame_and_keeps_its_alternative_text():
    (wide,) = blocks(code("show(ax)", [picture(2000, 400, alt="two panels")]))
    (tall,) = blocks(code("show(ax)", [picture(400, 2000)]))
    assert wide.height == pytest.approx(FIGURE_SIZE[0] / 5, abs=20)
    assert tall.height == pytest.approx(FIGURE_SIZE[1], abs=20)
    assert 'alt="two panels"' in render(wide)


def test_a_playground_stays_alive_on_a_slide_that_has_room_for_nothing_else():
    html = '<div class="playground" data-state="{}"></div>\n<script type="module">\n</script>'
    playground = new_output("execute_result", data={"text/html": html, "text/plain": "<HTML object>"})
    before = markdown("Turn it.", role="subslide")
    made = blocks(before, code("HTML(as_html('optimizer'))", [playground]))
    assert [block.kind for block in made] == ["prose", "live"]
    assert render(made[1]) == html
    assert [[block.kind for block in slide.blocks] for slide in pages_of(made)] == [["prose"], ["live"]]


def test_the_html_of_a_claim_is_escaped_and_says_its_verdict():
    (block,) = blocks(code("check(...)", [claim(7)], tag="claim"))
    assert render(block).startswith('<p class="claim holds"><b>✓ 06.7</b> a &lt; b')
    failed = Block("claim", "[06.7 FAILS] no: measured 1, at most 0")
    assert '"claim fails"><b>✗ 06.7' in render(failed)
    assert render(Block("claim", "[no claim")) == '<p class="claim">[no claim</p>'


# What shares a slide


def block(height, kind="prose", **options):
    return Block(kind, "text", height, **options)


TITLE = Block("heading", "# 6 · Title")


def contents(slides):
    return [[b.height for b in slide.blocks] for slide in slides]


def test_a_group_joins_the_slide_before_it_if_it_fits():
    pages = pages_of([TITLE, block(100), Block("heading", "## A"), block(200), block(100, opens="group")])
    assert contents(pages) == [[100], [200, 100]]
    pages = pages_of([TITLE, block(100), Block("heading", "## A"), block(500), block(300, opens="group")])
    assert contents(pages) == [[100], [500], [300]]


def test_a_small_group_keeps_its_heading_on_a_shared_slide():
    pages = pages_of(
        [TITLE, block(10), Block("heading", "## A"), block(100), Block("heading", "### B"), block(50)]
    )
    assert [slide.heading for slide in pages] == ["6 · Title", "A"]
    assert [b.kind for b in pages[1].blocks] == ["prose", "subheading", "prose"]


def test_a_slide_opens_where_the_notebook_says_so():
    assert contents(pages_of([TITLE, block(10), block(10, opens="slide")])) == [[10], [10]]


def test_a_group_that_is_a_little_too_tall_stays_together_and_a_much_taller_one_is_split():
    little, half = ROOM * (1 + SQUEEZE) / 4, ROOM * 0.7
    head = Block("heading", "## A")
    assert contents(pages_of([TITLE, block(1), head, block(little), block(little)])) == [
        [1],
        [little, little],
    ]
    assert contents(pages_of([TITLE, block(1), head, block(half), block(half)])) == [[1], [half], [half]]


def test_a_sentence_that_leads_into_an_equation_goes_with_it():
    lead, equation = block(100), block(300, "equation")
    pages = pages_of([TITLE, block(1), Block("heading", "## A"), block(400), lead, equation])
    assert contents(pages) == [[1], [400], [100, 300]]


def test_a_heading_without_text_leaves_no_empty_slide():
    pages = pages_of([TITLE, block(1), Block("heading", "## A"), Block("heading", "### B"), block(600)])
    assert [slide.heading for slide in pages] == ["6 · Title", "B"]
    assert pages[1].section == "A"


def test_what_is_said_goes_with_its_slide():
    pages = pages_of(
        [TITLE, block(1, said="first"), Block("heading", "## A"), block(1), Block("notes", "", said="last")]
    )
    assert [slide.notes for slide in pages] == [["first"], ["last"]]
    assert [slide.section for slide in pages] == ["6 · Title", "A"]


# Scripts, styles and fonts


def test_a_style_holds_its_fonts_and_drops_their_other_formats(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.woff2").write_bytes(b"font")
    (tmp_path / "a.css").write_text(
        "@font-face{src: url(./files/a.woff2) format('woff2'), url(./files/a.woff);}"
    )
    encoded = base64.b64encode(b"font").decode()
    assert javascript.style(tmp_path, "a.css") == (
        f'@font-face{{src:url(data:font/woff2;base64,{encoded}) format("woff2");}}'
    )


def test_a_script_that_would_end_its_element_is_refused(tmp_path):
    (tmp_path / "a.js").write_text("'</SCRIPT>'")
    with pytest.raises(CourseError, match=r"a\.js cannot be inlined"):
        javascript.script(tmp_path, "a.js")


def test_packages_are_installed_once(tmp_path, monkeypatch):
    web = tmp_path / "web"
    (web / "node_modules").mkdir(parents=True)
    (web / "package-lock.json").write_text("{}")
    (web / "node_modules" / ".lock").write_text("{}")
    monkeypatch.setattr(javascript, "_npm", lambda: pytest.fail("npm was asked"))
    assert javascript.install(web) == web / "node_modules"


def test_without_npm_the_message_names_both_ways_out(tmp_path, monkeypatch):
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CourseError, match=r"install Node\.js, or `pip install 'course-utils\[slides\]'`"):
        javascript.install(tmp_path)


def test_what_npm_says_when_it_fails_is_passed_on(tmp_path, monkeypatch):
    (tmp_path / "package-lock.json").write_text("{}")
    failing = ["python3", "-c", "import sys; sys.exit('no such package')"]
    monkeypatch.setattr(javascript, "_npm", lambda: failing)
    with pytest.raises(CourseError, match=r"package-lock\.json: no such package"):
        javascript.install(tmp_path)


# The command


@pytest.fixture
def lecture(tmp_path, monkeypatch):
    """A course of one notebook, of which `course slides` is asked for; decks are not rendered, only counted."""
    from course_utils.authoring.slides import browser, deck

    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_small.ipynb").write_text(
        nbformat.writes(new_notebook(cells=[markdown("# 1")]))
    )

    def write(notebook, output, *, web):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("deck")
        return 30

    monkeypatch.setattr(deck, "write_deck", write)
    monkeypatch.setattr(browser, "browser", lambda: nullcontext(None))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_browser_the_decks_are_made_and_the_message_says_what_to_install(lecture, capsys):
    assert main(["slides"]) == 0
    printed = capsys.readouterr().out
    assert "01_small.html: 30 slides" in printed
    assert "No Chromium, Chrome or Edge was found here" in printed
    assert (lecture / "build" / "slides" / "01_small.html").read_text() == "deck"


def test_no_browser_is_looked_for_where_no_pdf_is_wanted(lecture, capsys, monkeypatch):
    from course_utils.authoring.slides import browser

    monkeypatch.setattr(browser, "browser", lambda: pytest.fail("a browser was looked for"))
    assert main(["slides", "01", "--no-pdf", "--output", "decks"]) == 0
    assert "Chromium" not in capsys.readouterr().out
    assert (lecture / "decks" / "01_small.html").exists()


def test_a_missing_package_of_the_extra_is_named(lecture, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "course_utils.authoring.slides.deck", None)
    assert main(["slides"]) == 2
    assert "pip install 'course-utils[slides]'" in capsys.readouterr().err
