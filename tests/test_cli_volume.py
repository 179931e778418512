"""`autosam volume` as a user calls it."""

import json
from unittest.mock import patch

import numpy as np
import pytest
import tifffile
from fake_networks import BrightPixels, build_small_sam
from volume_job import draw_balls, read_labels_at, rule_model, same_partition

from autosam.cli import main
from autosam.models.networks import Networks
from autosam.pipeline import batch_workers
from autosam.pipeline.segmenter import Segmenter


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """Write a stack as TIFF and let the networks answer by rule; gives its path and the truth."""
    volume, truth = draw_balls((8, 90, 100), 8, seed=2)
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, volume, photometric="minisblack")
    settings = rule_model().settings

    def load(self, device):
        return Segmenter(Networks(build_small_sam(), BrightPixels()), settings, name="by rule")

    monkeypatch.setattr(batch_workers.ModelChoice, "load", load)
    monkeypatch.setattr(batch_workers, "settings_of_model", lambda *_, **__: settings)
    return path, truth


def run(capsys, *arguments):
    import sys

    with patch.object(sys, "argv", ["autosam", *map(str, arguments)]), pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return end.value.code or 0, told.out, told.err


def test_a_stack_becomes_instances(stack, tmp_path, capsys):
    path, truth = stack
    code, out, _ = run(capsys, "volume", path, "-o", tmp_path / "m.zarr", "--voxel-size", "40,8,8")
    assert code == 0
    assert f"{truth.max()} instances of " in out
    assert same_partition(read_labels_at(tmp_path / "m.zarr"), truth)
    record = json.loads((tmp_path / "m_run.json").read_text())
    assert record["voxel_size_nm"] == [40.0, 8.0, 8.0]
    code, out, _ = run(capsys, "volume", path, "-o", tmp_path / "m.zarr", "--voxel-size", "40,8,8")
    assert code == 0
    assert "is done already" in out


def test_a_part_alone(stack, tmp_path, capsys):
    path, truth = stack
    code, _, _ = run(capsys, "volume", path, "-o", tmp_path / "m.tif", "--roi", "2:6,:,10:80")
    assert code == 0
    labels = tifffile.imread(tmp_path / "m.tif")
    assert labels.shape == (4, 90, 70)
    assert np.array_equal(labels > 0, truth[2:6, :, 10:80] > 0)


def test_a_dry_run_writes_nothing(stack, tmp_path, capsys):
    path, _ = stack
    code, out, _ = run(capsys, "volume", path, "-o", tmp_path / "m.zarr", "--dry-run")
    assert code == 0
    assert "8 slices × 2 tiles" in out
    assert [file.name for file in tmp_path.iterdir()] == ["raw.tif"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing.tif", "-o", "m.zarr"], "no such file or folder"),
        (["raw.tif", "-o", "m.zip"], "volumes are written to .zarr"),
        (["raw.tif", "-o", "m.zarr", "--roi", "5:2,:,:"], "wanted z0 < z1"),
        (["raw.tif", "-o", "m.zarr", "--voxel-size", "40,8"], "wanted z,y,x in nm"),
        (["raw.tif", "-o", "m.zarr", "--ome-version", "0.3"], "choose 0.5 or 0.4"),
        (["raw.tif", "-o", "m.zarr", "--table", "xlsx"], "choose csv or parquet"),
        (["raw.tif", "-o", "raw.tif"], "written over its own source"),
        (["raw.tif", "-o", "m.zarr", "--workers", "2", "--scheduler", "tcp://x:1"], "exclude each other"),
    ],
)
def test_bad_input_is_one_line(stack, tmp_path, capsys, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "volume", *arguments)
    assert code == 2
    told = [text for text in err.splitlines() if "note:" not in text]
    assert len(told) == 1
    assert line in told[0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["raw.tif"]


def test_pixels_that_are_not_finite_stop_it_or_are_background(stack, tmp_path, capsys):
    path, _ = stack
    broken = tifffile.imread(path).astype(np.float32)
    broken[3, 5, 7] = np.nan
    np.save(tmp_path / "raw.npy", broken)
    code, _, err = run(capsys, "volume", tmp_path / "raw.npy", "-o", tmp_path / "m.zarr")
    assert code == 2
    assert "1 pixels of slice 3 are NaN or infinite, the first in row 5, column 7" in err


def test_slices_without_files_are_bridged(stack, tmp_path, capsys):
    path, truth = stack
    folder = tmp_path / "slices"
    folder.mkdir()
    for z, plane in enumerate(tifffile.imread(path)):
        if z != 4:
            tifffile.imwrite(folder / f"s{z:03}.tif", plane)
    code, _, err = run(capsys, "volume", folder, "-o", tmp_path / "m.zarr")
    assert code == 0
    assert "slice 4 without a file, by the numbers in the names" in err
    assert "1 slice could not be read, the first is 4" in err
    assert read_labels_at(tmp_path / "m.zarr").shape == truth.shape


def test_a_dry_run_counts_all_three_directions(stack, tmp_path, capsys):
    path, _ = stack
    settings = rule_model(directions=3).settings
    with patch.object(batch_workers, "settings_of_model", lambda *_, **__: settings):
        code, out, _ = run(capsys, "volume", path, "-o", tmp_path / "m.zarr", "--dry-run")
        assert code == 0
        # Slabs of 4, blocks of one tile: 2 slabs of 1 × 2 tiles, 23 of 1 × 2, and 25 of 1 × 1.
        assert f"{2 * 2 + 23 * 2 + 25 * 1} tasks" in out
        wrong = ["-o", tmp_path / "m.zarr", "--dry-run", "--voxel-size", "50,8,8"]
        code, _, err = run(capsys, "volume", path, *wrong)
    assert code == 2
    assert "voxels that are about cubes" in err
