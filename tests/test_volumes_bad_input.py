"""What is no volume, or not clear: one line that says what came, what was wanted and what to do."""

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

RNG = np.random.default_rng(0)
WHOLE = (slice(None), slice(None))


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_volumes()


def noise(*shape):
    return RNG.integers(0, 255, shape, dtype=np.uint8)


def as_hdf5(path, array):
    with h5py.File(path, "w") as file:
        file["raw"] = array
    return path


def as_zarr(path, array):
    zarr.create_array(path, data=array)
    return path


def as_tiff(path, array, **kwargs):
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **kwargs})
    return path


ARRAYS = {
    "numpy": lambda at, array: array,
    "HDF5": lambda at, array: as_hdf5(at / "a.h5", array),
    "Zarr": lambda at, array: as_zarr(at / "a.zarr", array),
    "TIFF": lambda at, array: as_tiff(at / "a.tif", array),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_axes_in_another_order(kind, tmp_path):
    array = noise(90, 100, 20)
    given = ARRAYS[kind](tmp_path, array)
    with pytest.raises(InputError, match=r"shape \(90, 100, 20\), and nothing names its axes.*--axes yxz; if"):
        open_volume(given)
    source = open_volume(given, axes="yxz")
    assert source.shape == (20, 90, 100)
    np.testing.assert_array_equal(source.read(7, (slice(3, 80), slice(5, 6))), array[3:80, 5:6, 7])
    assert open_volume(given, axes="zyx").shape == (90, 100, 20)


@pytest.mark.parametrize("kind", ARRAYS)
def test_four_axes(kind, tmp_path):
    array = noise(3, 5, 40, 50)
    given = ARRAYS[kind](tmp_path, array)
    with pytest.raises(InputError, match="--axes"):
        open_volume(given)
    with pytest.raises(InputError, match=r"has 3 times; .*--time 0 to 2"):
        open_volume(given, axes="tzyx")
    with pytest.raises(InputError, match=r"has 3 channels; .*--channel 0 to 2"):
        open_volume(given, axes="czyx")
    with pytest.raises(InputError, match=r"3 time\(s\), counted from 0; time 3 was asked for"):
        open_volume(given, axes="tzyx", time=3)
    for chosen in (open_volume(given, axes="tzyx", time=2), open_volume(given, axes="czyx", channel=2)):
        assert chosen.shape == (5, 40, 50)
        np.testing.assert_array_equal(chosen.read(4, WHOLE), array[2, 4])
    with pytest.raises(InputError, match=r"\(3, 5, 40, 50\).*zyx"):
        open_volume(given, axes="zyx")


def test_channels_have_names_and_may_be_slices(tmp_path):
    array = noise(5, 3, 40, 50)
    said = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP", "DIC"]}}
    path = as_tiff(tmp_path / "a.ome.tif", array, metadata=said, compression="zlib")
    with pytest.raises(InputError, match=r"has 3 channels \(DAPI, GFP, DIC\).*--channel 0 to 2"):
        open_volume(path)
    np.testing.assert_array_equal(open_volume(path, channel="gfp").read(4, WHOLE), array[4, 1])
    slices = as_tiff(tmp_path / "b.tif", array[0], imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="if they are slices, name the axes with --axes"):
        open_volume(slices)
    np.testing.assert_array_equal(open_volume(slices, axes="zyx").read(2, WHOLE), array[0, 2])


def test_times_that_are_slices(tmp_path):
    array = noise(5, 40, 50)
    path = as_tiff(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "TYX"}, compression="zlib")
    with pytest.raises(InputError, match="has 5 times"):
        open_volume(path)
    np.testing.assert_array_equal(open_volume(path, axes="zyx").read(3, WHOLE), array[3])


def test_axes_inside_compressed_pages_cannot_be_turned(tmp_path):
    path = as_tiff(tmp_path / "a.tif", noise(90, 100, 20), compression="zlib")
    with pytest.raises(
        InputError, match="cannot be read as 'yxz', as it is compressed or no plain gray; save it without"
    ):
        open_volume(path, axes="yxz")


def test_a_single_image_is_a_volume_of_one_slice(tmp_path):
    image = noise(40, 50)
    Image.fromarray(image).save(tmp_path / "a.png")
    for given in (image, tmp_path / "a.png", as_tiff(tmp_path / "a.tif", image)):
        source = open_volume(given)
        assert source.shape == (1, 40, 50)
        assert "one image of 40 × 50 pixels: a volume of one slice" in source.notes[0]
        np.testing.assert_array_equal(source.read(0, WHOLE), image)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((0, 5, 5)), "has no voxels"),
        (np.zeros((3, 5, 5), complex), "holds complex128 values; wanted integers"),
        (np.zeros(5), r"shape \(5,\)"),
        ([[1]], "came as builtins.list; wanted a path, or an array"),
        ("nothing.tif", "no such file or folder"),
        ("nothing*.tif", "matches no image"),
    ],
)
def test_no_volume(given, said):
    with pytest.raises(InputError, match=said):
        open_volume(given)


def test_files_of_unknown_kind_and_damaged_ones(tmp_path):
    for name, said in (
        ("a.txt", "unknown suffix '.txt'"),
        ("a.tif", "damaged"),
        ("a.h5", "damaged"),
        ("a.npy", "damaged"),
    ):
        (tmp_path / name).write_bytes(b"II*\0abc")
        with pytest.raises(InputError, match=said):
            open_volume(tmp_path / name)
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(InputError, match="no Zarr array or group"):
        open_volume(tmp_path / "a.zarr")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["a"], file["b"] = noise(3, 4, 4), noise(3, 4, 4)
    with pytest.raises(InputError, match="several datasets; name one"):
        open_volume(tmp_path / "b.h5")


def write_folder(path, *arrays):
    path.mkdir()
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(path / f"a{number}.png")
    return path


def test_folders_that_are_no_stack(tmp_path):
    sizes = write_folder(tmp_path / "sizes", noise(9, 9), noise(9, 9), noise(9, 8))
    with pytest.raises(InputError, match=r"a0\.png has 9 × 9 pixels .*a2\.png has 9 × 8 pixels"):
        open_volume(sizes)
    types = write_folder(tmp_path / "types", noise(9, 9), noise(9, 9).astype(np.uint16))
    with pytest.raises(InputError, match=r"a0\.png holds uint8 values and .*a1\.png uint16"):
        open_volume(types)
    stack = write_folder(tmp_path / "stack", noise(9, 9))
    as_tiff(stack / "a1.tif", noise(4, 9, 9))
    with pytest.raises(InputError, match=r"a1\.tif in .* holds 4 images; .*give the file itself"):
        open_volume(stack)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        open_volume(tmp_path / "empty")
    with pytest.raises(InputError, match="a folder of slices, each a 2D image; leave --time out"):
        open_volume(stack, time=1)


def test_slices_of_two_types_that_headers_do_not_tell(tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    as_hdf5(folder / "a0.h5", noise(9, 9))
    as_hdf5(folder / "a1.h5", noise(9, 9).astype(np.float32))
    with pytest.raises(InputError, match="slice 1 holds float32 values and the first slice uint8") as caught:
        open_volume(folder).read(1, WHOLE)
    assert not isinstance(caught.value, HoleError)


def test_pages_of_two_sizes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(3, 40, 50), photometric="minisblack")
        file.write(noise(2, 30, 30), photometric="minisblack")
    with pytest.raises(InputError, match=r"2 series of images, of shapes \(3, 40, 50\), \(2, 30, 30\).*--series"):
        open_volume(tmp_path / "a.tif")
    assert open_volume(tmp_path / "a.tif", series=1).shape == (2, 30, 30)


@pytest.mark.parametrize("text", ["0:5", "a:b,:,:", "5:3,:,:", "2:2,:,:", "-1:2,:,:", ""])
def test_no_region(text):
    with pytest.raises(InputError, match=r"--roi is .*wanted"):
        parse_roi(text)


@pytest.mark.parametrize("text", ["1,2", "a", "0,1,1", "nan", "inf,1,1", "-5", ""])
def test_no_voxel_size(text):
    with pytest.raises(InputError, match="wanted z,y,x in nm, each above 0"):
        parse_voxel_size(text)
