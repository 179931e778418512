"""MRC files written by mrcfile, with the headers of other programs."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.readers import Selection

RNG = np.random.default_rng(2)
IMOD_STAMP = 1146047817


def write(path: Path, array: np.ndarray, *, voxel_size: float | None = None, **header: Any) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(array)
        if voxel_size is not None:
            file.voxel_size = voxel_size
        for name, value in header.items():
            file.header[name] = value
    return path


def patch(path: Path, offset: int, *values: int, dtype: str = "<i4") -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(np.array(values, dtype=dtype).tobytes())


@pytest.mark.parametrize("suffix", [".mrc", ".mrcs", ".rec", ".st", ".ali", ".map", ".MRC"])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.uint16, np.float16])
def test_values_of_all_modes(tmp_path: Path, suffix: str, dtype: Any) -> None:
    stack = RNG.integers(-120, 120, (3, 5, 7)).astype(np.int16)
    stack = (stack % 120).astype(dtype) if dtype == np.uint16 else stack.astype(dtype)
    sources = find_sources([write(tmp_path / f"a{suffix}", stack)])
    assert [source.name for source in sources] == ["a_p0", "a_p1", "a_p2"]
    for number, source in enumerate(sources):
        found = read_image(source)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, stack[number])


def test_one_image_and_a_stack_of_volumes(tmp_path: Path) -> None:
    image = RNG.random((5, 7), dtype=np.float32)
    (source,) = find_sources([write(tmp_path / "one.mrc", image)])
    assert source.name == "one"
    np.testing.assert_array_equal(read_image(source), image)
    volumes = RNG.random((2, 3, 5, 7), dtype=np.float32)
    sources = find_sources([write(tmp_path / "two.mrc", volumes)])
    np.testing.assert_array_equal(np.stack([read_image(source) for source in sources]), volumes.reshape(6, 5, 7))
    (fourth,) = find_sources([tmp_path / "two.mrc"], Selection(z=3))
    np.testing.assert_array_equal(read_image(fourth), volumes[1, 0])


@pytest.mark.parametrize(
    ("stamp", "flags", "dtype"),
    [(IMOD_STAMP, 0, np.uint8), (IMOD_STAMP, 1, np.int8), (IMOD_STAMP, 4, np.uint8), (0, 0, np.int8)],
)
def test_bytes_of_imod_are_unsigned_unless_it_says_signed(
    tmp_path: Path, stamp: int, flags: int, dtype: Any
) -> None:
    stored = np.array([[0, 1, 127, -128, -1]], dtype=np.int8)
    path = write(tmp_path / "a.rec", stored)
    patch(path, 152, stamp, flags)
    found = read_image(path)
    assert found.dtype == dtype
    assert found.tolist() == [[0, 1, 127, 128, 255] if dtype == np.uint8 else [0, 1, 127, -128, -1]]


@pytest.mark.parametrize(("angstrom", "nm"), [(13.3, 1.33), (80.0, 8.0), (1.0, None), (0.0, None), (None, None)])
def test_voxel_size_is_in_angstrom_and_1_is_none(tmp_path: Path, angstrom: float | None, nm: float | None) -> None:
    path = write(tmp_path / "a.mrc", np.zeros((2, 5, 7), np.int16), voxel_size=angstrom)
    for source in find_sources([path]):
        assert read_pixel_size(source) == (None if nm is None else pytest.approx(nm))


def test_headers_of_old_programs_and_big_endian(tmp_path: Path) -> None:
    image = np.arange(35, dtype=np.int16).reshape(5, 7)
    old = write(tmp_path / "old.st", image)
    patch(old, 208, 0, 0)
    np.testing.assert_array_equal(read_image(old), image)
    big = tmp_path / "big.st"
    header = np.zeros(256, dtype=">i4")
    header[:4], header[7:10], header[16:19] = (7, 5, 1, 1), (7, 5, 1), (1, 2, 3)
    raw = bytearray(header.tobytes())
    raw[208:216] = b"MAP \x11\x11\x00\x00"
    big.write_bytes(bytes(raw) + image.astype(">i2").tobytes())
    np.testing.assert_array_equal(read_image(big), image)


def test_one_section_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the whole file is read")

    stack = RNG.random((4, 5, 7), dtype=np.float32)
    path = write(tmp_path / "a.mrc", stack)
    # What reads the data of files that are not mapped.
    monkeypatch.setattr(mrcfile.mrcinterpreter.MrcInterpreter, "_read_data", refuse)
    np.testing.assert_array_equal(read_image(find_sources([path])[2]), stack[2])


def test_damage_is_one_line_with_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.mrc", np.zeros((4, 50, 70), np.float32))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.mrc cannot be read: .*damaged"):
        read_image(find_sources([path])[0])
    (tmp_path / "text.map").write_text("no map of a microscope\n" * 100)
    with pytest.raises(InputError, match=r"text\.map cannot be read"):
        read_image(tmp_path / "text.map")
    (tmp_path / "short.mrc").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match=r"short\.mrc cannot be read"):
        read_image(tmp_path / "short.mrc")
    colors = write(tmp_path / "fourier.mrc", np.zeros((5, 7), np.int16), mode=16)
    with pytest.raises(InputError, match=r"fourier\.mrc: .*mode.*16.*; wanted mode 0, 1, 2, 6 or 12"):
        read_image(colors)
    fourier = write(tmp_path / "fourier.mrc", np.zeros((5, 7), np.complex64))
    with pytest.raises(InputError, match=r"fourier\.mrc: it holds a Fourier transform"):
        read_image(fourier)
    assert [source.path.name for source in find_sources([tmp_path])] == [
        "cut.mrc",
        "fourier.mrc",
        "short.mrc",
        "text.map",
    ]
