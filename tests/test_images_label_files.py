"""Labels: whole numbers of any type, BMP, pages of stacks, and the labels of OME-Zarr images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from autosam.errors import InputError
from autosam.evaluation.volumes import open_labels
from autosam.images import read_labels
from autosam.images.label_files import read_label_page

IDS = np.random.default_rng(0).integers(0, 300, (12, 17), dtype=np.uint16)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_whole_numbers_are_ids(tmp_path: Path, dtype: str) -> None:
    for name, ids in (("a.tif", IDS), ("v.tif", np.stack([IDS, IDS[::-1]]))):
        tifffile.imwrite(tmp_path / name, ids.astype(dtype))
        read = read_labels(tmp_path / name)
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, ids)
        with open_labels(tmp_path / name) as volume:
            np.testing.assert_array_equal(volume.whole(), ids)


def test_labels_of_imagej(tmp_path: Path) -> None:
    ids = IDS.astype(np.float32)
    ids[0, 0] = 2**24 - 1
    tifffile.imwrite(tmp_path / "a.tif", ids, imagej=True)
    read = read_labels(tmp_path / "a.tif")
    assert (read.dtype, int(read[0, 0])) == (np.dtype(np.uint32), 2**24 - 1)


@pytest.mark.parametrize(
    ("dtype", "value", "says"),
    [
        ("f4", 0.5, "not all of them whole numbers"),
        ("f4", np.nan, "not all of them whole numbers"),
        ("f4", np.inf, "not all of them whole numbers"),
        ("f4", -1, "negative ids"),
        ("f4", 2**24, "exact below 16777216 only"),
        ("f2", 2**11, "exact below 2048 only"),
        ("f8", 2**53, "exact below 9007199254740992 only"),
    ],
)
def test_broken_numbers_are_no_ids(tmp_path: Path, dtype: str, value: float, says: str) -> None:
    ids = IDS.astype(dtype)
    ids[3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", ids)
    with pytest.raises(InputError, match=rf"a\.tif holds .*{says}"):
        read_labels(tmp_path / "a.tif")


def test_bmp(tmp_path: Path) -> None:
    small = (IDS % 200).astype(np.uint8)
    Image.fromarray(small).save(tmp_path / "gray.bmp")
    palette = Image.fromarray(small, mode="L").convert("P")
    palette.putpalette(np.random.default_rng(0).integers(0, 255, 768).tolist())
    palette.save(tmp_path / "palette.bmp")
    for name in ("gray.bmp", "palette.bmp"):
        np.testing.assert_array_equal(read_labels(tmp_path / name), small)
    Image.fromarray(np.zeros((12, 17, 3), np.uint8)).save(tmp_path / "rgb.bmp")
    with pytest.raises(InputError, match="holds colors"):
        read_labels(tmp_path / "rgb.bmp")


def test_a_page_of_labels_is_read_as_stored(tmp_path: Path) -> None:
    stack = np.stack([IDS > 99, IDS > 200])
    # tifffile writes bits with white as zero.
    tifffile.imwrite(tmp_path / "a.tif", stack)
    for page in range(2):
        np.testing.assert_array_equal(read_label_page(tmp_path / "a.tif", None, page), stack[page])
    with pytest.raises(InputError, match="page 2"):
        read_label_page(tmp_path / "a.tif", None, 2)


# OME-Zarr


def multiscale(axes: str, levels: int) -> list[dict[str, Any]]:
    return [
        {
            "version": "0.4",
            "axes": [{"name": axis, "type": "space"} for axis in axes],
            "datasets": [
                {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": [2.0**k] * len(axes)}]}
                for k in range(levels)
            ],
        }
    ]


def write_ome(group: Any, pixels: np.ndarray, version: int, *, levels: int, axes: str = "yx", **more: Any) -> None:
    for k in range(levels):
        group.create_array(str(k), data=np.ascontiguousarray(pixels[..., :: 2**k, :: 2**k]))
    attributes = {"multiscales": multiscale(axes, levels), **more}
    group.attrs.update(attributes if version == 2 else {"ome": {"version": "0.5", **attributes}})


def write_scene(path: Path, names: list[str], version: int, levels: int = 2, axes: str = "yx") -> Path:
    root = zarr.open_group(path, mode="w", zarr_format=version)
    write_ome(root, np.full((1,) * (len(axes) - 2) + IDS.shape, 7, np.uint8), version, levels=levels, axes=axes)
    if names:
        labels = root.create_group("labels")
        labels.attrs.update({"labels": names} if version == 2 else {"ome": {"version": "0.5", "labels": names}})
        for number, name in enumerate(names):
            ids = (IDS + number).reshape((1,) * (len(axes) - 2) + IDS.shape)
            write_ome(labels.create_group(name), ids, version, levels=levels, axes=axes, **{"image-label": {}})
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("axes", ["yx", "tczyx"])
def test_the_labels_of_an_image_are_taken_and_never_its_pixels(
    tmp_path: Path, version: int, levels: int, axes: str
) -> None:
    path = write_scene(tmp_path / "s.ome.zarr", ["nuclei"], version, levels, axes)
    for place in (path, f"{path}:/labels/nuclei", f"{path}:/labels", path / "labels" / "nuclei"):
        np.testing.assert_array_equal(read_labels(place), IDS)
        with open_labels(place) as volume:
            np.testing.assert_array_equal(volume.whole(), IDS)


@pytest.mark.parametrize("version", [2, 3])
def test_several_or_no_label_images_are_refused(tmp_path: Path, version: int) -> None:
    path = write_scene(tmp_path / "s.ome.zarr", ["cells", "nuclei"], version)
    with pytest.raises(
        InputError, match=r"2 label images; name one: .*s\.ome\.zarr:/labels/cells, .*:/labels/nuclei"
    ):
        read_labels(path)
    np.testing.assert_array_equal(read_labels(f"{path}:/labels/nuclei"), IDS + 1)
    for levels in (1, 2):
        bare = write_scene(tmp_path / "t.ome.zarr", [], version, levels)
        with pytest.raises(InputError, match="an image of OME-Zarr, without labels/NAME"):
            read_labels(bare)


def test_label_images_without_their_mark_are_labels_by_their_place(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "s.ome.zarr", ["nuclei"], 3)
    group = zarr.open_group(path / "labels" / "nuclei", mode="a")
    said = dict(group.attrs["ome"])
    del said["image-label"]
    group.attrs["ome"] = said
    for place in (path, f"{path}:/labels/nuclei", path / "labels" / "nuclei"):
        np.testing.assert_array_equal(read_labels(place), IDS)
