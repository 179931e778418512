"""Slides with the tags and descriptions of their vendors, written by tifffile."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from microscope_files import write_ndpi

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.readers import Selection
from autosam.images.readers import series as series_module

RNG = np.random.default_rng(6)
SLIDE = RNG.integers(0, 255, (256, 320, 3), dtype=np.uint8)
APERIO = "Aperio Image Library v12.0.15 \r\n{}x{} [0,0 {}x{}] (64x64) J2K|AppMag = 20{}"


def write_svs(path: Path, *, mpp: str | None = "0.4990", levels: int = 3) -> Path:
    """Write baseline, thumbnail, lower levels, label and macro, in the order of Aperio."""
    more = "" if mpp is None else f"|MPP = {mpp}"
    tiled: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "metadata": None}
    striped: dict[str, Any] = {"photometric": "rgb", "rowsperstrip": 16, "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level in range(levels):
            step = 4**level
            image = SLIDE[::step, ::step]
            rows, columns = image.shape[:2]
            text = APERIO.format(320, 256, columns, rows, more)
            file.write(image, description=text, **tiled)
            if level == 0:
                file.write(SLIDE[::8, ::8], description=APERIO.format(320, 256, 40, 32, more), **striped)
        file.write(SLIDE[:30, :40] // 2, description="Aperio Image\r\nlabel 40x30", subfiletype=1, **striped)
        file.write(SLIDE[:30, :90] // 3, description="Aperio Image\r\nmacro 90x30", subfiletype=9, **striped)
    return path


@pytest.mark.parametrize("suffix", [".svs", ".SVS"])
def test_levels_of_svs(tmp_path: Path, suffix: str) -> None:
    path = write_svs(tmp_path / f"a{suffix}")
    for level, step in enumerate((1, 4, 16)):
        (source,) = find_sources([path], Selection(level=level))
        assert source.name == "a"
        np.testing.assert_array_equal(read_image(source), SLIDE[::step, ::step])
        assert read_pixel_size(source) == pytest.approx(499 * step)
    with pytest.raises(
        InputError, match=r"3 resolution level\(s\): 0 \(256 × 320\), 1 \(64 × 80\), 2 \(16 × 20\); level 3"
    ):
        find_sources([path], Selection(level=3))
    (red,) = find_sources([path], Selection(level=1, channel="red"))
    np.testing.assert_array_equal(read_image(red), SLIDE[::4, ::4, 0])


def test_svs_without_a_pixel_size(tmp_path: Path) -> None:
    assert read_pixel_size(find_sources([write_svs(tmp_path / "a.svs", mpp=None)])[0]) is None


def test_levels_of_ndpi(tmp_path: Path) -> None:
    images = [(20.0, SLIDE), (5.0, SLIDE[::4, ::4]), (1.25, SLIDE[::16, ::16]), (-1.0, SLIDE[:20, :60])]
    path = write_ndpi(tmp_path / "a.ndpi", images, pixels_per_cm=22026)
    for level, step in enumerate((1, 4, 16)):
        (source,) = find_sources([path], Selection(level=level))
        np.testing.assert_array_equal(read_image(source), SLIDE[::step, ::step])
        assert read_pixel_size(source) == pytest.approx(454.01 * step, rel=1e-4)


def test_a_slide_too_large_says_which_level_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "LARGEST_IMAGE", 6000)
    path = write_svs(tmp_path / "a.svs")
    (source,) = find_sources([path])
    with pytest.raises(
        InputError, match=r"a\.svs: level 0 has 256 × 320 pixels, more than the 6,000 .* --level 1; "
    ):
        read_image(source)
    (fits,) = find_sources([path], Selection(level=1))
    assert read_image(fits).shape == (64, 80, 3)


def test_only_the_level_is_read(tmp_path: Path) -> None:
    path = write_svs(tmp_path / "a.svs")
    with tifffile.TiffFile(path) as file:
        tiles = [
            (offset, n)
            for page in (0, 3)
            for offset, n in zip(file.pages[page].dataoffsets, file.pages[page].databytecounts, strict=True)
        ]
    with path.open("r+b") as raw:
        for offset, count in tiles:
            raw.seek(offset)
            raw.write(b"\xff" * count)
    (whole,) = find_sources([path], Selection(level=1))
    np.testing.assert_array_equal(read_image(whole), SLIDE[::4, ::4])
    (broken,) = find_sources([path])
    with pytest.raises(InputError, match=r"a\.svs cannot be read: .*damaged"):
        read_image(broken)


def test_damage_is_one_line_with_the_name(tmp_path: Path) -> None:
    path = write_svs(tmp_path / "cut.svs")
    whole = path.read_bytes()
    for length in (len(whole) // 2, 50, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.svs cannot be read: .*damaged"):
            read_image(path)
