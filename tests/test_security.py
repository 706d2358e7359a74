"""What is shown, served and shipped runs nothing of others, gives nothing away, and starts nothing through a shell."""

import ast
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from conftest import printed

from course_utils.authoring import policy, traces
from course_utils.authoring.form import programs
from course_utils.authoring.form.outputs import machine_traces
from course_utils.authoring.library import CourseError
from course_utils.authoring.site import make
from course_utils.authoring.slides import javascript
from course_utils.playgrounds import as_html

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "course_utils").rglob("*.py"))
SCRIPT = "say('hello')"
PAGE = '<!doctype html><html><head><meta charset="utf-8"><script>{head}</script></head><body>{body}</body></html>'

# The policy of a page

SMUGGLED = {
    "a script": ("<script>alert(1)</script>", "a script that is not ours: 'alert(1)'"),
    "a script with a type": ('<script type="module">import "x"</script>', "a script that is not ours"),
    "a script in a picture": ("<svg><script>alert(1)</script></svg>", "a script that is not ours"),
    "our script, changed": (f"<script>{SCRIPT};</script>", "a script that is not ours"),
    "a handler": ('<img src="x" onerror="alert(1)">', "a handler in an attribute: <img onerror="),
    "a handler in capitals": ('<p ONCLICK="alert(1)">', "a handler in an attribute: <p onclick="),
    "a handler of a picture": ('<svg onload="alert(1)">', "a handler in an attribute: <svg onload="),
    "a program as address": ('<a href="javascript:alert(1)">', "an address that is a program"),
    "a disguised program": ('<a href=" java&#10;script:alert(1)">', "an address that is a program"),
    "a page as address": ('<a href="data:text/html,x">', "an address that is a program"),
    "a form that runs": ('<form action="javascript:alert(1)">', "an address that is a program"),
    "a frame": ('<iframe src="x.html">', "an element <iframe>"),
    "a frame of words": ('<iframe srcdoc="x">', "an element <iframe>"),
    "an object": ('<object data="x.svg">', "an element <object>"),
    "an embedded thing": ('<embed src="x.swf">', "an element <embed>"),
    "another base": ('<base href="x/">', "an element <base>"),
    "a remote picture": ('<img src="https://x.invalid/a.png">', "something from elsewhere: <img src="),
    "a remote picture, short": ('<img src="//x.invalid/a.png">', "something from elsewhere: <img src="),
    "a remote picture, slanted": (r'<img src="\\x.invalid\a.png">', "something from elsewhere: <img src="),
    "a remote script": ('<script src="https://x.invalid/a.js"></script>', "something from elsewhere: <script src="),
    "a remote style": ('<link rel="stylesheet" href="http://x.invalid/a.css">', "something from elsewhere: <link"),
    "a remote film": ('<video poster="http://x.invalid/a.png">', "something from elsewhere: <video poster="),
    "a way out": ('<meta http-equiv="refresh" content="0;url=http://x.invalid">', "a page that leads away"),
}  # fmt: skip


def guarded(body, head=""):
    return policy.with_policy(PAGE.format(head=head, body=body), policy.DECK, known={SCRIPT})


@pytest.mark.parametrize(("body", "message"), SMUGGLED.values(), ids=SMUGGLED)
def test_a_page_with_something_that_is_not_ours_is_not_made(body, message):
    with pytest.raises(CourseError, match=re.escape(message)):
        guarded(body)


def test_a_page_without_its_first_line_is_not_made():
    with pytest.raises(CourseError, match='a page begins with <meta charset="utf-8">'):
        policy.with_policy("<html><body></body></html>", policy.SITE, known=())


def test_the_policy_names_the_scripts_of_a_page_and_is_the_same_the_second_time():
    once = guarded(f"<script>{SCRIPT}</script><p>x < y</p>", head="let k = 1 < 2;")
    hashes = set(re.findall(r"'sha256-[^']+'", once))
    # openssl dgst -sha256 -binary | base64, of the two texts
    assert hashes == {policy.script_hash(SCRIPT), policy.script_hash("let k = 1 < 2;")}
    assert policy.script_hash("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    assert "script-src 'sha256-" in once
    assert "'unsafe-inline'" not in once.split("script-src")[1].split(";")[0]
    assert once.index("Content-Security-Policy") < once.index("<script")
    assert policy.with_policy(once, policy.DECK, known={SCRIPT}) == once


@pytest.mark.parametrize("directives", [policy.SITE, policy.DECK], ids=["site", "deck"])
def test_a_policy_allows_nothing_remote_and_no_script_by_its_place_in_the_page(directives):
    allowed = " ".join(directives.values()).split()
    assert set(allowed) == {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert directives["default-src"] == directives["object-src"] == directives["base-uri"] == "'none'"
    assert [name for name, sources in directives.items() if "unsafe" in sources] == ["style-src"]
    assert [name for name, sources in directives.items() if "data:" in sources and name == "script-src"] == []


def test_a_site_with_a_foreign_script_is_refused_and_the_page_is_named(tmp_path):
    for name, body in {
        "search.html": f"<script>{SCRIPT}</script>",
        "index.html": "<script>alert(1)</script>",
    }.items():
        (tmp_path / name).write_text(PAGE.format(head="", body=body), encoding="utf-8")
    with pytest.raises(CourseError, match=r"^index.html holds a script that is not ours: 'alert\(1\)'\.$"):
        make.protect(tmp_path)
    (tmp_path / "index.html").write_text(PAGE.format(head="", body="fine"), encoding="utf-8")
    assert make.protect(tmp_path) == 2


def test_a_change_of_what_the_speakers_window_runs_is_noticed(tmp_path):
    plugin = tmp_path / "reveal.js/dist/plugin/notes.js"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(r"write(`<script>let a = /\\?/;<\/script></body>`)", encoding="utf-8")
    assert javascript.speaker_script(tmp_path) == r"let a = /\?/;"
    plugin.write_text("write(view)", encoding="utf-8")
    with pytest.raises(CourseError, match=r"found 0 in notes\.js"):
        javascript.speaker_script(tmp_path)


# The outputs of a notebook


def notebook(*outputs, source="x = 1", kind="code"):
    cell = {"cell_type": kind, "source": source, "metadata": {}}
    return nbformat.from_dict({"cells": [cell | ({"outputs": list(outputs)} if kind == "code" else {})]})


def shown(kind, text):
    return {"output_type": "display_data", "data": {kind: text}, "metadata": {}}


def found(book):
    rules = [*programs.RULES, machine_traces]
    return [finding.rule for rule in rules for finding in rule(book)]


@pytest.mark.parametrize(("body", "message"), [
    (body, message) for name, (body, message) in SMUGGLED.items() if name != "our script, changed"
])  # fmt: skip
def test_an_output_that_runs_or_loads_something_is_found(body, message):
    assert any(message in rule for rule in found(notebook(shown("text/html", body))))
    assert any(message in rule for rule in found(notebook(shown("text/markdown", f"words {body}"))))
    assert any(message in rule for rule in found(notebook(source=f"words\n\n{body}", kind="markdown")))


@pytest.mark.parametrize("kind", ["application/javascript", "application/vnd.jupyter.widget-view+json",
                                  "image/svg+xml", "application/pdf", "text/x-of-mine"])  # fmt: skip
def test_outputs_of_other_kinds_are_found(kind):
    assert any(f"got {kind!r}" in rule for rule in found(notebook(shown(kind, "x"))))


def test_a_playground_is_allowed_and_one_with_another_program_is_not():
    figure = as_html("optimizer")
    assert found(notebook(shown("text/html", figure))) == []
    assert len(found(notebook(shown("text/html", figure.replace("</script>", " </script>"))))) == 1


# Each is put together here, so that this file holds none of them.
HOME, AT = "/ho" + "me/", "@"
TELLTALE = {
    HOME + "ada/x.py": "absolute paths", "/Us" + "ers/ada/x": "absolute paths", "/ro" + "ot/x": "absolute paths",
    "/t" + "mp/tmpx1/y": "absolute paths", "C:" + "\\Users\\ada": "absolute paths",
    "\\\\" + "server\\share": "absolute paths", "fil" + "e:///x": "absolute paths", "~" + "/course": "absolute paths",
    "/Vol" + "umes/x": "absolute paths", "DESKTOP" + "-A1B2C3D": "host names", "ada-laptop" + ".local": "host names",
    "ip-10" + "-0-0-12": "host names", "192.168" + ".1.7": "host names", "ada" + AT + "node7:~": "host names",
    "ada" + AT + "example.org": "addresses of people", "http" + "s://tracker.invalid/x": "outputs lead to",
    "AK" + "IA" + "ABCDEFGHIJKLMNOP": "key of a cloud", "gh" + "p_" + "a1B2" * 9: "token of a code host",
    "hf" + "_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcD": "token of a service",
    "-----BEGIN RSA " + "PRIVATE KEY": "private key",
    "pass" + "word = 'hunter22'": "credential",
    "http" + "s://ada:secret" + AT + "arxiv.org": "credential in an address",
    "ey" + "J0eXAiOiJKV1Q." + "ey" + "J1c2VyIjoiYWRhIn0.": "signed token",
    "?tok" + "en=0123456789abcdef": "token in an address",
    "k9Xv2Qm" + "7Lr4Tz8Wb1Nc6Yp3Hd5Jf0Gs9Ae2Ru": "random word",
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), TELLTALE.items(), ids=range(len(TELLTALE)))
def test_an_output_that_gives_something_away_is_found_wherever_it_stands(text, kind):
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": [f"in {text} line 1"]}
    for output in (printed(f"see {text} there"), shown("text/html", f"<p>{text}</p>")):
        assert any(kind in rule for rule in found(notebook(output))), output
    if kind != "outputs lead to":
        assert any(kind in rule for rule in found(notebook(error)))


def test_a_key_is_not_repeated_in_the_report_of_it():
    key = "gh" + "p_" + "a1B2" * 9
    assert not any(key in rule for rule in found(notebook(printed(key))))


@pytest.mark.parametrize("text", ["sha256-" + "k9Xv2Qm7Lr4Tz8Wb1Nc6Yp3Hd5Jf0Gs9Ae2Ru", "0123456789abcdef" * 4,
                                  "layers.0.weight_initialization_of_He_2015", "see https://arxiv.org/abs/1502.01852",
                                  "loss 0.25 at epoch 12", "a @ b.mT", "x.local(3)"])  # fmt: skip
def test_hashes_names_and_papers_give_nothing_away(text):
    assert found(notebook(printed(text))) == []


def test_planted_outputs_are_counted(tally):
    running = [value for name, value in SMUGGLED.items() if name != "our script, changed"]
    tried = [(shown("text/html", body), message) for body, message in running]
    tried += [(printed(text), kind) for text, kind in TELLTALE.items()]
    lost = sum(not any(message in rule for rule in found(notebook(output))) for output, message in tried)
    message = "nothing runs in the reader's browser, got a handler in an attribute"
    fault = "scripts, addresses, traces of machines and keys, planted in an output"
    tally.note("stored outputs", fault, tried=len(tried), lost=lost, message=message)


# The files of the repository

PLACEHOLDERS = {"m", "me", "you", "ada", "somebody", "student", "teacher"}  # in examples of paths
HOMES = re.compile(r"(?:/home/|/Users/|\b[A-Z]:\\+Users\\+)([\w.-]+)|(?<![\w.])(/root/)\w")
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".json", ".js", ".css", ".html", ".j2", ".csv", ".svg", ".cff", ".ipynb",
        ".mplstyle", ""}  # fmt: skip


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository: the files that would be shared are not known")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def given_away(text):
    homes = [match[0] for match in HOMES.finditer(text) if match[1] not in PLACEHOLDERS]
    return [*homes, *(f"{kind}: {what}" for kind, what in traces.secrets(text))]


def test_no_file_of_the_repository_holds_a_home_or_a_key():
    faults = {}
    for path in tracked():
        if path.suffix not in TEXT:
            continue
        if path.suffix == ".ipynb":
            book = nbformat.read(path, as_version=4)
            text = "\n".join(str(cell.source) for cell in book.cells)  # the form test reads their outputs
        else:
            text = path.read_text(encoding="utf-8")
        if told := given_away(text):
            faults[path.relative_to(ROOT).as_posix()] = told
    assert faults == {}
    assert given_away("in " + HOME + "grace/x") == [HOME + "grace"]
    assert given_away("in /ro" + "ot/x") != []


# The code of the package

FORBIDDEN = {
    "os.system": "a shell reads what a file or a notebook is called",
    "os.popen": "a shell reads what a file or a notebook is called",
    "subprocess.getoutput": "a shell reads what a file or a notebook is called",
    "subprocess.getstatusoutput": "a shell reads what a file or a notebook is called",
    "tempfile.mktemp": "another process may take the name first: mkstemp, TemporaryDirectory",
    "urllib.request.urlretrieve": "waits for ever: the downloads have one place, in datasets",
    "ssl._create_unverified_context": "accepts any certificate",
}
ADDRESS = re.compile(r"http://(?!127\.0\.0\.1|localhost|www\.w3\.org/)")
STARTS = {"run", "Popen", "call", "check_call", "check_output"}


def faults_of(source):
    """Return (line, why) for each call that the package may not make, and each address without encryption."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords if option.arg}
            if name in FORBIDDEN:
                yield node.lineno, FORBIDDEN[name]
            if options.get("shell", "False") != "False":
                yield node.lineno, "a shell reads what a file or a notebook is called"
            if options.get("verify") == "False":
                yield node.lineno, "accepts any certificate"
            if name.endswith("urlopen") and "timeout" not in options and len(node.args) < 3:
                yield node.lineno, "waits for ever without a timeout"
            if name.endswith("chmod") and any(mode & 0o022 for mode in numbers(node)):
                yield node.lineno, "anybody may write the file"
            if name.startswith("requests."):
                yield node.lineno, "waits for ever: the downloads have one place, in datasets"
            if name.startswith("subprocess.") and name.split(".")[1] in STARTS and isinstance(
                node.args[0] if node.args else None, (ast.Constant, ast.JoinedStr)
            ):  # fmt: skip
                yield node.lineno, "a program is started by a list of arguments"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ADDRESS.match(node.value):
            yield node.lineno, "an address without encryption"


def numbers(call):
    return [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, int)]


PLANTED = [
    "import os\nos.system('x')", "os.popen('x')", "subprocess.run('x y', shell=True)", "subprocess.run('x y')",
    "subprocess.Popen(f'x {y}')", "subprocess.run(['x'], shell=yes)", "tempfile.mktemp()", "os.chmod(p, 0o777)",
    "path.chmod(0o666)", "urlopen(x)", "urllib.request.urlopen(x)", "requests.post(x)", "get(x, verify=False)",
    "a = 'http://example.org'", "subprocess.getoutput('x')",
]  # fmt: skip
HARMLESS = ["subprocess.run(['x', y])", "os.chmod(p, 0o700)", "path.chmod(0o644)", "urlopen(x, timeout=3)",
            "a = 'https://example.org'", "run('x y')", "a = f'http://127.0.0.1:{port}'"]  # fmt: skip


@pytest.mark.parametrize("source", PLANTED)
def test_a_forbidden_call_is_found(source):
    assert list(faults_of(source)) != []


@pytest.mark.parametrize("source", HARMLESS)
def test_a_harmless_call_is_not(source):
    assert list(faults_of(source)) == []


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_package_makes_no_forbidden_call(path):
    assert list(faults_of(path.read_text(encoding="utf-8"))) == []


def wrong_asserts(source):
    """Return the lines of asserts that check a value: those vanish with python -O."""
    checks = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    return [
        node.lineno
        for node in checks
        if not re.fullmatch(r".* is not None|isinstance\(.*\)", ast.unparse(node.test))
    ]


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_assert_tells_mypy_a_type_and_checks_no_value(path):
    assert wrong_asserts(path.read_text(encoding="utf-8")) == []


def test_an_assert_that_checks_a_value_is_found():
    assert wrong_asserts("assert x is not None\nassert x > 0\nassert isinstance(x, int)") == [2]
