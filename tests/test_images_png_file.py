"""PNG files written strip by strip, read back by Pillow and imagecodecs."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from autosam.images import png_file
from autosam.images.png_file import save_png

RNG = np.random.default_rng(0)


def test_one_row_by_hand() -> None:
    rows, above = np.array([[3, 5, 4]], np.uint8), np.array([[3, 4, 4]], np.uint8)
    # From above it is 0, 1, 0; from the left 3, 2, -1.
    assert png_file._filtered(rows, above) == bytes([2, 0, 1, 0])
    assert png_file._filtered(rows, np.full_like(above, 100)) == bytes([1, 3, 2, 255])


@pytest.mark.parametrize("strip", [1, 100, 1 << 21])
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (7, 9), (40, 23, 3)])
def test_pixels_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strip: int, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(png_file, "_STRIP", strip)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "a.png"
    save_png(path, pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
    np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()), pixels)


def test_a_plane_that_repeats_and_a_part_of_an_image(tmp_path: Path) -> None:
    plane = RNG.integers(0, 256, (30, 20), dtype=np.uint8)
    for pixels in (np.broadcast_to(plane[..., None], (30, 20, 3)), plane[5:, 3:-2], plane[::-1, ::2]):
        save_png(tmp_path / "a.png", pixels)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_smooth_pictures_are_small(tmp_path: Path) -> None:
    rows, cols = np.mgrid[:500, :500]
    picture = np.stack([(rows + cols) % 256, rows % 256, cols % 256], axis=-1).astype(np.uint8)
    save_png(tmp_path / "a.png", picture)
    assert (tmp_path / "a.png").stat().st_size < picture.nbytes / 50
