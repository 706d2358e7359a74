"""Does the package assume Linux? Paths, encodings, processes, signals and names, held against Windows and macOS."""

import ast
import re
import subprocess
from pathlib import Path, PureWindowsPath

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "course_utils").rglob("*.py"))
# What Windows has not, by the module it is in; to be used under a guard that asks for it, or for the platform.
POSIX = {
    "os": {"fork", "forkpty", "killpg", "setsid", "getpgid", "setpgid", "getuid", "geteuid", "getgid", "uname",
           "nice", "wait", "waitid", "WNOHANG", "mkfifo", "chown", "statvfs", "getloadavg", "sched_getaffinity",
           "pidfd_open", "unshare", "O_DIRECTORY", "O_NOFOLLOW"},
    "signal": {"SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE", "SIGQUIT", "SIGTSTP",
               "SIGXCPU", "SIGXFSZ", "alarm", "setitimer", "pause", "pthread_sigmask", "sigwait"},
}  # fmt: skip
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}
GUARD = re.compile(
    r"os\.name|sys\.platform|platform\.system|hasattr\(|getattr\(|find_spec|ImportError|AttributeError"
)
EXCUSED = {  # (file, name) -> why it is never reached on Windows
    ("course_utils/authoring/guard.py", "os.killpg"): "the thread that runs it is started on POSIX only",
    ("course_utils/authoring/guard.py", "signal.SIGKILL"): "likewise",
}


def faults(source):
    """Return (line, fault) for what does not hold on each platform."""
    tree = ast.parse(source)
    guarded = guarded_lines(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Call):
            yield from ((line, fault) for fault in faults_of_call(node))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and joins_with_slash(node):
            yield line, 'a path is joined by Path / "part", not by + "/"'
        elif isinstance(node, ast.Attribute) and line not in guarded:
            if node.attr in POSIX.get(ast.unparse(node.value), ()):
                yield line, f"{ast.unparse(node)} is not on Windows: ask for it first"
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and line not in guarded:
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if module in MODULES:
                yield line, f"{module} is not on Windows: ask for it first"


def guarded_lines(tree):
    """Return the lines of functions and branches whose text asks which platform it is."""
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.If, ast.IfExp, ast.Try, ast.ClassDef)) and GUARD.search(
            ast.unparse(node)
        ):
            lines |= set(range(node.lineno, node.end_lineno + 1))
    return lines


def faults_of_call(node):
    name, options = ast.unparse(node.func), {option.arg for option in node.keywords}
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    mode = next((ast.unparse(one) for one in [*node.args[1:2], *node.args[:1] * (method == "open")]
                 if isinstance(one, ast.Constant) and isinstance(one.value, str)), "'r'")  # fmt: skip
    opens = name in ("open", "io.open", "gzip.open", "os.fdopen") or method == "open"
    opens = opens and "timeout" not in options  # an address is opened with one
    if name not in (
        "Image.open",
        "webbrowser.open",
        "os.open",
        "zipfile.open",
        "archive.open",
        "tarfile.open",
    ):
        binary = "b" in mode or (name == "gzip.open" and "t" not in mode)
        if opens and not binary and "encoding" not in options and "mode" not in options:
            yield "a text file is opened with encoding=: Windows has another one"
    if (
        method in ("read_text", "write_text")
        and "encoding" not in options
        and len(node.args) < (1 if method == "read_text" else 2)
    ):
        yield "a text file is read and written with encoding=: Windows has another one"
    if name in ("os.fork", "os.forkpty") or name.endswith("set_start_method"):
        yield "a process is started by spawn: Windows cannot fork, and macOS must not"
    if name.endswith("get_context") and node.args and ast.unparse(node.args[0]) != "'spawn'":
        yield "a process is started by spawn: Windows cannot fork, and macOS must not"
    if name == "os.path.join" and any(isinstance(a, ast.Constant) and "/" in str(a.value) for a in node.args):
        yield 'a path is joined part by part, without "/" in them'
    if method == "split" and node.args and ast.unparse(node.args[0]) == "'/'" and "path" in name.lower():
        yield "a path is taken apart by its .parts"


def joins_with_slash(node):
    """Tell a path that is put together by hand: str(folder) + "/x", os.sep included."""
    parts = [
        part.value
        for part in (node.left, node.right)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    other = ast.unparse(node)
    return any(part.startswith("/") or part.endswith("/") for part in parts) and bool(
        re.search(r"str\(|path|folder|root|\bfspath|\bhome\b", other, re.IGNORECASE)
    )


PLANTED = {
    "open": "open(p)", "open to write": "open(p, 'w')",
    "path.open": "path.open('w')", "path.open to read": "path.open()",
    "gzip as text": "gzip.open(p, 'rt')", "read_text": "p.read_text()", "write_text": "p.write_text(x)",
    "join by hand": "a = str(folder) + '/x'", "join by plus": "a = root + '/data'",
    "os.path.join": "os.path.join(a, 'b/c')",
    "split": "path.split('/')", "fork": "os.fork()", "start method": "multiprocessing.set_start_method('fork')",
    "context": "multiprocessing.get_context('fork')", "signal": "signal.SIGKILL", "alarm": "signal.alarm(3)",
    "killpg": "os.killpg(1, 9)", "uid": "os.geteuid()", "fcntl": "import fcntl",
    "resource": "from resource import setrlimit",
}  # fmt: skip
HARMLESS = {
    "binary": "open(p, 'rb')", "encoded": "open(p, encoding='utf-8')", "path.open": "path.open('wb')",
    "Image.open": "Image.open(p)", "os.open": "os.open(p, flags)", "gzip": "gzip.open(p)", "URL": "a = url + '/x'",
    "opener": "opener().open(url, timeout=3)",
    "words": "text.split('/')", "spawn": "get_context('spawn')", "SIGTERM": "signal.SIGTERM",
    "asked for": "def f():\n    if os.name == 'nt':\n        return\n    os.killpg(1, 9)",
    "hasattr": "if hasattr(os, 'geteuid'):\n    os.geteuid()",
    "tried": "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
    "written whole": "p.write_text(x, encoding='utf-8')", "positional": "p.read_text('utf-8')",
}  # fmt: skip


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED)
def test_what_holds_on_one_platform_only_is_found(source):
    assert list(faults(source)) != []


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS)
def test_what_holds_on_each_platform_is_not(source):
    assert list(faults(source)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_package_holds_on_each_platform(path):
    name = path.relative_to(ROOT).as_posix()
    found = list(faults(path.read_text(encoding="utf-8")))
    assert [(line, fault) for line, fault in found if (name, fault.split()[0]) not in EXCUSED] == []


def test_an_excuse_has_its_use():
    for name, what in EXCUSED:
        found = [fault.split()[0] for _, fault in faults((ROOT / name).read_text(encoding="utf-8"))]
        assert what in found, f"{name} has no {what} any more: take the excuse out"


# Names of files

RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
LONGEST = 200  # characters: Windows has 260 for the whole path, and a home before ours


def wrong_names(names):
    """Return (name, fault) for names that some platform cannot have, or has once where we have two."""
    seen = {}
    for name in names:
        parts = name.split("/")
        if twin := seen.setdefault(name.casefold(), name) * (seen[name.casefold()] != name):
            yield name, f"differs from {twin} by its capitals only"
        if re.search(r'[:<>|?*"\\\x00-\x1f]', name):
            yield name, "a character that Windows has not"
        if any(part.endswith((".", " ")) for part in parts):
            yield name, "Windows drops a full stop or blank at the end"
        if any(RESERVED.fullmatch(part) for part in parts) or PureWindowsPath(name).is_absolute():
            yield name, "the name of a device"
        if len(name) > LONGEST:
            yield name, f"longer than {LONGEST} characters"
        if not name.isascii():
            yield name, "macOS and Linux store accents in two ways"


def test_tracked_files_have_names_that_each_platform_can_have():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository: the files that would be shared are not known")
    assert list(wrong_names(listed.stdout.decode("utf-8").rstrip("\0").split("\0"))) == []


@pytest.mark.parametrize("names", [["a/B.py", "a/b.py"], ["a:b"], ["what?.md"], ["a*"], ["a|b"], ["x."], ["x /y"],
                                   ["aux.py"], ["a/NUL"], ["com1"], ["n" * 201], ["größe.md"], ["a\\b"]],
                         ids=lambda names: ascii(names[0][:12]))  # fmt: skip
def test_a_name_that_some_platform_cannot_have_is_found(names):
    assert list(wrong_names(names)) != []
