"""Volumes of all formats, read by windows, against the array that was written."""

import pickle
import shutil

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from autosam.errors import InputError
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
    assert any("slices 2 have no file" in note for note in source.notes)
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
