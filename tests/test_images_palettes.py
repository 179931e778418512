"""Palettes: what only displays gray values, and what holds the colors of a picture."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from autosam.images.palettes import gray_lookup

RAMP = np.arange(256, dtype=np.uint8)
NAMES = ("viridis", "plasma", "inferno", "magma", "cividis", "hot", "jet", "turbo", "gnuplot2", "copper", "hsv")


def of_matplotlib(name: str) -> np.ndarray:
    return (matplotlib.colormaps[name](RAMP)[:, :3] * 255).round().astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_lookup_tables_of_matplotlib_are_gray(name: str) -> None:
    np.testing.assert_array_equal(gray_lookup(of_matplotlib(name)), RAMP)


@pytest.mark.parametrize("name", ["viridis", "hot", "magma"])
def test_an_inverted_lookup_table_inverts(name: str) -> None:
    np.testing.assert_array_equal(gray_lookup(of_matplotlib(name)[::-1]), RAMP[::-1])


@pytest.mark.parametrize("name", ["tab20", "flag", "prism"])
def test_tables_that_jump_are_colors(name: str) -> None:
    assert gray_lookup(of_matplotlib(name)) is None


@pytest.mark.parametrize("hue", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0.5, 0)])
def test_shades_of_one_hue_are_gray(hue: tuple[float, ...]) -> None:
    palette = (RAMP[:, None] * np.array(hue)).astype(np.uint8)
    np.testing.assert_array_equal(gray_lookup(palette), RAMP)
    np.testing.assert_array_equal(gray_lookup(palette[::-1]), RAMP[::-1])


def test_a_short_lookup_table_ends_before_its_padding() -> None:
    # ImageJ's own 32-color tables and 4-bit TIFFs.
    palette = np.zeros((256, 3), np.uint8)
    palette[:16, 1] = np.arange(16) * 17
    np.testing.assert_array_equal(gray_lookup(palette)[:16], RAMP[:16])


def test_grays_are_looked_up() -> None:
    palette = np.repeat(RAMP[::-1, None], 3, axis=1)
    np.testing.assert_array_equal(gray_lookup(palette), RAMP[::-1])
    np.testing.assert_array_equal(gray_lookup(np.zeros((256, 3), np.uint8)), np.zeros(256))


def test_colors_of_a_picture_stay() -> None:
    rng = np.random.default_rng(0)
    # Pink ground, purple nuclei, white gaps: a stained slide that was saved with 256 colors.
    share = rng.random((128, 128, 2))
    pink, purple, white = np.array([235, 150, 190]), np.array([90, 40, 140]), np.array([250, 245, 250])
    slide = purple + share[..., :1] * (pink - purple) + share[..., 1:] * (white - pink) * 0.8
    slide = (slide + rng.normal(0, 6, slide.shape)).clip(0, 255).astype(np.uint8)
    for method in (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE, Image.Quantize.FASTOCTREE):
        for colors in (256, 64, 16):
            picture = Image.fromarray(slide).quantize(colors, method=method)
            palette = np.array(picture.getpalette(), dtype=np.uint8).reshape(-1, 3)
            assert gray_lookup(palette) is None, (method, colors)
    assert gray_lookup(rng.integers(0, 256, (256, 3)).astype(np.uint8)) is None
    assert gray_lookup(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)) is None
