import numpy as np
import pytest
from with_defaults import suppress_masks

from autosam.errors import ConfigError
from autosam.instances import MaskCrop
from autosam.instances.suppress import COMPARABLE, DISJOINT


def box(row, col, height, width, score):
    return MaskCrop(row=row, col=col, mask=np.ones((height, width), dtype=bool), score=score, prompt=0)


def random_masks(n, side, seed):
    rng = np.random.default_rng(seed)
    crops = []
    for prompt in range(n):
        height, width = rng.integers(4, 24, 2)
        row, col = rng.integers(0, side - height), rng.integers(0, side - width)
        mask = rng.random((height, width)) < rng.choice([0.5, 0.9, 1.0])
        crops.append(MaskCrop(int(row), int(col), mask, score=float(rng.integers(1, 9)) / 8, prompt=prompt))
    return crops


def naive(crops, shape, iou_threshold=0.5, ios_threshold=0.8, coverage=0.7):
    """The documented rule with whole-image masks."""
    masks = np.zeros((len(crops), *shape), dtype=bool)
    for mask, crop in zip(masks, crops, strict=True):
        mask[crop.row : crop.row + crop.mask.shape[0], crop.col : crop.col + crop.mask.shape[1]] = crop.mask
    area = masks.sum(axis=(1, 2))
    best_first = sorted(range(len(crops)), key=lambda i: (-crops[i].score, crops[i].row, crops[i].col, i))
    standing = [i for i in best_first if area[i]]
    for whole in sorted(standing, key=lambda i: area[i]):
        parts = []
        for part in [i for i in best_first if i in standing and area[i] < area[whole]]:
            inside = (masks[part] & masks[whole]).sum() > ios_threshold * area[part]
            comparable = crops[part].score >= COMPARABLE * crops[whole].score
            apart = all(
                (masks[part] & masks[other]).sum() <= DISJOINT * min(area[part], area[other]) for other in parts
            )
            if inside and comparable and apart:
                parts.append(part)
        covered = masks[parts].any(axis=0) & masks[whole]
        if len(parts) >= 2 and covered.sum() >= coverage * area[whole]:
            standing.remove(whole)
    kept = []
    for i in standing:
        shared = [(masks[i] & masks[k]).sum() for k in kept]
        if not any(
            s > iou_threshold * (area[i] + area[k] - s) or s > ios_threshold * min(area[i], area[k])
            for s, k in zip(shared, kept, strict=True)
        ):
            kept.append(i)
    return kept


def test_no_masks():
    kept = suppress_masks([])
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_order_is_by_score_then_row_then_column():
    crops = [box(0, 50, 5, 5, 0.5), box(20, 0, 5, 5, 0.9), box(0, 20, 5, 5, 0.5), box(10, 70, 5, 5, 0.9)]
    np.testing.assert_array_equal(suppress_masks(crops), [3, 1, 2, 0])


def test_doubles():
    crops = [box(0, 0, 10, 10, 0.8), box(0, 1, 10, 10, 0.9), box(0, 7, 10, 10, 0.7)]
    np.testing.assert_array_equal(suppress_masks(crops), [1, 2])
    np.testing.assert_array_equal(suppress_masks([crops[0]] * 3), [0])


def test_thresholds_are_exclusive():
    crops = [box(0, 0, 1, 30, 0.9), box(0, 10, 1, 30, 0.8)]  # 20 shared of 40: IoU .5, IoS .67
    assert len(suppress_masks(crops)) == 2
    assert len(suppress_masks(crops, iou_threshold=0.49)) == 1
    crops = [box(0, 0, 1, 30, 0.9), box(0, 26, 1, 5, 0.8)]  # 4 of 5 inside
    assert len(suppress_masks(crops)) == 2
    assert len(suppress_masks(crops, ios_threshold=0.79)) == 1


def test_worse_part_inside_a_better_mask_goes():
    crops = [box(0, 0, 20, 20, 0.9), box(5, 5, 4, 4, 0.6)]
    np.testing.assert_array_equal(suppress_masks(crops), [0])


@pytest.mark.parametrize("score", [0.3, 0.8, 0.95])
def test_false_merge_does_not_erase_two_good_objects(score):
    crops = [box(0, 0, 10, 23, score), box(0, 0, 10, 10, 0.8), box(0, 13, 10, 10, 0.75)]
    np.testing.assert_array_equal(suppress_masks(crops), [1, 2])


def test_whole_stays_where_its_parts_are_bad():
    crops = [box(0, 0, 10, 23, 0.9), box(0, 0, 10, 10, 0.3), box(0, 13, 10, 10, 0.3)]
    np.testing.assert_array_equal(suppress_masks(crops), [0])


def test_whole_stays_where_its_parts_overlap_or_cover_little():
    overlapping = [box(0, 0, 10, 20, 0.9), box(0, 0, 10, 14, 0.85), box(0, 8, 10, 12, 0.85)]
    np.testing.assert_array_equal(suppress_masks(overlapping), [0])
    little = [box(0, 0, 10, 40, 0.9), box(0, 0, 10, 8, 0.85), box(0, 30, 10, 8, 0.85)]
    np.testing.assert_array_equal(suppress_masks(little), [0])


def test_one_part_is_no_proof():
    crops = [box(0, 0, 10, 20, 0.9), box(0, 0, 10, 17, 0.85)]
    np.testing.assert_array_equal(suppress_masks(crops), [0])


def test_merge_of_merges():
    singles = [box(0, 12 * i, 10, 10, 0.7) for i in range(4)]
    pairs = [box(0, 0, 10, 22, 0.9), box(0, 24, 10, 22, 0.9)]
    crops = [*pairs, box(0, 0, 10, 46, 0.92), *singles]
    np.testing.assert_array_equal(suppress_masks(crops), [3, 4, 5, 6])


def test_merge_test_can_be_switched_off():
    crops = [box(0, 0, 10, 23, 0.95), box(0, 0, 10, 10, 0.8), box(0, 13, 10, 10, 0.75)]
    np.testing.assert_array_equal(suppress_masks(crops, merge_coverage=1.1), [0])


def test_empty_masks_are_dropped():
    empty = MaskCrop(row=0, col=0, mask=np.zeros((3, 3), dtype=bool), score=1.0, prompt=0)
    np.testing.assert_array_equal(suppress_masks([empty, box(0, 0, 3, 3, 0.5)]), [1])


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_naive_rule(seed):
    crops = random_masks(80, 70, seed)
    expected = naive(crops, (70, 70))
    found = suppress_masks(crops)
    assert found.tolist() == expected
    assert 5 < len(found) < 80
    again = suppress_masks(random_masks(80, 70, seed))
    assert found.tobytes() == again.tobytes()


def test_bad_threshold():
    with pytest.raises(ConfigError, match="ios_threshold is -1"):
        suppress_masks([], ios_threshold=-1)
