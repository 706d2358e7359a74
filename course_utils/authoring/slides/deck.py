"""The HTML of a deck: one file that asks nobody for anything."""

import html
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from course_utils.authoring.library import read_notebook
from course_utils.authoring.slides import javascript
from course_utils.authoring.slides.blocks import Block, blocks_of
from course_utils.authoring.slides.paging import Slide, pages_of
from course_utils.authoring.stored import read_claim


def write_deck(notebook: Path, output: Path, *, web: Path) -> int:
    """Write the lecture of `notebook` to the HTML file `output`, and return its number of slides.

    Args:
        notebook: with stored outputs; nothing is executed.
        output: its folder is made.
        web: the folder of package.json and of the templates.
    """
    slides = pages_of(blocks_of(read_notebook(notebook)))
    modules = javascript.install(web)
    templates = Environment(
        loader=FileSystemLoader(web / "slides"), autoescape=False, undefined=StrictUndefined
    )
    text = templates.get_template("index.html.j2").render(
        title=slides[0].heading,
        slides=slides,
        sections=_sections(slides),
        render=render,
        inline=inline,
        markdown=_markdown,
        plain=lambda markdown: re.sub(r"[*`]", "", markdown),
        script=lambda name: javascript.script(modules, name),
        style=lambda name: javascript.style(modules, name),
        fonts=javascript.fonts(modules),
        own=lambda name: (web / "slides" / name).read_text(encoding="utf-8"),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return len(slides)


def _sections(slides: list[Slide]) -> list[str]:
    """Return the sections in their order, without the title."""
    return list(dict.fromkeys(slide.section for slide in slides[1:] if slide.section != slides[0].section))


def render(block: Block) -> str:
    """Return the HTML of one block."""
    if block.kind == "figure":
        return f'<img src="{block.content}" alt="{html.escape(block.alt)}">'
    if block.kind == "live":
        return block.content
    if block.kind == "code":
        return str(Highlight2HTML()(block.content, language="ipython3"))
    if block.kind == "output":
        return f'<pre class="output">{html.escape(block.content)}</pre>'
    if block.kind == "claim":
        return _claim(block.content)
    if block.kind == "equation":
        return f'<div class="equation">{html.escape(block.content)}</div>'
    if block.kind == "subheading":
        return f"<h3>{inline(block.content)}</h3>"
    return _markdown(block.content)


def inline(markdown: str) -> str:
    """Return the HTML of one line of Markdown, without the paragraph around it."""
    return _markdown(markdown).strip().removeprefix("<p>").removesuffix("</p>")


def _markdown(text: str) -> str:
    return re.sub(r'<a class="anchor-link".*?</a>', "", str(markdown2html_mistune(text)))


def _claim(text: str) -> str:
    claim = read_claim(text)
    if claim is None:
        return f'<p class="claim">{html.escape(text)}</p>'
    mark, verdict = ("✓", "holds") if claim.holds else ("✗", "fails")
    return (
        f'<p class="claim {verdict}"><b>{mark} {claim.id}</b> {html.escape(claim.statement)} '
        f"<span>{html.escape(claim.result)}</span></p>"
    )
