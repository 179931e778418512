"""Hand-made volumes for each way in which an object can be lost."""

import numpy as np
import pytest

from autosam.evaluation.diagnosis.assignment import Fault
from autosam.evaluation.diagnosis.volume_errors import VolumeStage, diagnose_volume
from autosam.evaluation.diagnosis.volume_sections import find_sections
from autosam.evaluation.open_pair import OpenPair
from autosam.images.label_volume import LabelVolume
from autosam.metrics import contingency_table

SHAPE = (10, 24, 40)
A, B = np.s_[2:10, 2:10], np.s_[2:10, 20:28]
"""Rows and columns of two tubes of 8 × 8 pixels that run through slices, far apart."""


def tube(out, zs, where, number):
    for z in zs:
        out[z][where] = number
    return out


def two_tubes():
    return tube(tube(np.zeros(SHAPE, np.uint16), range(10), A, 1), range(10), B, 2)


def in_chunks(name, array, depth=3):
    return LabelVolume(name, array.shape, (depth, *array.shape[1:]), lambda region: array[region])


def sections_of(pred, truth, *, valid=None, ignore=None, **options):
    mask = None if valid is None else in_chunks("valid", valid)
    return find_sections(OpenPair(in_chunks("p", pred), in_chunks("t", truth, 2), mask, ignore), **options)


def diagnose(pred, truth, **options):
    return diagnose_volume(sections_of(pred, truth, **options))


def test_what_is_found():
    found = diagnose(two_tubes() + 6 * (two_tubes() > 0), two_tubes())
    assert found.stages == (VolumeStage.FOUND,) * 2
    assert found.false_stages == (None, None)
    assert found.good.tolist() == [640, 640]
    assert found.instances.tolist() == [1, 1]
    assert found.linked_iou.tolist() == found.label_iou.tolist() == [1, 1]
    assert found.other.tolist() == [0, 0]
    assert found.faults == (None, None)
    assert found.precisions["linked without a fault"].mean == 1


def test_not_found():
    # Object 1 is there in 3 of 10 slices, 2 nowhere. A false object stands elsewhere.
    pred = tube(np.zeros(SHAPE, np.uint16), range(3), A, 1)
    pred[4:8, 14:20, 30:38] = 9
    truth = two_tubes()
    truth[5][np.s_[1:11, 1:11]] = 1  # the largest cross-section of 1, which is missing
    found = diagnose(pred, truth)
    assert found.stages == (VolumeStage.NOT_FOUND,) * 2
    assert found.missing.tolist() == [6 * 64 + 100, 640]
    assert found.places[0].tolist() == [5, 5, 5]  # the center of rows and columns 1 to 10, the first of four
    assert found.places[1, 0] == 0
    assert found.false_stages == (VolumeStage.MASK, VolumeStage.NOT_FOUND)
    assert found.false_places[1, 0] == 4
    assert found.precisions["this result"].at(0.5) == 0


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        (np.s_[2:10, 2:5], Fault.PART),  # 24 of 64 pixels
        (np.s_[0:20, 0:12], Fault.LOOSE),  # 240 pixels around 64
        (np.s_[2:10, 2:28], Fault.MERGED),  # both tubes and what lies between, in every slice
    ],
)
def test_bad_masks(where, fault):
    pred = tube(np.zeros(SHAPE, np.uint16), range(10), where, 4)
    found = diagnose(pred, two_tubes())
    assert found.stages[0] is VolumeStage.MASK
    assert found.faults[0] is fault
    assert found.bad[0] == 640
    assert found.good.tolist() == [0, 0]
    if fault is Fault.MERGED:
        assert found.stages[1] is VolumeStage.MASK
        assert found.faults[1] is Fault.MERGED
    assert found.false_stages[0] in (VolumeStage.MASK, VolumeStage.NOT_FOUND)
    # 24 px of 24 lie in an object; of 240 px, 176 lie in none, of 208, 80.
    assert found.false_stages[0] is {Fault.LOOSE: VolumeStage.NOT_FOUND}.get(fault, VolumeStage.MASK)


def test_split_by_linking():
    # Object 1: slices 0-3, 4-6 and 7-9 are instances of their own; the largest has IoU .4.
    pred = two_tubes()
    tube(pred, range(4, 7), A, 7)
    tube(pred, range(7, 10), A, 8)
    found = diagnose(pred, two_tubes())
    assert found.stages == (VolumeStage.SPLIT, VolumeStage.FOUND)
    assert found.instances.tolist() == [3, 1]
    assert found.split[0] == 6 * 64
    assert found.other[0] == 7  # of the two, the lower id
    assert found.places[0].tolist() == [4, 5, 5]  # the first slice after the main instance
    assert found.label_iou[0] == pytest.approx(0.4)
    assert found.linked_iou[0] == 1
    # Instance 1 is its main one and has no partner either.
    assert found.false_stages == (VolumeStage.SPLIT, None, VolumeStage.SPLIT, VolumeStage.SPLIT)
    assert found.precisions["this result"].at(0.5) == pytest.approx(1 / 5)
    assert found.precisions["linked without a fault"].at(0.5) == 1


def test_merged_by_linking():
    # Both tubes have one id, although they lie apart in every slice; neither has IoU >= .5 with it: 2 is longer.
    truth = tube(tube(np.zeros(SHAPE, np.uint16), range(10), A, 1), range(10), np.s_[2:10, 20:29], 2)
    third = tube(np.zeros(SHAPE, np.uint16), range(5, 9), np.s_[14:22, 2:10], 3)
    truth = np.where(third > 0, third, truth)
    pred = (truth > 0).astype(np.uint16) * 5
    found = diagnose(pred, truth)
    assert found.stages == (VolumeStage.MERGED,) * 3
    assert found.merged.tolist() == [720 + 256, 640 + 256, 640 + 720]
    assert found.other.tolist() == [2, 1, 2]
    assert found.label_iou[2] == pytest.approx(256 / 1616)
    assert found.false_stages == (VolumeStage.MERGED,)
    assert found.places[2, 0] == 5
    assert found.precisions["linked without a fault"].at(0.5) == 1


def test_a_short_object_that_a_longer_one_swallows_is_merged_at_the_slice_where_they_meet():
    truth = tube(tube(np.zeros(SHAPE, np.uint16), range(7), A, 1), range(8, 10), B, 2)
    found = diagnose((truth > 0).astype(np.uint8), truth)
    assert found.stages == (VolumeStage.FOUND, VolumeStage.MERGED)
    assert found.places[1].tolist() == [8, 5, 23]
    assert found.other[1] == 1


def test_objects_with_false_ones_linked_to_them_are_merged_with_nothing():
    truth = tube(np.zeros(SHAPE, np.uint8), range(4), A, 1)
    pred = tube(np.zeros(SHAPE, np.uint8), range(10), A, 1)
    found = diagnose(pred, truth)
    assert found.stages == (VolumeStage.MERGED,)
    assert found.merged.tolist() == [384]
    assert found.other.tolist() == [0]
    # What hangs on it is not held against linking; an instance of false ones alone is.
    assert found.precisions["linked without a fault"].at(0.95) == 1
    pred[7:][pred[7:] == 1] = 2
    assert diagnose(pred, truth).precisions["linked without a fault"].at(0.5) == 1 / 2


def test_what_was_dropped_is_told_where_it_is_known():
    truth = two_tubes()
    pred = tube(np.zeros(SHAPE, np.uint16), range(10), B, 2)
    sections = sections_of(pred, truth)
    of_first = sections.truth.index == 0
    some = of_first & (sections.truth.z < 6)
    assert diagnose_volume(sections, dropped=some).stages[0] is VolumeStage.DROPPED
    assert diagnose_volume(sections, dropped=some).dropped.tolist() == [384, 0]
    few = of_first & (sections.truth.z < 4)
    assert diagnose_volume(sections, dropped=few).stages[0] is VolumeStage.NOT_FOUND


def random_pair(seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 9, (3, 4, 5)), np.ones((3, 6, 8), np.int64))
    pred = np.roll(truth, (1, 2), (0, 1))
    pred[rng.random(pred.shape) < 0.05] = 0
    pred[:4][pred[:4] == 3] = 30
    pred[pred == 5] = 6
    return pred.astype(np.uint64) << np.uint64(50), truth.astype(np.int16)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("block_voxels", [1, 3000, 10**9])
def test_sections_in_blocks_equal_a_slow_count(seed, block_voxels):
    pred, truth = random_pair(seed)
    seen = []
    found = sections_of(
        pred, truth, block_voxels=block_voxels, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (9, 9)
    expected = contingency_table(pred, truth)
    for name in vars(expected):
        np.testing.assert_array_equal(getattr(found.table, name), getattr(expected, name))
    for side, labels, ids in ((found.pred, pred, expected.pred_ids), (found.truth, truth, expected.truth_ids)):
        for number, i in enumerate(ids.tolist()):
            of = side.index == number
            voxels = [int((labels[z] == i).sum()) for z in range(9)]
            assert np.bincount(side.z[of], weights=side.areas[of], minlength=9).tolist() == voxels
            assert (labels[side.z[of], side.places[of, 0], side.places[of, 1]] == i).all()
    shared = np.zeros((len(expected.pred_ids), len(expected.truth_ids)), np.int64)
    np.add.at(shared, (found.pred.index[found.pred_at], found.truth.index[found.truth_at]), found.overlap)
    whole = np.zeros_like(shared)
    whole[expected.pred_index, expected.truth_index] = expected.overlap
    np.testing.assert_array_equal(shared, whole)


@pytest.mark.parametrize("seed", range(6))
def test_the_classes_equal_a_slow_count(seed):
    pred, truth = random_pair(seed)
    pred = (pred >> np.uint64(50)).astype(np.int64)
    found = diagnose(pred, truth)
    from scipy import ndimage

    eight = np.ones((3, 3))
    state = dict.fromkeys(found.table.truth_ids.tolist(), 0)
    sums = {key: dict(state) for key in ("missing", "bad", "good", "shared", "area")}
    for z in range(len(truth)):
        masks = [
            [
                (i, parts == n)
                for i in np.unique(side[z])[np.unique(side[z]) > 0]
                for parts, count in [ndimage.label(side[z] == i, eight)]
                for n in range(1, count + 1)
            ]
            for side in (pred, truth)
        ]
        masks[1].sort(key=lambda found: int(found[1].argmax()))
        pointing = {
            (p, t): int((one & other).sum())
            for p, (_, one) in enumerate(masks[0])
            for t, (_, other) in enumerate(masks[1])
            if 2 * (one & other).sum() >= min(one.sum(), other.sum())
        }
        for t, (i, other) in enumerate(masks[1]):
            near = [p for p, to in pointing if to == t]
            ious = [(one & other).sum() / (one | other).sum() for _, one in masks[0]]
            key = "good" if max(ious, default=0) >= 0.5 else "bad" if near else "missing"
            sums[key][i] += int(other.sum())
        for p, (_, one) in enumerate(masks[0]):
            own = [(shared, -t) for (by, t), shared in pointing.items() if by == p]
            if own:
                owner = masks[1][-max(own)[1]][0]
                sums["area"][owner] += int(one.sum())
                sums["shared"][owner] += int((one & (truth[z] == owner)).sum())
    for name in ("missing", "bad", "good"):
        assert getattr(found, name).tolist() == list(sums[name].values())
    sizes = dict(zip(found.table.truth_ids.tolist(), found.table.truth_sizes.tolist(), strict=True))
    for number, i in enumerate(sizes):
        union = sizes[i] + sums["area"][i] - sums["shared"][i]
        assert found.linked_iou[number] == pytest.approx(sums["shared"][i] / union)
        if found.stages[number] in (VolumeStage.SPLIT, VolumeStage.MERGED):
            assert found.linked_iou[number] >= 0.5
        elif found.stages[number] is VolumeStage.NOT_FOUND:
            assert 2 * sums["missing"][i] > sizes[i]
    assert len(set(found.stages)) > 1


def test_voxels_that_do_not_count_are_no_fault():
    truth = two_tubes()
    pred = tube(np.zeros(SHAPE, np.uint16), range(10), A, 1)
    valid = np.ones(SHAPE, np.uint8)
    valid[:, :, 20:] = 0
    found = diagnose(pred, truth, valid=valid)
    assert found.stages == (VolumeStage.FOUND,)
    truth = truth.astype(np.int16)
    truth[:, :, 20:] = -1
    assert diagnose(pred, truth, ignore=-1).stages == (VolumeStage.FOUND,)


def test_empty_sides():
    nothing = np.zeros(SHAPE, np.uint8)
    assert diagnose(nothing, nothing).stages == ()
    lost = diagnose(nothing, two_tubes())
    assert lost.stages == (VolumeStage.NOT_FOUND,) * 2
    assert lost.false_stages == ()
    false = diagnose(two_tubes(), nothing)
    assert false.stages == ()
    assert false.false_stages == (VolumeStage.NOT_FOUND,) * 2
