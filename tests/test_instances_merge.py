from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from test_instances_suppress import box, naive, random_masks
from with_defaults import fill_from_regions
from with_defaults import merge_masks as merge_answers

from autosam.errors import InputError
from autosam.instances import MaskCrop, Merged
from autosam.instances.merge import UNCONFIRMED

EIGHT = np.ones((3, 3))


def merge_masks(crops, shape, **settings):
    """Merge masks whose prompts are numbered as they come."""
    return merge_answers([replace(crop, prompt=i) for i, crop in enumerate(crops)], shape, **settings)


def reference(crops, shape, min_size):
    """Whole-image painting, worst first, without hole filling."""
    kept = naive(crops, shape)
    painted = np.full(shape, -1)
    for i in reversed(kept):
        crop = crops[i]
        window = painted[crop.row : crop.row + crop.mask.shape[0], crop.col : crop.col + crop.mask.shape[1]]
        window[crop.mask] = i
    labels, origin = np.zeros(shape, dtype=int), []
    remains = []
    for i in kept:
        components, n = ndimage.label(painted == i, structure=EIGHT)
        if n:
            main = components == np.argmax(np.bincount(components.ravel())[1:]) + 1
            if main.sum() >= min_size:
                remains.append((int(np.flatnonzero(main)[0]), i, main))
    for number, (_, i, main) in enumerate(sorted(remains, key=lambda r: r[0]), start=1):
        labels[main] = number
        origin.append(i)
    return labels, origin


def test_no_masks():
    for shape in [(1, 1), (10, 3000), (5, 7)]:
        labels, prompt_of, scores = merge_masks([], shape)
        assert labels.shape == shape
        assert labels.dtype == np.int32
        assert not labels.any()
        assert prompt_of.shape == scores.shape == (0,)
        assert (prompt_of.dtype, scores.dtype) == (np.int64, np.float64)


def test_one_pixel_image():
    labels, prompt_of, _ = merge_masks([box(0, 0, 1, 1, 0.5)], (1, 1), min_size=1)
    np.testing.assert_array_equal(labels, [[1]])
    np.testing.assert_array_equal(prompt_of, [0])


def test_ids_in_raster_order_and_scores_follow():
    crops = [box(30, 0, 8, 8, 0.9), box(2, 50, 8, 8, 0.3), box(2, 10, 8, 8, 0.6)]
    labels, prompt_of, scores = merge_masks(crops, (40, 60))
    np.testing.assert_array_equal(prompt_of, [2, 1, 0])
    np.testing.assert_array_equal(scores, [0.6, 0.3, 0.9])
    assert [labels[2, 10], labels[2, 50], labels[30, 0]] == [1, 2, 3]
    np.testing.assert_array_equal(np.bincount(labels.ravel())[1:], [64, 64, 64])


def test_better_mask_wins_a_pixel():
    crops = [box(0, 0, 10, 12, 0.6), box(0, 8, 10, 12, 0.9)]
    labels, _, _ = merge_masks(crops, (10, 30))
    np.testing.assert_array_equal(labels[0], [1] * 8 + [2] * 12 + [0] * 10)


def test_remains_keep_their_largest_component():
    crops = [box(10, 0, 5, 40, 0.6), box(0, 15, 25, 6, 0.9)]  # the bar is cut into 15 and 19 columns
    labels, prompt_of, _ = merge_masks(crops, (25, 40))
    np.testing.assert_array_equal(prompt_of, [1, 0])
    assert not labels[10:15, :15].any()
    assert np.all(labels[10:15, 21:] == 2)


def test_remains_that_are_too_small_are_dropped():
    crops = [box(0, 0, 10, 10, 0.9), box(0, 3, 10, 10, 0.8)]
    labels, prompt_of, _ = merge_masks(crops, (10, 20), min_size=31, iou_threshold=0.9)
    np.testing.assert_array_equal(prompt_of, [0])
    assert not labels[:, 10:].any()
    assert len(merge_masks(crops, (10, 20), min_size=30, iou_threshold=0.91).prompt_of) == 2


def test_holes_are_filled_but_not_where_another_instance_lies():
    ring = np.ones((20, 20), dtype=bool)
    ring[3:17, 3:17] = False
    crops = [MaskCrop(5, 5, ring, 0.9, 0), box(10, 10, 6, 6, 0.8)]
    labels, _, _ = merge_masks(crops, (30, 30), min_size=1)
    assert np.all(labels[10:16, 10:16] == 2)
    assert np.count_nonzero(labels == 1) == ring.sum()
    for filled in (merge_masks(crops[:1], (30, 30)), merge_masks(crops, (30, 30), min_size=37)):
        assert np.bincount(filled.labels.ravel())[1:].tolist() == [400]
    open_labels, _, _ = merge_masks(crops, (30, 30), min_size=1, fill_holes=False)
    assert np.count_nonzero(open_labels == 1) == ring.sum()


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_naive_rule(seed):
    crops = random_masks(80, 70, seed)
    labels, prompt_of, scores = merge_masks(crops, (70, 75), min_size=10, fill_holes=False)
    expected, origin = reference(crops, (70, 75), 10)
    np.testing.assert_array_equal(labels, expected)
    assert prompt_of.tolist() == origin
    assert scores.tolist() == [crops[i].score for i in origin]
    again = merge_masks(random_masks(80, 70, seed), (70, 75), min_size=10, fill_holes=False)
    assert again.labels.tobytes() == labels.tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_every_instance_is_one_component_without_gaps_in_ids(seed):
    labels, prompt_of, _ = merge_masks(random_masks(150, 120, seed), (120, 120), min_size=12)
    ids, first = np.unique(labels[labels > 0], return_index=True)
    np.testing.assert_array_equal(ids, np.arange(1, len(prompt_of) + 1))
    assert np.all(np.diff(first) > 0)
    for i in ids:
        assert ndimage.label(labels == i, structure=EIGHT)[1] == 1
        assert np.count_nonzero(labels == i) >= 12


def test_masks_outside_the_image_are_refused():
    for crop in (box(-1, 0, 3, 3, 0.5), box(0, 8, 3, 3, 0.5), box(3, 0, 3, 3, 0.5)):
        with pytest.raises(InputError, match="inside 5 × 10"):
            merge_masks([crop], (5, 10))


def regions_and_merged():
    """Three regions: one segmented, one half covered, one that SAM rejected; the instance is number 1."""
    regions = np.zeros((40, 60), dtype=np.int32)
    regions[2:12, 2:12] = 1
    regions[2:12, 20:40] = 2
    regions[0:10, 50:60] = 3
    merged = merge_masks([box(2, 2, 10, 24, 0.8)], (40, 60))
    foreground = np.where(regions > 0, 0.9, 0.0)
    return regions, foreground, merged


def test_rejected_objects_come_back_from_the_generator():
    regions, foreground, merged = regions_and_merged()
    labels, prompt_of, scores = fill_from_regions(merged, regions, foreground)
    assert labels[0, 50] == 1  # its first pixel comes first
    assert np.all(labels[regions == 3] == 1)
    assert np.all(labels[regions == 1] == 2)
    assert np.all(labels[2:12, 26:40] == 3)  # 14 of 20 columns were uncovered
    np.testing.assert_array_equal(prompt_of, [-1, 0, -1])
    np.testing.assert_allclose(scores, [UNCONFIRMED * 0.9, 0.8, UNCONFIRMED * 0.9])
    assert merged.labels.max() == 1  # the input is as it was
    again = fill_from_regions(merged, regions, foreground, in_place=True).labels
    assert again is merged.labels
    np.testing.assert_array_equal(again, labels)


def test_which_regions_come_back():
    regions, foreground, merged = regions_and_merged()
    assert fill_from_regions(merged, regions, foreground, threshold=0.91).prompt_of.tolist() == [0]
    assert fill_from_regions(merged, regions, foreground, uncovered=0.7).prompt_of.tolist() == [-1, 0]
    assert fill_from_regions(merged, regions, foreground, min_size=101).prompt_of.tolist() == [0, -1]
    assert fill_from_regions(merged, regions, np.ones((40, 60)), threshold=1).prompt_of.tolist() == [0]


def test_region_scores_decide_which_regions_come_back():
    regions, foreground, merged = regions_and_merged()
    count = regions.max()
    rejected = fill_from_regions(merged, regions, foreground, region_score=np.full(count, 0.6))
    accepted = fill_from_regions(merged, regions, foreground, region_score=np.full(count, 0.8))
    assert rejected.prompt_of.tolist() == [0]
    assert accepted.prompt_of.tolist() == fill_from_regions(merged, regions, foreground).prompt_of.tolist()
    assert accepted.scores[accepted.prompt_of == -1].tolist() == [0.4] * np.count_nonzero(accepted.prompt_of == -1)


def test_generator_alone():
    regions, foreground, _ = regions_and_merged()
    labels, prompt_of, scores = fill_from_regions(merge_masks([], (40, 60)), regions, foreground)
    np.testing.assert_array_equal(labels > 0, regions > 0)
    assert (len(prompt_of), len(scores)) == (3, 3)


def test_nothing_to_fill():
    blank = np.zeros((10, 3000), dtype=np.int32)
    filled = fill_from_regions(merge_masks([], (10, 3000)), blank, blank.astype(float))
    assert isinstance(filled, Merged)
    assert filled.labels.shape == (10, 3000)
    assert filled.prompt_of.shape == filled.scores.shape == (0,)


def test_shapes_must_agree():
    _, foreground, merged = regions_and_merged()
    with pytest.raises(InputError, match=r"\(40, 60\).*\(60, 40\)"):
        fill_from_regions(merged, np.zeros((60, 40), dtype=np.int32), foreground)
