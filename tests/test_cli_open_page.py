"""A page that is served is opened without its address on a command line."""

import stat
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from autosam.cli.open_page import open_page
from autosam.errors import OutputError

URL = "http://127.0.0.1:8000/a-secret/?a=1&b=2"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Note what a browser is told, on a machine with a screen."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: found.append(url) or True)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return found


def test_the_browser_gets_a_private_file_that_is_gone_at_the_end(told: list[str], tmp_path: Path) -> None:
    def shown() -> None:
        with open_page(URL):
            (url,) = told
            assert "secret" not in url
            file = Path(url2pathname(urlsplit(url).path))
            assert file.parent == tmp_path
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert 'content="0;url=http://127.0.0.1:8000/a-secret/?a=1&amp;b=2"' in file.read_text(
                encoding="utf-8"
            )
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shown()
    assert list(tmp_path.iterdir()) == []


def test_without_a_screen_nothing_is_written(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with open_page(URL):
        assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with (
        pytest.raises(OutputError, match=r"for the browser \(No such file or directory\).*--no-browser"),
        open_page(URL),
    ):
        pass
    assert told == []
