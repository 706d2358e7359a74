"""What are the generated pages made of? A title, a sentence, a table; or a written page with its numbers filled in."""

import html
from collections.abc import Iterable, Mapping, Sequence

from course_utils.authoring.library import CourseError


def page(title: str, intro: str, body: str) -> str:
    """Return a Markdown page."""
    return f"# {title}\n\n{intro}\n\n{body}\n"


def link(address: str, label: str) -> str:
    """Return an HTML link."""
    return f'<a href="{html.escape(address)}">{html.escape(label)}</a>'


def table(heads: Sequence[str], body: Iterable[Sequence[str]], *, raw: Sequence[int] = ()) -> str:
    """Return an HTML table; a head that ends with * gets a filter, the columns `raw` are HTML already."""
    head = "".join(
        f'<th scope="col"{" data-filter" if name.endswith("*") else ""}>{name.rstrip("*")}</th>'
        for name in heads
    )
    lines = [
        f'<div class="ledger-frame" tabindex="0"><table class="ledger"><thead><tr>{head}</tr></thead><tbody>'
    ]
    for row in body:
        cells = (cell if index in raw else html.escape(cell) for index, cell in enumerate(row))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def simple_table(heads: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; bars and line breaks in a cell would end it, and are written otherwise."""
    lines = [heads, ["---"] * len(heads), *body]
    return "\n".join(f"| {' | '.join(map(_in_one_line, line))} |" for line in lines)


def _in_one_line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def filled(text: str, values: Mapping[str, str], name: str) -> str:
    """Return the page `site/name` with each {{ place }} replaced by its value.

    Raises: CourseError: if a place is asked for that has no value, or a value has no place.
    """
    for place, value in values.items():
        if f"{{{{ {place} }}}}" not in text:
            raise CourseError(f"site/{name} does not show {place}. Put {{{{ {place} }}}} where it belongs.")
        text = text.replace(f"{{{{ {place} }}}}", value)
    if "{{" in text:
        asked = text[text.index("{{") :].split("}}")[0].strip("{ ")
        raise CourseError(f"site/{name} asks for {asked}; known are {', '.join(values)}.")
    return text
