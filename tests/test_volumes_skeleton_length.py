"""Skeletons: shapes of known length, at the level that is coarse enough, and read in any groups."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label
from scipy.sparse import coo_array

from autosam.volumes import skeleton_length as module
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.pyramid import write_level
from autosam.volumes.skeleton_length import (
    SkeletonLengths,
    group_by_region,
    measure_skeletons,
    pruned_length,
    skeleton_length,
)
from autosam.volumes.store_levels import plan_levels

ONE = np.ones(3)


def test_lines_by_hand() -> None:
    line = np.zeros((3, 3, 9), bool)
    line[1, 1, 1:8] = True
    assert skeleton_length(line, ONE) == pytest.approx(6)
    assert skeleton_length(line, np.array([1, 1, 0.5])) == pytest.approx(3)
    steep = np.zeros((7, 7, 7), bool)
    steep[range(1, 6), range(1, 6), range(1, 6)] = True
    assert skeleton_length(steep, np.array([3.0, 2.0, 1.0])) == pytest.approx(4 * np.sqrt(14))
    assert skeleton_length(line.T, np.array([4.0, 1.0, 1.0])) == pytest.approx(24)


def test_one_voxel_and_none() -> None:
    assert skeleton_length(np.ones((1, 1, 1), bool), ONE) == 0
    assert np.isnan(skeleton_length(np.zeros((2, 2, 2), bool), ONE))


def test_a_plane_of_one_slice() -> None:
    bar = np.ones((1, 10, 50), bool)
    assert skeleton_length(bar, ONE) == pytest.approx(41, abs=2)


@pytest.mark.parametrize("center", [14.5, 15.0, 15.2])
def test_tubes_are_as_long_as_their_axis_but_for_the_ends(center: float) -> None:
    # Thinning leaves nothing of the first one, which is symmetric.
    z, y, x = np.mgrid[:30, :30, :120]
    tube = ((z - center) ** 2 + (y - center) ** 2 <= 64) & (x > 8) & (x < 110)
    length = skeleton_length(tube, ONE)
    assert 101 - 2 * 8 - 2 <= length <= 101


def test_branches_add_up_and_a_ring_is_cut_open() -> None:
    cross = np.zeros((3, 21, 21), bool)
    cross[1, 10, 2:19] = cross[1, 2:19, 10] = True
    assert skeleton_length(cross, ONE) == pytest.approx(32, abs=1)
    y, x = np.mgrid[:41, :41]
    ring = np.abs(np.hypot(y - 20, x - 20) - 15) < 2
    assert skeleton_length(ring[None], ONE) == pytest.approx(2 * np.pi * 15, rel=0.1)


def length_of(edges: list[tuple[int, int, float]], radius: list[float]) -> float:
    a, b, weights = zip(*edges, strict=True)
    return pruned_length(coo_array((weights, (a, b)), shape=(len(radius), len(radius))), np.array(radius))


def test_short_branches_are_taken_off_the_shortest_first() -> None:
    # A trunk of 0-1-2-3 with a twig at 1, and a fork at its end, of 3-4 and 3-5.
    edges = [(0, 1, 5.0), (1, 2, 5.0), (2, 3, 5.0), (1, 6, 1.5), (3, 4, 1.0), (3, 5, 1.2)]
    assert length_of(edges, [0.5] * 7) == pytest.approx(18.7)
    # Of the fork, the longer branch continues the trunk.
    assert length_of(edges, [2.0] * 7) == pytest.approx(16.2)
    assert length_of(edges, [1.3] * 7) == pytest.approx(17.7)
    assert length_of([(0, 1, 2.0)], [9.0, 9.0]) == 2
    # A star leaves its two longest arms.
    star = [(0, arm, float(arm)) for arm in range(1, 6)]
    assert length_of(star, [99.0] * 6) == 9


def test_bumps_do_not_make_an_instance_longer() -> None:
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:32, :32, :150]
    rough = gaussian_filter(rng.normal(size=z.shape), 2) * 25
    tube = ((z - 15.3) ** 2 + (y - 15.1) ** 2 <= (9 + rough) ** 2) & (x > 10) & (x < 140)
    tube = label(tube)[0] == 1
    assert 129 - 2 * 10 <= skeleton_length(tube, ONE) <= 1.3 * 129


def test_small_holes_do_not_make_an_instance_longer() -> None:
    slab = np.ones((9, 30, 90), bool)
    whole = skeleton_length(slab, ONE)
    slab[:, 12:14, 20:22] = slab[3:6, 9, 50] = False
    slab[:, 16, 40] = slab[:, 20, 70] = False
    assert skeleton_length(slab, ONE) == pytest.approx(whole)


def stored(folder: Path, labels: np.ndarray) -> LabelStore:
    levels = plan_levels(labels.shape, None, chunk=(8, 32, 32), region=(16, 64, 64))
    store = LabelStore(folder / "labels.zarr", folder / "written", labels.dtype.str, levels)
    store.create({})
    for region in store.regions():
        store.write(region, labels[region])
    for level in range(1, len(levels)):
        for region in store.regions(level):
            write_level(store, region, level)
    return store


def tubes() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((20, 100, 600), np.uint16)
    labels[3:10, 10:17, 5:595] = 4
    labels[12:17, 40:45, 100:160] = 5
    labels[12:17, 60:65, 300:340] = 900
    boxes = [[3, 10, 5, 10, 17, 595], [12, 40, 100, 17, 45, 160], [12, 60, 300, 17, 65, 340]]
    return labels, np.array(boxes, np.int64)


def test_each_is_measured_at_the_finest_level_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, boxes = tubes()
    store = stored(tmp_path, labels)
    assert [level.factors for level in store.levels] == [(1, 1, 1), (2, 2, 2), (4, 4, 4)]
    ids = np.array([4, 5, 900], np.uint64)
    size = (8.0, 8.0, 8.0)
    fine = measure_skeletons(store, ids, boxes, size)
    assert fine.levels.tolist() == [0, 0, 0]
    np.testing.assert_allclose(fine.lengths, [590 * 8, 60 * 8, 40 * 8], atol=8 * 8)
    coarse = measure_skeletons(store, ids, boxes, size, largest=10_000)
    assert coarse.levels.tolist() == [1, 0, 0]
    assert coarse.lengths[0] == pytest.approx(590 * 8, abs=10 * 8)
    none = measure_skeletons(store, ids, boxes, size, largest=100)
    assert none.levels.tolist() == [-1, 2, 2]
    assert np.isnan(none.lengths[0])
    # In whatever groups they are read.
    monkeypatch.setattr(module, "_TOGETHER", 1)
    alone = measure_skeletons(store, ids, boxes, size)
    np.testing.assert_array_equal(alone.lengths, fine.lengths)


def test_groups_are_those_of_the_first_corners(tmp_path: Path) -> None:
    labels, boxes = tubes()
    store = stored(tmp_path, labels)
    groups = group_by_region(store, boxes[::-1])
    assert [group.tolist() for group in groups] == [[2], [1], [0]]
    ids = np.array([900, 5, 4], np.uint64)
    parts = [measure_skeletons(store, ids[g], boxes[::-1][g], (1.0, 1.0, 1.0)) for g in groups]
    joined = SkeletonLengths.join(parts)
    assert joined.ids.tolist() == [4, 5, 900]
    whole = measure_skeletons(store, ids[::-1], boxes, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(joined.lengths, whole.lengths)
    assert group_by_region(store, np.zeros((0, 6), np.int64)) == []
    assert len(SkeletonLengths.join([]).ids) == 0
