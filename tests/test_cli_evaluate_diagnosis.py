"""`autosam evaluate --diagnose` as a user runs it."""

import json
import re

import numpy as np
import pytest
import typer
from blobs import SMALL, discs, small_config
from diagnosis_runs import draw_image, fake_models, write_images, write_run
from typer.testing import CliRunner

from autosam.cli.evaluate import evaluate
from autosam.cli.segment import segment
from autosam.errors import AutosamError
from autosam.images import read_image, write_labels, write_png
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.model_file import network_tensors
from autosam.models.networks import build_networks
from autosam.pipeline.segmenter import Segmenter

app = typer.Typer()
app.command()(evaluate)
app.command()(segment)


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None, result.exception
    return result.stdout


def fault(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert isinstance(result.exception, AutosamError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def cells(output, name):
    """Give the row of the last table that has one of this name."""
    line = [line for line in output.splitlines() if line.startswith(f"{name} ")][-1]
    return re.split(r"\s{2,}", line.strip())


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A run of two images, and their truths."""
    fake_models(monkeypatch)
    images, truth = write_images(tmp_path, ("a", "b"))
    write_run(images, tmp_path / "out")
    return tmp_path / "out", truth


def test_tables_on_the_screen(places):
    output = run("evaluate", *places, "--diagnose")
    assert cells(output, "found")[:3] == ["found", "2", "25.0 %"]
    assert cells(output, "detection")[1:3] == ["2", "25.0 %"]
    assert cells(output, "prompt")[1:] == [
        "4",
        "50.0 %",
        "its prompt is wrong (4 merged)",
        "2",
        "100.0 %",
        "prompt wrong for its object",
    ]
    assert cells(output, "all") == ["all", "8", "2"]
    assert cells(output, "this run")[1] == "0.200"
    assert cells(output, "truth boxes and points")[1] == "0.200"
    assert "note:" not in output


def test_device(places, monkeypatch):
    asked = []
    plain = Segmenter.from_model

    def from_model(model, **options):
        asked.append(options.pop("device"))
        return plain(model, **options)

    monkeypatch.setattr(Segmenter, "from_model", from_model)
    run("evaluate", *places, "--diagnose", "--device", "cpu")
    run("evaluate", *places, "--diagnose")
    assert asked == ["cpu", "auto"]
    assert "--device came without --diagnose" in fault(*places, "--device", "cpu")


def test_files(places, tmp_path):
    output = run("evaluate", *places, "--diagnose", "-o", tmp_path / "scores")
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == [
        "diagnosis.csv",
        "diagnosis.json",
        "diagnosis.png",
        "evaluation.csv",
        "evaluation.json",
    ]
    assert output.count("Written:") == 2
    assert read_image(tmp_path / "scores" / "diagnosis.png").shape[2] == 3


def test_components_and_list(places, tmp_path):
    out, truth = places
    for name in ("a", "b"):
        write_labels(truth / f"{name}.png", (draw_image()[1] > 0) * np.uint8(255))
    (tmp_path / "stems.txt").write_text("b\n", encoding="utf-8")
    run(
        "evaluate",
        out,
        truth,
        "--diagnose",
        "--components",
        "--list",
        tmp_path / "stems.txt",
        "-o",
        tmp_path / "s",
    )
    document = json.loads((tmp_path / "s" / "diagnosis.json").read_text(encoding="utf-8"))
    assert [image["image"] for image in document["images"]] == ["b"]
    assert {stage: found["count"] for stage, found in document["stages"].items()} == {
        "found": 1,
        "detection": 1,
        "prompt": 2,
        "mask": 0,
        "merge": 0,
    }


def test_other_labels_are_said(places):
    out, truth = places
    write_labels(out / "a_labels.tif", np.ones((64, 96), dtype=np.int32))
    assert "note: 1 image came out differently" in run("evaluate", out, truth, "--diagnose")


def test_what_it_does_not_go_with(places, tmp_path):
    out, truth = places
    for option in ("--strict", "--pred-components"):
        assert f"--diagnose came with {option}" in fault(out, truth, "--diagnose", option)
    assert "--diagnose came with --compare" in fault(out, tmp_path, truth, "--diagnose", "--compare")
    (tmp_path / "pairs.csv").write_text("pred,truth\n", encoding="utf-8")
    assert "--diagnose came with --pairs" in fault("--pairs", tmp_path / "pairs.csv", "--diagnose")


def test_a_folder_that_segment_did_not_write(places):
    assert "holds no autosam_run.json" in fault(places[1], places[1], "--diagnose")


def test_a_real_model_file(tmp_path):
    """Everything from the weights on, with random networks of 64 pixels."""
    config = small_config("prompts.min_size=1", "merge.min_size=1")
    settings = config.model_dump(mode="json", exclude={"training", "data"})
    tensors = network_tensors(build_networks(config.model), config.model)
    save_model(tmp_path / "small.safetensors", tensors=tensors, metadata=ModelHeader(settings=settings))
    image, truth = discs(0)
    for name in ("images", "truth"):
        (tmp_path / name).mkdir()
    write_png(tmp_path / "images" / "a.png", image)
    write_labels(tmp_path / "truth" / "a.png", truth)
    assert SMALL[0] == "model.sam.image_size=64"
    out = tmp_path / "out"
    run("segment", tmp_path / "images", "-o", out, "-m", tmp_path / "small.safetensors", "--device", "cpu")
    output = run("evaluate", out, tmp_path / "truth", "--diagnose", "-o", tmp_path / "scores")
    document = json.loads((tmp_path / "scores" / "diagnosis.json").read_text(encoding="utf-8"))
    assert document["images"][0]["reproduced"]
    assert document["objects"] == 9 == sum(found["count"] for found in document["stages"].values())
    assert "truth boxes" in output
    scores = json.loads((tmp_path / "scores" / "evaluation.json").read_text(encoding="utf-8"))
    assert document["average_precision"]["this run"]["mean_ap"] == pytest.approx(scores["pooled"]["mean_ap"])
    assert document["stages"]["found"]["count"] == scores["pooled"]["tp50"]
