"""Sharpness, resolution and compression: small planes whose answers are known."""

import numpy as np
import pytest

from autosam.training.samples.recording import coarsen, compress, defocus, sharpen


def spot(side: int = 15) -> np.ndarray:
    plane = np.zeros((side, side), np.float32)
    plane[side // 2, side // 2] = 1
    return plane


def step() -> np.ndarray:
    return np.repeat(np.where(np.arange(20) < 10, 0.25, 0.75)[None], 12, axis=0).astype(np.float32)


def test_a_point_out_of_focus_is_an_ellipse() -> None:
    blurred = defocus(spot(), (3.0, 1.0))
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    rows, cols = np.nonzero(blurred > 1e-4)
    assert np.ptp(rows) == 6
    assert np.ptp(cols) == 2
    np.testing.assert_allclose(blurred, blurred[::-1, ::-1], atol=1e-7)


def test_radii_of_nothing_blur_nothing_and_flat_stays_flat() -> None:
    np.testing.assert_allclose(defocus(step(), (0.0, 0.0)), step(), atol=1e-7)
    flat = np.full((9, 9), 0.4, np.float32)
    np.testing.assert_allclose(defocus(flat, (4.0, 2.5)), flat, atol=1e-6)


def test_sharpening_overshoots_at_a_step_alone() -> None:
    sharp = sharpen(step(), amount=1.0, sigma=1.0)
    assert sharp[:, 10].min() > 0.85
    assert sharp[:, 9].max() < 0.15
    np.testing.assert_allclose(sharp[:, [0, -1]], step()[:, [0, -1]], atol=1e-3)
    np.testing.assert_array_equal(sharpen(step(), amount=0, sigma=1.0), step())


@pytest.mark.parametrize("smooth", [True, False])
def test_coarse_pixels_are_means(smooth: bool) -> None:
    np.testing.assert_allclose(coarsen(step(), 1, smooth=smooth), step(), atol=1e-6)
    stripes = np.tile(np.array([0, 1], np.float32), (12, 10))
    np.testing.assert_allclose(coarsen(stripes, 2, smooth=smooth)[2:-2, 2:-2], 0.5, atol=0.2)
    assert coarsen(stripes, 500, smooth=smooth).shape == stripes.shape
    if not smooth:
        coarse = coarsen(np.arange(12, dtype=np.float32).repeat(12).reshape(12, 12) / 12, 3, smooth=False)
        assert len(np.unique(coarse.round(4))) == 4


def test_jpeg_keeps_shape_and_loses_more_at_low_quality() -> None:
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        image = rng.random((24, 17, channels), dtype=np.float32)
        best, worst = (np.abs(compress(image, quality) - image).mean() for quality in (95, 5))
        assert compress(image, 50).shape == image.shape
        assert compress(image, 50).dtype == np.float32
        assert best < worst
    assert np.abs(compress(np.full((16, 16, 1), 0.5, np.float32), 60) - 0.5).max() < 0.01
