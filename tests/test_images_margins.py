"""Margins are left out of the percentiles; what belongs to an image is none."""

import numpy as np
import pytest
from scipy import ndimage
from synthetic import nuclei, tissue

from autosam.images.limits import Limits, plain_limits, robust_limits


def check_left_out(image: np.ndarray, clean: Limits) -> None:
    robust = robust_limits(image, 0.5, 99.5)
    assert robust.dark == pytest.approx(clean.dark, abs=0.1 * clean.span)
    assert robust.bright == pytest.approx(clean.bright, abs=0.1 * clean.span)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 9, 20, 200])
@pytest.mark.parametrize(("value", "offset", "dtype"), [(0, 0, "u1"), (0, 30_000, "u2"), (65_535, 3_000, "u2")])
def test_frames_of_any_width(width: int, value: int, offset: int, dtype: str) -> None:
    image = tissue().clip(60, 250) + offset
    check_left_out(np.pad(image, width, constant_values=value).astype(dtype), plain_limits(image, 0.5, 99.5))


def test_a_white_frame_around_dim_nuclei() -> None:
    image = nuclei()[0].clip(0) / 4
    check_left_out(
        np.pad(image, 30, constant_values=255).astype("u1"), plain_limits(image.astype("u1"), 0.5, 99.5)
    )


def test_a_thin_line_along_one_side() -> None:
    image = 20_000 + 10 * tissue()
    lined = image.copy()
    lined[:, -2:] = 0
    check_left_out(lined.astype(np.uint16), plain_limits(image, 0.5, 99.5))


def test_padding_of_one_corner_only() -> None:
    image = 20_000 + 10 * tissue()
    padded = np.pad(image, ((0, 100), (0, 0)), constant_values=0).astype(np.uint16)
    check_left_out(padded, plain_limits(image, 0.5, 99.5))


def test_a_text_bar_with_white_letters() -> None:
    image = 20_000 + 10 * tissue()
    bar = np.zeros((40, 256))
    bar[10:30, 20:240:9], bar[10:30, 21:240:9], bar[12:16, 20:240] = 65_535, 65_535, 65_535
    check_left_out(np.concatenate([image, bar]).astype(np.uint16), plain_limits(image, 0.5, 99.5))


def test_around_a_mosaic_and_a_turned_image() -> None:
    image = 20_000 + 10 * tissue(512)
    clean = plain_limits(image, 0.5, 99.5)
    mosaic = image.copy()
    mosaic[:250, :200], mosaic[300:, 400:] = 0, 0
    check_left_out(mosaic.astype(np.uint16), clean)
    check_left_out(ndimage.rotate(image, 20, order=1, cval=0).astype(np.uint16), clean)


def test_missing_pixels_around_an_image() -> None:
    image = tissue()
    check_left_out(np.pad(image, 30, constant_values=np.nan), plain_limits(image, 0.5, 99.5))


def test_a_frame_around_colors() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(90, 220, (200, 200, 3)).astype(np.uint8)
    padded = np.pad(image, ((40, 40), (40, 40), (0, 0)))
    check_left_out(padded, plain_limits(image, 0.5, 99.5))


def test_the_black_ground_of_cut_out_nuclei_is_no_margin() -> None:
    image, labels = nuclei()
    cut_out = np.where(labels > 0, image.clip(60), 0)
    assert robust_limits(cut_out, 0.5, 99.5) == plain_limits(cut_out, 0.5, 99.5)


def test_saturated_nuclei_are_no_margin() -> None:
    image, labels = nuclei()
    saturated = np.where(ndimage.binary_erosion(labels > 0, iterations=2), 255, image).astype(np.uint8)
    saturated[:, 180:] = np.where(labels[:, 100:120] > 0, 255, 14)
    assert robust_limits(saturated, 0.5, 99.5) == plain_limits(saturated, 0.5, 99.5)


@pytest.mark.parametrize("low", [0, 40])
def test_a_clipped_dark_ground_is_no_margin(low: int) -> None:
    image = (nuclei()[0] * 4 - 200).clip(low, 255).astype(np.uint8)
    assert robust_limits(image, 0.5, 99.5) == plain_limits(image, 0.5, 99.5)
