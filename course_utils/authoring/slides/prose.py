"""What of a paragraph stands on the slide, and what is left to the speaker?

A slide has room for the sentences that carry a paragraph. It keeps the first two lines or so, the questions, what is
set in bold, and a last sentence that leads into an equation; the rest goes to the speaker's notes, so that nothing is
lost.
"""

import re
from typing import NamedTuple

_ABBREVIATIONS = ("al", "e.g", "i.e", "cf", "eq", "Eq", "eqs", "vs", "Fig", "fig", "no", "resp")
_SENTENCE_END = re.compile(r"(?<=[.?!])[*_)\"]*\s+(?=[A-Z0-9*_$`(\[\"])")
_LIST_ITEM = re.compile(r"(?:[*-]|\d+\.)\s")
_TABLE_RULE = re.compile(r"^\|?\s*:?-{2,}")
_LABEL = re.compile(r"\*\*[^*]{1,40}\*\*")  # such as **How to read it.**
_LINK_TO_FILE = re.compile(r"\[([^\]]+)\]\((?!https?://)[^)]*\)")
# Rows of sources.csv are for readers, not for a screen.
_ROWS = re.compile(r"\s*\(S\d-\d{3}(?:[,;] S\d-\d{3})*\.?\)")
_ROWS_BEFORE_WORDS = re.compile(r"\((?:S\d-\d{3}[,.;]\s*)+(?=\w)")
_ASIDE = re.compile(r"^\(.*\)$", re.DOTALL)
_QUESTION = re.compile(r"\*[^*]*[?]\*|\?$")
SHORT = 190  # characters, nearly two lines: a paragraph up to here is shown whole


class Piece(NamedTuple):
    """One paragraph of Markdown: what it is, what is shown of it, and what is said only."""

    kind: str  # "heading", "prose", "equation", "list", "table"
    shown: str
    said: str = ""


def pieces_of(markdown: str) -> list[Piece]:
    """Return the paragraphs of a Markdown cell; folded hints (`<details>`) are left out."""
    text = re.sub(r"<details>.*?</details>", "", markdown, flags=re.DOTALL)
    # A deck stands alone: a link to a file beside the notebook leads nowhere.
    text = _LINK_TO_FILE.sub(r"\1", text)
    text = _ROWS.sub("", _ROWS_BEFORE_WORDS.sub("(", text))
    return [piece for paragraph in _paragraphs(text) for piece in _pieces(paragraph)]


def _paragraphs(text: str) -> list[str]:
    """Split at blank lines, but keep the indented paragraphs of a list item with it."""
    joined: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if joined and paragraph.startswith("  ") and _LIST_ITEM.match(joined[-1]):
            joined[-1] += "\n\n" + paragraph
        elif paragraph.strip():
            joined.append(paragraph)
    return joined


def _pieces(paragraph: str) -> list[Piece]:
    lines = paragraph.splitlines()
    if paragraph.startswith("#"):
        below = "\n".join(lines[1:])
        return [Piece("heading", lines[0]), *(_pieces(below) if below.strip() else [])]
    if _LIST_ITEM.match(paragraph):
        return [_list(paragraph)]
    if len(lines) > 1 and _TABLE_RULE.match(lines[1]):
        return [Piece("table", paragraph)]
    parts = re.split(r"(\$\$.*?\$\$)", paragraph, flags=re.DOTALL)
    return [
        Piece("equation", part.strip()) if part.startswith("$$") else _prose(part)
        for part in parts
        if part.strip(" .,;\n")
    ]


def _prose(text: str) -> Piece:
    shown, said = shorten(" ".join(text.split()))
    return Piece("prose", shown, said)


def _list(paragraph: str) -> Piece:
    """Shorten each item; an item that holds an equation keeps all of it."""
    items = re.split(r"\n(?=(?:[*-]|\d+\.)\s)", paragraph)
    shown, said = [], []
    for item in items:
        marker, _, body = item.partition(" ")
        kept, rest = (body, "") if "$$" in body else shorten(" ".join(body.split()))
        shown.append(f"{marker} {kept}")
        said.append(rest)
    return Piece("list", "\n".join(shown), " ".join(filter(None, said)))


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a paragraph; full stops of abbreviations, numbers and formulas do not end one."""
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        if _ends_here(text[start : match.start()]):
            sentences.append(text[start : match.end()].rstrip())
            start = match.end()
    return [*sentences, text[start:].rstrip()] if text[start:].strip() else sentences


def _ends_here(sentence: str) -> bool:
    words = sentence.rstrip(".?!").split()
    abbreviated = bool(words) and words[-1].lstrip("(") in _ABBREVIATIONS
    inside_formula = sentence.count("$") % 2 == 1 or sentence.count("`") % 2 == 1
    return not abbreviated and not inside_formula


def shorten(text: str) -> tuple[str, str]:
    """Return what a slide shows of a paragraph, and the rest."""
    sentences = sentences_of(text)
    stands = [_stands(number, sentences) for number in range(len(sentences))]
    for number in range(1, len(sentences)):  # a question is about the sentence before it
        stands[number - 1] |= bool(_QUESTION.search(sentences[number]))
    shown = " ".join(sentence for sentence, stay in zip(sentences, stands, strict=True) if stay)
    said = " ".join(sentence for sentence, stay in zip(sentences, stands, strict=True) if not stay)
    return (shown, said) if _balanced(shown) else (text, "")


def _stands(number: int, sentences: list[str]) -> bool:
    """Say whether a sentence stays on the slide."""
    sentence, before = sentences[number], sentences[:number]
    if _ASIDE.match(sentence):
        return False
    leads_on = number == len(sentences) - 1 and not sentence.rstrip("*_ ").endswith((".", "?", "!"))
    opens = not before or _LABEL.fullmatch(before[-1]) is not None  # of the paragraph, or behind a label
    short = visible_length(" ".join([*before, sentence])) <= SHORT
    return opens or short or leads_on or "**" in sentence or bool(_QUESTION.search(sentence))


def visible_length(markdown: str) -> int:
    """Return about how many characters wide it is: a formula takes half of its source, a link its label."""
    formulas = re.sub(r"\$[^$]*\$", lambda formula: "x" * (len(formula[0]) // 2), markdown)
    return len(re.sub(r"\]\([^)]*\)", "", formulas))


def _balanced(markdown: str) -> bool:
    """Say whether no emphasis, formula or code was cut in two."""
    return all(markdown.count(mark) % 2 == 0 for mark in ("**", "$", "`")) and markdown.count("*") % 2 == 0
