import numpy as np
import pytest

from autosam.instances import MaskCrop, OpenRegions, fill_masks
from autosam.instances.holes import fill_labels, find_holes

ROWS, COLS = np.mgrid[:100, :100]
RADIUS = np.hypot(ROWS - 50, COLS - 50)


def ring(inner: float, outer: float):
    return (inner <= RADIUS) & (outer >= RADIUS)


def crop(mask, score=0.9, prompt=0):
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return MaskCrop(int(rows[0]), int(cols[0]), part.copy(), score, prompt)


def areas(crops):
    return [int(np.count_nonzero(crop.mask)) for crop in crops]


OUTER, MIDDLE, INNER = ring(36, 44), ring(20, 30), ring(0, 12)


def test_a_mask_without_holes_has_none():
    assert not find_holes(INNER).any()
    assert not find_holes(np.zeros((3, 3), dtype=bool)).any()
    assert fill_masks([], min_size=1) == []


def test_nested_rings_stay_open_and_the_innermost_hole_is_filled():
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        masks = [(OUTER, MIDDLE, ring(5, 12))[i] for i in order]
        found = fill_masks([crop(mask) for mask in masks], min_size=30)
        wanted = [int((OUTER, MIDDLE, INNER)[i].sum()) for i in order]
        assert areas(found) == wanted


def test_a_hole_is_filled_where_the_object_in_it_is_too_small():
    small = ring(0, 3)
    assert areas(fill_masks([crop(OUTER), crop(small)], min_size=30)) == [int(ring(0, 44).sum())]
    assert areas(fill_masks([crop(OUTER), crop(small)], min_size=29)) == [int(OUTER.sum()), 29]


def test_size_counts_once_holes_are_filled():
    assert areas(fill_masks([crop(MIDDLE)], min_size=int(ring(0, 30).sum()))) == [int(ring(0, 30).sum())]
    assert fill_masks([crop(MIDDLE)], min_size=int(ring(0, 30).sum()) + 1) == []


def test_only_the_hole_with_an_object_in_it_stays_open():
    mask = np.ones((40, 80), dtype=bool)
    mask[10:30, 10:30] = mask[10:30, 50:70] = False
    inside = np.zeros_like(mask)
    inside[15:25, 15:25] = True
    (found, _) = fill_masks([crop(mask), crop(inside)], min_size=1)
    assert not found.mask[10:30, 10:30].any()
    assert found.mask[10:30, 50:70].all()


@pytest.mark.parametrize(("reach", "stays_open"), [(9, True), (10, False), (14, False)])
def test_an_object_lies_in_a_hole_with_more_than_half_of_its_pixels(reach, stays_open):
    mask = np.ones((40, 40), dtype=bool)
    mask[10:30, 10:30] = False
    across = np.zeros_like(mask)
    across[12:28, 30 - (20 - reach) : 30 + reach] = True
    found = fill_masks([crop(mask), crop(across)], min_size=1)
    assert bool(found[0].mask.all()) != stays_open


def regions(mask: np.ndarray, *, opened: bool = True) -> OpenRegions:
    return OpenRegions(np.where(mask, 3, 0).astype(np.int32), np.array([0, 0, 0, 3 * opened], dtype=np.int32))


def test_a_region_without_a_mask_lies_in_a_hole_too():
    assert areas(fill_masks([crop(OUTER)], min_size=1, regions=regions(INNER))) == [int(OUTER.sum())]
    # That of the ring itself does not, nor one that a mask answers.
    for others in (regions(ring(0, 44)), regions(INNER, opened=False)):
        found = fill_masks([crop(ring(20, 44))], min_size=1, regions=others)
        assert areas(found) == [int(ring(0, 44).sum())]


def test_labels():
    labels = np.zeros((100, 100), dtype=np.int32)
    for number, mask in enumerate((OUTER, MIDDLE, ring(5, 12)), start=1):
        labels[mask] = number
    filled = labels.copy()
    fill_labels(filled, fill_holes=True, min_size=30)
    assert np.bincount(filled.ravel())[1:].tolist() == [OUTER.sum(), MIDDLE.sum(), INNER.sum()]
    # Without the two inner ones, which are too small, all is one disk.
    fill_labels(filled, fill_holes=True, min_size=int(ring(0, 30).sum()) + 1)
    assert np.bincount(filled.ravel())[1:].tolist() == [ring(0, 44).sum()]
    fill_labels(labels, fill_holes=False, min_size=1)
    assert np.bincount(labels.ravel())[3] == ring(5, 12).sum()


def test_an_object_from_one_border_to_the_other_is_filled():
    labels = np.ones((5, 6), dtype=np.int32)
    labels[2, 2:4] = 0
    fill_labels(labels, fill_holes=True, min_size=1)
    assert labels.all()
