"""Images that are scaled where they are read, beside those that are scaled at once."""

import numpy as np
import pytest

from autosam.config import ImagesConfig
from autosam.images import Window, normalize, read_window
from autosam.images.normalize import scale
from autosam.images.scaled_image import ScaledImage, in_color, plane_of

SETTINGS = ImagesConfig(low=2, high=90, lookup_tables=False)


def test_by_hand() -> None:
    values = np.linspace(0, 1, 256).astype(np.float32)
    image = ScaledImage(np.array([[0, 51, 255]], np.uint8), values)
    assert image.shape == (1, 3, 3)
    assert image[:, 1:].tolist() == [[[np.float32(0.2)] * 3, [1.0] * 3]]
    assert image.look_up(np.arange(255, -1, -1, dtype=np.uint8)).tolist() == [[[255] * 3, [204] * 3, [0] * 3]]
    assert image.any()
    assert not ScaledImage(np.zeros((1, 3), np.uint8), values).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 3)])
@pytest.mark.parametrize("invert", [False, True])
def test_windows_are_those_of_the_normalized_image(dtype: type, shape: tuple[int, ...], invert: bool) -> None:
    image = np.random.default_rng(0).integers(0, 2 if dtype is np.bool_ else 250, shape).astype(dtype)
    settings = SETTINGS.model_copy(update={"invert": invert})
    scaled, whole = scale(image, settings), normalize(image, settings)
    assert isinstance(scaled, ScaledImage)
    assert scaled.shape == whole.shape == (9, 12, 3)
    np.testing.assert_array_equal(scaled[:], whole)
    # Inside, across the border, and all around the image.
    for window in (Window(2, 3, 4, 5), Window(-2, 8, 6, 9), Window(-20, -20, 60, 60)):
        np.testing.assert_array_equal(read_window(scaled, window), read_window(whole, window))


def test_other_images_are_scaled_at_once() -> None:
    image = np.random.default_rng(0).random((9, 12))
    for other in (image, (image * 1000).astype(np.int32)):
        assert isinstance(scale(other, SETTINGS), np.ndarray)
    constant = scale(np.full((3, 4), 7, np.uint8), SETTINGS)
    assert not constant.any()


def test_a_gray_image_repeats_its_plane() -> None:
    plane = np.arange(6, dtype=np.uint8).reshape(2, 3)
    color = in_color(plane)
    assert (color.shape, color.strides[2]) == ((2, 3, 3), 0)
    assert plane_of(color).shape == (2, 3)
    rgb = np.stack([plane, plane, plane + 1], axis=-1)
    assert in_color(rgb) is rgb
    assert plane_of(rgb) is rgb
