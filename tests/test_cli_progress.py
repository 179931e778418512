"""Progress where a person looks on, and where a file does."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from autosam.cli import console
from autosam.cli import progress as module
from autosam.cli.progress import progress


class Clock:
    """A clock that a test turns."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    turned = Clock()
    monkeypatch.setattr(module, "time", turned)
    yield turned
    console.set_up()


def work(clock: Clock, *, images: int, seconds: float) -> None:
    with progress("segmenting", images) as bar:
        for done in range(images):
            bar.update(done + 0.5, f"image {done}")
            clock.now += seconds
            bar.update(done + 1)


def test_plain_lines_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, images=40, seconds=10)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "segmenting: 4 of 40 images, about 6.0 min left"
    assert [line.split(" of ")[0].split()[-1] for line in lines] == [str(done) for done in range(4, 41, 4)]
    assert lines[-2:] == ["segmenting: 36 of 40 images, about 40 s left", "segmenting: 40 of 40 images"]


def test_long_work_says_that_it_goes_on(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, images=2, seconds=400)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "segmenting: 1 of 2 images, about 6.7 min left"
    with progress("cutting", 1000) as bar:
        clock.now += 310
        bar.update(0.9, "a.tif, merging and writing")
    assert capsys.readouterr().err.startswith("cutting: a.tif, merging and writing: 0 of 1,000 images, about ")


def test_quick_and_empty_work_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, images=20, seconds=1)
    with progress("importing", 0) as bar:
        bar.update(0)
    assert capsys.readouterr().err == ""


def test_quiet_silences_lines_but_not_the_log(
    clock: Clock, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("log") / "run.log"
    console.set_up(quiet=True, log=log)
    work(clock, images=2, seconds=40)
    console.set_up()
    assert capsys.readouterr().err == ""
    assert "segmenting: 1 of 2 images, about 40 s left" in log.read_text(encoding="utf-8")


def test_a_bar_on_a_terminal_leaves_nothing_behind() -> None:
    code = (
        "import time\n"
        "from autosam.cli.progress import progress\n"
        "from autosam.cli.console import news\n"
        "with progress('cutting', 3) as bar:\n"
        "    for _ in range(3):\n"
        "        bar.advance('now'); time.sleep(.15)\n"
        "    news('a line above the bar')\n"
    )
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=follower, stdout=subprocess.PIPE, check=True, env=environment
    )
    os.close(follower)
    shown = os.read(leader, 1 << 16).decode()
    os.close(leader)
    assert done.stdout == b""
    assert "cutting: now" in shown
    assert "2 of 3 images" in shown
    assert "a line above the bar" in shown
    # The bar's own line is erased at the end.
    assert shown.rstrip().endswith("\x1b[2K")
