"""Who reaches the server of `make lab`? This machine with the token, and nobody else, whatever a user has set."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil  # comes with ipykernel
import pytest

pytest.importorskip("jupyterlab", reason="the lab extra is not installed")

ROOT = Path(__file__).parents[1]
CARELESS = """
c = get_config()
c.ServerApp.ip = "0.0.0.0"
c.IdentityProvider.token = ""
c.PasswordIdentityProvider.password_required = False
c.ServerApp.allow_origin = "*"
c.ServerApp.allow_remote_access = True
c.ServerApp.disable_check_xsrf = True
"""


def recipe(target):
    """Return the command of a target of the Makefile, and what it exports, with $(CURDIR) as it stands there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = re.search(rf"^{target}:.*##.*\n\t\$\(BIN\)/(.*)$", makefile, re.MULTILINE)[1]
    exports = re.findall(rf"^{target}: export (\w+) :=(.*)$", makefile, re.MULTILINE)
    return shlex.split(command), {name: value.strip() for name, value in exports}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The server as `make lab` starts it, over no notebooks, for a user whose settings open it to everybody."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "notebooks").mkdir()
    for place in (folder / ".jupyter", folder / "more"):
        place.mkdir()
        (place / "jupyter_server_config.py").write_text(CARELESS, encoding="utf-8")
        (place / "jupyter_config.py").write_text(CARELESS, encoding="utf-8")
    shutil.copytree(ROOT / "web", folder / "web", ignore=shutil.ignore_patterns("node_modules"))
    (program, lab, *options), exports = recipe("lab")
    assert (program, lab) == ("jupyter", "lab")
    given = {name: value.replace("$(CURDIR)", str(folder)) for name, value in exports.items()}
    own = {"HOME": str(folder), "USERPROFILE": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
           "JUPYTER_CONFIG_PATH": str(folder / "more")}  # fmt: skip
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    command = [sys.executable, "-m", "jupyterlab", *options, "--no-browser", "--ServerApp.port=0"]
    if getattr(os, "geteuid", lambda: 1)() == 0:
        command.append("--allow-root")
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=inherited | own | given, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        yield process, wait_for(process, folder)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(process, folder):
    """Return what the server notes about itself once it answers."""
    for _ in range(600):
        noted = list((folder / "runtime").glob("jpserver-*.json"))
        try:
            info = json.loads(noted[0].read_text(encoding="utf-8"))
            socket.create_connection(("127.0.0.1", info["port"]), timeout=5).close()
            return info
        except (OSError, IndexError, ValueError):
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.1)
    raise AssertionError((folder / "log").read_text(encoding="utf-8"))


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def status(info, path, *, data=None, host="127.0.0.1", **headers):
    """Return the answer's status, and its headers."""
    url = f"http://{host}:{info['port']}/{path}"
    asked = urllib.request.Request(
        url, data=data, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.build_opener(Stay).open(asked, timeout=20) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_only_the_token_opens_the_server_of_make_lab(server, tally):
    _, info = server
    assert re.fullmatch(r"[0-9a-f]{48}", info["token"])
    paths = ["api/contents", "api/kernels", "api/sessions", "api/terminals", "files/x", "lab/api/settings"]
    answers = {path: status(info, path)[0] for path in paths}
    answers |= {f"{path}, wrong token": status(info, f"{path}?token=of-somebody")[0] for path in paths[:2]}
    answers["a kernel"] = status(info, "api/kernels", data=b"{}")[0]
    code, headers = status(info, "lab")
    answers["lab"] = 403 if code == 302 and "/login" in headers["Location"] else code
    assert {path: code for path, code in answers.items() if code not in (403, 302)} == {}
    assert status(info, f"api/contents?token={info['token']}")[0] == 200
    tally.note("make lab", "requests without the token, a user's settings that switch it off", tried=len(answers),
               message="403 Forbidden, or the page that asks for the token")  # fmt: skip


def test_no_other_machine_can_reach_the_server_of_make_lab(server, tally):
    process, info = server
    listening = [
        one.laddr.ip for one in psutil.Process(process.pid).net_connections("inet") if one.status == "LISTEN"
    ]
    assert set(listening) == {"127.0.0.1"}
    own = [one.address for addresses in psutil.net_if_addrs().values() for one in addresses
           if one.family == socket.AF_INET and not one.address.startswith("127.")]  # fmt: skip
    for address in own:
        with pytest.raises(OSError, match=r"refused|timed out|WinError"):
            socket.create_connection((address, info["port"]), timeout=3).close()
    tally.note("make lab", "asked by another address of the machine", tried=len(own) + len(listening),
               message="connection refused")  # fmt: skip


def test_a_page_from_elsewhere_cannot_use_the_session_of_the_browser(server, tally):
    _, info = server
    _, headers = status(info, f"lab?token={info['token']}")
    cookies = "; ".join(one.split(";")[0] for one in headers.get_all("Set-Cookie"))
    assert status(info, "api/contents", Cookie=cookies)[0] == 200
    evil = {"Origin": "http://evil.invalid", "Referer": "http://evil.invalid/", "Cookie": cookies}
    answers = {
        "reads": status(info, "api/contents", **evil)[0],
        "starts a kernel": status(info, "api/kernels", data=b"{}", **evil)[0],
        "starts a kernel, no origin": status(info, "api/kernels", data=b"{}", Cookie=cookies)[0],
        "by a name that leads here": status(info, "api/contents", Cookie=cookies, Host="evil.invalid")[0],
    }
    assert {what: code for what, code in answers.items() if code not in (403, 404)} == {}
    tally.note("make lab", "a page of another origin, with the browser's cookies", tried=len(answers),
               message="403 Forbidden")  # fmt: skip
