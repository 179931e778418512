"""Limits that follow the illumination: measured by the window, smooth, without seams."""

import numpy as np
import pytest
from synthetic import nuclei, tissue
from with_defaults import normalize

from autosam.images.limits import Limits
from autosam.images.local_limits import find_local_limits

HALF = np.where(np.arange(512) < 256, 1.0, 0.08)


def contrast(scaled: np.ndarray) -> float:
    return float(np.std(scaled[..., 0]))


def test_limits_by_hand() -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((64, 128))
    image[:, :64], image[:, 64:] = tissue(64), 1000 + 10 * tissue(64)
    found = find_local_limits(
        image, Limits(0, 2000), window=64, measure=lambda part: Limits(float(part.min()), float(part.max()))
    )
    assert found is not None
    np.testing.assert_allclose(found.rows, [31.5])
    np.testing.assert_allclose(found.columns, [31.5, 63.5, 95.5])
    # Beyond the middles of the first and last window, limits stay.
    scaled = found.scale(image[:1], np.array([0]))
    assert scaled.shape == (1, 128)
    assert (scaled >= 0).all()
    assert (scaled <= 1).all()
    noise = find_local_limits(
        rng.normal(100, 1, (64, 64)), Limits(95, 105), window=64, measure=lambda part: Limits(0, 1)
    )
    assert noise is None


def test_a_half_dark_micrograph_gets_local_limits_by_itself() -> None:
    image = (tissue(512) * HALF * 200).astype(np.uint16)
    never, found = normalize(image, local="never"), normalize(image)
    clean = contrast(normalize(tissue(512)))
    assert contrast(never[:, 256:]) < 0.15 * clean
    assert contrast(found[:, 330:]) > 0.7 * clean
    assert contrast(found[:, :180]) > 0.7 * clean


@pytest.mark.parametrize("image", [tissue(512), tissue(512) * (HALF + 0.5), nuclei(512, 40)[0] * HALF])
def test_others_keep_one_pair_of_limits(image: np.ndarray) -> None:
    np.testing.assert_array_equal(normalize(image), normalize(image, local="never"))


def test_nuclei_get_local_limits_where_they_are_asked_for() -> None:
    image, labels = nuclei(512, 40)
    dim = (image.clip(0) * HALF * 100).astype(np.uint16)
    right = (labels > 0) & (np.arange(512) > 330)
    assert normalize(dim)[right].mean() < 0.1
    found = normalize(dim, local="always")
    assert found[right].mean() > 0.4
    assert np.median(found[labels == 0]) < 0.2


def test_local_limits_leave_no_seams() -> None:
    ramp = np.exp(np.linspace(0, -3, 1100))
    smooth = np.add.outer(np.sin(np.arange(1000) / 9), np.sin(np.arange(1100) / 7)) * ramp
    found = normalize(smooth, local="always", local_window=128)[..., 0]
    inner = (found > 0.02) & (found < 0.98)
    steps = np.abs(np.diff(found, axis=1))[inner[:, 1:] & inner[:, :-1]]
    assert steps.max() < 3 * np.percentile(steps, 99)
    assert np.abs(np.diff(found, axis=0)).max() < 0.2


def test_missing_pixels_and_colors_and_small_images() -> None:
    image = tissue(300)
    image[:5] = np.nan
    found = normalize(image, local="always", non_finite="background")
    assert np.isfinite(found).all()
    assert not found[:5].any()
    color = normalize(np.stack([tissue(300)] * 3, axis=2), local="always")
    np.testing.assert_allclose(color[..., 0], color[..., 2])
    assert normalize(np.arange(6.0).reshape(2, 3), local="always").shape == (2, 3, 3)
    assert not normalize(np.ones((300, 300)), local="always").any()
