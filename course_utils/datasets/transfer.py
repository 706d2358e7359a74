"""How does one file come over the network? By https, no longer than it is known to be, compared with its hash.

urllib alone: what is needed is a limit on bytes, on silence and on slowness, and no redirection to another protocol.
"""

import hashlib
import http.client
import importlib.util
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple
from urllib import request
from urllib.error import HTTPError, URLError

_SILENCE = 20.0  # seconds without a byte after which a server counts as lost
_SLOWEST = (
    20_000  # bytes a second, on average after the first seconds; chosen: the largest set then takes 2.4 hours
)
_CHUNK = 1 << 16  # bytes


class Archive(NamedTuple):
    """A published file: where it is, and what it must be."""

    url: str
    size: int  # in bytes
    digest: str  # "sha256:hex digest"
    files: tuple[str, ...]  # what the course takes from it, as paths below the folder for data


def download(archive: Archive, path: Path) -> None:
    """Bring an archive to `path`, with a progress bar.

    Raises:
        ConnectionError: if the server cannot be reached, refuses, is silent or slow, or sends anything but this file.
        OSError: if `path` cannot be written.
    """
    from tqdm import tqdm

    received = hashlib.sha256()
    label = archive.url.rpartition("/")[2]
    with (
        path.open("wb") as file,
        tqdm(total=archive.size, unit="B", unit_scale=True, desc=label, leave=False) as bar,
    ):
        for chunk in _chunks(archive):
            file.write(chunk)
            received.update(chunk)
            bar.update(len(chunk))
    if (digest := f"sha256:{received.hexdigest()}") != archive.digest:
        raise ConnectionError(f"{archive.url} sent another file: it should be {archive.digest}, got {digest}")


def _chunks(archive: Archive) -> Iterator[bytes]:
    """Yield the file piece by piece; what the consumer does with a piece raises its own errors."""
    size, start = 0, time.monotonic()
    try:
        with _opener().open(archive.url, timeout=_SILENCE) as response:
            while chunk := response.read1(_CHUNK):  # what has arrived; read() would wait for a whole chunk
                size += len(chunk)
                if size > archive.size:
                    raise ConnectionError("it sends more than the file has")
                if (elapsed := time.monotonic() - start) > _SILENCE + size / _SLOWEST:
                    raise ConnectionError(f"it is too slow, {elapsed:.0f} s")
                yield chunk
        if size < archive.size:
            raise ConnectionError("it broke off")
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        progress = f" (after {size:,} of {archive.size:,} bytes)" if size else ""
        raise ConnectionError(f"{archive.url}: {_reason(error)}{progress}") from error


def _reason(error: BaseException) -> str:
    """Say in words what the network reported."""
    if isinstance(error, HTTPError):
        return f"it answers {error.code} {error.reason}"
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        return _reason(error.reason)
    if isinstance(error, TimeoutError):
        return f"it was silent for {_SILENCE:.0f} s"
    return getattr(error, "strerror", None) or str(error).strip() or type(error).__name__


class _Redirection(request.HTTPRedirectHandler):
    """Passes over the page that comes with a redirection: urllib would read all of it, however long."""

    def redirect_request(
        self,
        req: request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> request.Request | None:
        """Return what to ask next."""
        fp.close()
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> request.OpenerDirector:
    """Return what opens https and nothing else: a redirection to http, ftp or file meets no handler."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPSHandler(context=_trusted()),
        _Redirection(),
        request.HTTPErrorProcessor(),
        request.HTTPDefaultErrorHandler(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _trusted() -> ssl.SSLContext:
    """Trust the system's authorities, and certifi's where it is there: some Pythons on macOS come without any."""
    context = ssl.create_default_context()
    if importlib.util.find_spec("certifi"):
        import certifi

        context.load_verify_locations(certifi.where())
    return context
