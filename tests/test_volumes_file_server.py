"""The server of files: parts of them, from any page, and nothing outside of what is served."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path

import pytest

from autosam.errors import ConfigError
from autosam.volumes.file_server import HOST, FileServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    store = tmp_path / "mito.zarr"
    (store / "0" / "c").mkdir(parents=True)
    (store / "zarr.json").write_text('{"a": 1}')
    (store / "0" / "c" / "0").write_bytes(bytes(range(100)))
    (tmp_path / "secret.txt").write_text("secret")
    (store / "link").symlink_to(tmp_path / "secret.txt")
    with FileServer({"labels": store}) as found:
        yield found


def ask(server: FileServer, path: str, method: str = "GET", **headers: str) -> tuple[int, HTTPMessage, bytes]:
    connection = HTTPConnection(HOST, server.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_files_and_any_page_may_read_them(server: FileServer) -> None:
    with urllib.request.urlopen(f"{server.url('labels')}/zarr.json", timeout=10) as answer:
        assert answer.read() == b'{"a": 1}'
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"] == "application/json"
    status, headers, body = ask(server, "/labels/0/c/0", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "100", b"")


@pytest.mark.parametrize(
    ("asked", "span"),
    [("bytes=10-19", (10, 20)), ("bytes=90-", (90, 100)), ("bytes=-4", (96, 100)), ("bytes=95-999", (95, 100))],
)
def test_parts_of_files(server: FileServer, asked: str, span: tuple[int, int]) -> None:
    status, headers, body = ask(server, "/labels/0/c/0", Range=asked)
    assert status == 206
    assert body == bytes(range(*span))
    assert headers["Content-Range"] == f"bytes {span[0]}-{span[1] - 1}/100"


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-", "lines=1-2", "bytes=5-4"])
def test_parts_that_are_not_there(server: FileServer, asked: str) -> None:
    status, headers, _ = ask(server, "/labels/0/c/0", Range=asked)
    assert status == 416
    assert headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/labels", "/labels/", "/labels/0", "/other/zarr.json", "/labels/0/c/1", "/labels/../secret.txt",
        "/labels/%2e%2e/secret.txt", "/labels/link", "/labels//etc/passwd", "/labels/%00",
    ],
)  # fmt: skip
def test_nothing_else_is_given(server: FileServer, path: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, body) == (404, b"")
    # A browser takes an answer without it for a fault of the network, and not for an empty chunk.
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_browsers_may_ask_for_parts(server: FileServer) -> None:
    status, headers, _ = ask(server, "/labels/zarr.json", "OPTIONS")
    assert status == 204
    assert "Range" in headers["Access-Control-Allow-Headers"]


def test_one_connection_serves_many_requests(server: FileServer) -> None:
    connection = HTTPConnection(HOST, server.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/labels/zarr.json")
        assert connection.getresponse().read() == b'{"a": 1}'
        connection.request("GET", "/labels/missing")
        assert connection.getresponse().read() == b""
    connection.close()


def test_a_port_in_use_is_one_line(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"port {server.port} cannot be used: .*--port"):
        FileServer({"labels": tmp_path}, port=server.port)


def test_after_closing_nobody_answers(tmp_path: Path) -> None:
    server = FileServer({"labels": tmp_path})
    port = server.port
    server.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{HOST}:{port}/labels/x", timeout=2)
