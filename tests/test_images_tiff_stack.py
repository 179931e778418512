"""Parts of TIFF pages of many kinds, against `read_image`, which decodes them whole."""

from contextlib import closing

import numpy as np
import pytest
import tifffile

from autosam.errors import InputError
from autosam.images import find_sources, read_image
from autosam.images.formats import reading
from autosam.images.mapped_file import MappedArray
from autosam.images.tiff_stack import TiffStack

RNG = np.random.default_rng(0)
GRAY, RGB = (3, 50, 66), (3, 50, 66, 3)
TILES = {"tile": (16, 32)}
KINDS = {
    "plain": ("u1", GRAY, {}),
    "plain, big-endian": ("u2", GRAY, {"byteorder": ">"}),
    "plain in tiles": ("i2", GRAY, TILES),
    "plain in strips": ("f4", GRAY, {"rowsperstrip": 7}),
    "deflated strips, big-endian": ("u2", GRAY, {"compression": "zlib", "rowsperstrip": 7, "byteorder": ">"}),
    "LZW with differences": ("u2", GRAY, {"compression": "lzw", "predictor": 2, **TILES}),
    "floating point differences": ("f4", GRAY, {"compression": "zlib", "predictor": 3, **TILES}),
    "bits": ("?", GRAY, {"rowsperstrip": 5}),
    "PackBits": ("u1", GRAY, {"compression": "packbits", "rowsperstrip": 5}),
    "JPEG": ("u1", GRAY, {"compression": "jpeg", **TILES}),
    "JPEG in colors": ("u1", RGB, {"compression": "jpeg", "photometric": "rgb", **TILES}),
    "JPEG with subsampling": (
        "u1",
        RGB,
        {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2), **TILES},
    ),
    "JPEG 2000": ("u2", RGB, {"compression": "jpeg2000", "photometric": "rgb", **TILES}),
    "colors in strips": ("u1", RGB, {"photometric": "rgb", "rowsperstrip": 7, "compression": "zstd"}),
    "planes of colors": (
        "u1",
        (3, 3, 50, 66),
        {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib", **TILES},
    ),
}
PARTS = (
    (slice(0, 50), slice(0, 66)),
    (slice(3, 31), slice(10, 65)),
    (slice(15, 17), slice(31, 33)),
    (slice(49, 50), slice(65, 66)),
)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_those_of_the_whole(kind, tmp_path):
    dtype, shape, kwargs = KINDS[kind]
    array = RNG.integers(0, 2 if dtype == "?" else 200, shape).astype(dtype)
    kwargs = kwargs if "photometric" in kwargs or dtype == "?" else {"photometric": "minisblack", **kwargs}
    tifffile.imwrite(tmp_path / "a.tif", array, **kwargs)
    whole = [read_image(source) for source in find_sources([tmp_path / "a.tif"])]
    with closing(TiffStack(tmp_path / "a.tif")) as stack:
        assert stack.dtype == whole[0].dtype
        assert stack.color == (whole[0].ndim == 3)
        for rows, cols in PARTS:
            parts = stack.read(slice(0, 3), rows, cols)
            assert parts.dtype == whole[0].dtype
            np.testing.assert_array_equal(parts, np.stack(whole)[:, rows, cols])


def test_tiles_that_are_not_stored_are_zero(tmp_path):
    tiles = [RNG.integers(1, 9, (16, 16), dtype=np.uint8).tobytes(), b"", b"", bytes(256)]
    tifffile.imwrite(tmp_path / "a.tif", iter(tiles), shape=(32, 32), dtype="u1", tile=(16, 16))
    with closing(TiffStack(tmp_path / "a.tif")) as stack:
        part = stack.read(slice(0, 1), slice(5, 30), slice(0, 32))[0]
    assert part[:11, :16].all()
    assert not part[:, 16:].any()


def test_a_tile_beyond_the_end_of_the_file_is_damage(tmp_path):
    path = tmp_path / "a.tif"
    pixels = RNG.integers(1, 9, (64, 64), dtype=np.uint8)
    tifffile.imwrite(path, pixels, compression="zlib", tile=(16, 16), metadata=None)
    path.write_bytes(path.read_bytes()[:-60])
    with closing(TiffStack(path)) as stack:
        np.testing.assert_array_equal(stack.read(slice(0, 1), slice(0, 9), slice(0, 64))[0], pixels[:9])
        with pytest.raises(InputError, match="ends within its strip or tile 15"), reading(path):
            stack.read(slice(0, 1), slice(50, 60), slice(0, 64))


def test_an_array_in_a_file(tmp_path):
    array = RNG.integers(0, 1000, (3, 4, 5)).astype(">u2")
    (tmp_path / "a.raw").write_bytes(b"head" + array.tobytes())
    mapped = MappedArray(tmp_path / "a.raw", ">u2", 4, (3, 4, 5))
    part = mapped[1:, 2, ::2]
    np.testing.assert_array_equal(part, array[1:, 2, ::2])
    assert part.dtype == np.dtype(np.uint16).newbyteorder("=")
    by_columns = MappedArray(tmp_path / "a.raw", ">u2", 4, (5, 4, 3), "F")
    np.testing.assert_array_equal(by_columns[4, :, 2], array[2, :, 4])
    with pytest.raises(ValueError, match="mmap length"):
        MappedArray(tmp_path / "a.raw", ">u2", 4, (3, 4, 6))[0]
