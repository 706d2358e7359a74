"""How is a file written so that a reader sees the old whole or the new whole, and a full disk leaves the old one?"""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write `text` beside the file and rename; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
