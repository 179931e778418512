"""A small web server for stores on this machine's disk, to which viewers in a browser may talk."""

import os
import re
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from autosam.errors import ConfigError

HOST = "127.0.0.1"
_PORTION = 1 << 20


class FileServer:
    """Serves folders, each below a name, to this machine alone; nothing outside of them, and no lists of files.

    Pages of other servers may read (CORS). Parts of files are given (byte ranges), as chunks of shards need it.

    Parameters
    ----------
    folders : mapping of str to Path
        By name, which is the first part of an address.
    port : int
        0 takes a free one.

    Raises
    ------
    ConfigError
        If the port is in use or may not be used.
    """

    def __init__(self, folders: Mapping[str, Path], *, port: int = 0) -> None:
        known = {name: folder.resolve() for name, folder in folders.items()}

        class Handler(_Handler):
            folders = known

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise port_error(port, error) from error
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens to."""
        return int(self._server.server_address[1])

    def url(self, name: str) -> str:
        """Give the address of a folder."""
        return f"http://{HOST}:{self.port}/{name}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "FileServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def port_error(port: int, error: Exception) -> ConfigError:
    """Say that a port cannot be used."""
    reason = getattr(error, "strerror", None) or str(error)
    return ConfigError(f"port {port} cannot be used: {reason}; choose another one with --port, or none")


class _Handler(BaseHTTPRequestHandler):
    folders: Mapping[str, Path]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_OPTIONS(self) -> None:
        """Allow what browsers ask before they ask for parts."""
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range, Cache-Control, If-None-Match")
        self.end_headers()

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length, ETag")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent: a viewer asks for thousands of chunks."""

    def _answer(self, *, body: bool) -> None:
        path = self._file()
        if path is None:
            # Of a chunk that holds background alone there is no file.
            self._end(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            span = _span(self.headers.get("Range"), size)
            if span is None:
                self._end(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, ("Content-Range", f"bytes */{size}"))
                return
            start, stop = span
            whole = self.headers.get("Range") is None
            self.send_response(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT)
            self.send_header(
                "Content-Type", "application/json" if path.suffix == ".json" else "application/octet-stream"
            )
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Accept-Ranges", "bytes")
            if not whole:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.end_headers()
            if body:
                self._send(file.fileno(), start, stop)

    def _send(self, file: int, start: int, stop: int) -> None:
        try:
            while start < stop:
                part = os.pread(file, min(_PORTION, stop - start), start)
                if not part:
                    break
                self.wfile.write(part)
                start += len(part)
        except (BrokenPipeError, ConnectionResetError):
            # The viewer has moved on and does not want this chunk any more.
            self.close_connection = True

    def _end(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self) -> Path | None:
        """Find the file that an address means, inside of the folders."""
        name, _, rest = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        folder = self.folders.get(name)
        if folder is None or "\0" in rest:
            return None
        path = (folder / rest).resolve()
        return path if folder in path.parents and path.is_file() else None


def _span(asked: str | None, size: int) -> tuple[int, int] | None:
    """Give the first byte and that after the last; None where the file has none of them.

    Examples
    --------
    >>> _span(None, 10), _span("bytes=2-5", 10), _span("bytes=4-", 10), _span("bytes=-3", 10)
    ((0, 10), (2, 6), (4, 10), (7, 10))
    """
    if asked is None:
        return 0, size
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return (start, stop) if start < stop else None
