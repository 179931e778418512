import numpy as np
import pytest

from autosam.metrics.components import components


def test_corners_touch_and_small_ones_are_dropped():
    mask = np.array(
        [
            [255, 255, 0, 0, 0],
            [0, 0, 255, 0, 0],
            [0, 0, 0, 0, 7],
            [255, 0, 0, 0, 7],
        ],
        np.uint8,
    )
    assert components(mask, min_size=1).tolist() == [
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 2],
        [3, 0, 0, 0, 2],
    ]
    two = components(mask, min_size=2)
    assert two.max() == 2
    assert two[3, 0] == 0
    assert components(mask, min_size=3).max() == 1


def test_volumes_connect_across_slices():
    volume = np.zeros((2, 3, 3), np.uint8)
    volume[0, 0, 0] = volume[1, 1, 1] = 255
    assert components(volume, min_size=2).max() == 1
    assert components(volume[0], min_size=1).max() == 1


@pytest.mark.parametrize("shape", [(4, 4), (0, 4), (1, 1)])
def test_an_empty_mask_gives_zeros_of_its_shape(shape):
    labels = components(np.zeros(shape, np.uint16))
    assert labels.shape == shape
    assert not labels.any()


def test_the_default_is_fifty_pixels():
    mask = np.zeros((20, 20), bool)
    mask[:7, :7] = True
    assert components(mask).max() == 0
    mask[0, 7] = True
    assert components(mask).max() == 1
