"""Sums over regions: equal to skimage's on the whole volume, whatever the regions are."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from skimage.measure import regionprops

from autosam.volumes import instance_sums
from autosam.volumes.instance_sums import InstanceSums, sum_region
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.store_levels import Region, Size, plan_levels
from autosam.volumes.surface import DIRECTIONS


def stored(folder: Path, labels: np.ndarray) -> LabelStore:
    levels = plan_levels(labels.shape, None, chunk=(4, 8, 8), region=(8, 16, 16))
    store = LabelStore(folder / "labels.zarr", folder / "written", labels.dtype.str, levels)
    store.create({})
    for region in store.regions():
        store.write(region, labels[region])
    return store


def cut(shape: Size, steps: Size) -> list[Region]:
    spans = [[slice(i, min(i + step, n)) for i in range(0, n, step)] for n, step in zip(shape, steps, strict=True)]
    return [(z, y, x) for z, y, x in product(*spans)]


def drawn(shape: Size, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 9, [-(-n // 3) for n in shape]) * 1000
    labels = np.kron(coarse, np.ones((3, 3, 3), int))[tuple(map(slice, shape))]
    return (labels * (rng.random(shape) < 0.9)).astype(np.uint32)


def slowly(labels: np.ndarray) -> InstanceSums:
    padded = np.pad(labels, 1)
    found = regionprops(labels)
    crossings = [
        [
            sum(
                int(((padded == one.label) & (np.roll(padded, sign * step, (0, 1, 2)) != one.label)).sum())
                for sign in (1, -1)
            )
            for step in DIRECTIONS
        ]
        for one in found
    ]
    return InstanceSums(
        np.array([one.label for one in found], np.uint64),
        np.array([one.num_pixels for one in found], np.int64),
        np.array([one.coords.sum(axis=0) for one in found], np.int64),
        np.array([one.bbox for one in found], np.int64),
        np.array(crossings, np.int64),
    )


def check(found: InstanceSums, expected: InstanceSums) -> None:
    for name in ("ids", "voxels", "places", "boxes", "crossings"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype == getattr(expected, name).dtype, name


@pytest.mark.parametrize("shape", [(13, 21, 34), (1, 30, 17), (5, 1, 1)])
@pytest.mark.parametrize("steps", [(100, 100, 100), (8, 16, 16), (3, 5, 7), (1, 1, 9)])
def test_any_regions_add_up_to_the_whole(
    tmp_path: Path, shape: Size, steps: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = drawn(shape)
    store = stored(tmp_path, labels)
    monkeypatch.setattr(instance_sums, "_AT_ONCE", 700)
    parts = [sum_region(store, region) for region in cut(shape, steps)]
    check(InstanceSums.add(parts[::-1]), slowly(labels))


def test_by_hand(tmp_path: Path) -> None:
    labels = np.zeros((2, 3, 4), np.uint8)
    labels[0, 1, 1:3] = 7
    labels[1, 2, 3] = 9
    sums = sum_region(stored(tmp_path, labels), (slice(0, 2), slice(0, 3), slice(0, 4)))
    assert sums.ids.tolist() == [7, 9]
    assert sums.voxels.tolist() == [2, 1]
    assert sums.places.tolist() == [[0, 2, 3], [1, 2, 3]]
    assert sums.boxes.tolist() == [[0, 1, 1, 1, 2, 3], [1, 2, 3, 2, 3, 4]]
    # Two neighbors along x: a line along x enters and leaves once, lines along all others twice.
    assert sums.crossings[0].tolist() == [2, *[4] * 12]
    assert sums.crossings[1].tolist() == [2] * 13


def test_background_alone_has_no_instances(tmp_path: Path) -> None:
    store = stored(tmp_path, np.zeros((3, 9, 9), np.uint16))
    sums = InstanceSums.add([sum_region(store, region) for region in store.regions()])
    assert len(sums) == 0
    check(sums, InstanceSums.empty())


def test_ids_of_64_bits(tmp_path: Path) -> None:
    labels = np.full((1, 2, 2), 2**63 + 5, np.uint64)
    sums = sum_region(stored(tmp_path, labels), (slice(0, 1), slice(0, 2), slice(0, 2)))
    assert sums.ids.tolist() == [2**63 + 5]
