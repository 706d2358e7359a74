"""Does a download survive a bad mirror, a full disk, a neighbour who asks at the same time, and being killed?

After every fault: what stands under its final name is whole, nothing else is left over, and the next try works.
"""

import json
import os
import queue
import random
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from pathlib import Path

import mirrors
import pytest
import small_set
from small_set import FINAL, ask, assert_next_try_works, assert_whole, left_over, loader, refusal, serving

from course_utils.datasets import transfer

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, signals or permissions of POSIX")
ONLY_HTTPS, TRUSTED = transfer._opener, transfer._trusted


@pytest.fixture
def mirror(monkeypatch):
    """A mirror with the small set, which load("mnist") then asks."""
    with serving(monkeypatch) as mirror:
        yield mirror


FAULTS = {
    "404": (mirrors.status(404), "it answers 404 Not Found"),
    "500": (mirrors.status(500), "it answers 500 Internal Server Error"),
    "dropped half-way": (mirrors.dropped, r"it broke off \(after [\d,]+ of [\d,]+ bytes\)"),
    "dropped within a chunk": (mirrors.dropped_in_chunks, "IncompleteRead|it broke off"),
    "not a web server": (mirrors.no_http, "220 mail.example ready"),
    "a page to log in": (mirrors.portal, "it broke off"),
    "one wrong byte": (mirrors.other, "sent another file: it should be sha256:.*, got sha256:"),
    "endless": (mirrors.endless, "it sends more than the file has"),
    "silent from the start": (mirrors.silent, "it was silent for 0 s"),
    "silent half-way": (mirrors.stalled, r"it was silent for 0 s \(after [\d,]+ of"),
    "a trickle of bytes": (mirrors.trickle, "it is too slow"),
    "redirected to ftp": (mirrors.redirected("ftp://127.0.0.1/x"), "unknown url type: ftp"),
    "redirected to a file": (
        mirrors.redirected("file:///etc/hostname"),
        "file:///etc/hostname.* not allowed",
    ),
    "redirected with an endless page": (mirrors.redirected_endlessly, "unknown url type: ftp"),
    "redirected in a circle": (mirrors.redirected("train-images-idx3-ubyte.gz"), "infinite loop"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_mirror_costs_nothing_but_the_try(mirror, tmp_path, monkeypatch, tally, fault):
    answer, reason = FAULTS[fault]
    strikes = (
        range(4) if fault != "a trickle of bytes" else (0, 2)
    )  # files of labels are too short to take long
    for good in strikes:  # archives that arrive before the fault
        root = tmp_path / str(good)
        end = len(mirror.asked) + good
        mirror.answer = lambda request, content, end=end: (
            mirrors.whole if len(mirror.asked) <= end else answer
        )(request, content)
        with monkeypatch.context() as patch:
            if answer in (mirrors.silent, mirrors.stalled, mirrors.trickle):
                patch.setattr(transfer, "_SILENCE", 0.3)
                patch.setattr(transfer, "_SLOWEST", 1e6)
            message = refusal(root, mirror.address)
        assert re.search(reason, message), message
        assert left_over(root) == []
        mirror.answer = mirrors.whole
        assert_next_try_works(root)
    tally.note("downloads", fault, tried=len(strikes), message=message)


def test_a_mirror_that_does_not_answer_costs_nothing_but_the_try(mirror, tmp_path, monkeypatch, tally):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    small_set.teach(address, patch=monkeypatch.setattr)
    message = refusal(tmp_path, address)
    assert "refused" in message
    assert left_over(tmp_path) == []
    small_set.teach(mirror.address, patch=monkeypatch.setattr)
    assert_next_try_works(tmp_path)
    tally.note("downloads", "connection refused", tried=1, message=message)


def test_what_arrives_is_unpacked_in_a_folder_that_only_its_owner_may_enter(mirror, tmp_path):
    modes = []

    def look(_):
        [folder] = tmp_path.glob(".mnist-*")
        modes.append(stat.S_IMODE(folder.stat().st_mode))

    mirror.answer = mirrors.counted(look, 50)
    assert_next_try_works(tmp_path)
    assert len(modes) >= 4
    assert os.name != "posix" or set(modes) == {0o700}


@pytest.fixture
def certificate(tmp_path):
    """The file of a key and a certificate for 127.0.0.1 that no authority has signed."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl on this machine to make a certificate with")
    path = tmp_path / "certificate.pem"
    command = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=127.0.0.1"
    subprocess.run(
        [openssl, *command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def test_only_https_is_spoken_and_only_with_a_server_that_is_known(
    mirror, tmp_path, monkeypatch, certificate, tally
):
    plain = mirror.address
    monkeypatch.setattr(transfer, "_opener", ONLY_HTTPS)
    root = tmp_path / "data"
    messages = {"plain http": refusal(root)}

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    mirror.server.socket = context.wrap_socket(mirror.server.socket, server_side=True)
    small_set.teach(plain.replace("http:", "https:"), patch=monkeypatch.setattr)
    monkeypatch.setattr(transfer, "_opener", ONLY_HTTPS)
    monkeypatch.setattr(transfer, "_trusted", TRUSTED)
    messages["unknown certificate"] = refusal(root)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mirror.answer = mirrors.redirected(f"{plain}/train-images-idx3-ubyte.gz")
    messages["redirected from https to http"] = refusal(root)
    assert left_over(root) == []
    for (fault, message), reason in zip(
        messages.items(),
        ["unknown url type: http", "certificate verify failed", "unknown url type: http"],
        strict=True,
    ):
        assert reason in message
        tally.note("downloads", fault, tried=1, message=message.replace(mirror.address, "https://MIRROR"))
    mirror.answer = mirrors.whole
    assert_next_try_works(root)


# Neighbours and kills


def test_two_processes_that_ask_at_once_share_one_download(monkeypatch, tmp_path, tally):
    tried = tally.number(each_time=10, weekly=300)
    generator = random.Random(1)
    with serving(monkeypatch) as mirror:
        mirror.answer = mirrors.counted(lambda _: time.sleep(0.002), 50)
        with loader(mirror.address, 1, "here") as one, loader(mirror.address, 1, "here") as other:
            for case in range(tried):
                root, before = tmp_path / str(case), len(mirror.asked)
                ask(one, root)
                time.sleep(generator.random() * 0.02 if case else 0)
                ask(other, root)
                answers = [json.loads(process.stdout.readline()) for process in (one, other)]
                assert answers == ["7 images"] * 2 or answers == ["5 images"] * 2
                assert sorted(mirror.asked[before:]) == sorted(mirror.files)
                assert left_over(root) == FINAL
    tally.note("downloads", "two processes ask at once", tried=tried)


class Nursery:
    """Loads in fork after fork of a process that has imported everything, and kills them."""

    def __init__(self, process, mirror, generator):
        self.process, self.mirror, self.generator = process, mirror, generator
        self.total = sum(map(len, mirror.files.values()))

    def load(self, root, how_to_kill):
        """Return how a load into `root` ended, when `how_to_kill(self)` was called once it had its number."""
        self.pid, self.sent, self.killed = queue.Queue(), 0, threading.Event()
        ask(self.process, root)
        number = int(self.process.stdout.readline())
        self.pid.put(number)
        how_to_kill(number)
        ask(self.process, "")
        return int(self.process.stdout.readline())

    def at_a_byte(self, root):
        """Kill when so many bytes of all archives have been sent."""
        end = self.generator.randrange(self.total)

        def each(_):
            self.sent += 500
            if self.sent >= end and not self.killed.is_set():
                os.kill(self.pid.get(), signal.SIGKILL)
                self.killed.set()

        self.mirror.answer = mirrors.counted(each, 500)
        return self.load(root, lambda _: self.killed.wait(20))

    def at_a_moment(self, root, seconds):
        """Kill after some of the seconds that a load takes."""
        self.mirror.answer = mirrors.whole

        def kill(number):
            time.sleep(self.generator.random() * seconds)
            os.kill(number, signal.SIGKILL)

        return self.load(root, kill)


@posix
def test_killed_at_any_moment_the_cache_is_whole_and_the_next_try_works(monkeypatch, tmp_path, tally):
    tried, scale, ends = tally.number(each_time=200, weekly=2_000), 300, []
    with serving(monkeypatch, scale) as mirror, loader(mirror.address, scale, "fork") as process:
        nursery = Nursery(process, mirror, random.Random(2))
        assert nursery.load(tmp_path / "first", lambda _: None) == 0  # waits until all is imported
        start = time.perf_counter()
        assert nursery.load(tmp_path / "second", lambda _: None) == 0
        seconds = time.perf_counter() - start
        for case in range(tried):
            root = tmp_path / str(case // 2)  # every second one finds what the one before left behind
            end = nursery.at_a_moment(root, seconds) if case % 4 > 1 else nursery.at_a_byte(root)
            ends.append(end)
            seconds *= 0.9 if end == 0 else 1.02  # the next load is as fast as this machine is now
            assert_whole(root, scale)
            assert len([path for path in root.glob(".mnist-*") if path.is_dir()]) <= 1
            if case % 2:
                mirror.answer = mirrors.whole
                assert_next_try_works(root, scale)
    assert ends.count(-signal.SIGKILL) > 0.7 * tried
    assert set(ends) <= {0, -signal.SIGKILL}
    tally.note("downloads", "killed at a random byte or moment", tried=tried)
