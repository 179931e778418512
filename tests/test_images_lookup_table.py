"""RGB images in the colors of a lookup table are gray ones; stained tissue and several colors are not."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from skimage.io import imread
from synthetic import nuclei
from with_defaults import normalize

from autosam.images.lookup_table import undo_lookup_table

EXAMPLES = Path(__file__).parents[1] / "examples"
GRAY = nuclei()[0].clip(0, 255).astype(np.uint8)
RAMPS = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "cyan": (0, 1, 1),
    "magenta": (1, 0, 1),
    "yellow": (1, 1, 0),
    "orange": (1, 0.5, 0),
}
TABLES = ("hot", "viridis", "magma", "inferno", "plasma", "cividis", "gnuplot2", "cubehelix", "jet")
# Every eighth entry of ImageJ's Fire: its brightness falls between blue and red.
FIRE = np.array(
    [(0, 0, 0), (1, 0, 96), (49, 0, 165), (98, 0, 220), (146, 0, 210), (173, 0, 151), (195, 0, 93), (217, 35, 35)]
    + [(240, 79, 0), (255, 117, 0), (255, 147, 0), (255, 175, 0), (255, 205, 0), (255, 234, 35), (255, 255, 160)]
    + [(255, 255, 255)]
)


def colored(gray: np.ndarray, name: str) -> np.ndarray:
    if name in RAMPS:
        return (gray[..., None] * np.array(RAMPS[name])).astype(np.uint8)
    if name == "fire":
        at = np.linspace(0, 255, len(FIRE))
        return np.stack([np.interp(gray, at, FIRE[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
    return (matplotlib.colormaps[name](gray)[..., :3] * 255).astype(np.uint8)


def agreement(found: np.ndarray | None) -> float:
    """Rank correlation over all that is no background."""
    assert found is not None
    bright = GRAY > 40
    return float(spearmanr(found[bright], GRAY[bright])[0])


@pytest.mark.parametrize("name", RAMPS)
def test_a_ramp_of_one_color_gives_the_gray_image(name: str) -> None:
    found = normalize(colored(GRAY, name))
    assert found.strides[2] == 0
    np.testing.assert_allclose(found, normalize(GRAY), atol=0.01)


@pytest.mark.parametrize("name", RAMPS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_white_scale_bar_is_no_brighter_than_the_ramp_can_be(name: str, dtype: str) -> None:
    image = colored(GRAY, name).astype(dtype)
    image[-8:-4, -36:-12] = 255
    found = undo_lookup_table(image)
    assert found is not None
    full = sum(RAMPS[name]) / max(RAMPS[name]) * 255
    assert found.max() == pytest.approx(full, rel=0.15)


@pytest.mark.parametrize("name", [*TABLES, "fire"])
def test_other_lookup_tables_rise_with_the_intensity(name: str) -> None:
    found = undo_lookup_table(colored(GRAY, name))
    assert agreement(found) > 0.99
    assert np.median(found) < 0.2


@pytest.mark.parametrize("name", ["green", "cyan", "hot", "fire", "viridis", "magma"])
@pytest.mark.parametrize("quality", [95, 75])
def test_jpeg_changes_little(name: str, quality: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(colored(GRAY, name)).save(stream, "jpeg", quality=quality)
    assert agreement(undo_lookup_table(np.array(Image.open(stream)))) > 0.9


@pytest.mark.parametrize("name", ["green", "hot", "viridis"])
def test_noise_after_coloring_changes_little(name: str) -> None:
    noisy = colored(GRAY, name) + np.random.default_rng(0).normal(0, 4, (*GRAY.shape, 3))
    assert agreement(undo_lookup_table(noisy.clip(0, 255).astype(np.uint8))) > 0.9


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("name", ["green", "viridis"])
def test_all_types_give_the_same(dtype: type, name: str) -> None:
    image = colored(GRAY, name)
    expected, found = normalize(image), normalize(image.astype(dtype) * dtype(200))
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_crowded_nuclei_in_green_are_gray() -> None:
    crowded = 255 - GRAY
    found = undo_lookup_table(colored(crowded, "green"))
    np.testing.assert_array_equal(found, crowded)


def test_several_colors_stay() -> None:
    second = nuclei(seed=5)[0].clip(0, 255).astype(np.uint8)
    none = np.zeros_like(GRAY)
    for channels in ((none, second, GRAY), (second, none, GRAY), (GRAY, second, none), (GRAY, second, GRAY)):
        image = np.stack(channels, axis=2)
        assert undo_lookup_table(image) is None
        assert normalize(image).strides[2] != 0


def test_gray_and_small_and_missing_images_stay() -> None:
    assert undo_lookup_table(np.stack([GRAY] * 3, axis=2)) is None
    assert undo_lookup_table(colored(GRAY, "green")[:20, :20]) is None
    assert undo_lookup_table(np.full((64, 64, 3), np.nan)) is None
    assert undo_lookup_table(np.zeros((64, 64, 3), np.uint8)) is None


@pytest.mark.parametrize("name", ["green", "viridis"])
def test_missing_pixels_stay_missing(name: str) -> None:
    image = colored(GRAY, name).astype(np.float32)
    image[:3] = np.nan
    found = undo_lookup_table(image)
    assert found is not None
    assert np.isnan(found[:3]).all()
    assert np.isfinite(found[3:]).all()


@pytest.mark.parametrize("path", sorted((EXAMPLES / "nuclei").glob("*.png")))
def test_stained_tissue_stays(path: Path) -> None:
    image = imread(path)
    if image.ndim == 3 and np.ptp(image[..., :3], axis=2).any():
        assert undo_lookup_table(image[..., :3]) is None


def test_the_setting_turns_it_off() -> None:
    found = normalize(colored(GRAY, "green"), lookup_tables=False)
    assert not found[..., 0].any()
    assert found[..., 1].any()
