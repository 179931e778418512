"""LIF files of the published layout: projects of several images, lengths, dyes, colors, damage."""

from pathlib import Path

import liffile
import numpy as np
import pytest
from microscope_files import write_lif

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.read import read_pixels
from autosam.images.readers import Selection

RNG = np.random.default_rng(4)
STACK = RNG.integers(0, 4000, (2, 4, 3, 12, 17), dtype=np.uint16)
"""Time, z, channel, y, x: the order in which LAS stores them."""


def test_the_planes_of_all_axes(tmp_path: Path) -> None:
    path = write_lif(tmp_path / "a.lif", [("one", "TZCYX", STACK)], meters=3e-7, dyes=("DAPI", "GFP", "Cy5"))
    sources = find_sources([path])
    assert [source.name for source in sources] == [f"a_t{t}_z{z}" for t in range(2) for z in range(4)]
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(np.stack(read_pixels(source)), STACK[number // 4, number % 4])
    (one,) = find_sources([path], Selection(channel="GFP", time=1, z=2))
    np.testing.assert_array_equal(read_image(one), STACK[1, 2, 1])
    # The length reaches from the first pixel to the last one, over one step less than there are pixels.
    assert read_pixel_size(one) == pytest.approx(300)
    with liffile.LifFile(path) as file:
        np.testing.assert_array_equal(file.images[0].asarray(), STACK)


def test_the_images_of_a_project_are_series(tmp_path: Path) -> None:
    images = [
        ("Series001", "YX", STACK[0, 0, 0]),
        ("Series002", "ZYX", STACK[0, :, 1, :7, :9]),
        ("Series003", "CYX", STACK[1, 1]),
    ]
    path = write_lif(tmp_path / "a.lif", images, luts=("Blue", "Green", "Red"))
    sources = find_sources([path])
    assert [source.name for source in sources] == ["a_s0", "a_s1_z0", "a_s1_z1", "a_s1_z2", "a_s1_z3", "a_s2"]
    np.testing.assert_array_equal(read_image(sources[0]), STACK[0, 0, 0])
    np.testing.assert_array_equal(read_image(sources[3]), STACK[0, 2, 1, :7, :9])
    (green,) = find_sources([path], Selection(series=2, channel="green"))
    np.testing.assert_array_equal(read_image(green), STACK[1, 1, 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colors_are_stored_blue_first(tmp_path: Path, dtype: type) -> None:
    image = np.moveaxis(STACK[0, 0], 0, -1).astype(dtype)
    (source,) = find_sources([write_lif(tmp_path / "a.lif", [("one", "YXS", image)])])
    found = read_pixels(source)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, image)


def test_the_tiles_of_a_mosaic_are_series(tmp_path: Path) -> None:
    path = write_lif(tmp_path / "a.lif", [("mosaic", "MYX", STACK[0, :, 0])])
    sources = find_sources([path])
    assert [source.name for source in sources] == ["a_p0", "a_p1", "a_p2", "a_p3"]
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(read_image(source), STACK[0, number, 0])


def test_one_plane_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lif(tmp_path / "a.lif", [("one", "TZCYX", STACK)])

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the whole image is read")

    monkeypatch.setattr(liffile.LifImage, "asarray", refuse)
    monkeypatch.setattr(liffile.LifMemoryBlock, "read_array", refuse)
    (source,) = find_sources([path], Selection(time=0, z=1, channel=2))
    np.testing.assert_array_equal(read_image(source), STACK[0, 1, 2])


def test_damage_is_one_line_with_the_name(tmp_path: Path) -> None:
    path = write_lif(tmp_path / "cut.lif", [("one", "TZCYX", STACK)])
    whole = path.read_bytes()
    for length in (len(whole) - 100, 500, 5, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.lif cannot be read: .*damaged"):
            read_image(find_sources([path])[-1])
    empty = write_lif(tmp_path / "empty.lif", [])
    with pytest.raises(InputError, match=r"empty\.lif: no image is in it"):
        read_image(empty)
    line = write_lif(tmp_path / "line.lif", [("scan", "TX", STACK[:, 0, 0, 0])])
    with pytest.raises(InputError, match=r"line\.lif: its image scan has the axes T 2, X 17; wanted x and y"):
        read_image(line)
