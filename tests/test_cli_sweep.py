"""`autosam sweep` as a person runs it; with a model, networks answer by rule, so that the scores are known."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from blobs import SMALL, write_discs
from fake_networks import BrightPixels, build_small_sam, use_component_sam

from autosam.cli import main
from autosam.config import load_config
from autosam.images import read_image
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter

pytestmark = pytest.mark.usefixtures("few_windows")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def autosam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in its own folder, with data and a model; gives exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    write_discs(tmp_path / "data", 2)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autosam", "sweep", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(end.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    use_component_sam(monkeypatch)
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]

    def from_model(model: str, *, device: str = "auto") -> Segmenter:
        return Segmenter(networks, load_config(), name=str(model))

    monkeypatch.setattr(Segmenter, "from_model", from_model)
    (tmp_path / "model.safetensors").write_bytes(b"stands for the weights")
    return "model.safetensors"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def refused(run: Run, *arguments: object) -> str:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("autosam: ")
    assert not Path("out").exists(), "something was written"
    return line


def test_a_model_is_scored_with_a_grid(autosam: Run, model: str, tmp_path: Path) -> None:
    grid = (
        "--set",
        "merge.min_size=10,5000",
        "--set",
        "prompts.method=distance,centroid",
        "--set",
        "merge.iou=0.4",
    )
    status, out, err = autosam("data", "-m", model, "-o", "out", *grid)
    assert status == 0
    table = rows(tmp_path / "out" / "results.csv")
    assert [(row["merge.min_size"], row["prompts.method"]) for row in table] == [
        ("10", "distance"),
        ("10", "centroid"),
        ("5000", "distance"),
        ("5000", "centroid"),
    ]
    assert {row["merge.iou"] for row in table} == {"0.4"}
    assert [row["ap50"] for row in table] == ["1.0", "1.0", "0.0", "0.0"]
    assert {row["objects"] for row in table} == {"9"}
    assert np.ndim(read_image(tmp_path / "out" / "sweep.png")) == 3
    assert out.splitlines()[0].startswith("merge.min_size  prompts.method")
    assert out.splitlines()[-1] == f"Written: {Path('out/results.csv')}, {Path('out/sweep.png')}"
    assert "[1/4] min_size=10_method=distance_iou=0.4 ..." in err

    status, _, err = autosam("data", "-m", model, "-o", "out", *grid)
    assert status == 0
    assert err.count("(finished before)") == 4
    assert rows(tmp_path / "out" / "results.csv") == table
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["results.csv", "sweep.png"]


def test_a_combination_that_fails_stops_no_other(
    autosam: Run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autosam.errors import InputError

    segment = Segmenter.segment

    def sometimes(self: Segmenter, image: object, *, zoom: float | None, normalized: bool) -> object:
        if self.config.prompts.points == 5:
            raise InputError("five are too many")
        return segment(self, image, zoom=zoom, normalized=normalized)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "segment", sometimes)
    status, out, err = autosam("data", "-m", model, "-o", "out", "--set", "prompts.points=1,5,10")
    assert status == 1
    assert [row["prompts.points"] for row in rows(tmp_path / "out" / "results.csv")] == ["1", "10"]
    assert err.splitlines()[-2:] == [
        "autosam: 1 of 3 combinations failed:",
        "  points=5: five are too many",
    ]
    assert "Written" in out


def test_bad_input_is_one_line(autosam: Run, model: str, tmp_path: Path) -> None:
    said = refused(
        autosam, "data", "-m", model, "-o", "out", "--set", "prompts.points=1,x", "--set", "merge.iou=2,3"
    )
    assert said.count("prompts.points=x, merge.iou=2: ") == 1
    assert "prompts.points=1, merge.iou=3: " in said
    said = refused(autosam, "data", "-m", model, "-o", "out", "--set", "training.steps=1,2")
    assert "training.steps is fixed by the model" in said
    assert "has an empty value" in refused(autosam, "data", "-m", model, "-o", "out", "--set", "seed=")
    assert "no folder" in refused(autosam, "gone", "-m", model, "-o", "out")
    assert "no folder" in refused(autosam, "gone", "-o", "out", "--device", "cpu")
    assert "mitoo" in refused(autosam, "data", "-m", model, "-o", "out", "-c", "mitoo")
    (tmp_path / "file").touch()
    assert "file is a file" in refused(autosam, "data", "-m", model, "-o", "file")


def test_a_model_is_trained_for_each_combination(autosam: Run, tmp_path: Path) -> None:
    settings = (*SMALL, "training.steps=1", "training.previews=0", "data.fraction=0.5,1")
    given = [part for setting in settings for part in ("--set", setting)]
    status, _, err = autosam("data", "-o", "out", "--device", "cpu", *given)
    assert status == 0, err
    table = rows(tmp_path / "out" / "results.csv")
    assert [(row["data.fraction"], row["steps"]) for row in table] == [("0.5", "1"), ("1", "1")]
    assert all(float(row["train_seconds"]) > 0 for row in table)
    runs = sorted((tmp_path / "out" / "runs").iterdir())
    assert len(runs) == 2
    assert all((run / "model.safetensors").is_file() for run in runs)
    models = {run: (run / "model.safetensors").stat().st_mtime_ns for run in runs}
    assert autosam("data", "-o", "out", "--device", "cpu", *given)[0] == 0
    assert models == {run: (run / "model.safetensors").stat().st_mtime_ns for run in runs}
