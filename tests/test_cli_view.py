"""`autosam view`: the address is told, the state is kept, and what does not fit is one line."""

import html
import json
import re
import subprocess
import sys
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
import tifffile
from test_volumes_view_layers import written

from autosam.cli import main


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    array = np.zeros((3, 20, 30), np.uint16)
    array[:, 5:10, 5:20] = 1
    tifffile.imwrite(tmp_path / "raw.tif", array.astype(np.uint8), photometric="minisblack")
    return written(tmp_path / "mito.zarr", array)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the program as a user does, and press Ctrl-C as soon as it waits."""
    old, sys.argv = sys.argv, ["autosam", "view", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = old
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def address_in(url: str) -> str:
    """Give the address that a file leads to."""
    text = Path(url2pathname(urlsplit(url).path)).read_text(encoding="utf-8")
    (address,) = re.findall(r'content="0;url=(.*?)"', text)
    return html.unescape(address)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the wait for Ctrl-C end at once, and note the addresses to which a browser is led."""
    pytest.importorskip("neuroglancer")

    def pressed() -> None:
        raise KeyboardInterrupt

    seen: list[str] = []
    monkeypatch.setattr("autosam.cli.open_page.wait", pressed)
    monkeypatch.setattr(webbrowser, "open", lambda url: seen.append(address_in(url)) or True)
    monkeypatch.setenv("DISPLAY", ":0")
    return seen


def test_the_page_is_told_and_opened(labels: Path, opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, labels, "--image", labels.with_name("raw.tif"))
    assert status == 0, err
    url = out.split("\n")[0]
    assert url.startswith("http://127.0.0.1:")
    assert opened == [url]
    state = json.loads(labels.with_name("mito_neuroglancer.json").read_text(encoding="utf-8"))
    assert [layer["name"] for layer in state["layers"]] == ["image", "labels"]


def test_the_volume_of_the_run_is_found(
    labels: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, labels, "--no-browser")
    assert (status, opened) == (0, [])
    assert "shown alone; give their volume with --image" in err
    record = {"source": str(labels.with_name("raw.tif"))}
    labels.with_name("mito_run.json").write_text(json.dumps(record), encoding="utf-8")
    status, _, err = run(capsys, labels, "--no-browser")
    assert status == 0
    assert "alone" not in err


def test_without_a_screen_no_browser_is_opened(
    labels: Path, opened: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert run(capsys, labels)[0] == 0
    assert opened == []


def test_bad_input_is_one_line(labels: Path, opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["missing.zarr"], [labels, "--image", "missing.tif"], [labels, "--port", "70000"]):
        status, out, err = run(capsys, *arguments, "--no-browser")
        assert (status, out) == (2, "")
        assert len([line for line in err.splitlines() if "autosam:" in line]) == 1


def test_help_needs_nothing_slow() -> None:
    code = (
        "import sys; from autosam.cli import main; sys.argv = ['autosam', 'view', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.exit(bool({'torch', 'zarr', 'neuroglancer', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--image" in done.stdout
