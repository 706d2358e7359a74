"""How does a playground live without a kernel? As one fragment of HTML that holds its picture, style and program.

A playground is an ES module `<name>.js` beside this file whose default export has `render({ model, el })`, as anywidget
expects, and an entry in `PLAYGROUNDS`. In a notebook anywidget hands it a model that Python shares; on a page the few
lines of `_MOUNT` hand it a plain one. No identifiers are needed: the program looks for figures that nobody has mounted
yet, so that several may stand on one page, in any order, twice the same included.
"""

import base64
import html
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from course_utils._checks import check_choice
from course_utils.playgrounds import _initialization, _optimizer

State = dict[str, Any]


class Playground(NamedTuple):
    """What a page needs of a playground, beside its module; none of it may import anywidget."""

    complete: Callable[[Mapping[str, Any]], State]  # what was asked for -> the whole state, checked
    poster: Callable[[State], tuple[bytes, str]]  # the state -> a PNG, and its alternative text


PLAYGROUNDS: dict[str, Playground] = {
    "optimizer": Playground(_optimizer.complete, _optimizer.poster),
    "initialization": Playground(_initialization.complete, _initialization.poster),
}

# On a page nobody listens but the figure: `set` tells it, `save_changes` has nowhere to save to.
_MOUNT = """
for (const el of document.querySelectorAll('.playground[data-playground="NAME"]:not([data-mounted])')) {
  el.dataset.mounted = "";
  const values = JSON.parse(el.dataset.state), listeners = {};
  const on = (event, listener) => (listeners[event] ??= new Set()).add(listener);
  const off = (event, listener) => listeners[event]?.delete(listener);
  const set = (key, value) => { values[key] = value; listeners["change:" + key]?.forEach((listener) => listener()); };
  playground.render({ model: { get: (key) => values[key], set, on, off, save_changes() {} }, el });
}
"""


def as_html(name: str, **state: Any) -> str:
    """Return a playground as one fragment of HTML: it asks for no kernel, no network and no other file.

    Where scripts do not run, in a notebook that is not trusted or in print, its poster is seen: a drawn picture of the
    same state with an alternative text. The same arguments give the same bytes.

    Args:
        name: "optimizer", or another key of `PLAYGROUNDS`.
        state: what to begin with; the rest is the playground's default.
    Raises: ValueError: if the name or a part of the state is unknown, or a value is out of range.
    """
    check_choice("playground", name, PLAYGROUNDS)
    whole = PLAYGROUNDS[name].complete(state)
    picture, words = PLAYGROUNDS[name].poster(whole)
    address = "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
    stored = html.escape(json.dumps(whole, ensure_ascii=False))
    return (
        f'<div class="playground" data-playground="{name}" data-state="{stored}">'
        f'<img alt="{html.escape(words)}" src="{address}"></div>\n'
        f"<style>\n{style()}</style>\n"
        f'<script type="module">{script(name)}</script>\n'
    )


def style() -> str:
    """Return the style sheet that all playgrounds share."""
    return _read("playground.css")


def module(name: str) -> str:
    """Return the text of a playground's ES module."""
    return _read(f"{name}.js")


def _read(file: str) -> str:
    return (files(__package__) / file).read_text(encoding="utf-8")


def script(name: str) -> str:
    """Return what stands in a playground's <script>: the module, its default export under a name, and the mounting.

    A script within a page cannot be imported, and `</script>` would end it early, even within a string.

    Raises: ValueError: if the module has not exactly one default export, or ends its own script.
    """
    text = module(name)
    if text.count("export default ") != 1:
        raise ValueError(f"{name}.js needs exactly one default export, got {text.count('export default ')}.")
    if "</script" in text:
        raise ValueError(f"{name}.js ends its own script: write the tag in two parts.")
    mounted = text.replace("export default ", "const playground = ") + _MOUNT.replace("NAME", name)
    return f"\n{mounted}"
