"""Docstrings of this package as reStructuredText.

They are written to be read in an editor: `code` in single backticks, sections `Args:`, `Returns:`, `Raises:` and
`Source:`, formulas as math directives, and stars and bars that mean themselves. Sphinx wants the last three escaped.
"""

import re
from collections.abc import Iterator

_SECTION = re.compile(
    r"^(?P<name>Args, Raises|Args|Attributes|Returns|Yields|Raises|Source|Sources):(?: (?P<text>.*))?$"
)
_ENTRY = re.compile(r"^    (?P<name>[\w*, ]+): (?P<text>.*)$")
_VERBATIM = re.compile(r"(:\w+:`[^`]*`|`[^`]+`)")
_MATH = re.compile(r"^\s*\.\. math::")


def to_rst(lines: list[str]) -> list[str]:
    """Return a docstring's lines as reStructuredText: parameters and sections become a list of fields."""
    rst: list[str] = []
    section, in_math = "", False
    for line in lines:
        in_math = bool(_MATH.match(line)) or (in_math and (not line.strip() or line.startswith(" ")))
        if in_math and not section:
            rst.append(line)
            continue
        if match := _SECTION.match(line):
            section = match["name"]
            rst.extend(_open(section, match["text"] or ""))
        elif section in ("Args", "Attributes") and (entry := _ENTRY.match(line)):
            rst.append(f":param {_escaped(entry['name'])}: {inline(entry['text'])}")
        elif section and line.strip():
            rst.append(f"    {inline(line.strip())}")  # goes on with the field above
        else:
            section = section if line.strip() or section in ("Args", "Attributes") else ""
            rst.append(inline(line))
    return rst


def _open(section: str, text: str) -> Iterator[str]:
    yield ""
    if section not in ("Args", "Attributes") or text:
        yield f":{section}: {inline(text)}"


def inline(text: str) -> str:
    """Return a line with its code marked as code, and every other star, bar and final underscore as itself."""
    parts = _VERBATIM.split(text)
    return "".join(_marked(part) if index % 2 else _escaped(part) for index, part in enumerate(parts))


def _marked(part: str) -> str:
    return part if part.startswith(":") else f"`{part}`"


def _escaped(text: str) -> str:
    text = re.sub(r"([*|])", r"\\\1", text)
    return re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
