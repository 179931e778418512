import tracemalloc

import numpy as np
import pytest

from autosam.evaluation.open_pair import ObjectRules, open_pair
from autosam.evaluation.pairing import Pair
from autosam.evaluation.volume_components import IGNORED, volume_components
from autosam.evaluation.volumes import contingency_of_volumes
from autosam.images import write_labels
from autosam.images.label_volume import LabelVolume
from autosam.metrics import components, contingency_table


def speckle(seed, shape=(9, 14, 17), share=0.1):
    return (np.random.default_rng(seed).random(shape) < share).astype(np.uint8) * 255


def in_chunks(name, array, chunks):
    return LabelVolume(name, array.shape, chunks, lambda region: array[region])


@pytest.mark.parametrize("voxels", [1, 600, 10**9])
@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("min_size", [1, 6])
def test_components_read_in_parts_are_those_of_the_whole(voxels, depth, min_size):
    mask = speckle(2)
    found = volume_components(in_chunks("m", mask, (depth, 5, 6)), min_size=min_size, voxels=voxels)
    whole = components(mask, min_size=min_size)
    assert whole.max() > 3
    np.testing.assert_array_equal(found.whole(), whole)
    np.testing.assert_array_equal(found.read((slice(3, 8), slice(2, 9), slice(1, 4))), whole[3:8, 2:9, 1:4])


def test_a_missing_slice_parts_what_lies_on_both_sides():
    mask = np.ones((4, 3, 3), np.uint8)
    found = volume_components(in_chunks("m", mask, (1, 3, 3)), min_size=1, numbers=(0, 1, 5, 6), voxels=9)
    assert found.whole()[:, 0, 0].tolist() == [1, 1, 2, 2]


def test_what_does_not_count_parts_objects_and_is_no_id():
    mask = np.array([[[255, 255, 9, 255]]], np.uint8)
    found = volume_components(in_chunks("m", mask, (1, 1, 4)), min_size=1, ignore=9, voxels=4)
    assert found.whole(ignore=IGNORED).tolist() == [[[1, 1, IGNORED, 2]]]


def test_an_empty_mask_has_no_component():
    found = volume_components(in_chunks("m", np.zeros((2, 3, 4), bool), (1, 3, 4)), min_size=1, voxels=9)
    assert not found.whole().any()


@pytest.mark.parametrize("ignore", [None, 7])
def test_a_pair_of_masks_counts_the_same_in_memory_and_in_parts(tmp_path, ignore):
    pred, truth = speckle(1), speckle(2)
    if ignore is not None:
        truth[:, :3] = ignore
    for name, mask in (("p", pred), ("t", truth)):
        write_labels(tmp_path / f"{name}.tif", mask)
    pair = Pair("v", str(tmp_path / "p.tif"), str(tmp_path / "t.tif"))
    tables = []
    for in_memory in (10**9, 100):
        with open_pair(pair, ObjectRules(truth_size=4, pred_size=3, ignore=ignore), in_memory=in_memory) as opened:
            tables.append(
                contingency_of_volumes(opened.pred, opened.truth, ignore=opened.ignore, block_voxels=500)
            )
    counted = None if ignore is None else truth != ignore
    true = truth == 255 if ignore is not None else truth
    expected = contingency_table(components(pred, min_size=3), components(true, min_size=4), valid=counted)
    for table in tables:
        for name in vars(expected):
            np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))


def test_memory_does_not_grow_with_depth():
    plane = np.zeros((256, 256), np.uint8)
    plane[10:40, 10:40] = 255
    peaks = []
    for depth in (10, 100):
        volume = LabelVolume(
            "m",
            (depth, 256, 256),
            (1, 256, 256),
            lambda region: np.broadcast_to(plane, (region[0].stop - region[0].start, 256, 256))[:, region[1]],
        )
        tracemalloc.start()
        found = volume_components(volume, min_size=1, voxels=1 << 17)
        assert found.read((slice(depth - 1, depth), slice(0, 256), slice(0, 256))).max() == 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
