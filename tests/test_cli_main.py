"""The program as a whole: its options, its help, its errors, and what it says where."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autosam import __version__
from autosam.cli import console, main

Run = Callable[..., tuple[int, str, str]]
COMMANDS = (
    [[name] for name in ("segment", "apply", "train", "evaluate", "sweep", "tune", "settings")]
    + [["data", name] for name in ("import", "sources", "check", "show", "split", "patches")]
    + [["models", name] for name in ("list", "fetch", "show")]
)


@pytest.fixture
def autosam(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the program in its own folder; gives exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autosam", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        console.set_up()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def test_version(autosam: Run) -> None:
    assert autosam("--version") == (0, f"autosam {__version__}\n", "")


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_help_shows_what_may_stand_where(autosam: Run, command: list[str]) -> None:
    status, out, err = autosam(*command, "-h")
    assert (status, err) == (0, "")
    assert autosam(*command, "--help")[1] == out
    assert not re.search(r"<\w+|\b(None|TEXT|INTEGER|FLOAT|PATH)\b", out), out
    assert "╭" not in out
    assert "--log FILE" in out


def test_the_program_alone_shows_its_help(autosam: Run) -> None:
    status, out, err = autosam()
    assert (status, err) == (2, "")
    assert "Usage: autosam [OPTIONS] COMMAND" in out
    assert "mitochondria, nuclei" in " ".join(out.split())
    assert "import" in autosam("data")[1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["segment"], "missing argument 'INPUT...'; see autosam segment --help"),
        (["segment", "a.tif"], "missing option '--output' / '--out' / '-o'; see autosam segment --help"),
        (["segmnt"], "no such command 'segmnt'; did you mean 'segment'? see autosam --help"),
        (["data", "chek"], "no such command 'chek'; did you mean 'check'? see autosam data --help"),
        (["segment", "a.tif", "-o", "out", "--seed", "3"], "no such option: --seed"),
        (["segment", "a.tif", "-o", "out", "--diameter", "big"], "invalid value for '--diameter': 'big' is not a"),
        (
            ["segment", "a.tif", "-o", "out", "--diameter", "0"],
            "'--diameter': 0 is not above 0 and at most 1e9; see",
        ),
        (["evaluate", "a", "b", "--rand", "x"], "invalid value for '--rand': 'x' is not one of 'snemi3d'"),
        (["settings", "a", "b"], "unexpected extra argument"),
        (["models", "show"], "missing argument 'NAME|FILE'; see autosam models show --help"),
        (["-q", "-v", "models", "list"], "autosam: --quiet and --verbose exclude each other; see autosam --help"),
        (["models", "list", "--log"], "'--log' requires an argument"),
        (["models", "list", "--log", "none/run.log"], "--log none/run.log cannot be written: No such file"),
    ],
)
def test_a_usage_error_is_one_line(autosam: Run, arguments: list[str], line: str) -> None:
    status, out, err = autosam(*arguments)
    assert (status, out) == (2, "")
    (only,) = err.splitlines()
    assert only.startswith("autosam: ")
    assert line in only


def test_quiet_prints_results_only(autosam: Run) -> None:
    assert "Fetched files are in" in autosam("models", "list")[1]
    for arguments in (["-q", "models", "list"], ["models", "list", "--quiet"]):
        status, out, err = autosam(*arguments)
        assert (status, err) == (0, "")
        assert "mito" in out
        assert "Fetched" not in out
    # Errors are said all the same.
    assert autosam("settings", "x", "-q")[2].startswith("autosam: there is no setting x")


def test_a_log_file_holds_all_that_was_said(autosam: Run, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    autosam("models", "list", "-q", "--log", "run.log")
    autosam("--log=run.log", "settings", "nothing")
    lines = log.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    said = [line[20:] for line in lines]
    assert said[0] == "autosam models list -q --log run.log"
    assert said[1].split() == ["name", "kind", "size", "license", "present"]
    assert any(line.startswith("Fetched files are in") for line in said)
    assert said[-1].startswith("autosam: there is no setting nothing")


def test_ctrl_c_is_one_line(autosam: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("autosam.models.files.file_hash.file_sha256", interrupted)
    assert autosam("models", "show", "mito") == (130, "", "autosam: interrupted\n")


def test_old_names_of_settings_are_noted_once_and_work(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("images: {find_scale: false}\n", encoding="utf-8")
    code = (
        "import sys, warnings\n"
        "from autosam.cli import app, main\n"
        "from autosam.config import load_config\n"
        "@app.command()\n"
        "def old():\n"
        "    for _ in range(2):\n"
        "        config = load_config('old.yaml', overrides=['prompts.judge=false'])\n"
        "        warnings.warn('for developers')\n"
        "    print(config.images.find_zoom, config.prompts.region_classifier)\n"
        "main()\n"
    )
    environment = os.environ | {"PYTHONWARNINGS": "default"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)

    done = run("old")
    assert done.stdout == "False False\n"
    assert done.stderr.splitlines() == [
        "autosam: note: old.yaml has settings of an earlier version, which go on working: "
        "images.find_scale is images.find_zoom now",
        "autosam: note: --set prompts.judge=false has settings of an earlier version, which go on working: "
        "prompts.judge is prompts.region_classifier now",
    ]
    assert run("-q", "old").stderr == ""
    assert run("-v", "old").stderr.splitlines().count("for developers") == 1


def test_completion_knows_commands_and_options() -> None:
    program = [sys.executable, "-c", "from autosam.cli import main; main()"]

    def complete(words: str, position: int) -> list[str]:
        environment = os.environ | {
            "_AUTOSAM_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }
        return subprocess.run(program, capture_output=True, text=True, check=False, env=environment).stdout.split()

    assert complete("autosam se", 1) == ["segment", "settings"]
    assert complete("autosam segment --dia", 2) == ["--diameter"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["segment", "--help"], ["settings"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'torch', 'numpy', 'scipy', 'skimage'}\n"
        "atexit.register(lambda: sys.stderr.write(str(sorted(heavy & set(sys.modules)))))\n"
        "from autosam.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == "[]"
    assert done.stdout
