"""Gaps of a volume are filled by tasks."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
from volume_job import ArraySource, draw_balls, read_labels_at, rule_model, same_partition

from autosam.volumes.segment_volume import VolumeOptions, segment_source
from autosam.volumes.slice_objects import INTERPOLATED


def run(folder, source, *, name="out.zarr", fill="interpolate", **volume):
    return segment_source(
        source,
        folder / name,
        rule_model(fill=fill, **volume),
        VolumeOptions(device="cpu"),
        model_sha256="rule",
    )


@pytest.fixture(scope="module")
def missed():
    """Balls of which some are dark in one or two slices; gives the volume, the truth and what is missing."""
    volume, truth = draw_balls((14, 150, 170), 20, seed=3, radius=(6, 9))
    volume, gone = volume.copy(), []
    for ball in range(1, truth.max() + 1):
        slices = np.flatnonzero((truth == ball).any(axis=(1, 2)))
        # Away from the ends, which taper, and across the border of slabs.
        if len(slices) >= 9:
            middle = slices[len(slices) // 2]
            for z in (middle, middle + 1)[: 1 + ball % 2]:
                volume[z][truth[z] == ball] = 0
                gone.append((ball, int(z)))
    assert len({ball for ball, _ in gone}) >= 3
    return volume, truth, gone


def test_missed_objects_are_interpolated(tmp_path, missed):
    volume, truth, gone = missed
    result = run(tmp_path, ArraySource(volume))
    labels = read_labels_at(tmp_path / "out.zarr")
    assert result.instances == truth.max()
    for ball, z in gone:
        own, wanted = labels[z] == labels[truth == ball].max(), truth[z] == ball
        # The middle of a ball is wider than a straight line between its sides.
        assert (own & wanted).sum() > 0.7 * (own | wanted).sum()
    told = pq.read_table(tmp_path / "out_slices.parquet").to_pydict()
    filled = {z for z, origin in zip(told["z"], told["origin"], strict=True) if origin == INTERPOLATED}
    assert filled == {z for _, z in gone}
    with (tmp_path / "out_objects.csv").open() as file:
        assert sum(int(row["slices_filled"]) for row in csv.DictReader(file)) == len(gone)
    assert result.record["filled"] >= len(gone)


def test_without_filling_the_gap_stays_and_the_instance_is_one(tmp_path, missed):
    volume, truth, gone = missed
    run(tmp_path, ArraySource(volume), fill="none")
    labels = read_labels_at(tmp_path / "out.zarr")
    shown = truth.copy()
    for ball, z in gone:
        shown[z][truth[z] == ball] = 0
    assert same_partition(labels, shown)


@pytest.mark.parametrize(("slab", "tile"), [(1, 64), (5, 200)])
def test_fillings_do_not_depend_on_slabs_and_blocks(tmp_path, missed, slab, tile):
    source = ArraySource(missed[0])
    run(tmp_path, source, name="a.zarr")
    run(tmp_path, source, name="b.zarr", slab=slab, tile=tile)
    assert np.array_equal(read_labels_at(tmp_path / "a.zarr"), read_labels_at(tmp_path / "b.zarr"))


def test_a_slice_that_cannot_be_read_is_not_filled(tmp_path, missed):
    volume, _, _ = missed
    run(tmp_path, ArraySource(volume, holes=(7,)))
    assert not read_labels_at(tmp_path / "out.zarr")[7].any()
