"""`autosam adapt` as a person runs it."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from blobs import write_discs
from small_models import GENERATOR_ALONE, write_model

from autosam.cli import main
from autosam.images import read_labels, write_json, write_labels
from autosam.models.files.checkpoint import read_header
from autosam.models.files.model_file import load_networks
from autosam.training.adapt import adapt_loop
from autosam.training.samples.tiles import TileBatch
from autosam.training.state import TrainingState

SETS = tuple(
    part
    for text in ("training.workers=0", "training.precision=float32", "training.prompts_per_tile=4")
    for part in ("--set", text)
)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return write_model(path, *GENERATOR_ALONE, "tiles.size=64", "images.diameter=19")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autosam", "adapt", *map(str, arguments), "--device", "cpu", *SETS])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


def test_labels_make_a_model_and_its_steps_repeat_it(command: Command, model: Path, tmp_path: Path) -> None:
    data, mine = write_discs(tmp_path / "data", 2), tmp_path / "mine"
    status, out, err = command(data, "-m", model, "-o", mine, "--minutes", 0.1)
    assert status == 0, err
    assert "2 images with 18 objects: " in err
    assert "adapts the generator: the model has no SAM, and finds objects by the generator" in err
    assert re.search(r"0.1 minutes are \d+ steps; --steps \d+ repeats this run", err)
    assert "mean AP" in out
    assert f"--model {mine}.safetensors" in out
    record = read_header(tmp_path / "mine.safetensors").training["adapted"]
    assert record["data"]["objects"] == 18
    assert record["sources"] == ["labels"]
    steps = record["steps"]
    assert steps >= 10
    assert record["trained"] in ("generator", "thresholds")
    load_networks(tmp_path / "mine.safetensors")

    again = tmp_path / "again.safetensors"
    assert command(data, "-m", model, "-o", again, "--steps", steps)[0] == 0
    assert again.read_bytes() == (tmp_path / "mine.safetensors").read_bytes()


def test_what_was_not_reviewed_changes_nothing(command: Command, model: Path, tmp_path: Path) -> None:
    made = []
    for name in ("right", "wrong"):
        data = write_discs(tmp_path / name, 2)
        for number in range(2):
            file = data / "labels" / f"{number}.png"
            labels = read_labels(file).copy()
            valid = np.zeros(labels.shape, np.uint8)
            valid[:, :64] = 1
            if name == "wrong":
                labels[40:60, 70:90] = 77
                labels[5:20, 70:96] = 0
            write_labels(file, labels)
            (data / "valid").mkdir(exist_ok=True)
            write_labels(data / "valid" / f"{number}.png", valid)
        out = tmp_path / f"{name}.safetensors"
        status, _, err = command(data, "-m", model, "-o", out, "--steps", 4)
        assert status == 0, err
        assert "67% of the pixels that count" in err
        made.append(out)
    assert made[0].read_bytes() == made[1].read_bytes()


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        ("gone", "no folder or store"),
        ("no labels", "no folder"),
        ("nothing", "no object where they count"),
        ("one", "1 object where they count"),
        ("size", "has an image of (96, 96) and labels of (50, 96); replace one of them"),
        ("partner", "add the files, or leave the others out"),
        ("not reviewed", "has a pixel whose labels count"),
        ("results", "it holds results that were not corrected"),
        ("corrected", "nothing in it was reviewed"),
    ],
)
def test_bad_labels_are_one_line(command: Command, model: Path, tmp_path: Path, spoil: str, fault: str) -> None:
    data, out = write_discs(tmp_path / "data", 1), tmp_path / "mine.safetensors"
    file = data / "labels" / "0.png"
    labels = read_labels(file)
    if spoil == "gone":
        data = tmp_path / "elsewhere"
    elif spoil == "no labels":
        file.unlink()
        file.parent.rmdir()
    elif spoil in ("nothing", "one"):
        write_labels(file, np.where(labels == 1, int(spoil == "one"), 0))
    elif spoil == "partner":
        (data / "images" / "1.png").write_bytes((data / "images" / "0.png").read_bytes())
    elif spoil == "size":
        write_labels(file, labels[:50])
    elif spoil == "not reviewed":
        (data / "valid").mkdir()
        write_labels(data / "valid" / "0.png", np.zeros(labels.shape, np.uint8))
    else:
        write_json(
            data / "autosam_run.json", {"images": {}, **({"corrected": {}} if spoil == "corrected" else {})}
        )
    status, printed, err = command(data, "-m", model, "-o", out)
    assert status == 2
    assert fault in err.splitlines()[-1]
    assert err.startswith("autosam: "), "one line, before any work"
    assert len(err.splitlines()) == 1
    assert printed == ""
    assert not out.exists()


def test_bad_options_are_one_line(command: Command, model: Path, tmp_path: Path) -> None:
    data, out = write_discs(tmp_path / "data", 1), tmp_path / "mine.safetensors"
    for arguments, fault in (
        (("-m", "mitos", "-o", out), "no model is named 'mitos'"),
        (("-m", model, "-o", out, "--train", "it"), "--train it is unknown; choose one of auto, thresholds"),
        (("-m", model, "-o", model), "would be written over its own source"),
        (("-m", model, "-o", out, "--set", "training.nothing=1"), "training.nothing is unknown"),
        (("-m", model, "-o", ".."), "--output .. is a folder; give the name of the new model file"),
        (("-m", model, "-o", "."), "--output . is a folder; give the name of the new model file"),
        (("-m", model, "-o", out, "--minutes", "inf"), "--minutes is inf, wanted a number such as 10"),
    ):
        status, _, err = command(data, *arguments)
        assert status == 2
        assert fault in err
        assert len(err.splitlines()) == 1
    out.mkdir()
    for more in ((), ("--overwrite",)):
        assert f"--output {out} is a folder" in command(data, "-m", model, "-o", out, *more)[2]
    out.rmdir()
    out.write_bytes(b"")
    assert "is there already" in command(data, "-m", model, "-o", out)[2]
    assert out.read_bytes() == b""


@pytest.mark.parametrize("at", [3, 12])
def test_an_interrupted_run_loses_nothing_and_says_what_to_do(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    data, out = write_discs(tmp_path / "data", 1), tmp_path / "mine.safetensors"
    out.write_bytes(b"an earlier model")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    take_step = adapt_loop.take_step

    def interrupted(state: TrainingState, batches: Iterator[TileBatch]) -> dict[str, float]:
        if state.step == at:
            raise KeyboardInterrupt
        return take_step(state, batches)

    monkeypatch.setattr(adapt_loop, "take_step", interrupted)
    status, _, err = command(data, "-m", model, "-o", out, "--steps", 20, "--overwrite")
    assert status == 130
    assert err.splitlines()[-1] == (
        f"autosam: interrupted; nothing is written to {out}; the same command starts again"
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
