"""What a command imports, and what it sets before torch is there; each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

CODE = """
import json, os, sys
from autosam.cli import main
try:
    main()
except SystemExit as stop:
    status = stop.code or 0
loaded = {name.split(".")[0] for name in sys.modules} | {"torch._dynamo"} & set(sys.modules)
print(json.dumps([status, sorted(loaded), os.environ.get("OMP_WAIT_POLICY")]))
"""
SLOW = {
    "torchvision",
    "segmentation_models_pytorch",
    "timm",
    "sklearn",
    "matplotlib",
    "lightning",
    "pooch",
    "zarr",
}


def run(folder: Path, *arguments: str, policy: str | None = None) -> tuple[int, set[str], str, str]:
    """Run the program; give its status, what was imported, OpenMP's policy, and stderr."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    ran = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    status, loaded, found = json.loads(ran.stdout.splitlines()[-1])
    return status, set(loaded), found, ran.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 20), np.uint8), photometric="minisblack")
    (tmp_path / "wrong.yaml").write_text("merge: {min_size: many}\n", encoding="utf-8")
    (tmp_path / "cut.safetensors").write_bytes(b"\x09")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("b.tif",), "no such file"),
        (("a.tif", "--prompt", "grid"), "no such option"),
        (("a.tif", "--format", "gif"), "--format gif is unknown"),
        (("a.tif", "--model", "mitos"), "did you mean mito?"),
        (("a.tif", "--model", "cut.safetensors"), "cut.safetensors is damaged"),
        (("a.tif", "--config", "wrong.yaml"), "merge.min_size='many'"),
        (("a.tif", "--set", "merge.min_sise=3"), "merge.min_sise"),
        (("a.tif", "--set", "model.sam.lora_rank=7"), "model.* settings are fixed by the model file"),
    ],
)
def test_what_is_refused_is_refused_without_torch(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    status, loaded, _, said = run(folder, "segment", *arguments, "-o", "out")
    (line,) = said.splitlines()
    assert status == 2
    assert words in line
    assert "torch" not in loaded
    assert not loaded & SLOW
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gone", "-m", "mito"), "no folder or store gone"),
        (("results", "-m", "mito"), "it holds results that were not corrected"),
        (("results", "-m", "mitos"), "no model is named 'mitos'"),
        (("results", "-m", "mito", "--train", "it"), "--train it is unknown"),
    ],
)
def test_labels_that_are_no_labels_are_refused_without_torch(
    folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    (folder / "results").mkdir()
    (folder / "results" / "autosam_run.json").write_text('{"images": {}}', encoding="utf-8")
    if "--train" in arguments:
        for name in ("images", "labels"):
            (folder / "results" / "training" / name).mkdir(parents=True)
    status, loaded, _, said = run(folder, "adapt", *arguments, "-o", "out")
    (line,) = said.splitlines()
    assert status == 2
    assert words in line
    assert "torch" not in loaded
    assert not loaded & (SLOW - {"zarr"})
    assert not (folder / "out.safetensors").exists()


def test_a_command_does_without_slow_packages_and_results_of_others_are_refused_without_torch(
    folder: Path,
) -> None:
    status, loaded, policy, _ = run(folder, "segment", "a.tif", "-o", "out", "--set", "images.find_zoom=false")
    assert (status, policy) == (0, "passive")
    assert "torch" in loaded
    assert not loaded & SLOW
    assert "torch._dynamo" not in loaded
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    status, loaded, _, said = run(folder, "segment", "a.tif", "-o", "out", "--set", "merge.min_size=7")
    assert status == 2
    assert "settings.merge.min_size" in said
    assert "torch" not in loaded
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before


def test_the_user_has_the_last_word_on_waiting_threads(folder: Path) -> None:
    assert run(folder, "segment", "b.tif", "-o", "out", policy="active")[2] == "active"
    assert run(folder, "--help")[2] == "passive"


def test_settings_of_a_model_are_told_without_torch(folder: Path) -> None:
    status, loaded, _, _ = run(folder, "settings", "merge.min_score", "--model", "nuclei")
    assert status == 0
    assert "torch" not in loaded
