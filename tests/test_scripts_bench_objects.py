"""The script that times the steps after SAM: its objects are found again, and each step has its row."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import bench_objects


def test_every_step_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "objects.json"
    assert bench_objects.main(["--side", "160", "--objects", "16", "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    names = ["masks", "merge", "measure", "table", "overlay", "png", "labels"]
    assert [row["step"] for row in found["steps"]] == names
    out = capsys.readouterr().out
    assert all(name in out for name in names)


def test_the_made_up_objects_are_merged_and_written(tmp_path: Path) -> None:
    bench_objects.measure(160, 16, tmp_path)
    labels = imread(tmp_path / "labels.tif")
    assert labels.shape == (160, 160)
    assert len(np.unique(labels)) == 17
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 17
