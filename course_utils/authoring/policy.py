"""What may a page of ours do? Show what it holds, run the scripts it was built with, and ask nobody for anything.

The policy stands in the page itself, as a meta element, so that it also holds for a file that is opened from a disk.
Scripts within a page are allowed by their SHA-256, one by one. A script, handler or address that a notebook brought
along is not only without effect: the page is refused when it is built, with the name of what was found.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser

from course_utils.authoring.library import CourseError

# Styles may stand within a page: formulas, tables and figures of a notebook carry theirs in attributes, and those
# cannot be hashed. A style can ask for pictures and fonts only, and these come from the page's own place.
_COMMON = {
    "default-src": "'none'",
    "style-src": "'self' 'unsafe-inline'",
    "object-src": "'none'",
    "base-uri": "'none'",
}
SITE = _COMMON | {
    "script-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",  # the search reads the pages it has found
    "form-action": "'self'",  # the field for words to search
}
DECK = _COMMON | {
    "style-src": "'unsafe-inline'",
    "script-src": "",
    "img-src": "data:",
    "font-src": "data:",
    "frame-src": "'self'",  # the speaker's window shows the deck twice
    "form-action": "'none'",
}
_FIRST = re.compile(r'<meta charset="utf-8"\s*/?>')
_OURS = re.compile(
    r'\n<meta http-equiv="Content-Security-Policy"[^>]*>\n<meta name="referrer" content="no-referrer">'
)
_LOADING = frozenset({"src", "srcset", "poster", "data", "xlink:href", "background"})  # attributes that fetch
_ABSENT = frozenset({"iframe", "frame", "embed", "object", "base", "applet"})  # from every page of ours
_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}", re.IGNORECASE)
_RUNNING = re.compile(r"(?:javascript:|vbscript:|data:text/)", re.IGNORECASE)
_BLANK = re.compile(r"[\x00-\x20]")  # a browser reads an address without them


def with_policy(
    page: str, policy: Mapping[str, str], *, known: Iterable[str], further: Iterable[str] = ()
) -> str:
    """Return a page with its policy as the first thing after its encoding; an earlier one of ours is replaced.

    Args:
        page: the whole HTML.
        policy: directive -> sources, `SITE` or `DECK`.
        known: texts of the scripts that its body may hold; those of its head are the builder's.
        further: texts of scripts that it writes into a window of its own.
    Raises: CourseError: if the body holds another script, or the page a handler in an attribute, a frame, or something
        that is loaded from elsewhere.
    """
    page = _OURS.sub("", page)
    found = read_page(page)
    if faults := [*found.faults, *_foreign(found.body_scripts, set(known))]:
        raise CourseError("; ".join(faults))
    hashes = sorted({script_hash(text) for text in [*found.head_scripts, *found.body_scripts, *further]})
    scripts = " ".join(filter(None, [policy["script-src"], *hashes]))
    words = "; ".join(f"{name} {sources}" for name, sources in {**policy, "script-src": scripts}.items())
    meta = f'\n<meta http-equiv="Content-Security-Policy" content="{words}">'
    marked, count = _FIRST.subn(
        lambda first: f'{first[0]}{meta}\n<meta name="referrer" content="no-referrer">', page, count=1
    )
    if not count:
        raise CourseError('a page begins with <meta charset="utf-8">, and this one does not')
    return marked


def script_hash(text: str) -> str:
    """Return the source expression that allows a script of exactly this text."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _foreign(scripts: Iterable[str], known: set[str]) -> list[str]:
    return [f"a script that is not ours: {text.strip()[:60]!r}" for text in scripts if text not in known]


class PageReader(HTMLParser):
    """What of a page could run or load: its scripts by place, and the faults of everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.head_scripts: list[str] = []
        self.body_scripts: list[str] = []
        self.faults: list[str] = []
        self._in_head = False
        self._open: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element would run or load."""
        self._in_head = tag == "head" or (self._in_head and tag != "body")
        if tag == "script" and "src" not in dict(attrs):
            self._open = []
        if tag in _ABSENT:
            self.faults.append(f"an element <{tag}>")
        self.faults += [
            f"{fault}: <{tag} {name}={value[:60]!r}>"
            for name, value in ((name, value or "") for name, value in attrs)
            if (fault := _fault_of(tag, name, value))
        ]

    def handle_data(self, data: str) -> None:
        """Keep what stands in a script."""
        if self._open is not None:
            self._open.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Close a script, or the head."""
        if tag == "script" and self._open is not None:
            (self.head_scripts if self._in_head else self.body_scripts).append("".join(self._open))
            self._open = None
        if tag == "head":
            self._in_head = False


def _fault_of(tag: str, name: str, value: str) -> str:
    """Return what is wrong with an attribute, "" where nothing is."""
    if re.fullmatch("on[a-z]+", name) and value:
        return "a handler in an attribute"
    value = _BLANK.sub("", value)
    if _RUNNING.match(value):
        return "an address that is a program"
    if (name in _LOADING or (tag, name) == ("link", "href")) and _REMOTE.match(value):
        return "something from elsewhere"
    return "a page that leads away" if (name, value.lower()) == ("http-equiv", "refresh") else ""


def read_page(page: str) -> PageReader:
    """Return what of a page could run or load."""
    reader = PageReader()
    reader.feed(page)
    reader.close()
    return reader


def playground_programs() -> set[str]:
    """Return the texts of the scripts that stored outputs may hold: the programs of the playgrounds."""
    from course_utils.playgrounds import _page  # imports torch and matplotlib: only where a page is made

    return {_page.script(name) for name in _page.PLAYGROUNDS}
