"""Images at another zoom, and labels back on the grid that they came from."""

import numpy as np
import pytest
import torch
from skimage.transform import rescale

from autosam.errors import InputError
from autosam.images.zoom import resize_map, resize_nearest, zoom_image, zoomed_shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4, 3), (6, 2)])
@pytest.mark.parametrize("scale", [0.05, 0.5, 1, 1.5, 2, 20])
def test_the_shape_is_the_scaled_one_and_the_range_is_kept(shape, scale):
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    before = image.copy()
    result = zoom_image(image, scale)
    assert result.shape == (*zoomed_shape(shape[:2], scale), *shape[2:])
    assert result.dtype == np.float32
    assert result.min() >= image.min() - 1e-6
    assert result.max() <= image.max() + 1e-6
    np.testing.assert_array_equal(image, before)


def test_scale_1_is_the_image_itself():
    image = np.zeros((3, 4, 3), dtype=np.float32)
    assert zoom_image(image, 1) is image


def test_twice_the_size_by_hand():
    # New pixel centers lie at -1/4, 1/4, 3/4 and 5/4 of the old ones; beyond the last ones the edge goes on.
    np.testing.assert_allclose(zoom_image(np.array([[0, 1]], np.float32), 2), [[0, 0.25, 0.75, 1]] * 2, atol=1e-6)


def test_half_the_size_averages_and_a_pixel_stays_a_pixel():
    checks = np.indices((8, 12)).sum(axis=0) % 2
    half = zoom_image(checks.astype(np.float32), 0.5)
    assert half.shape == (4, 6)
    np.testing.assert_allclose(half, 0.5, atol=0.2)
    assert zoom_image(np.full((1, 1), 0.7, np.float32), 0.05) == pytest.approx(0.7)
    np.testing.assert_allclose(zoom_image(np.full((1, 1, 3), 0.7, np.float32), 3), np.full((3, 3, 3), 0.7))


@pytest.mark.parametrize("scale", [1.3, 2.5])
def test_larger_as_skimage_rescales(scale):
    image = np.random.default_rng(1).random((20, 30, 3), dtype=np.float32)
    expected = rescale(image, scale, order=1, mode="edge", channel_axis=2)
    np.testing.assert_allclose(zoom_image(image, scale), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [0.7, 0.4, 0.1])
def test_smaller_as_torch_interpolates(scale):
    image = np.random.default_rng(1).random((40, 30, 3), dtype=np.float32)
    shape = zoomed_shape((40, 30), scale)
    planes = torch.from_numpy(image.transpose(2, 0, 1))[None]
    expected = torch.nn.functional.interpolate(planes, shape, mode="bilinear", antialias=True)[0]
    np.testing.assert_allclose(zoom_image(image, scale), expected.permute(1, 2, 0), atol=1e-5)


def test_read_only_planes_of_a_gray_image():
    gray = np.broadcast_to(np.eye(4, dtype=np.float32)[..., None], (4, 4, 3))
    large = zoom_image(gray, 2)
    assert large.shape == (8, 8, 3)
    np.testing.assert_array_equal(large[..., 0], large[..., 2])
    assert large.strides[2] == 0


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_a_scale_that_is_none(scale):
    with pytest.raises(InputError, match=r"the scale is .*; it must be above 0"):
        zoom_image(np.zeros((2, 2), np.float32), scale)


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [((10, 20), 0.5, (5, 10)), ((3, 4), 0.05, (1, 1)), ((100, 7), 1.3, (130, 9)), ((1, 1), 2, (2, 2))],
)
def test_zoomed_shape(shape, scale, expected):
    assert zoomed_shape(shape, scale) == expected


def test_labels_by_hand():
    labels = np.array([[1, 0, 2], [0, 3, 0]], dtype=np.int32)
    np.testing.assert_array_equal(resize_nearest(labels, (2, 3)), labels)
    np.testing.assert_array_equal(resize_nearest(labels, (4, 6)), np.kron(labels, np.ones((2, 2), int)))
    # Columns 0 to 2 on two: their centers are at 0.75 and 2.25. Rows 0 and 1 on one: at 1, which is row 1's side.
    np.testing.assert_array_equal(resize_nearest(labels, (2, 2)), [[1, 2], [0, 0]])
    np.testing.assert_array_equal(resize_nearest(labels, (1, 3)), [[0, 3, 0]])
    assert resize_nearest(labels, (1, 1)).tolist() == [[3]]
    assert resize_nearest(np.array([[7]], np.int32), (2, 3)).tolist() == [[7] * 3] * 2


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (13, 29), (40, 5)])
@pytest.mark.parametrize("scale", [1.0, 1.7, 2.0, 3.3, 8.0])
def test_zoomed_and_back_is_the_same(shape, scale):
    labels = np.random.default_rng(2).integers(0, 5, shape).astype(np.int32)
    large = resize_nearest(labels, zoomed_shape(shape, scale))
    assert large.dtype == np.int32
    assert set(np.unique(large)) == set(np.unique(labels))
    back = resize_nearest(large, shape)
    np.testing.assert_array_equal(back, labels)
    assert back.flags.c_contiguous


def test_an_object_that_covers_no_center_is_lost():
    labels = np.zeros((4, 4), dtype=np.int32)
    labels[0, 0] = 5
    assert not resize_nearest(labels, (2, 2)).any()


def test_maps_on_another_grid():
    values = np.random.default_rng(3).random((6, 9), dtype=np.float32)
    assert resize_map(values, (6, 9)) is values
    np.testing.assert_allclose(resize_map(values, (12, 18)), zoom_image(values, 2), atol=1e-6)
    smaller = resize_map(values, (3, 5))
    assert smaller.shape == (3, 5)
    assert values.min() <= smaller.min() <= smaller.max() <= values.max()
