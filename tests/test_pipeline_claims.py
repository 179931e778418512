"""Claims of images in a shared folder: one holder, no trace afterwards, none that outlives its process."""

import json
import os
import subprocess
import sys
import time

import pytest

from autosam.errors import OutputError
from autosam.pipeline import claims as module
from autosam.pipeline.claim_holder import host
from autosam.pipeline.claims import FOLDER, LOCK, Claims, locked


def write_claim(path, **other):
    """Write the claim of another process; by default of a living one on another host."""
    path.parent.mkdir(exist_ok=True)
    content = {"image": "a", "process": 7, "host": "elsewhere", "since": "2026-01-01", "token": "theirs"}
    path.write_text(json.dumps(content | other), encoding="ascii")
    return path


def claim_of(out, image="a"):
    """Give the file that the claim of an image is."""
    with Claims(out) as claims:
        before = set((out / FOLDER).iterdir())
        claims.take(image)
        (made,) = set((out / FOLDER).iterdir()) - before
    return made


def dead_process():
    """Give the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_one_of_two_has_an_image_and_nothing_is_left(tmp_path):
    with Claims(tmp_path) as mine, Claims(tmp_path) as yours:
        assert mine.take("a") == (None, False)
        holder, unfinished = yours.take("a")
        assert (holder.process, unfinished) == (os.getpid(), False)
        assert str(holder) == f"process {os.getpid()} on {holder.host.split()[0]}"
        assert yours.take("b") == (None, False)
        assert mine.others().process == os.getpid()
        mine.release("a")
        assert yours.take("a") == (None, False)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_no_claim(tmp_path):
    def work():
        with Claims(tmp_path) as claims:
            claims.take("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert list(tmp_path.iterdir()) == []


def test_the_claim_of_a_dead_process_is_taken_over(tmp_path):
    path = claim_of(tmp_path)
    write_claim(path, process=dead_process(), host=host())
    with Claims(tmp_path) as claims:
        assert claims.others() is None
        assert claims.take("a") == (None, True)
    # Also of one that had the number of this process.
    write_claim(path, process=os.getpid(), host=host())
    with Claims(tmp_path) as claims:
        assert claims.take("a") == (None, True)
    assert list(tmp_path.iterdir()) == []


def test_the_claim_of_another_host_holds_while_it_is_renewed(tmp_path):
    path = write_claim(claim_of(tmp_path))
    with Claims(tmp_path) as claims:
        assert str(claims.take("a")[0]) == "process 7 on elsewhere"
        assert str(claims.others()) == "process 7 on elsewhere"
        old = time.time() - module.STALE_AFTER - 60
        os.utime(path, (old, old))
        assert claims.others() is None
        assert claims.take("a") == (None, True)


def test_a_claim_that_is_just_being_written_holds(tmp_path):
    path = claim_of(tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with Claims(tmp_path) as claims:
        assert str(claims.take("a")[0]) == "another process"


def test_claims_are_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.01)
    with Claims(tmp_path) as claims:
        claims.take("a")
        files = list((tmp_path / FOLDER).iterdir())
        for path in files:
            os.utime(path, (0, 0))
        until = time.monotonic() + 10
        while any(path.stat().st_mtime < 1 for path in files) and time.monotonic() < until:
            time.sleep(0.01)
        assert all(path.stat().st_mtime > 1 for path in files)


def test_a_claim_that_somebody_took_over_is_left_to_him(tmp_path):
    with Claims(tmp_path) as claims:
        before = set((tmp_path / FOLDER).iterdir())
        claims.take("a")
        (path,) = set((tmp_path / FOLDER).iterdir()) - before
        write_claim(path)
    assert json.loads(path.read_text(encoding="ascii"))["token"] == "theirs"


@pytest.mark.parametrize("image", ["é" * 245, "a\udcff", "in/b", "CON"])
def test_any_name_can_be_claimed(tmp_path, image):
    with Claims(tmp_path) as claims:
        assert claims.take(image) == (None, False)
        assert claims.take(image)[0] is not None


def test_the_lock_waits_and_says_who_has_it(tmp_path, monkeypatch):
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert list(tmp_path.iterdir()) == []
    write_claim(tmp_path / LOCK)
    monkeypatch.setattr(module, "LOCK_WAIT", 0.1)
    with (
        pytest.raises(OutputError, match=r"locked by process 7 on elsewhere .*delete .*\.autosam_run\.lock"),
        locked(tmp_path),
    ):
        pass
    assert (tmp_path / LOCK).exists()
    write_claim(tmp_path / LOCK, process=dead_process(), host=host())
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


ADD = """
import sys
from pathlib import Path
from autosam.pipeline.claims import locked
file = Path(sys.argv[1]) / "count"
for _ in range(40):
    with locked(file.parent):
        file.write_text(str(int(file.read_text()) + 1))
"""


def test_four_processes_lose_nothing_under_the_lock(tmp_path):
    (tmp_path / "count").write_text("0", encoding="ascii")
    running = [subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    assert (tmp_path / "count").read_text(encoding="ascii") == "160"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / FOLDER).write_text("a file", encoding="ascii")
    with pytest.raises(OutputError, match=r"cannot be written to"), Claims(tmp_path):
        pass
