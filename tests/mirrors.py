"""A local server of files that plays a bad mirror: how it answers is a function of the request and the true content.

Each function below is one fault, and what it does to the connection happens for real: sockets close, stall, trickle.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def whole(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """No fault: the file."""
    _head(request, len(content))
    request.wfile.write(content)


def status(code: int) -> Answer:
    """Only an error, such as 404."""
    return lambda request, _: request.send_error(code)


def dropped(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """The line is cut half-way."""
    _head(request, len(content))
    request.wfile.write(content[: len(content) // 2])


def dropped_in_chunks(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """The line is cut in the middle of a chunk, so that the length was never said."""
    request.protocol_version = "HTTP/1.1"
    _head(request, None, ("Transfer-Encoding", "chunked"))
    request.wfile.write(b"%x\r\n" % len(content) + content[: len(content) // 2])


def no_http(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Something else than a web server stands there."""
    request.wfile.write(b"220 mail.example ready\r\n")


def portal(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """A page to log in, with status 200, as wireless networks of hotels and trains answer."""
    whole(request, b"<html>Please log in.</html>")


def other(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """As many bytes as expected, one of them another."""
    whole(request, content[:-1] + bytes([content[-1] ^ 1]))


def endless(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """The file, and zeros until the client hangs up."""
    _head(request, None)
    request.wfile.write(content)
    while True:
        request.wfile.write(bytes(65_536))


def silent(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Not even a status line; until the client hangs up."""
    request.rfile.read(1)


def stalled(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Half of the file, then nothing; until the client hangs up."""
    dropped(request, content)
    request.rfile.read(1)


def trickle(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """One byte every few milliseconds: the line is never silent."""
    _head(request, len(content))
    for byte in content:
        request.wfile.write(bytes([byte]))
        time.sleep(0.005)


def redirected(url: str) -> Answer:
    """To another address."""

    def answer(request: BaseHTTPRequestHandler, _: bytes) -> None:
        request.send_response(302)
        request.send_header("Location", url)
        request.end_headers()

    return answer


def redirected_endlessly(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """To ftp, with a page of zeros until the client hangs up."""
    request.send_response(302)
    request.send_header("Location", "ftp://127.0.0.1/x")
    request.end_headers()
    while True:
        request.wfile.write(bytes(65_536))


def counted(each: Callable[[int], None], step: int) -> Answer:
    """No fault, but `each` is told how many bytes have gone out, after every `step` of them."""

    def answer(request: BaseHTTPRequestHandler, content: bytes) -> None:
        _head(request, len(content))
        for start in range(0, len(content), step):
            request.wfile.write(content[start : start + step])
            each(min(start + step, len(content)))

    return answer


def _head(request: BaseHTTPRequestHandler, length: int | None, *headers: tuple[str, str]) -> None:
    request.send_response(200)
    for name, value in headers if length is None else (("Content-Length", str(length)), *headers):
        request.send_header(name, value)
    request.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that clients hang up is what these tests are about."""


class Mirror:
    """Serves `files` by the last part of their address; `asked` lists what clients wanted, `answer` how they fare."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.answer: Answer = whole
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                mirror.asked.append(name)
                mirror.answer(self, mirror.files[name])

            def log_message(self, *_: object) -> None:
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Mirror]:
    """Yield a mirror that answers until the block ends."""
    mirror = Mirror(files)
    thread = Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.server.shutdown()
        mirror.server.server_close()
        thread.join()
