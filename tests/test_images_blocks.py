"""Blocks of pixels: their means, spreads and extremes, and the way back to pixels."""

import numpy as np
import pytest

from autosam.images.blocks import measure_blocks, pixel_mask


def test_a_block_by_hand() -> None:
    image = np.zeros((9, 6), np.uint8)
    image[:4, :4] = np.arange(16).reshape(4, 4)
    image[4:8, :4] = 7
    blocks = measure_blocks(image, 5.0, 10.0, "brightest")
    assert blocks.shape == (2, 1)
    np.testing.assert_allclose(blocks.mean[:, 0], [0.25, 0.2], atol=1e-6)
    np.testing.assert_allclose(blocks.variance[:, 0], [np.var(np.arange(16), ddof=1) / 100, 0], atol=1e-6)
    np.testing.assert_allclose(blocks.least[:, 0], [-0.5, 0.2], atol=1e-6)
    np.testing.assert_allclose(blocks.most[:, 0], [1, 0.2], atol=1e-6)
    mirrored = blocks.mirrored()
    np.testing.assert_allclose(mirrored.least[:, 0], [0, 0.8], atol=1e-6)
    np.testing.assert_allclose(mirrored.most[:, 0], [1.5, 0.8], atol=1e-6)


def test_of_colors_the_brightest_or_the_darkest_channel_counts() -> None:
    image = np.zeros((4, 4, 3), np.float32) + np.array([1, 2, 4], np.float32)
    assert measure_blocks(image, 0.0, 1.0, "brightest").mean.item() == 4
    assert measure_blocks(image, 0.0, 1.0, "darkest").mean.item() == 1


def test_a_missing_pixel_is_seen_in_its_block_alone() -> None:
    image = np.ones((4, 8))
    image[2, 5] = np.inf
    assert np.isnan(measure_blocks(image, 0.0, 1.0, "brightest").mean).tolist() == [[False, True]]


def test_strips_leave_no_seams() -> None:
    image = np.random.default_rng(0).integers(0, 99, (1203, 1001)).astype(np.uint16)
    blocks = measure_blocks(image, 0.0, 1.0, "brightest")
    expected = image[:1200, :1000].reshape(300, 4, 250, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks.mean, expected, rtol=1e-6)


def test_pixels_beyond_the_last_block_follow_it() -> None:
    mask = pixel_mask(np.array([[True, False]]), (5, 10))
    assert mask[:, :4].all()
    assert not mask[:, 4:].any()


@pytest.mark.parametrize("shape", [(3, 9), (9, 3), (256, 3), (1, 1), (256, 2, 3)])
def test_an_image_smaller_than_a_block_has_none(shape: tuple[int, ...]) -> None:
    blocks = measure_blocks(np.ones(shape, np.uint8), 0.0, 1.0, "brightest")
    assert blocks.shape == (shape[0] // 4, shape[1] // 4)
    assert not blocks.mean.size
