"""Intensities of training tiles: they stay in range, and gray stays gray."""

import numpy as np
from blobs import tile_config

from autosam.training.samples.intensity import change_intensity

STILL = tile_config().training.augment
STRONG = tile_config(contrast=0.3, brightness=0.15, noise=0.06, blur=1.2).training.augment
COLORED = tile_config(color=0.5).training.augment


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gray(side: int = 24) -> np.ndarray:
    return np.repeat(rng().random((side, side, 1), dtype=np.float32), 3, axis=2)


def test_no_augmentation_changes_nothing() -> None:
    image = rng().random((16, 16, 3), dtype=np.float32)
    np.testing.assert_allclose(change_intensity(image, STILL, rng()), image, atol=1e-6)


def test_intensities_stay_in_range_and_gray_stays_gray() -> None:
    changed = [change_intensity(gray(), STRONG, rng(seed)) for seed in range(30)]
    for image in changed:
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert (image == image[..., :1]).all()
    assert np.std([image.mean() for image in changed]) > 0.03
    assert not any(np.allclose(image, gray(), atol=1e-3) for image in changed)
    for level in (0.0, 1.0):
        assert np.isfinite(change_intensity(np.full((4, 4, 3), level, np.float32), STRONG, rng())).all()


def test_stains_are_stronger_or_weaker_and_gray_has_none() -> None:
    np.testing.assert_array_equal(change_intensity(gray(), COLORED, rng()), change_intensity(gray(), STILL, rng()))
    white_and_stained = np.stack([np.ones((4, 4)), np.full((4, 4), 0.6), np.full((4, 4), 0.8)], axis=-1)
    changed = change_intensity(white_and_stained.astype(np.float32), COLORED, rng())
    absorbed = (1 - changed[0, 0]) / (1 - white_and_stained[0, 0] + 1e-9)
    assert changed[0, 0, 0] == 1
    assert not np.isclose(absorbed[1], absorbed[2])
    assert (np.exp(-0.5) <= absorbed[1:]).all()
    assert (absorbed[1:] <= np.exp(0.5)).all()
