"""Is what a file holds a notebook of format 4, and if not, which cell is wrong?

The rules are those of nbformat's schema as far as the course reads a notebook, and a few that the schema leaves open.
They are written out because the schema takes as long as all the rest of the reading and does not say which cell is
wrong; a test compares the two over damaged notebooks.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MAX_DEPTH = 20  # of metadata and outputs; what copies a notebook goes down several calls a level
_SHOWN = 60  # characters of a wrong value
_ID = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_CELL_KEYS = {"cell_type", "id", "metadata", "source", "attachments", "outputs", "execution_count"}
_OUTPUT_KEYS = {
    "stream": {"name", "text"},
    "display_data": {"data", "metadata"},
    "execute_result": {"data", "metadata", "execution_count"},
    "error": {"ename", "evalue", "traceback"},
}
_WORDS = ("name", "text", "ename", "evalue")  # keys of outputs whose values are strings
_BESIDE = {"output_type", "transient"}
Raw = dict[str, Any]


def join_lines(raw: Raw) -> None:
    """Join the lists of lines of sources and outputs, in place; what is no list of strings stays for `complaint`."""
    for cell in _dicts(raw.get("cells")):
        _join(cell, ("source",))
        for output in _dicts(cell.get("outputs")):
            _join(output, ("text",))
            _join_bundle(output.get("data"))
        attachments = cell.get("attachments")
        for bundle in attachments.values() if isinstance(attachments, dict) else ():
            _join_bundle(bundle)


def _dicts(value: Any) -> Iterator[Raw]:
    return (part for part in value if isinstance(part, dict)) if isinstance(value, list) else iter(())


def _join_bundle(bundle: Any) -> None:
    if isinstance(bundle, dict):
        _join(bundle, [mime for mime in bundle if not _is_json(mime)])


def _join(holder: Raw, keys: Iterable[str]) -> None:
    for key in keys:
        value = holder.get(key)
        if isinstance(value, list):
            try:
                holder[key] = "".join(value)
            except TypeError:  # not all of them strings
                continue


def _is_json(mime: str) -> bool:
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def complaint(raw: Raw) -> str:
    """Return what is wrong with a notebook whose lines are joined, beginning with the cell; "" where nothing is."""
    cells = raw.get("cells")
    if not isinstance(cells, list):
        return f" has no list of cells, got {short(cells)}"
    if not cells:
        return " has no cells"
    for index, cell in enumerate(cells):
        if wrong := next(_of_cell(cell), ""):
            return f"{place(raw, index)}: {wrong}"
    return "".join(f": {wrong}" for wrong in [*_of_notebook(raw)][:1])


def lone_surrogate(raw: Raw) -> str:
    """Return where a string holds half of a character, which no file can; "" where none does."""
    for index, cell in enumerate(raw["cells"]):
        if not _encodes(cell):
            return f"{place(raw, index)}: a lone surrogate (\\ud800 to \\udfff) is half of a character"
    return "" if _encodes(raw) else ": its metadata has a lone surrogate, half of a character"


def _encodes(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def place(raw: Raw, index: int) -> str:
    """Return " cell 3 (id 1a2b)", without the id where it has none."""
    cell = raw["cells"][index]
    name = cell.get("id") if isinstance(cell, dict) else None
    return f" cell {index}" + (f" (id {name})" if isinstance(name, str) and _ID.fullmatch(name) else "")


def _of_notebook(raw: Raw) -> Iterator[str]:
    metadata, minor = raw.get("metadata"), raw.get("nbformat_minor")
    if type(raw["nbformat"]) is not int or type(minor) is not int or minor < 0:
        yield f"nbformat_minor is a whole number, got {short(minor)}"
    elif not isinstance(metadata, dict):
        yield f"metadata is a table of keys, got {short(metadata)}"
    elif _depth(metadata) > MAX_DEPTH:
        yield f"metadata nests at most {MAX_DEPTH} levels deep"
    else:
        for key in ("kernelspec", "language_info"):
            about = metadata.get(key, {"name": ""})
            if not isinstance(about, dict) or not _is_text(about.get("name")):
                yield f"metadata.{key} has a name, got {short(about)}"
            elif about.get("language", "python") != "python":
                yield f"metadata.{key}.language is python, got {short(about['language'])}"


def _of_cell(cell: Any) -> Iterator[str]:
    if not isinstance(cell, dict):
        yield f"a cell is a table of keys, got {short(cell)}"
        return
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        yield f"cell_type is code, markdown or raw, got {short(kind)}"
    if odd := cell.keys() - _CELL_KEYS:
        yield f"the key {short(sorted(odd)[0])} is not known"
    if not _is_text(cell.get("source")):
        yield f"source is text, got {short(cell.get('source'))}"
    if "id" in cell and not (_is_text(cell["id"]) and _ID.fullmatch(cell["id"])):
        yield f"id is 1 to 64 letters, digits, - and _, got {short(cell['id'])}"
    yield from _of_metadata(cell.get("metadata"))
    yield from _of_attachments(cell.get("attachments", {}))
    if kind == "code":
        if not _is_count(cell.get("execution_count", False)):
            yield f"execution_count is a whole number or null, got {short(cell.get('execution_count'))}"
        if not isinstance(outputs := cell.get("outputs"), list):
            yield f"outputs is a list, got {short(outputs)}"
            return
        for number, output in enumerate(outputs):
            yield from (f"outputs[{number}]{wrong}" for wrong in _of_output(output))
    elif odd := cell.keys() & {"outputs", "execution_count"}:
        yield f"only a code cell has {sorted(odd)[0]}"


def _of_metadata(metadata: Any) -> Iterator[str]:
    if not isinstance(metadata, dict):
        yield f"metadata is a table of keys, got {short(metadata)}"
        return
    tags, slideshow = metadata.get("tags", []), metadata.get("slideshow", {})
    if not isinstance(tags, list) or not all(_is_text(tag) and tag and "," not in tag for tag in tags):
        yield f"metadata.tags is a list of words without commas, got {short(tags)}"
    elif len(set(tags)) < len(tags):
        yield f"metadata.tags names each tag once, got {short(tags)}"
    if not isinstance(slideshow, dict) or not _is_text(slideshow.get("slide_type", "")):
        yield f"metadata.slideshow has a slide_type, got {short(slideshow)}"
    if _depth(metadata) > MAX_DEPTH:
        yield f"metadata nests at most {MAX_DEPTH} levels deep"


def _of_attachments(attachments: Any) -> Iterator[str]:
    if not isinstance(attachments, dict):
        yield f"attachments is a table of keys, got {short(attachments)}"
        return
    for name, bundle in attachments.items():
        yield from (f"attachments[{short(name)}]{wrong}" for wrong in _of_bundle(bundle))


def _of_output(output: Any) -> Iterator[str]:
    kind = output.get("output_type") if isinstance(output, dict) else None
    keys = _OUTPUT_KEYS.get(kind) if isinstance(kind, str) else None
    if keys is None:
        yield f".output_type is {', '.join(_OUTPUT_KEYS)}, got {short(kind)}"
        return
    if odd := output.keys() - _BESIDE ^ keys:
        yield f" of type {kind} has the keys {', '.join(sorted(keys))}, not {short(sorted(odd)[0])}"
        return
    for key in keys.intersection(_WORDS):
        if not _is_text(output[key]):
            yield f".{key} is text, got {short(output[key])}"
    if "data" in keys:
        yield from (f".data{wrong}" for wrong in _of_bundle(output["data"]))
        yield from _of_alternatives(output["metadata"])
    if "execution_count" in keys and not _is_count(output["execution_count"]):
        yield f".execution_count is a whole number or null, got {short(output['execution_count'])}"
    if kind == "error" and not _is_lines(output["traceback"]):
        yield f".traceback is a list of lines, got {short(output['traceback'])}"


def _of_bundle(bundle: Any) -> Iterator[str]:
    if not isinstance(bundle, dict):
        yield f" is a table of keys, got {short(bundle)}"
        return
    for mime, value in bundle.items():
        if not isinstance(value, str) and not _is_json(mime):
            yield f"[{short(mime)}] is text, got {short(value)}"
    if _depth(bundle) > MAX_DEPTH:
        yield f" nests at most {MAX_DEPTH} levels deep"


def _of_alternatives(metadata: Any) -> Iterator[str]:
    """Ask for metadata whose alternative texts are words: figures are described by them."""
    if not isinstance(metadata, dict) or _depth(metadata) > MAX_DEPTH:
        yield f".metadata is a table of keys, got {short(metadata)}"
        return
    for mime, about in metadata.items():
        if mime.startswith("image/") and not (isinstance(about, dict) and _is_text(about.get("alt", ""))):
            yield f".metadata[{short(mime)}] has an alternative text, got {short(about)}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _depth(value: Any) -> int:
    """Return how many lists and tables lie in one another; one more than the limit stands for all beyond it."""
    level, depth = [value], 0
    while depth <= MAX_DEPTH:
        level = [
            part for one in level if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, Mapping) else one)
        ]  # fmt: skip
        if not level:
            break
        depth += 1
    return depth


def short(value: Any) -> str:
    """Return a value as one line of at most 60 characters, with what a terminal cannot show written as escapes."""
    text = ascii(value) if not isinstance(value, dict | list) else f"{type(value).__name__} of {len(value)}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
