"""Stains: what is measured, which images are unlike, and what becomes of them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab

from autosam.images.stain_normalization import (
    FEWEST,
    NEAREST,
    Stain,
    normalize_stain,
    stain_of,
    stain_target,
    transfer_stain,
)


def tissue(seed: int, tint: tuple[float, float, float] = (0.75, 0.5, 0.7)) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.6, 1.0, (40, 50, 3)) * tint).astype(np.float32)


def known(count: int = 30) -> list[Stain]:
    """Stains around (60, 30, -15, 20, 10, 9), one apart from each other in each number."""
    rng = np.random.default_rng(0)
    return [
        (60 + a, 30 + b, -15 + c, 20 + d, 10 + e, 9 + f)
        for a, b, c, d, e, f in rng.normal(size=(count, 6)).tolist()
    ]


def test_the_stain_of_one_color_is_that_color() -> None:
    image = np.broadcast_to(np.array([1, 0, 0], np.float32), (6, 8, 3))
    # sRGB's red in CIE L*a*b* under D65.
    assert stain_of(image) == pytest.approx((53.24, 80.09, 67.20, 0, 0, 0), abs=0.02)


def test_gray_images_have_no_stain() -> None:
    gray = np.repeat(np.random.default_rng(0).random((20, 20, 1), dtype=np.float32), 3, axis=2)
    assert stain_of(gray) is None
    # A few colored pixels, such as a scale bar, and a tint that nobody sees.
    gray[:1, :10] = (1, 0, 0)
    assert stain_of(gray) is None
    assert stain_of(gray * np.array([1, 1, 0.96], np.float32)) is None
    gray[:3] = (1, 0, 0)
    assert stain_of(gray) is not None
    assert normalize_stain(gray[5:], known()) is None


def test_an_image_takes_over_a_stain() -> None:
    image, wanted = tissue(0), (62.0, 25.0, -12.0, 8.0, 5.0, 4.0)
    changed = transfer_stain(image, wanted)
    assert changed.dtype == np.float32
    assert stain_of(changed) == pytest.approx(wanted, abs=0.05)
    # What is darker stays darker.
    lightness = [rgb2lab(picture)[..., 0].ravel() for picture in (image, changed)]
    assert np.corrcoef(lightness)[0, 1] > 0.999
    # Nothing is left to stretch in one color, and what no screen can show is clipped.
    flat = transfer_stain(np.full((4, 5, 3), (0.8, 0.5, 0.6), np.float32), wanted)
    assert np.ptp(flat, axis=(0, 1)).max() < 1e-6
    assert stain_of(flat) == pytest.approx((*wanted[:3], 0, 0, 0), abs=0.05)
    wild = transfer_stain(image, (95.0, 60.0, 90.0, 40.0, 40.0, 60.0))
    assert wild.min() >= 0
    assert wild.max() <= 1


def test_a_stain_like_the_others_stays() -> None:
    references = known()
    assert stain_target(references[3], references) is None
    assert stain_target((60, 30, -15, 20, 10, 9), references) is None


def test_an_unlike_stain_is_brought_to_the_nearest_ones() -> None:
    references = known()
    pale = (60.0, 24.5, -15.0, 20.0, 10.0, 9.0)
    wanted = stain_target(pale, references)
    assert wanted is not None
    spread = np.std(references, axis=0)
    order = np.argsort(np.linalg.norm((np.array(references) - pale) / spread, axis=1))
    assert wanted == pytest.approx(np.mean(np.array(references)[order[:NEAREST]], axis=0).tolist())
    assert wanted[1] > 28


def test_what_is_no_tissue_stays() -> None:
    # Such as a composite of fluorescence channels, on black.
    assert stain_target((5.0, 2.0, -5.0, 12.0, 10.0, 9.0), known()) is None


def test_too_few_stains_or_all_the_same_say_nothing() -> None:
    pale = (60.0, 24.5, -15.0, 20.0, 10.0, 9.0)
    assert stain_target(pale, known(FEWEST)) is not None
    assert stain_target(pale, known(FEWEST - 1)) is None
    assert stain_target(pale, [(60.0, 30.0, -15.0, 20.0, 10.0, 9.0)] * FEWEST) is None
    assert stain_target(pale, []) is None


def test_an_image_is_matched_or_left_alone() -> None:
    image = tissue(1)
    own = np.array(stain_of(image))
    rng = np.random.default_rng(0)
    near = [tuple(row) for row in (own + rng.normal(size=(30, 6))).tolist()]
    assert normalize_stain(image, near) is None
    assert normalize_stain(image, ()) is None
    far = [(first, second + 6, *rest) for first, second, *rest in near]
    matched = normalize_stain(image, far)
    assert matched is not None
    wanted = stain_target(tuple(own.tolist()), far)
    assert stain_of(matched) == pytest.approx(wanted, abs=0.3)
