"""Isotropic volumes in three directions."""

import numpy as np
import pytest
from volume_job import ArraySource, draw_balls, read_labels_at, rule_model, same_partition

from autosam.errors import ConfigError, InputError
from autosam.volumes.directions import agree
from autosam.volumes.open_volume import open_volume
from autosam.volumes.segment_volume import VolumeOptions, segment_source


def run(folder, volume=None, *, source=None, voxel_size=None, overwrite=False, **settings):
    return segment_source(
        source or open_volume(volume, voxel_size=voxel_size),
        folder / "out.zarr",
        rule_model(directions=3, **settings),
        VolumeOptions(device="cpu", overwrite=overwrite),
        model_sha256="rule",
    )


def test_balls_are_found_from_three_sides(tmp_path):
    volume, truth = draw_balls((40, 70, 50), 8, seed=1, radius=(6, 9))
    result = run(tmp_path, volume)
    labels = read_labels_at(tmp_path / "out.zarr")
    assert result.instances == labels.max() == truth.max()
    assert same_partition(np.where(truth > 0, labels, 0), np.where(labels > 0, truth, 0))
    # Caps of few pixels are dropped in one direction, and seen in two others.
    assert np.count_nonzero((labels > 0) != (truth > 0)) < 0.01 * np.count_nonzero(truth)
    assert not (tmp_path / "out_slices.parquet").exists()
    scores = (tmp_path / "out_objects.csv").read_text().splitlines()
    assert len(scores) == truth.max() + 1


def test_what_one_direction_alone_sees_is_left_out():
    # Ids 1 and 2 of the first direction are 2 and 1 of the second; the third has merged them, and sees one more.
    sizes = [np.array([[1, 10], [2, 10]]), np.array([[1, 10], [2, 9]]), np.array([[1, 22], [2, 5]])]
    counts = {
        (0, 1): (np.array([[1, 2], [2, 1]]), np.array([9, 10])),
        (0, 2): (np.array([[1, 1], [2, 1]]), np.array([10, 10])),
        (1, 2): (np.array([[1, 1], [2, 1]]), np.array([10, 9])),
    }
    first, second, third = agree([(sizes, counts)], [2, 2, 2])
    assert first.tolist() == [0, 1, 2]
    assert second.tolist() == [0, 2, 1]
    assert third.tolist() == [0, 0, 0]


def test_counts_of_regions_add_up():
    sizes = [np.array([[1, 5]]), np.array([[1, 5]]), np.zeros((0, 2), int)]
    none = (np.zeros((0, 2), int), np.zeros(0, int))
    part = (sizes, {(0, 1): (np.array([[1, 1]]), np.array([4])), (0, 2): none, (1, 2): none})
    assert [numbers.tolist() for numbers in agree([part, part], [1, 1, 0])] == [[0, 1], [0, 1], [0]]
    assert [numbers.tolist() for numbers in agree([], [0, 0, 0])] == [[0], [0], [0]]


def test_voxels_far_from_cubes_are_refused(tmp_path):
    volume, _ = draw_balls((10, 30, 30), 1)
    with pytest.raises(ConfigError, match="about cubes, and these have 50 × 8 × 8 nm; leave it out"):
        run(tmp_path, volume, voxel_size=(50, 8, 8))
    with pytest.raises(ConfigError, match="for gray volumes of several slices"):
        run(tmp_path, volume[:1])


def test_holes_are_recorded_once_a_slice_also_by_a_rerun(tmp_path):
    volume, _ = draw_balls((20, 70, 30), 3, seed=1, radius=(5, 8))
    source = ArraySource(volume, holes=(4, 9))
    record = run(tmp_path, source=source).record
    assert [hole[:2] for hole in record["holes"]] == [[4, None], [9, None]]
    assert run(tmp_path, source=source, overwrite=True).record["holes"] == record["holes"]


def test_pixels_that_are_not_finite_are_refused(tmp_path):
    volume = draw_balls((20, 40, 30), 2, seed=1)[0].astype(np.float32)
    volume[3, 5, 7] = np.nan
    with pytest.raises(InputError, match="1 pixels of slice 3 are NaN or infinite, the first in row 5, column 7"):
        run(tmp_path, volume)
