"""Volumes of all formats, read by windows, against the array that was written."""

import pickle
import shutil
import tracemalloc
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from autosam.errors import InputError
from autosam.images import tiff_pages
from autosam.volumes.hole import HoleError
from autosam.volumes.open_volume import open_volume
from autosam.volumes.region_of_interest import parse_roi, parse_voxel_size
from autosam.volumes.storage import close_volumes

RNG = np.random.default_rng(3)
VOLUME = RNG.integers(0, 60_000, (7, 50, 66), dtype=np.uint16)
COLORS = RNG.integers(0, 256, (3, 50, 66, 3), dtype=np.uint8)
WINDOWS = (
    (slice(0, 50), slice(0, 66)),
    (slice(0, 1), slice(65, 66)),
    (slice(13, 37), slice(15, 49)),
    (slice(None), slice(16, None)),
)


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_volumes()


def write_ome_zarr(path, array, version="0.5", unit="micrometer", **kwargs):
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    group.create_array("0", data=array, **kwargs)
    axes = [{"name": a, "type": "space", **({"unit": unit} if unit else {})} for a in "zyx"]
    scale = [{"type": "scale", "scale": [0.05, 0.008, 0.01]}]
    multiscales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = [{"version": version, **multiscales[0]}]
    return path


def as_hdf5(path, **kwargs):
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", data=VOLUME, **kwargs)
        file["raw"].attrs["element_size_um"] = (0.05, 0.008, 0.01)
    return f"{path}:/raw"


def as_folder(path, array=VOLUME, suffix=".png", start=98):
    path.mkdir()
    for number, plane in enumerate(array, start):
        if suffix == ".png":
            Image.fromarray(plane).save(path / f"s{number}.png")
        else:
            tifffile.imwrite(path / f"s{number}{suffix}", plane, compression="zlib", tile=(16, 16))
    return path


def as_plain_zarr(path, **kwargs):
    zarr.create_array(path, data=VOLUME, **kwargs)
    return path


def as_tiff(path, **kwargs):
    tifffile.imwrite(path, VOLUME, **kwargs)
    return path


def as_npy(path, array=VOLUME):
    np.save(path, array)
    return path


def as_mrc(path):
    import mrcfile

    with mrcfile.new(path) as file:
        file.set_data(VOLUME)
        file.voxel_size = (100, 80, 500)
    return path


FORMATS = {
    "numpy": lambda at: VOLUME,
    "numpy, big-endian": lambda at: VOLUME.astype(">u2"),
    "zarr array": lambda at: zarr.open_array(as_plain_zarr(at / "a.zarr", chunks=(2, 16, 16))),
    "dask": lambda at: pytest.importorskip("dask.array").from_array(VOLUME, chunks=(2, 16, 16)),
    "npy": lambda at: as_npy(at / "a.npy"),
    "npy in Fortran's order": lambda at: as_npy(at / "a.npy", np.asfortranarray(VOLUME)),
    "OME-Zarr 0.5": lambda at: write_ome_zarr(at / "a.zarr", VOLUME, chunks=(1, 16, 16)),
    "OME-Zarr with shards": lambda at: write_ome_zarr(
        at / "a.zarr", VOLUME, chunks=(3, 16, 16), shards=(6, 32, 32)
    ),
    "OME-Zarr 0.4": lambda at: write_ome_zarr(at / "a.zarr", VOLUME, "0.4", chunks=(3, 16, 16)),
    "plain Zarr": lambda at: as_plain_zarr(at / "a.zarr", chunks=(3, 16, 16)),
    "HDF5": lambda at: as_hdf5(at / "a.h5"),
    "HDF5 with chunks": lambda at: as_hdf5(at / "a.h5", chunks=(3, 16, 16), compression="gzip"),
    "TIFF": lambda at: as_tiff(at / "a.tif"),
    "TIFF without metadata": lambda at: as_tiff(at / "a.tif", metadata=None),
    "TIFF in strips": lambda at: as_tiff(
        at / "a.tif", compression="zlib", rowsperstrip=7, photometric="minisblack"
    ),
    "TIFF in tiles": lambda at: as_tiff(at / "a.tif", compression="zlib", predictor=2, tile=(16, 32)),
    "BigTIFF, big-endian": lambda at: as_tiff(at / "a.tif", bigtiff=True, byteorder=">"),
    "ImageJ": lambda at: as_tiff(at / "a.tif", imagej=True, metadata={"axes": "ZYX"}),
    "OME-TIFF": lambda at: as_tiff(at / "a.ome.tif", metadata={"axes": "ZYX"}, compression="zlib", tile=(16, 16)),
    "PNG": lambda at: as_folder(at / "slices"),
    "TIFF slices": lambda at: as_folder(at / "slices", suffix=".tif"),
    "pattern": lambda at: str(as_folder(at / "slices") / "*.png"),
    "MRC": lambda at: as_mrc(at / "a.mrc"),
}


@pytest.fixture(params=FORMATS)
def given(request, tmp_path):
    return FORMATS[request.param](tmp_path)


def test_windows_equal_those_of_the_array(given):
    source = open_volume(given)
    assert source.shape == VOLUME.shape
    assert source.dtype == VOLUME.dtype
    assert not source.color
    for z in (0, 3, 6, 2):
        for window in WINDOWS:
            read = source.read(z, window)
            assert read.dtype == VOLUME.dtype
            assert read.flags.writeable
            np.testing.assert_array_equal(read, VOLUME[(z, *window)])


def test_another_process_reads_the_same(given):
    source = open_volume(given)
    source.read(0, WINDOWS[1])
    again = pickle.loads(pickle.dumps(source))
    close_volumes()
    assert again.fingerprint == source.fingerprint
    np.testing.assert_array_equal(again.read(5, WINDOWS[2]), VOLUME[(5, *WINDOWS[2])])


def test_a_part_counts_from_its_corner(given):
    source = open_volume(given)
    part = source.cut(parse_roi("1:6,5:45,:60")).cut(parse_roi("1:5,1:,2:"))
    expected = VOLUME[2:6, 6:45, 2:60]
    assert part.shape == expected.shape
    assert part.origin == (2, 6, 2)
    assert part.fingerprint != source.fingerprint
    for z in range(4):
        np.testing.assert_array_equal(part.read(z, (slice(None), slice(None))), expected[z])
    with pytest.raises(InputError, match="z 3:9 was asked for"):
        part.cut(parse_roi("3:9,:,:"))


def test_the_fingerprint_tells_contents_apart(given, tmp_path):
    assert open_volume(given).fingerprint == open_volume(given).fingerprint


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OME-Zarr 0.5", (50, 8, 10)),
        ("OME-Zarr 0.4", (50, 8, 10)),
        ("HDF5", (50, 8, 10)),
        ("MRC", (50, 8, 10)),
        ("TIFF", None),
        ("numpy", None),
    ],
)
def test_voxel_sizes_of_files(name, expected, tmp_path):
    source = open_volume(FORMATS[name](tmp_path))
    if expected is None:
        assert source.voxel_size is None
        assert any("--voxel-size" in note for note in source.notes)
    else:
        assert source.voxel_size == pytest.approx(expected)
        assert source.notes == ()


def test_voxel_sizes_of_tiffs(tmp_path):
    sizes = {"PhysicalSizeX": 10, "PhysicalSizeY": 8, "PhysicalSizeZ": 0.05}
    units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"}
    ome = as_tiff(tmp_path / "a.ome.tif", metadata={"axes": "ZYX", **sizes, **units})
    assert open_volume(ome).voxel_size == pytest.approx((50, 8, 10))
    imagej = as_tiff(
        tmp_path / "b.tif",
        imagej=True,
        resolution=(100, 100),
        metadata={"axes": "ZYX", "spacing": 0.05, "unit": "um"},
    )
    assert open_volume(imagej).voxel_size == pytest.approx((50, 10, 10))


def test_a_given_voxel_size_wins(tmp_path):
    path = as_hdf5(tmp_path / "a.h5")
    assert open_volume(path, voxel_size=parse_voxel_size("30,4,4")).voxel_size == (30, 4, 4)
    assert open_volume(path, voxel_size=5).voxel_size == (5, 5, 5)
    with pytest.raises(InputError, match="each above 0"):
        open_volume(path, voxel_size=(30, 0, 4))


def test_slices_without_files_are_holes(tmp_path):
    folder = as_folder(tmp_path / "slices")
    (folder / "s100.png").unlink()
    source = open_volume(folder)
    assert source.shape == VOLUME.shape
    assert source.missing == (2,)
    assert any("slice 2 without a file, by the numbers" in note for note in source.notes)
    with pytest.raises(HoleError) as caught:
        source.read(2, WINDOWS[2])
    assert (caught.value.z, caught.value.window) == (2, WINDOWS[2])
    np.testing.assert_array_equal(source.read(3, WINDOWS[0]), VOLUME[3])
    part = source.cut(parse_roi("2:5,:,:"))
    with pytest.raises(HoleError) as caught:
        part.read(0, WINDOWS[0])
    assert caught.value.z == 0
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.z, again.window) == (str(caught.value), 0, WINDOWS[0])


def test_what_cannot_be_read_is_tried_three_times(tmp_path, monkeypatch):
    path = write_ome_zarr(tmp_path / "a.zarr", VOLUME, chunks=(1, 50, 66))
    source = open_volume(path)
    chunk = path / "0" / "c" / "4" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:20])
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(HoleError) as caught:
        source.read(4, WINDOWS[0])
    assert len(slept) == 2
    assert caught.value.reason
    np.testing.assert_array_equal(source.read(5, WINDOWS[0]), VOLUME[5])
    monkeypatch.setattr("time.sleep", lambda seconds: chunk.write_bytes(whole))
    chunk.write_bytes(whole[:20])
    np.testing.assert_array_equal(source.read(4, WINDOWS[0]), VOLUME[4])


def test_a_volume_that_is_gone_is_no_hole(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    path = as_tiff(tmp_path / "a.tif", compression="zlib", metadata=None)
    source = open_volume(path)
    path.unlink()
    with pytest.raises(InputError) as caught:
        source.read(0, WINDOWS[0])
    assert not isinstance(caught.value, HoleError)


def test_chunks_that_zarr_does_not_store_have_the_fill_value(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", VOLUME, chunks=(1, 50, 66))
    shutil.rmtree(path / "0" / "c" / "4")
    assert not open_volume(path).read(4, WINDOWS[0]).any()


def test_colors(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLORS, photometric="rgb", tile=(16, 16), compression="zlib")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = COLORS
    zarr.create_array(tmp_path / "a.zarr", data=COLORS)
    for given in (
        COLORS,
        tmp_path / "a.tif",
        tmp_path / "a.h5",
        tmp_path / "a.zarr",
        as_folder(tmp_path / "s", COLORS),
    ):
        source = open_volume(given)
        assert (source.shape, source.color) == (COLORS.shape[:3], True)
        for window in WINDOWS:
            np.testing.assert_array_equal(source.read(2, window), COLORS[(2, *window)])
        green = open_volume(given, channel=1)
        assert not green.color
        np.testing.assert_array_equal(green.read(1, WINDOWS[2]), COLORS[(1, *WINDOWS[2], 1)])


def test_a_volume_whose_folder_is_gone_is_no_hole(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for path in (write_ome_zarr(tmp_path / "a.zarr", VOLUME, chunks=(1, 50, 66)), as_folder(tmp_path / "slices")):
        source = open_volume(path)
        source.read(0, WINDOWS[0])
        shutil.rmtree(path)
        # zarr itself would give zeros.
        with pytest.raises(InputError) as caught:
            source.read(1, WINDOWS[0])
        assert not isinstance(caught.value, HoleError)


def test_no_memory_is_no_hole(tmp_path, monkeypatch):
    source = open_volume(as_tiff(tmp_path / "a.tif", metadata=None))

    def fail(*args, **kwargs):
        raise MemoryError("too large")

    monkeypatch.setattr("autosam.images.tiff_stack.TiffStack.read", fail)
    with pytest.raises(InputError, match="needs more memory") as caught:
        source.read(0, WINDOWS[0])
    assert not isinstance(caught.value, HoleError)


def test_a_damaged_slice_of_a_folder_is_a_hole(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    folder = as_folder(tmp_path / "slices")
    source = open_volume(folder)
    whole = (folder / "s100.png").read_bytes()
    (folder / "s100.png").write_bytes(whole[: len(whole) // 2])
    (folder / "s102.png").unlink()
    for z in (2, 4):
        with pytest.raises(HoleError) as caught:
            source.read(z, WINDOWS[0])
        assert f"s{98 + z}.png" in caught.value.reason
    np.testing.assert_array_equal(source.read(3, WINDOWS[0]), VOLUME[3])


@pytest.mark.parametrize("compression", ["zlib", None])
def test_samples_and_channels_of_tiffs(tmp_path, compression):
    planar = np.moveaxis(COLORS, -1, 1)
    kinds = {
        "separate": (planar, {"photometric": "rgb", "planarconfig": "separate"}),
        "alpha": (
            np.concatenate([COLORS, COLORS[..., :1]], -1),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        ),
        "tiles": (COLORS, {"photometric": "rgb", "tile": (16, 16)}),
    }
    for name, (array, kwargs) in kinds.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, array, compression=compression, **kwargs)
        source = open_volume(path)
        assert (source.color, source.shape) == (True, COLORS.shape[:3]), name
        np.testing.assert_array_equal(source.read(2, WINDOWS[2]), COLORS[(2, *WINDOWS[2])])
        np.testing.assert_array_equal(
            open_volume(path, channel="blue").read(0, WINDOWS[2]), COLORS[(0, *WINDOWS[2], 2)]
        )


def test_white_is_zero_and_palettes(tmp_path):
    gray = COLORS[..., 0]
    white = as_gray_tiff(tmp_path / "white.tif", gray, photometric="miniswhite", compression="zlib")
    np.testing.assert_array_equal(open_volume(white).read(1, WINDOWS[2]), 255 - gray[(1, *WINDOWS[2])])
    floats = as_gray_tiff(tmp_path / "floats.tif", gray.astype(np.float32), photometric="miniswhite")
    np.testing.assert_array_equal(open_volume(floats).read(1, WINDOWS[2]), gray[1].max() - gray[(1, *WINDOWS[2])])
    colormap = RNG.integers(0, 65_536, (3, 256), dtype=np.uint16)
    palette = as_gray_tiff(
        tmp_path / "palette.tif", gray, photometric="palette", colormap=colormap, compression="zlib"
    )
    source = open_volume(palette)
    assert source.color
    np.testing.assert_array_equal(source.read(1, WINDOWS[2]), (colormap >> 8).T[gray[(1, *WINDOWS[2])]])


def as_gray_tiff(path, array, **kwargs):
    tifffile.imwrite(path, array, **kwargs)
    return path


def test_levels_of_pyramids(tmp_path):
    path = tmp_path / "a.ome.tif"
    whole = RNG.integers(0, 256, (128, 96), dtype=np.uint8)
    said = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path) as file:
        file.write(whole, subifds=1, tile=(16, 16), compression="zlib", metadata=said)
        file.write(whole[::2, ::2], subfiletype=1, tile=(16, 16), compression="zlib")
    finest, coarse = open_volume(path), open_volume(path, level=1)
    assert (finest.shape, finest.pixel_size) == ((1, 128, 96), 500)
    assert (coarse.shape, coarse.pixel_size) == ((1, 64, 48), 1000)
    np.testing.assert_array_equal(coarse.read(0, (slice(3, 40), slice(20, 48))), whole[::2, ::2][3:40, 20:48])
    with pytest.raises(InputError, match="levels 0 to 1; level 2"):
        open_volume(path, level=2)


def test_slides_are_read_by_parts(tmp_path):
    pytest.importorskip("tiffslide")
    from test_images_slide_reader import SLIDE, write_svs

    path = write_svs(tmp_path / "a.svs")
    for level, step in enumerate((1, 4, 16)):
        source = open_volume(path, level=level)
        expected = SLIDE[::step, ::step]
        assert (source.shape, source.color) == ((1, *expected.shape[:2]), True)
        assert source.pixel_size == pytest.approx(499 * step)
        rows, cols = (slice(n // 3, n - 2) for n in expected.shape[:2])
        np.testing.assert_array_equal(source.read(0, (rows, cols)), expected[rows, cols])
    np.testing.assert_array_equal(open_volume(path, channel=1).read(0, WINDOWS[1]), SLIDE[(*WINDOWS[1], 1)])


def test_a_mapped_array_goes_to_other_processes_as_its_file(tmp_path):
    as_npy(tmp_path / "a.npy")
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert len(pickle.dumps(open_volume(mapped))) < 2000
    part = open_volume(mapped[2:5])
    np.testing.assert_array_equal(part.read(1, WINDOWS[2]), VOLUME[(3, *WINDOWS[2])])


def test_reading_does_not_give_the_array_of_the_caller():
    array = VOLUME.copy()
    open_volume(array).read(2, WINDOWS[0])[...] = 0
    np.testing.assert_array_equal(array, VOLUME)


def test_the_fingerprint_changes_with_the_content(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", VOLUME, chunks=(1, 50, 66))
    before = open_volume(path).fingerprint
    chunk = path / "0" / "c" / "4" / "0" / "0"
    content = chunk.read_bytes()
    chunk.unlink()
    assert open_volume(path).fingerprint != before
    chunk.write_bytes(content + b"0")
    assert open_volume(path).fingerprint != before
    other = VOLUME.copy()
    other[3, 3, 3] += 1
    assert (
        open_volume(other).fingerprint != open_volume(VOLUME).fingerprint == open_volume(VOLUME.copy()).fingerprint
    )


def peak_of_reading(given, windows):
    source = open_volume(given)
    tracemalloc.start()
    for window in windows:
        for z in range(source.shape[0]):
            source.read(z, window)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source.close()
    return peak


@pytest.mark.parametrize("order", ["slices last", "slices first"])
@pytest.mark.parametrize("kind", ["Zarr", "HDF5", "TIFF", "TIFF in strips", "npy", "PNG"])
def test_memory_does_not_grow_with_depth(kind, order, tmp_path):
    def write(path, array):
        path.mkdir()
        if kind == "Zarr":
            zarr.create_array(path / "a.zarr", data=array, chunks=(8, 64, 64))
        elif kind == "HDF5":
            with h5py.File(path / "a.h5", "w") as file:
                file.create_dataset("raw", data=array, chunks=(8, 64, 64))
        elif kind == "npy":
            np.save(path / "a.npy", array)
        elif kind == "PNG":
            return as_folder(path / "slices", array)
        else:
            strips = {"compression": "zlib", "rowsperstrip": 32} if kind == "TIFF in strips" else {}
            tifffile.imwrite(path / "a.tif", array, photometric="minisblack", **strips)
        return next(path.iterdir())

    slices = RNG.integers(0, 255, (16, 256, 256), dtype=np.uint8)
    windows = [(slice(row, row + 150), slice(col, col + 150)) for row in (0, 106) for col in (0, 106)]
    peaks = []
    for times in (1, 5):
        given = write(tmp_path / str(times), np.tile(slices, (times, 1, 1)))
        if order == "slices last":
            peaks.append(peak_of_reading(given, windows))
        else:
            source = open_volume(given)
            tracemalloc.start()
            for z in range(source.shape[0]):
                for window in windows:
                    source.read(z, window)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 100_000
    assert peaks[1] < 4_000_000


def test_a_window_of_a_large_image_is_read_without_the_image(tmp_path, monkeypatch):
    side, tile, across = 20_000, 512, 40
    drawn = {(7, 11), (7, 12), (8, 11), (8, 12)}
    pixels = RNG.integers(0, 255, (2 * tile, 2 * tile, 3), dtype=np.uint8)

    def tiles():
        empty = zlib.compress(bytes(3 * tile * tile))
        for row in range(across):
            for col in range(across):
                top, left = tile * (row - 7), tile * (col - 11)
                part = pixels[top : top + tile, left : left + tile]
                yield zlib.compress(part.tobytes()) if (row, col) in drawn else empty

    path = tmp_path / "a.tif"
    kwargs = {"tile": (tile, tile), "photometric": "rgb", "compression": "zlib"}
    tifffile.imwrite(path, tiles(), shape=(side, side, 3), dtype=np.uint8, **kwargs)
    decoded = []
    decode = tiff_pages._decode
    monkeypatch.setattr(tiff_pages, "_decode", lambda page, index: decoded.append(index) or decode(page, index))
    tracemalloc.start()
    source = open_volume(path)
    rows, cols = slice(7 * tile + 100, 9 * tile - 5), slice(11 * tile, 13 * tile)
    window = source.read(0, (rows, cols))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.shape == (1, side, side)
    assert source.chunks == (1, tile, tile)
    np.testing.assert_array_equal(window, pixels[100:-5])
    assert sorted(decoded) == [row * across + col for row, col in sorted(drawn)]
    # Of 1,200 MB; the window has 3.
    assert peak < 16_000_000


def test_a_slice_without_a_header_is_a_hole(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    folder = as_folder(tmp_path / "slices")
    (folder / "s98.png").write_bytes(b"")
    source = open_volume(folder)
    assert source.shape == VOLUME.shape
    assert any("one slice is a hole: " in note and "s98.png" in note for note in source.notes)
    with pytest.raises(HoleError):
        source.read(0, WINDOWS[0])
    np.testing.assert_array_equal(source.read(1, WINDOWS[0]), VOLUME[1])
    (folder / "s99.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"s98\.png .*\(1 more like it\)"):
        open_volume(folder)


def test_a_pattern_over_folders(tmp_path):
    for number, plane in enumerate(VOLUME):
        (tmp_path / f"z{number}").mkdir()
        Image.fromarray(plane).save(tmp_path / f"z{number}" / "raw.png")
    source = open_volume(str(tmp_path / "*" / "raw.png"))
    np.testing.assert_array_equal(source.read(5, WINDOWS[0]), VOLUME[5])


@pytest.mark.parametrize("name", ["TIFF", "HDF5", "OME-Zarr 0.5", "PNG", "npy", "MRC"])
def test_relative_paths_hold_in_another_folder(name, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    source = open_volume(FORMATS[name](Path()))
    close_volumes()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(source.read(5, WINDOWS[0]), VOLUME[5])


def test_arrays_of_files_are_known_by_their_files(tmp_path):
    path = as_plain_zarr(tmp_path / "a.zarr", chunks=(1, 50, 66))
    source = open_volume(zarr.open_array(path))
    assert len(pickle.dumps(source)) < 2000
    assert (source.name, source.fingerprint) == (str(path), open_volume(path).fingerprint)
    (path / "c" / "3" / "0" / "0").unlink()
    assert open_volume(zarr.open_array(path)).fingerprint != source.fingerprint
    inner = zarr.open_group(write_ome_zarr(tmp_path / "b.zarr", VOLUME))["0"]
    np.testing.assert_array_equal(open_volume(inner).read(5, WINDOWS[2]), VOLUME[(5, *WINDOWS[2])])
    as_hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r") as file:
        source = open_volume(file["raw"])
    np.testing.assert_array_equal(source.read(5, WINDOWS[2]), VOLUME[(5, *WINDOWS[2])])
    assert source.voxel_size == pytest.approx((50, 8, 10))
    memory = zarr.create_array(zarr.storage.MemoryStore(), data=VOLUME)
    np.testing.assert_array_equal(open_volume(memory).read(5, WINDOWS[2]), VOLUME[(5, *WINDOWS[2])])
