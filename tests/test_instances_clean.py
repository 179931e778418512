import numpy as np
import pytest
from scipy import ndimage
from with_defaults import clean_mask

from autosam.instances import MaskCrop
from autosam.instances.clean import main_component
from autosam.instances.holes import find_holes


def crop(mask, row=0, col=0):
    return MaskCrop(row=row, col=col, mask=np.asarray(mask, dtype=bool), score=0.7, prompt=3)


def test_largest_component_in_a_tight_crop():
    mask = np.zeros((10, 20), dtype=bool)
    mask[1:3, 1:3] = True
    mask[4:8, 10:17] = True
    found = clean_mask(crop(mask, row=100, col=200), min_size=1)
    assert (found.row, found.col, found.score, found.prompt) == (104, 210, 0.7, 3)
    assert found.mask.shape == (4, 7)
    assert found.mask.dtype == bool
    assert found.mask.all()


def test_diagonal_neighbors_are_one_component():
    assert np.count_nonzero(clean_mask(crop(np.eye(5)), min_size=5).mask) == 5


def test_first_of_equal_components():
    found = clean_mask(crop([[0, 0, 1], [0, 0, 0], [1, 0, 0]]), min_size=1)
    assert (found.row, found.col) == (0, 2)


def test_points_choose_the_component():
    mask = np.zeros((10, 20), dtype=bool)
    mask[1:3, 1:3] = True
    mask[4:8, 10:17] = True
    small = clean_mask(crop(mask, row=100, col=200), min_size=1, points=[[101.4, 201.6], [50, 50]])
    assert (small.row, small.col) == (101, 201)
    outside = clean_mask(crop(mask, row=100, col=200), min_size=1, points=[[100, 200], [1e9, -1e9]])
    assert (outside.row, outside.col) == (104, 210)
    assert clean_mask(crop(mask), min_size=1, points=np.zeros((0, 2))).mask.shape == (4, 7)


def test_holes():
    ring = np.ones((7, 9), dtype=bool)
    ring[2:5, 3:6] = False
    assert clean_mask(crop(ring)).mask.all()
    np.testing.assert_array_equal(clean_mask(crop(ring), fill_holes=False).mask, ring)
    assert clean_mask(crop(ring), min_size=60).mask.all()  # 63 pixels once it is filled
    assert clean_mask(crop(ring), min_size=60, fill_holes=False) is None


def test_a_bay_is_no_hole():
    bay = np.ones((7, 9), dtype=bool)
    bay[2:5, 3:] = False
    np.testing.assert_array_equal(clean_mask(crop(bay), min_size=1).mask, bay)


def test_empty_and_too_small():
    assert clean_mask(crop(np.zeros((4, 4)))) is None
    assert clean_mask(crop([[1]]), min_size=2) is None
    assert clean_mask(crop([[1]]), min_size=1).mask.shape == (1, 1)
    assert main_component(np.zeros((3, 3), dtype=bool)) is None


@pytest.mark.parametrize("seed", range(5))
def test_fill_equals_scipy(seed):
    mask = ndimage.gaussian_filter(np.random.default_rng(seed).random((60, 40)), 1.5) > 0.5
    np.testing.assert_array_equal(mask | (find_holes(mask) > 0), ndimage.binary_fill_holes(mask))


def test_input_is_not_changed():
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    before = mask.copy()
    clean_mask(crop(mask), min_size=1)
    np.testing.assert_array_equal(mask, before)
