"""What are the generated pages made of? A title, a sentence, and an HTML table that can be filtered."""

import html
from collections.abc import Iterable, Sequence


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
