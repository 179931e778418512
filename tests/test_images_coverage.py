"""Labels on another grid."""

import numpy as np
import pytest

from autosam.images.coverage import coverage_weights, resize_labels
from autosam.images.zoom import resize_nearest, zoomed_shape


def test_a_pixel_goes_to_the_object_that_covers_most_of_it():
    labels = np.array([[1, 1, 1, 2, 0, 0, 4, 4], [1, 1, 2, 2, 0, 3, 4, 0]], dtype=np.int32)
    assert resize_labels(labels, (1, 4)).tolist() == [[1, 2, 0, 4]]
    # Three pixels of one to each: of the middle pixel, objects cover two thirds, and 1 as much as 2.
    thirds = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]], dtype=np.int32)
    assert resize_labels(thirds, (1, 3)).tolist() == [[1, 1, 2]]
    # 5 pixels on 2: each covers 2.5.
    assert resize_labels(np.array([[0, 3, 3, 0, 0]], dtype=np.int32), (1, 2)).tolist() == [[3, 0]]
    # Another way for rows than for columns, and an id without pixels before.
    mixed = np.array([[7, 7], [0, 0], [0, 0], [7, 7]], dtype=np.int32)
    assert resize_labels(mixed, (8, 1)).tolist() == [[7], [7], [0], [0], [0], [0], [7], [7]]


def test_half_of_a_pixel_is_settled_by_the_probability():
    half = np.array([[5, 5, 5, 0], [5, 5, 5, 0]], dtype=np.int32)
    for probability, wanted in ((0.5, 5), (0.49, 0)):
        probable = np.full((1, 2), probability, dtype=np.float32)
        assert resize_labels(half, (1, 2), foreground=probable).tolist() == [[5, wanted]]
    assert resize_labels(half, (1, 2)).tolist() == [[5, 5]]


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_as_counted_block_by_block(factor):
    labels = np.random.default_rng(4).integers(0, 4, (5 * factor, 7 * factor)).astype(np.int32)
    blocks = labels.reshape(5, factor, 7, factor).swapaxes(1, 2).reshape(5, 7, -1)
    counts = np.stack([(blocks == number).sum(axis=-1) for number in range(4)], axis=-1)
    wanted = np.where(2 * counts[..., 0] <= factor**2, 1 + counts[..., 1:].argmax(axis=-1), 0)
    np.testing.assert_array_equal(resize_labels(labels, (5, 7)), wanted)


@pytest.mark.parametrize("scale", [1.3, 2.0, 2.7, 0.6])
def test_a_disc_stays_where_it_is_and_as_large(scale):
    def disc(shape, center, radius):
        rows, cols = np.indices(shape)
        return (np.hypot(rows - center[0], cols - center[1]) < radius).astype(np.int32)

    center, shape = np.array([20.3, 17.6]), (42, 37)
    large = disc(zoomed_shape(shape, scale), (center + 0.5) * scale - 0.5, 9 * scale)
    back = resize_labels(large, shape, foreground=disc(shape, center, 9).astype(np.float32))
    np.testing.assert_allclose(np.argwhere(back).mean(axis=0), center, atol=0.16)
    assert np.count_nonzero(back) == pytest.approx(np.pi * 81, rel=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (13, 29), (40, 5)])
@pytest.mark.parametrize("scale", [1, 2, 3, 8])
def test_covered_and_back_is_the_same(shape, scale):
    labels = np.random.default_rng(2).integers(0, 5, shape).astype(np.int32)
    back = resize_labels(resize_nearest(labels, zoomed_shape(shape, scale)), shape)
    np.testing.assert_array_equal(back, labels)
    assert back.dtype == np.int32


def test_no_objects_and_one_that_covers_too_little():
    assert not resize_labels(np.zeros((6, 8), dtype=np.int32), (3, 4)).any()
    labels = np.zeros((4, 4), dtype=np.int32)
    labels[0, 0] = 5
    assert not resize_labels(labels, (2, 2)).any()


@pytest.mark.parametrize(("there", "wanted"), [(7, 7), (12, 5), (5, 12), (9, 1), (1, 9), (40, 39)])
def test_weights_of_parts_are_those_of_the_whole(there, wanted):
    start, whole = coverage_weights(there, wanted, first=0, count=there)
    assert start == 0
    np.testing.assert_allclose(whole.sum(axis=1), np.ones(wanted))
    for first in range(there):
        for count in range(1, there - first + 1):
            start, part = coverage_weights(there, wanted, first=first, count=count)
            inside = np.zeros((wanted, count))
            inside[start : start + len(part)] = part
            np.testing.assert_allclose(inside, whole[:, first : first + count], atol=1e-12)
