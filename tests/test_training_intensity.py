"""Intensities of training tiles: they stay in range, gray stays gray, and what cannot be seen is not asked for."""

import numpy as np
import pytest

from autosam.training import intensity
from autosam.training.intensity import change_intensity, lose_content

STRONG = {"contrast": 0.3, "brightness": 0.15, "noise": 0.06, "blur": 1.2}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gray(side: int = 24) -> np.ndarray:
    return np.repeat(rng().random((side, side, 1), dtype=np.float32), 3, axis=2)


def test_no_augmentation_changes_nothing() -> None:
    image = rng().random((16, 16, 3), dtype=np.float32)
    np.testing.assert_allclose(change_intensity(image, rng()), image, atol=1e-6)


def test_intensities_stay_in_range_and_gray_stays_gray() -> None:
    changed = [change_intensity(gray(), rng(seed), **STRONG) for seed in range(30)]
    for image in changed:
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert (image == image[..., :1]).all()
    assert np.std([image.mean() for image in changed]) > 0.03
    assert not any(np.allclose(image, gray(), atol=1e-3) for image in changed)
    for level in (0.0, 1.0):
        assert np.isfinite(change_intensity(np.full((4, 4, 3), level, np.float32), rng(), **STRONG)).all()


def test_stains_are_stronger_or_weaker_and_gray_has_none() -> None:
    np.testing.assert_array_equal(change_intensity(gray(), rng(), color=0.5), change_intensity(gray(), rng()))
    white_and_stained = np.stack([np.ones((4, 4)), np.full((4, 4), 0.6), np.full((4, 4), 0.8)], axis=-1)
    changed = change_intensity(white_and_stained.astype(np.float32), rng(), color=0.5)
    absorbed = (1 - changed[0, 0]) / (1 - white_and_stained[0, 0] + 1e-9)
    assert changed[0, 0, 0] == 1
    assert not np.isclose(absorbed[1], absorbed[2])
    assert (np.exp(-0.5) <= absorbed[1:]).all()
    assert (absorbed[1:] <= np.exp(0.5)).all()


def test_a_band_or_a_patch_of_one_level_is_lost() -> None:
    image, levels, shapes = gray(100), [], []
    before = image.copy()
    for seed in range(200):
        lost, labels = lose_content(image, np.zeros((100, 100), np.int32), rng(seed))
        assert lost.dtype == np.float32
        assert labels.dtype == np.int32
        assert not labels.any()
        changed = (lost != image).any(axis=2)
        rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        region = lost[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        # One level in all of one rectangle, and nothing else has changed.
        assert np.ptp(region) == 0
        levels.append(float(region[0, 0, 0]))
        shapes.append(region.shape[:2])
    np.testing.assert_array_equal(image, before)
    kinds = np.array(
        [np.isclose(levels, image.mean(), atol=1e-6), np.less_equal(levels, 0.1), np.greater_equal(levels, 0.9)]
    )
    assert (kinds.sum(axis=0) == 1).all()
    assert (kinds.mean(axis=1) > 0.2).all()
    heights, widths = np.array(shapes).T
    assert set(heights[widths == 100]) == set(widths[heights == 100]) == {1, 2, 3, 4, 5}
    patches = (heights < 100) & (widths < 100)
    assert 0.35 < patches.mean() < 0.65
    assert 5 <= min(heights[patches]) < max(heights[patches]) <= 25


def test_an_object_stays_whole_where_its_larger_part_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[0, :3] = 3  # 1 of 3 pixels is hidden
    labels[2, :5] = 7  # 3 of 5
    labels[4, 4:6] = 9  # half
    labels[5, 3:5] = 12  # all
    monkeypatch.setattr(intensity, "_random_region", lambda shape, rng: (slice(0, 6), slice(2, 5)))
    expected = labels.copy()
    expected[2, 2:5] = expected[5, 3:5] = 0
    image, seen = lose_content(np.zeros((6, 8, 3), np.float32), labels, rng())
    np.testing.assert_array_equal(seen, expected)
    assert image.shape == (6, 8, 3)


def test_a_wholly_hidden_object_vanishes_wherever_it_is() -> None:
    labels = np.zeros((64, 64), np.int32)
    labels[::4, ::4] = np.arange(1, 257).reshape(16, 16)  # one pixel each
    image = gray(64)
    for seed in range(20):
        lost, seen = lose_content(image, labels, rng(seed))
        changed = (lost != image).any(axis=2)
        np.testing.assert_array_equal(seen, np.where(changed, 0, labels))
        assert (seen != labels).sum() == (changed & (labels > 0)).sum()


@pytest.mark.parametrize("side", [1, 3, 16])
def test_small_tiles(side: int) -> None:
    for seed in range(10):
        image, labels = lose_content(
            np.full((side, side, 3), 0.5, np.float32), np.ones((side, side), np.int32), rng(seed)
        )
        assert image.shape == (side, side, 3)
        assert labels.shape == (side, side)
