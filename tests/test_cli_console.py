"""What the program says on any terminal, into pipes, and when it is interrupted."""

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = [sys.executable, "-c", "from autosam.cli import main; main()"]


def say(text, encoding):
    """Say a line on both streams under an encoding; gives both as they were written."""
    code = (
        f"from autosam.cli import console; console.write_any_text(); console.say({text!r}); console.note({text!r})"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"3 um2, 5 x 7 -> \\xe9 \\udcff"),
        ("cp1252", b"3 \xb5m\xb2, 5 \xd7 7 -> \xe9 \\udcff"),
        ("utf-8", "3 µm², 5 × 7 → é \\udcff".encode()),
    ],
)
def test_every_terminal_takes_every_text(encoding, shown):
    out, err = say("3 µm², 5 × 7 → é \udcff", encoding)
    assert out.rstrip() == shown
    assert err.rstrip() == b"autosam: note: " + shown


def test_a_reader_who_has_enough_ends_nothing(tmp_path):
    code = "from autosam.cli import console\nfor n in range(9999): console.say('line ' * 99)\nopen('done', 'w')"
    job = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    job.stdout.readline()
    job.stdout.close()
    assert job.stderr.read() == b""
    assert job.wait(60) == 0
    assert (tmp_path / "done").exists()
    job.stderr.close()


@pytest.mark.parametrize("module", ["typer", "numpy", "torch"])
def test_ctrl_c_during_imports_is_one_line(tmp_path, module):
    # The signal comes while that module is looked for.
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from autosam.cli import main\n"
        "main()\n"
    )
    (tmp_path / "a.png").write_bytes(b"no picture")
    words = [sys.executable, "-c", code, "segment", "a.png", "-o", "out"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "autosam: interrupted\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.3, 0.6, 1.2, 2.4])
def test_ctrl_c_at_any_moment_is_one_line(tmp_path, after):
    (tmp_path / "a.png").write_bytes(b"no picture")
    job = subprocess.Popen(
        [*PROGRAM, "segment", "a.png", "-o", "out"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    time.sleep(after)
    job.send_signal(signal.SIGINT)
    _, err = job.communicate(timeout=60)
    assert job.returncode in (130, 1)
    assert err.startswith("autosam: interrupted" if job.returncode == 130 else "autosam: a.png")
    assert err.count("\n") == 1


def test_pipes_that_nobody_feeds_or_reads_are_refused(tmp_path):
    for name in ("p.csv", "p.tif", "p.log"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "a.png").write_bytes(b"no picture")
    for words, said in (
        (["segment", "p.tif", "-o", "out"], "p.tif is a pipe"),
        (["segment", "a.png", "-o", "out", "--prompts", "p.csv"], "--prompts p.csv is no file and no folder"),
        (["segment", "a.png", "-o", "out", "--oracle-mask", "p.tif"], "p.tif is no file and no folder"),
        (["--log", "p.log", "segment", "a.png", "-o", "out"], "--log p.log cannot be written"),
    ):
        done = subprocess.run(
            [*PROGRAM, *words], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("autosam: ")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


WITHOUT = """
import os, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import autosam.cli.program, autosam.pipeline.claims, autosam.pipeline.own_files, autosam.pipeline.record
from pathlib import Path
from autosam.pipeline import claims
# There, signal 0 ends a process, a file that is read cannot be removed at once, and links are rare.
class Windows:
    name = "nt"
    def __getattr__(self, name): return getattr(os, name)
    def kill(self, *_): raise AssertionError("a process was asked for with a signal")
    def link(self, *_): raise OSError
claims.os = Windows()
busy = [2]
unlink = Path.unlink
def held(path, *rest):
    if busy[0] and path.suffix == ".claim":
        busy[0] -= 1
        raise PermissionError(13, "in use")
    unlink(path, *rest)
Path.unlink = held
out = Path(sys.argv[1])
with claims.Claims(out) as mine, claims.Claims(out) as yours:
    assert mine.take("CON") == (None, False)
    assert yours.take("CON")[0] is not None
with claims.locked(out):
    pass
assert list(out.iterdir()) == []
"""


def test_claims_do_without_what_windows_lacks(tmp_path):
    subprocess.run([sys.executable, "-c", WITHOUT, str(tmp_path)], check=True, timeout=120)
