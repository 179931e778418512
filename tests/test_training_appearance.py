"""Gray levels, local contrast, illumination and spectra: small planes whose answers are known."""

import numpy as np
import pytest
from scipy import fft

from autosam.training.samples.appearance import even_contrast, mix_amplitudes, shade, tone_curve


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int = 48, width: int = 40, seed: int = 0) -> np.ndarray:
    return rng(seed).random((height, width), dtype=np.float32)


def test_equal_slopes_change_no_gray_level_and_any_keep_their_order() -> None:
    plane = noise()
    np.testing.assert_allclose(tone_curve(plane, np.full(5, 2.0)), plane, atol=1e-6)
    bent = tone_curve(plane, np.array([0.2, 3.0, 1.0]))
    assert bent.dtype == np.float32
    assert 0 <= bent.min() < bent.max() <= 1
    assert (np.diff(bent.ravel()[plane.ravel().argsort()]) >= 0).all()
    # A third of the way is 0.2 of 4.2 of the height.
    assert tone_curve(np.full((1, 1), 1 / 3, np.float32), np.array([0.2, 3.0, 1.0])) == pytest.approx(0.2 / 4.2)


def test_halves_of_unequal_light_become_alike() -> None:
    plane = 0.3 + 0.2 * noise(64, 64)
    plane[:, 32:] = 0.4 + 0.4 * noise(64, 64, 1)[:, 32:]
    np.testing.assert_allclose(even_contrast(plane, strength=0, sigma=6), plane, atol=1e-6)
    even = even_contrast(plane, strength=1, sigma=6)
    dark, bright = even[:, :16], even[:, -16:]
    assert abs(dark.mean() - bright.mean()) < 0.03 < plane[:, -16:].mean() - plane[:, :16].mean()
    assert dark.std() / bright.std() == pytest.approx(1, abs=0.15)
    assert plane[:, :16].std() / plane[:, -16:].std() < 0.6


def test_a_flat_plane_stays_flat() -> None:
    flat = np.full((20, 31), 0.25, np.float32)
    np.testing.assert_allclose(even_contrast(flat, strength=1, sigma=9), flat, atol=1e-5)
    np.testing.assert_allclose(mix_amplitudes(flat, flat, share=1, cutoff=0.2), flat, atol=1e-6)


def test_light_differs_from_place_to_place_within_bounds() -> None:
    plane = np.full((40, 50), 0.5, np.float32)
    shaded = shade(plane, strength=0.4, rng=rng())
    assert shaded.shape == plane.shape
    assert 0.02 < np.abs(shaded - plane).max() <= 0.2 + 1e-6
    # Smooth: neighbors differ by little.
    assert np.abs(np.diff(shaded, axis=0)).max() < 0.04
    np.testing.assert_array_equal(shaded, shade(plane, strength=0.4, rng=rng()))
    np.testing.assert_array_equal(shade(plane, strength=0, rng=rng()), plane)


@pytest.mark.parametrize("shape", [(48, 40), (33, 21)])
def test_amplitudes_come_from_the_other_and_phases_stay(shape: tuple[int, int]) -> None:
    plane, other = noise(*shape), noise(*shape, seed=1) * 0.5
    np.testing.assert_allclose(mix_amplitudes(plane, other, share=0, cutoff=0.1), plane, atol=1e-6)
    # A cutoff far beyond all frequencies exchanges the whole spectrum.
    mixed = fft.rfft2(mix_amplitudes(plane, other, share=1, cutoff=1e3).astype(np.float64))
    np.testing.assert_allclose(np.abs(mixed), np.abs(fft.rfft2(other.astype(np.float64))), rtol=1e-3, atol=1e-3)
    turned = np.angle(mixed * np.conj(fft.rfft2(plane.astype(np.float64))))
    assert np.median(np.abs(turned)) < 1e-3


def test_a_small_cutoff_takes_the_mean_and_leaves_the_detail() -> None:
    plane, other = noise(), noise(seed=1) * 0.5
    mixed = mix_amplitudes(plane, other, share=1, cutoff=1e-3)
    assert mixed.mean() == pytest.approx(other.mean(), abs=1e-5)
    np.testing.assert_allclose(mixed - mixed.mean(), plane - plane.mean(), atol=1e-5)
