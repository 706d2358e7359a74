"""The pieces of a lecture, each with the height that it will take on a slide.

A slide is 1280 x 720 pixels. Heights are estimated from counts of characters, lines and rows, so that a deck can be
laid out where no browser is; the browser shrinks what is a little too tall, and the tests measure what it did.
"""

import base64
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from course_utils.authoring.library import Notebook, tags_of
from course_utils.authoring.slides.prose import Piece, pieces_of, visible_length

LESSON_LINES = 14  # of code that IS the lesson; a longer input is for reading, not for a screen
CODE_LINES = 7  # of any other
OUTPUT_LINES = 12
CLAIMS = 3  # of one cell; the others are said
PLAYGROUND = '<div class="playground"'  # how the HTML of one begins
LIVE_HEIGHT = 680.0  # of a playground: more than a slide has, so that nothing else is put beside it
FIGURE_SIZE = (1120, 400)  # pixels that a figure may take beside a heading and a claim
_CHARACTERS = 104  # of body text in a line
_LINE = {"prose": 36, "list": 36, "table": 37, "code": 25, "output": 22, "claim": 25}
_GAP = 14  # above every block


@dataclass(frozen=True)
class Block:
    """One piece of a slide."""

    # "heading", "prose", "equation", "list", "table", "code", "output", "claim", "figure", "live", or "notes"
    kind: str
    content: str  # Markdown, code, text, HTML or a data URI, by kind
    height: float = 0.0
    alt: str = ""  # of a figure
    said: str = ""  # for the speaker's notes
    opens: str = ""  # "slide": begins one; "group": begins one unless its whole group fits on the last
    appears: bool = False  # one key press later than what stands before it


def blocks_of(notebook: Notebook) -> Iterator[Block]:
    """Yield what a lecture shows of a notebook, in its order: set-up, exercises and long code are left out."""
    for cell in notebook.cells:
        role = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        tags = tags_of(cell)
        if role == "notes":
            yield Block("notes", "", said=cell.source)
            continue
        if role == "skip" or {"exercise", "solution", "setup", "parameters"} & set(tags):
            continue
        opens = {"slide": "slide", "subslide": "group"}.get(role, "")
        for number, block in enumerate(_blocks(cell, tags)):
            first = number == 0
            yield replace(
                block,
                opens=opens if first else "",
                appears=(role == "fragment" and first) or (not first and block.kind == "equation"),
            )


def _blocks(cell: Any, tags: Sequence[str]) -> Iterator[Block]:
    if cell.cell_type == "markdown":
        yield from (_from_piece(piece) for piece in pieces_of(cell.source))
        return
    outputs = list(_outputs(cell))
    hides_code = "claim" in tags or "hide-input" in tags or any(b.kind in ("figure", "live") for b in outputs)
    source = cell.source.replace("  # fmt: skip", "")
    limit = LESSON_LINES if "derive" in tags else CODE_LINES
    if not hides_code and len(source.splitlines()) <= limit:
        yield Block("code", source, _height("code", len(source.splitlines())))
    claims = 0
    for block in outputs:
        claims += block.kind == "claim"
        yield replace(block, kind="notes", said=block.content, height=0.0) if claims > CLAIMS else block


def _from_piece(piece: Piece) -> Block:
    if not piece.shown:  # an aside: it is said
        return Block("notes", "", said=piece.said)
    if piece.kind == "heading":
        return Block("heading", piece.shown)
    if piece.kind == "equation":
        rows = piece.shown.count(r"\\") + 1
        tall = 40 if re.search(r"\\d?frac|\\sum|\\prod|\\int|\\underbrace|matrix", piece.shown) else 0
        return Block("equation", piece.shown, _GAP + rows * (46 + tall))
    if piece.kind == "table":
        return Block("table", piece.shown, _height("table", len(piece.shown.splitlines()) - 1))
    paragraphs = piece.shown.splitlines() if piece.kind == "list" else [piece.shown]
    lines = sum(_lines(paragraph) for paragraph in paragraphs)
    return Block(piece.kind, piece.shown, _height(piece.kind, lines), said=piece.said)


def _lines(text: str) -> int:
    """Return how many lines a paragraph takes."""
    return max(1, -(-visible_length(text) // _CHARACTERS))


def _height(kind: str, lines: float) -> float:
    return _GAP + lines * _LINE[kind]


def _outputs(cell: Any) -> Iterator[Block]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            height = _shown_height(*_png_size(data["image/png"]))
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            yield Block(
                "figure", f"data:image/png;base64,{data['image/png'].strip()}", height + _GAP, alt=alt
            )
        elif data.get("text/html", "").startswith(PLAYGROUND):
            yield Block("live", data["text/html"], LIVE_HEIGHT)
        elif data.get("text/plain", "").startswith("[") and "text/html" in data:
            text = data["text/plain"]
            yield Block("claim", text, -(-len(text) // 130) * _LINE["claim"] + 6)
        else:
            text = output.get("text") or data.get("text/plain", "")
            lines = text.rstrip("\n").splitlines()
            if lines:
                shown = lines if len(lines) <= OUTPUT_LINES else [*lines[: OUTPUT_LINES - 1], "..."]
                yield Block("output", "\n".join(shown), _height("output", len(shown)))


def _png_size(encoded: str) -> tuple[int, int]:
    """Return width and height from the header of a PNG in base64."""
    header = base64.b64decode(encoded[:64])
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def _shown_height(width: int, height: int) -> float:
    """Return how tall a figure is shown: as large as its frame allows."""
    return height * min(FIGURE_SIZE[0] / width, FIGURE_SIZE[1] / height)
