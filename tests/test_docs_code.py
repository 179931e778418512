"""What README, docs and model cards say to type: Python runs, commands exist, and the cheap ones run."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_pages import PAGES, ROOT, blocks
from typer.main import get_command

from autosam import AutosamError, cli
from autosam.config import config_folder, find_config, load_config
from autosam.config.describe import describe_settings
from autosam.images import read_image, write_png
from autosam.models.files.zoo import BUNDLED

KEYS = {setting.key for setting in describe_settings()}
SIDE = 128
"""Of the crops that stand for the example images."""


def _commands(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the autosam commands in the bash blocks of a page, with their lines."""
    for block in blocks(page, "bash"):
        for number, line in enumerate(block.code.replace("\\\n", "  ").split("\n")):
            for part in re.split(r"&&|;", line):
                words = shlex.split(part, comments=True)
                if words and Path(words[0]).name == "autosam":
                    yield block.line + number, words


def _inline(page: Path) -> Iterator[list[str]]:
    """Give the commands that stand in a sentence."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for code in re.findall(r"`(autosam [^`]+)`", text):
        yield shlex.split(code.replace("'", "").replace("…", ""))


def _find(words: list[str]) -> tuple[Any, list[str]]:
    """Give the command that words name, and the words after it."""
    command: Any = get_command(cli.app)
    rest = words[1:]
    while rest and getattr(command, "commands", None) and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def _check(words: list[str], *, whole: bool) -> None:
    command, rest = _find(words)
    if getattr(command, "commands", None):
        assert not rest or rest[0].startswith("-") or rest[0].isupper(), f"no such command: {words}"
    options = {name: option for option in command.params for name in [*option.opts, *option.secondary_opts]}
    given: set[str] = set()
    positional = 0
    while rest:
        word, rest = rest[0], rest[1:]
        if not word.startswith("-"):
            positional += 1
            continue
        name, _, value = word.partition("=")
        if name in ("--help", "-h"):
            continue
        assert name in options, f"{' '.join(words)}: no option {name}"
        given.add(options[name].name)
        if not (options[name].is_flag or value or getattr(options[name], "count", False)):
            assert rest or not whole, f"{' '.join(words)}: {name} lacks its value"
            value, rest = (rest[0], rest[1:]) if rest else ("", [])
        _check_value(name, value, command.name)
    if whole and "--help" not in words:
        missing = [option.name for option in command.params if option.required and option.name not in given]
        arguments = [option for option in command.params if option.param_type_name == "argument"]
        assert positional or not arguments or not any(option.required for option in arguments), words
        assert not set(missing) - {option.name for option in arguments}, f"{' '.join(words)}: {missing} missing"


def _check_value(name: str, value: str, command: str) -> None:
    if name == "--set" and value:
        key, sign, setting = value.partition("=")
        assert key in KEYS, f"--set {value}: no such setting"
        if sign and setting and setting != "..." and command not in ("sweep", "tune"):
            load_config(overrides=[value])
    elif name == "--config" and value and value == value.lower() and "." not in value:
        assert find_config(value).parent == config_folder()
    elif name == "--config" and value.startswith("scripts/"):
        assert (ROOT / value).is_file()
    elif name == "--model" and value and value == value.lower() and "." not in value and "/" not in value:
        assert value in BUNDLED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options_and_settings(page: Path) -> None:
    for _, words in _commands(page):
        _check(words, whole=True)
    # What was typed with 0.1 stands beside what is typed now.
    for words in _inline(page) if page.name != "migration.md" else ():
        _check(words, whole=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_that_a_page_names_exist(page: Path) -> None:
    if page.name == "migration.md":
        pytest.skip("it names old settings")
    sections = {key.partition(".")[0] for key in KEYS}
    known = KEYS | {key.rpartition(".")[0] for key in KEYS}
    for code in re.findall(r"`([a-z_]+\.[a-z_.]+)(?:=[^`]*)?`", page.read_text(encoding="utf-8")):
        if code.partition(".")[0] in sections and Path(code).suffix not in (".csv", ".safetensors", ".tif"):
            assert code in known, f"{page}: no setting {code}"


def test_a_wrong_command_is_noticed() -> None:
    for line in (
        "autosam segment a -o b --overwrit",
        "autosam segment a -o b --set merge.size=3",
        "autosam segment a",
        "autosam segment a -o b --set merge.iou=3",
        "autosam train a -o b --config jiont",
        "autosam fly a",
    ):
        with pytest.raises((AssertionError, AutosamError)):
            _check(shlex.split(line), whole=True)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small crops of the example images, in which pages run."""
    for image in (ROOT / "examples").rglob("*.png"):
        crop = tmp_path / image.relative_to(ROOT)
        crop.parent.mkdir(parents=True, exist_ok=True)
        pixels = read_image(image)[300 : 300 + SIDE, 300 : 300 + SIDE]
        write_png(crop, pixels if pixels.size else read_image(image)[:SIDE, :SIDE])
    for stack in (ROOT / "examples").rglob("*.tif"):
        (tmp_path / stack.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stack, tmp_path / stack.relative_to(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(blocks(page, "python"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_python_runs(page: Path, workplace: Path) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page, "python"):
        # Padded, so that a traceback names the line of the page.
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.mark == "run" for block in blocks(page, "bash"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_marked_commands_run(page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in blocks(page, "bash"):
        if block.mark == "run":
            for line in filter(None, block.code.split("\n")):
                monkeypatch.setattr(sys, "argv", shlex.split(line))
                with pytest.raises(SystemExit) as stop:
                    cli.main()
                assert not stop.value.code, line
    records, of_volumes = (
        [json.loads(path.read_text(encoding="utf-8")) for path in workplace.glob(pattern)]
        for pattern in ("*/autosam_run.json", "*_run.json")
    )
    assert records or of_volumes
    page_of_files = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    described = page_of_files.split("### NAME_run.json")[1].split("\n### ")[0]
    for record in of_volumes:
        assert all(f"`{field}`" in described for field in record)
    described = page_of_files.split("### autosam_run.json")[1].split("\n## ")[0]
    for record in records:
        for part in (record, record["options"], *record["images"].values()):
            assert all(f"`{field}`" in described for field in part)
