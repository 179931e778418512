"""`autosam tune` as a person runs it; the networks answer by rule, so that the best settings are known."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from blobs import write_discs
from fake_networks import BrightPixels, ComponentSam, build_small_sam, use_component_sam

from autosam.cli import main
from autosam.config import load_config
from autosam.models.files.file_hash import file_sha256
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def autosam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with data and a model whose own smallest object is too large; gives status and output."""
    use_component_sam(monkeypatch)
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]

    def from_model(model: str, *, device: str = "auto") -> Segmenter:
        own = load_config(overrides=["merge.min_size=250", "merge.min_score=0.25"])
        return Segmenter(networks, own, name=str(model))

    monkeypatch.setattr(Segmenter, "from_model", from_model)
    monkeypatch.chdir(tmp_path)
    write_discs(tmp_path / "data", 2)
    (tmp_path / "model.safetensors").write_bytes(b"stands for the weights")

    def run(*arguments: object) -> tuple[int, str, str]:
        command = ["autosam", "tune", "data", "-m", "model.safetensors", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(end.value.code or 0), printed.out, printed.err

    return run


def refused(run: Run, *arguments: object) -> str:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    return err.strip().splitlines()[-1]


def test_the_file_says_what_it_is_and_segments(autosam: Run, tmp_path: Path) -> None:
    status, out, err = autosam("-o", "new/tuned.yaml")
    assert status == 0, err
    text = (tmp_path / "new" / "tuned.yaml").read_text()
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert file_sha256(tmp_path / "model.safetensors") in comments[0]
    assert "On 1 image with 9 objects, part val of data: mean AP 0." in comments[1]
    assert " -> 1.0000" in comments[1]
    assert comments[2] == "# Figures on the images that were tuned on are optimistic."
    values = yaml.safe_load(text)
    assert values["merge"]["min_size"] == 200
    assert values["merge"]["min_score"] == 0.25, "nothing was better than the model's own"
    assert load_config(tmp_path / "new" / "tuned.yaml").merge.min_size == 200
    assert "and so optimistic" in err
    assert "--config new/tuned.yaml" in out.replace("\\", "/").splitlines()[-1]


def test_nothing_better(autosam: Run, tmp_path: Path) -> None:
    status, out, _ = autosam("-o", "tuned.yaml", "--set", "merge.min_size=10", "--set", "merge.iou=0.4,0.6")
    assert status == 0
    assert "Nothing was better than the settings that it started with." in out
    assert yaml.safe_load((tmp_path / "tuned.yaml").read_text())["merge"] == {
        "iou": 0.5,
        "overlap": 0.8,
        "min_score": 0.25,
        "min_size": 10,
        "fallback": 0.7,
    }


def test_settings_that_leave_nothing_to_sam_are_named(autosam: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("-o", "tuned.yaml", "--overwrite", "--set=merge.min_size=10,20", *(f"--set={key}" for key in KEYS))
    status, out, err = autosam(*few)
    assert status == 0
    assert re.search(r"objects with SAM's outline +100% +100%", out)
    assert "SAM's outline" not in err
    monkeypatch.setattr(ComponentSam, "iou", 0.2)
    status, out, err = autosam(*few)
    assert status == 0
    assert re.search(r"objects with SAM's outline +0% +0%", out)
    assert "with these settings 0% of the objects have SAM's outline" in err
    assert "lower it" in err


def test_a_file_is_replaced_only_on_request(autosam: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {split: null}\n")
    few = ("--set", "merge.min_size=10,20", *(part for key in KEYS for part in ("--set", key)))
    assert "mine.yaml is there already" in refused(autosam, "-o", "mine.yaml", *few)
    assert (tmp_path / "mine.yaml").read_text() == "data: {split: null}\n"
    assert autosam("-o", "mine.yaml", "--config", "mine.yaml", "--overwrite", *few)[0] == 0
    assert yaml.safe_load((tmp_path / "mine.yaml").read_text())["merge"]["min_size"] == 20


def test_bad_input_is_one_line(autosam: Run, tmp_path: Path) -> None:
    assert "is a folder: give -o a file" in refused(autosam, "-o", "data")
    said = refused(autosam, "-o", "t.yaml", "--set", "merge.iou=0.5,2", "--set", "prompts.points=a,b")
    assert "merge.iou=2: " in said
    assert "prompts.points=a: " in said
    assert "model.sam is fixed by the model" in refused(autosam, "-o", "t.yaml", "--set", "model.sam=null")
    assert "no folder" in refused(
        autosam, "-o", "t.yaml", "--set", "data.sources=[{name: a, images: b, labels: c}]"
    )
    assert not (tmp_path / "t.yaml").exists()


KEYS = (
    "prompts.foreground=0.5",
    "prompts.boundary=0.5",
    "prompts.min_size=30",
    "merge.min_score=0.3",
    "merge.iou=0.5",
    "merge.overlap=0.8",
    "merge.fallback=0.7",
)
