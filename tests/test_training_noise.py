"""Kinds of noise: their size, where they are, and that the same draws give the same."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from autosam.training.samples.noise import curtains, grain, scan_lines, shot_noise, specks

GRAY = np.full((120, 90), 0.25, np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def neighbors_alike(noise: np.ndarray, axis: int) -> float:
    first, second = (np.take(noise, range(start, noise.shape[axis] - 1 + start), axis) for start in (0, 1))
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@pytest.mark.parametrize(
    "kind",
    [
        partial(shot_noise, deviation=0.1),
        partial(grain, deviation=0.1, sigma=1.5),
        partial(specks, share=0.05),
        partial(scan_lines, deviation=0.1),
        partial(curtains, deviation=0.1),
    ],
)
def test_the_same_draws_give_the_same_and_the_plane_given_stays(kind: Callable[..., np.ndarray]) -> None:
    before = GRAY.copy()
    one, other = kind(GRAY, rng=rng(1)), kind(GRAY, rng=rng(2))
    assert one.dtype == np.float32
    assert one.shape == GRAY.shape
    np.testing.assert_array_equal(one, kind(GRAY, rng=rng(1)))
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(GRAY, before)


def test_noise_of_counts_grows_with_the_root_of_brightness() -> None:
    assert shot_noise(GRAY, deviation=0.1, rng=rng()).std() == pytest.approx(0.05, rel=0.05)
    assert shot_noise(4 * GRAY, deviation=0.1, rng=rng()).std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(shot_noise(0 * GRAY, deviation=0.1, rng=rng()), 0)


def test_grain_is_alike_in_neighbors_and_as_strong_as_asked() -> None:
    noise = grain(GRAY, deviation=0.1, sigma=1.5, rng=rng()) - GRAY
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    assert neighbors_alike(noise, 0) > 0.8


def test_as_many_specks_as_asked_half_of_them_white() -> None:
    drawn = specks(GRAY, share=0.1, rng=rng())
    assert (drawn == 0).mean() == pytest.approx(0.05, abs=0.01)
    assert (drawn == 1).mean() == pytest.approx(0.05, abs=0.01)
    assert (drawn == 0.25).mean() == pytest.approx(0.9, abs=0.01)


def test_scan_lines_are_constant_along_a_row() -> None:
    noise = scan_lines(GRAY, deviation=0.1, rng=rng()) - GRAY
    assert np.ptp(noise, axis=1).max() < 1e-6
    assert noise[:, 0].std() == pytest.approx(0.1, rel=0.3)
    assert abs(neighbors_alike(noise, 0)) < 0.3


def test_curtains_run_along_columns() -> None:
    noise = curtains(GRAY, deviation=0.1, rng=rng()) - GRAY
    assert neighbors_alike(noise, 0) > 0.97 > neighbors_alike(noise, 1)
    assert 0.01 < noise.std() < 0.15
