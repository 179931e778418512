"""`autosam settings`."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from autosam.cli import main
from autosam.config.describe import describe_settings
from autosam.models.files.checkpoint import ModelHeader, save_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autosam", "settings", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "mine.safetensors"
    own = {"merge": {"min_size": 120}, "model": {"sam": None}, "decode": {"sam": False}}
    save_model(path, tensors={"generator.x": torch.zeros(1)}, metadata=ModelHeader(settings=own))
    return str(path)


def test_one_setting(settings: Run) -> None:
    status, out, err = settings("merge.min_size")
    assert (status, err) == (0, "")
    title, meaning, *rows = out.splitlines()
    assert title == "merge.min_size"
    assert "smallest instance" in meaning
    assert [row.split(maxsplit=1) for row in rows] == [
        ["type", "whole number"],
        ["range", "at least 0"],
        ["default", "50"],
    ]


def test_what_a_model_sets(settings: Run, model: str) -> None:
    assert settings("merge.min_size", "-m", model)[1].splitlines()[-1].split() == [model, "120"]
    assert settings("model.sam.variant", "-m", model)[1].splitlines()[-1].split() == [model, "null"]
    out = settings("--model", model)[1]
    assert f"  merge.min_size = 50  [{model}: 120]" in out.splitlines()
    assert "  merge.iou = 0.5" in out.splitlines()
    assert "no model 'mitoo'" in settings("--model", "mitoo")[2] or "mitoo" in settings("--model", "mitoo")[2]


def test_all_settings_by_section(settings: Run) -> None:
    out = settings()[1]
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ") and line[2] != " "]
    assert sorted(listed) == sorted(setting.key for setting in describe_settings())
    assert "merge: How masks become instances" in out


@pytest.mark.parametrize("arguments", [["merge"], ["--section", "merge"]])
def test_one_section(settings: Run, arguments: list[str]) -> None:
    out = settings(*arguments)[1]
    keys = [line.split()[0] for line in out.splitlines() if line.startswith("  ") and line[2] != " "]
    assert keys == [setting.key for setting in describe_settings() if setting.section == "merge"]
    assert "model.generator.depth" in settings("model")[1]


def test_wrong_keys_name_near_ones(settings: Run) -> None:
    for arguments, words in (
        (["merge.minsize"], "there is no setting merge.minsize; did you mean merge.min_size"),
        (["min_score"], "did you mean merge.min_score"),
        (["judge"], "did you mean prompts.region_classifier?"),
        (["xyzzy"], "there is no setting xyzzy; autosam settings lists all"),
        (["--section", "merges"], "there is no section merges; did you mean merge or images?"),
        (["merge.iou", "--section", "merge"], "came together; leave one out"),
    ):
        status, out, err = settings(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert words in err


def test_an_old_name_is_answered_with_the_new_one(settings: Run) -> None:
    status, out, err = settings("images.scale")
    assert status == 0
    assert err == "autosam: note: images.scale is images.zoom now; the old name still works\n"
    assert out.splitlines()[0] == "images.zoom"
