"""Arrays in HDF5: which axis is what, by the names that ilastik gives or by the shape."""

import json
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
import pytest

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_labels
from autosam.images.array_layout import ArrayLayout
from autosam.images.read import read_pixels
from autosam.images.readers import Selection

RNG = np.random.default_rng(0)
# By their letters; no two lengths are equal.
LENGTHS = {"t": 2, "z": 5, "y": 12, "x": 17, "c": 3}


def write(path: Path, array: np.ndarray, axes: str = "") -> Path:
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exported_data", data=array)
        if axes:
            data.attrs["axistags"] = json.dumps({"axes": [{"key": key, "typeFlags": 8} for key in axes]})
    return path


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".hdf"])
@pytest.mark.parametrize(
    "shape", [(1, 1, 12, 17, 1), (1, 1, 12, 17), (12, 17, 1), (1, 12, 17), (1, 12, 17, 1), (12, 17, 1, 1)]
)
def test_axes_of_length_1_are_dropped(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    image = RNG.integers(0, 255, (12, 17), dtype=np.uint8)
    (source,) = find_sources([write(tmp_path / f"a{suffix}", image.reshape(shape))])
    np.testing.assert_array_equal(read_pixels(source), image)
    np.testing.assert_array_equal(np.squeeze(read_labels(source.path)), image)


def test_stacks_with_axes_of_length_1(tmp_path: Path) -> None:
    stack = RNG.integers(0, 255, (5, 12, 17), dtype=np.uint8)
    for shape in ((1, 5, 12, 17, 1), (5, 1, 12, 17), (1, 5, 12, 17), (5, 12, 17, 1)):
        found = find_sources([write(tmp_path / "a.h5", stack.reshape(shape))])
        assert [source.name for source in found] == [f"a_exported_data_p{z}" for z in range(5)]
        for z, source in enumerate(found):
            np.testing.assert_array_equal(read_pixels(source), stack[z])
        np.testing.assert_array_equal(read_labels(tmp_path / "a.h5"), stack)


@pytest.mark.parametrize("axes", ["".join(order) for order in permutations("zyxc")] + ["tzyxc", "cxzyt", "xyzct"])
def test_ilastik_names_axes_in_any_order(tmp_path: Path, axes: str) -> None:
    stack = RNG.integers(0, 60_000, [LENGTHS[a] for a in "tzyxc"], dtype=np.uint16)[: 2 if "t" in axes else 1]
    array = stack.transpose(["tzyxc".index(a) for a in ("" if "t" in axes else "t") + axes])
    path = write(tmp_path / "a.h5", array if "t" in axes else array[0], axes)
    found = find_sources([path])
    assert len(found) == 5 * len(stack)
    for number, source in enumerate(found):
        t, z = divmod(number, 5)
        # Three channels of 16 bits are no colors.
        np.testing.assert_array_equal(np.stack(read_pixels(source), axis=-1), stack[t, z])
    (one,) = find_sources([path], Selection(z=4, time=1 if "t" in axes else None, channel=2))
    np.testing.assert_array_equal(read_image(one), stack[-1, 4, :, :, 2])


def test_labels_of_ilastik_come_in_the_usual_order(tmp_path: Path) -> None:
    ids = RNG.integers(0, 900, (5, 12, 17), dtype=np.uint32)
    path = write(tmp_path / "a.h5", ids.transpose(2, 1, 0)[None, ..., None], "txyzc")
    np.testing.assert_array_equal(read_labels(path), ids)


def test_bytes_with_the_channels_last_are_colors(tmp_path: Path) -> None:
    picture = RNG.integers(0, 255, (12, 17, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_pixels(write(tmp_path / "a.h5", picture, "yxc")), picture)
    channels = read_pixels(write(tmp_path / "a.h5", np.moveaxis(picture, -1, 0), "cyx"))
    np.testing.assert_array_equal(np.stack(channels, axis=-1), picture)


def test_dimension_labels_name_axes_too(tmp_path: Path) -> None:
    image = RNG.integers(0, 255, (12, 17), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("raw", data=image.T)
        data.dims[0].label, data.dims[1].label = "x", "y"
    np.testing.assert_array_equal(read_image(tmp_path / "a.h5"), image)


def test_what_is_not_clear_is_no_image() -> None:
    assert ArrayLayout.of((3, 5, 12, 17)) is None
    assert ArrayLayout.of((12,)) is None
    assert ArrayLayout.of((12, 17), "ab") is None
    assert ArrayLayout.of((12, 17), "yxc") is None


def test_numbers_in_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["raw"] = np.ones((12, 17), np.uint8)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["there"] = h5py.ExternalLink("other.h5", "/raw")
        file["group/there"] = h5py.ExternalLink("pipe.h5", "/raw")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("raw", (12, 17), np.uint8, external=[("/dev/zero", 0, 12 * 17)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((12, 17), np.uint8)
        layout[:] = h5py.VirtualSource("gone.h5", "raw", shape=(12, 17))
        file.create_virtual_dataset("raw", layout)
    for name, says in {
        "link.h5": r"holds no dataset",
        "link.h5:/there": r"/there is a link to /raw in another file, other\.h5; give that file itself",
        "link.h5:/group/there": r"is a link to /raw in another file, pipe\.h5",
        "raw.h5": r"its numbers lie in another file, /dev/zero; copy them into this one",
        "virtual.h5": r"its numbers lie in another file, gone\.h5",
    }.items():
        with pytest.raises(InputError, match=says):
            find_sources([tmp_path / name])
        with pytest.raises(InputError, match=says):
            read_image(tmp_path / name)
        with pytest.raises(InputError, match=says):
            read_labels(tmp_path / name)
