"""Limits that specks or too few objects have spoiled are moved; all others stay."""

import numpy as np
import pytest
from scipy import ndimage
from synthetic import free_place, nuclei, tissue

from autosam.images.limits import Limits, plain_limits, robust_limits


def limits(image: np.ndarray) -> tuple[Limits, Limits]:
    return plain_limits(image, 0.5, 99.5), robust_limits(image, 0.5, 99.5)


@pytest.mark.parametrize("image", [nuclei()[0], tissue(), 255 - nuclei()[0], nuclei(256, 25)[0]])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_ordinary_images_keep_their_percentiles(image: np.ndarray, dtype: type) -> None:
    plain, robust = limits(image.clip(0, 255).astype(dtype))
    assert robust == plain


@pytest.mark.parametrize("share", [0.006, 0.01, 0.03])
@pytest.mark.parametrize("brightness", [1_500, 30_000])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_speck_far_brighter_than_the_nuclei_is_left_out(share: float, brightness: int, dtype: type) -> None:
    image, labels = nuclei()
    clean = plain_limits(image, 0.5, 99.5)
    image[free_place(labels, (share * image.size / np.pi) ** 0.5)] = brightness
    plain, robust = limits(image.astype(dtype))
    assert plain.bright > 5 * clean.bright
    assert robust.bright == pytest.approx(clean.bright, rel=0.3)
    assert robust.dark == plain.dark


def test_a_speck_of_a_few_times_the_brightness_does_no_harm() -> None:
    image, labels = nuclei()
    image[free_place(labels, 11)] = 400
    plain, robust = limits(image)
    assert robust == plain


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_few_nuclei_in_a_large_frame_set_the_limit(count: int, dtype: type) -> None:
    image, _ = nuclei(count=count)
    frame = np.random.default_rng(3).normal(14, 2.5, (900, 1000))
    frame[300:500, 400:600] = image
    plain, robust = limits(frame.clip(0).astype(dtype))
    assert plain.bright < 30
    assert 90 < robust.bright < 200


def test_hot_pixels_are_no_objects() -> None:
    rng = np.random.default_rng(0)
    frame = rng.normal(100, 5, (500, 500))
    frame[rng.integers(0, 500, 60), rng.integers(0, 500, 60)] = 4000
    plain, robust = limits(frame.astype(np.uint16))
    assert robust == plain


@pytest.mark.parametrize("share", [0.006, 0.03])
@pytest.mark.parametrize("times", [20, 400])
def test_a_speck_in_tissue_is_left_out(share: float, times: int) -> None:
    image = tissue()
    clean = plain_limits(image, 0.5, 99.5)
    speck = free_place(np.zeros(image.shape, int), (share * image.size / np.pi) ** 0.5)
    image[speck] *= times
    image = ndimage.gaussian_filter(image, 0.7)
    plain, robust = limits(image.astype(np.uint16))
    assert plain.bright > 5 * clean.bright
    assert robust.bright == pytest.approx(clean.bright, rel=0.3)


def test_dead_black_spots_in_tissue_of_16_bits_are_left_out() -> None:
    image = 30_000 + 10 * tissue()
    clean = plain_limits(image, 0.5, 99.5)
    image[free_place(np.zeros(image.shape, int), 20)] = 0
    plain, robust = limits(image.astype(np.uint16))
    assert plain.dark == 0
    assert robust.dark == pytest.approx(clean.dark, abs=0.5 * clean.span)
    assert robust.bright == plain.bright


def test_stained_nuclei_are_no_specks() -> None:
    stained = 230 - nuclei()[0]
    image = np.stack([stained, 0.8 * stained, 0.9 * stained], axis=2).clip(0, 255).astype(np.uint8)
    plain, robust = limits(image)
    assert robust == plain


def test_a_limit_that_somebody_wanted_stays() -> None:
    frame = np.random.default_rng(3).normal(14, 2.5, (900, 1000))
    frame[300:500, 400:600] = nuclei(count=3)[0]
    assert robust_limits(frame, 0.5, 60) == plain_limits(frame, 0.5, 60)


@pytest.mark.parametrize("image", [np.zeros((40, 40), np.uint8), np.full((40, 40), np.nan), np.ones((2, 3))])
def test_nothing_to_see_has_no_limits(image: np.ndarray) -> None:
    plain, robust = limits(image)
    assert robust == plain
    assert robust.span == 0
