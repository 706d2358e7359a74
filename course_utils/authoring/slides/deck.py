"""The HTML of a deck: one file that asks nobody for anything."""

import html
import re
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from course_utils.authoring import policy
from course_utils.authoring.library import CourseError, read_notebook
from course_utils.authoring.slides import javascript
from course_utils.authoring.slides.blocks import Block, blocks_of
from course_utils.authoring.slides.paging import Slide, pages_of
from course_utils.authoring.stored import read_claim

_SCRIPTS = (
    "reveal.js/dist/reveal.js", "reveal.js/dist/plugin/notes.js", "katex/dist/katex.min.js",
    "katex/dist/contrib/auto-render.min.js",
)  # fmt: skip


def write_deck(notebook: Path, output: Path, *, web: Path) -> int:
    """Write the lecture of `notebook` to the HTML file `output`, and return its number of slides.

    Args:
        notebook: with stored outputs; nothing is executed.
        output: its folder is made.
        web: the folder of package.json and of the templates.
    Raises: CourseError: if the notebook brings a script that is not ours, or something from another machine.
    """
    slides = pages_of(blocks_of(read_notebook(notebook)))
    modules = javascript.install(web)
    scripts = [*(javascript.script(modules, name) for name in _SCRIPTS), _own(web, "deck.js")]
    templates = Environment(
        loader=FileSystemLoader(web / "slides"), autoescape=True, undefined=StrictUndefined
    )
    text = templates.get_template("index.html.j2").render(
        title=slides[0].heading,
        slides=slides,
        sections=_sections(slides),
        render=_as_html(render),
        inline=_as_html(inline),
        markdown=_as_html(_markdown),
        plain=lambda markdown: re.sub(r"[*`]", "", markdown),
        scripts=[_html(script) for script in scripts],
        style=_as_html(lambda name: javascript.style(modules, name)),
        fonts=_html(javascript.fonts(modules)),
        own_style=_html(_own(web, "deck.css")),
    )
    text = _guarded(
        text, [*scripts, *policy.playground_programs()], javascript.speaker_script(modules), notebook
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8", newline="\n")
    return len(slides)


def _html(text: str) -> Markup:
    """Return what is HTML already: the template escapes everything else."""
    return Markup(text)  # nosec B704  # what a notebook smuggles into it is refused by `_guarded`, and has no hash


def _as_html(made: Callable[..., str]) -> Callable[..., Markup]:
    return lambda *arguments: _html(made(*arguments))


def _own(web: Path, name: str) -> str:
    return (web / "slides" / name).read_text(encoding="utf-8")


def _guarded(text: str, known: list[str], speaker: str, notebook: Path) -> str:
    try:
        return policy.with_policy(text, policy.DECK, known=known, further=[speaker])
    except CourseError as error:
        raise CourseError(f"The deck of {notebook.name} would hold {error}.") from error


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
