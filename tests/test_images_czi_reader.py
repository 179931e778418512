"""CZI files of the published layout: scaling, channels, mosaics, levels, compression."""

from pathlib import Path
from typing import Any

import czifile
import imagecodecs
import numpy as np
import pytest
from microscope_files import Tile, write_czi

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.read import read_pixels
from autosam.images.readers import Selection

RNG = np.random.default_rng(3)
STACK = RNG.integers(0, 4000, (2, 3, 4, 12, 17), dtype=np.uint16)
"""Time, channel, z, y, x."""


def planes(array: np.ndarray, **more: int) -> list[Tile]:
    return [
        Tile(array[t, c, z], at={"C": c, "Z": z, "T": t, **more})
        for t in range(array.shape[0])
        for c in range(array.shape[1])
        for z in range(array.shape[2])
    ]


def test_the_planes_of_all_axes(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", planes(STACK), channels=("DAPI", "GFP", "Cy5"), micrometers=0.325)
    sources = find_sources([path])
    assert [source.name for source in sources] == [f"a_t{t}_z{z}" for t in range(2) for z in range(4)]
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(np.stack(read_pixels(source)), STACK[number // 4, :, number % 4])
    (one,) = find_sources([path], Selection(channel="gfp", time=1, z=2))
    np.testing.assert_array_equal(read_image(one), STACK[1, 1, 2])
    assert read_pixel_size(one) == pytest.approx(325)
    # An independent reading of the same bytes.
    whole = czifile.imread(path)
    np.testing.assert_array_equal(np.squeeze(whole), STACK.transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_types_of_pixels(tmp_path: Path, dtype: str) -> None:
    image = STACK[0, 0, 0].astype(dtype)
    path = write_czi(tmp_path / "a.czi", [Tile(image)])
    found = read_image(path)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)
    assert read_pixel_size(find_sources([path])[0]) is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colors_come_as_red_green_blue(tmp_path: Path, dtype: str) -> None:
    image = np.moveaxis(STACK[0, :, 0], 0, -1).astype(dtype)
    found = read_pixels(write_czi(tmp_path / "a.czi", [Tile(image, at={"C": 0})]))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, image)


def test_the_tiles_of_a_mosaic_are_put_together(tmp_path: Path) -> None:
    image = STACK[0, 0, 0]
    # Positions on the stage may be negative; the overlap belongs to the later tile.
    tiles = [
        Tile(image[:8, :10], x=-5, y=-3, at={"M": 0}),
        Tile(image[:8, 9:], x=4, y=-3, at={"M": 1}),
        Tile(image[6:], x=-5, y=3, at={"M": 2}),
    ]
    tiles[0].pixels = tiles[0].pixels.copy()
    tiles[0].pixels[:, 9] = 9999
    np.testing.assert_array_equal(read_image(write_czi(tmp_path / "a.czi", tiles)), image)
    np.testing.assert_array_equal(read_image(write_czi(tmp_path / "b.czi", tiles[::-1])), image)


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    image = STACK[0, 0, 0, :12, :16]
    tiles = [
        Tile(image[:, :8], at={"M": 0}),
        Tile(image[:, 8:], x=8, at={"M": 1}),
        Tile(image[:8:2, ::2], reduction=2, at={}),
        Tile(image[8::2, ::2], y=8, reduction=2, at={}),
        Tile(image[::4, ::4], reduction=4, at={}),
    ]
    path = write_czi(tmp_path / "a.czi", tiles, micrometers=0.5)
    for level, step in enumerate((1, 2, 4)):
        (source,) = find_sources([path], Selection(level=level))
        np.testing.assert_array_equal(read_image(source), image[::step, ::step])
        assert read_pixel_size(source) == pytest.approx(500 * step)
    with pytest.raises(InputError, match=r"3 resolution level\(s\): 0 \(12 × 16\), 1 \(6 × 8\), 2 \(3 × 4\)"):
        find_sources([path], Selection(level=3))


def test_regions_of_a_slide_are_series(tmp_path: Path) -> None:
    first, second = STACK[0, 0, 0], STACK[1, 0, 0, :7, :9]
    tiles = [Tile(first, x=100, y=50, at={"S": 0}), Tile(second, x=900, y=-20, at={"S": 1})]
    path = write_czi(tmp_path / "a.czi", tiles)
    sources = find_sources([path])
    assert [source.name for source in sources] == ["a_p0", "a_p1"]
    np.testing.assert_array_equal(read_image(sources[0]), first)
    (chosen,) = find_sources([path], Selection(series=1))
    np.testing.assert_array_equal(read_image(chosen), second)


def _apart(image: np.ndarray) -> bytes:
    pairs = image.astype("<u2").view(np.uint8).reshape(-1, 2)
    return np.ascontiguousarray(pairs.T).tobytes()


@pytest.mark.parametrize(
    ("compression", "dtype", "data"),
    [
        (2, "uint16", lambda image: imagecodecs.lzw_encode(image.tobytes())),
        (2, "uint8", lambda image: imagecodecs.lzw_encode(image.tobytes())),
        (5, "uint16", lambda image: imagecodecs.zstd_encode(image.tobytes())),
        (6, "uint16", lambda image: b"\x03\x01\x01" + imagecodecs.zstd_encode(_apart(image))),
        (6, "uint16", lambda image: b"\x03\x01\x00" + imagecodecs.zstd_encode(image.tobytes())),
        (6, "uint8", lambda image: b"\x01" + imagecodecs.zstd_encode(image.tobytes())),
        (4, "uint16", lambda image: imagecodecs.jpegxr_encode(image, level=1.0)),
        (4, "uint8", lambda image: imagecodecs.jpegxr_encode(image, level=1.0)),
    ],
)
def test_compressed_tiles(tmp_path: Path, compression: int, dtype: str, data: Any) -> None:
    image = np.ascontiguousarray(np.tile(STACK[0, 0, 0], (3, 2)).astype(dtype))
    path = write_czi(tmp_path / "a.czi", [Tile(image, compression=compression, data=data(image))])
    np.testing.assert_array_equal(read_image(path), image)


def test_compressed_colors(tmp_path: Path) -> None:
    image = np.ascontiguousarray(np.moveaxis(STACK[0, :, 0], 0, -1).astype(np.uint8))
    stored = np.ascontiguousarray(image[..., ::-1]).tobytes()
    for compression, data in ((2, imagecodecs.lzw_encode(stored)), (5, imagecodecs.zstd_encode(stored))):
        path = write_czi(tmp_path / f"{compression}.czi", [Tile(image, compression=compression, data=data)])
        np.testing.assert_array_equal(read_image(path), image)


def test_one_plane_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    decode = czifile.SubBlockSegment.data if hasattr(czifile, "SubBlockSegment") else None
    if decode is None:
        pytest.skip("another generation of czifile")

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        read.append(self)
        return decode(self, *args, **options)

    monkeypatch.setattr(czifile.SubBlockSegment, "data", counted)
    path = write_czi(tmp_path / "a.czi", planes(STACK))
    (source,) = find_sources([path], Selection(time=0, z=1, channel=2))
    assert not read
    np.testing.assert_array_equal(read_image(source), STACK[0, 2, 1])
    assert len(read) == 1


def test_damage_is_one_line_with_the_name(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "cut.czi", planes(STACK))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.czi cannot be read: .*damaged"):
        read_image(path)
    path.write_bytes(b"something else" * 100)
    with pytest.raises(InputError, match=r"cut\.czi cannot be read: not a CZI file"):
        read_image(path)
    whole = write_czi(tmp_path / "flipped.czi", planes(STACK))
    whole.write_bytes(whole.read_bytes().replace(b"ZISRAWMETADATA", b"ZISRAWMETADATE"))
    with pytest.raises(InputError, match=r"flipped\.czi cannot be read: unknown segment type"):
        read_image(whole)
    lost = write_czi(
        tmp_path / "lost.czi", [*planes(STACK)[:-1], Tile(STACK[0, 0, 0], at={"T": 1, "C": 0, "Z": 0})]
    )
    (source,) = find_sources([lost], Selection(time=1, z=3, channel=2))
    with pytest.raises(InputError, match=r"the plane of time 1, z 3 and channel 2 is missing"):
        read_image(source)
    empty = write_czi(tmp_path / "empty.czi", [])
    with pytest.raises(InputError, match=r"empty\.czi: no image is in it"):
        read_image(empty)
    phases = write_czi(tmp_path / "phases.czi", [Tile(STACK[0, 0, 0], at={"H": h}) for h in (0, 1)])
    with pytest.raises(InputError, match=r"phases\.czi: it has the axes H; wanted x, y, z"):
        read_image(phases)
