"""OME-Zarr exports, as ome-zarr's own reader sees them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from awkward_labels import AWKWARD

from autosam.errors import InputError
from autosam.instances import measure_instances
from autosam.report.exports import ExportItem, ExportPlane
from autosam.report.exports.ome_zarr_labels import OmeZarrVersion, write_ome_zarr

VERSIONS = ("0.4", "0.5")


def item(labels: np.ndarray, image: np.ndarray, pixel_size_nm: float | None = 250) -> ExportItem:
    pairs = [(labels, image)] if labels.ndim == 2 else list(zip(labels, image, strict=True))
    planes = tuple(
        ExportPlane(mine, measure_instances(mine, pixels, None, pixel_size_nm=pixel_size_nm), pixels)
        for mine, pixels in pairs
    )
    return ExportItem("cell", planes, volume=labels.ndim == 3, pixel_size_nm=pixel_size_nm)


def nodes(path: Path) -> list[Any]:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    location = parse_url(path)
    assert location is not None
    return list(Reader(location)())


def metadata(path: Path, place: str = "") -> dict[str, Any]:
    attributes = dict(zarr.open_group(path, path=place, mode="r").attrs)
    found: dict[str, Any] = attributes.get("ome", attributes)
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("labels", AWKWARD.values(), ids=AWKWARD)
def test_labels_and_image_are_read_again(tmp_path: Path, labels: np.ndarray, version: OmeZarrVersion) -> None:
    image = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
    path = tmp_path / "cell.ome.zarr"
    write_ome_zarr(path, item(labels, image), version=version)
    assert [left.name for left in tmp_path.iterdir()] == ["cell.ome.zarr"]
    shown, _, named = nodes(path)
    np.testing.assert_array_equal(np.asarray(shown.data[0]), image)
    again = np.asarray(named.data[0])
    np.testing.assert_array_equal(again, labels)
    assert again.dtype == labels.dtype
    ids = np.unique(labels[labels > 0]).tolist()
    assert set(named.metadata.get("color", {})) == set(ids)
    areas = {int(key): value["area"] for key, value in named.metadata.get("properties", {}).items()}
    assert areas == {number: (labels == number).sum() for number in ids}
    about = metadata(path, "labels/cell")["image-label"]
    assert about["source"] == {"image": "../../"}
    assert metadata(path, "labels")["labels"] == ["cell"]


@pytest.mark.parametrize("version", VERSIONS)
def test_scale_levels_and_axes(tmp_path: Path, version: OmeZarrVersion) -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 9, (65, 81)), np.ones((8, 8), int))[:517, :643].astype(np.uint16)
    image = rng.integers(0, 255, (*labels.shape, 3)).astype(np.uint8)
    path = tmp_path / "cell.ome.zarr"
    write_ome_zarr(path, item(labels, image), version=version)
    shown, _, named = nodes(path)
    assert [level.shape for level in shown.data] == [(3, 517, 643), (3, 259, 322), (3, 130, 161)]
    np.testing.assert_array_equal(np.asarray(shown.data[0]), np.moveaxis(image, -1, 0))
    levels = [np.asarray(level) for level in named.data]
    assert [level.shape for level in levels] == [(517, 643), (259, 322), (130, 161)]
    # Blocks of 8 pixels stay what they are.
    np.testing.assert_array_equal(levels[2], labels[::4, ::4])
    for place, axes in (("", "cyx"), ("labels/cell", "yx")):
        (scales,) = metadata(path, place)["multiscales"]
        assert [axis["name"] for axis in scales["axes"]] == list(axes)
        assert [axis.get("unit") for axis in scales["axes"][-2:]] == ["micrometer"] * 2
        scale, shift = scales["datasets"][2]["coordinateTransformations"]
        assert scale["scale"][-2:] == [1.0, 1.0]
        # The center of the first block of 4 lies 1.5 pixels from that of the first pixel.
        assert shift["translation"][-2:] == [0.375, 0.375]
    written = zarr.open_array(path / "labels" / "cell" / "0", mode="r").metadata.zarr_format
    assert written == (2 if version == "0.4" else 3)
    assert [c["color"] for c in metadata(path)["omero"]["channels"]] == ["FF0000", "00FF00", "0000FF"]


def test_smaller_levels_take_the_majority(tmp_path: Path) -> None:
    labels = np.zeros((2, 600), np.uint8)
    blocks = {
        0: ([[1, 1], [1, 0]], 1),
        1: ([[0, 0], [0, 7]], 0),
        # Of a tie, objects go before background, and the first before the second.
        2: ([[0, 0], [7, 7]], 7),
        3: ([[5, 4], [4, 5]], 5),
        4: ([[0, 3], [2, 1]], 3),
    }
    for number, (block, _) in blocks.items():
        labels[:, 2 * number : 2 * number + 2] = block
    path = tmp_path / "cell.ome.zarr"
    write_ome_zarr(path, item(labels, labels))
    level = np.asarray(nodes(path)[2].data[1])
    assert level[0, :5].tolist() == [wanted for _, wanted in blocks.values()]


def test_volumes_and_unknown_pixel_sizes(tmp_path: Path) -> None:
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[0, 2:4, 3:6] = labels[1, 2:9, 3:6] = 4
    path = tmp_path / "cell.ome.zarr"
    write_ome_zarr(path, item(labels, labels + 1, None))
    shown, _, named = nodes(path)
    np.testing.assert_array_equal(np.asarray(named.data[0]), labels)
    np.testing.assert_array_equal(np.asarray(shown.data[0]), labels + 1)
    (scales,) = metadata(path)["multiscales"]
    assert [(axis["name"], axis.get("unit")) for axis in scales["axes"]] == [("z", None), ("y", None), ("x", None)]
    assert scales["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 1, 1]
    # Measurements are those of the largest slice.
    assert metadata(path, "labels/cell")["image-label"]["properties"][0]["area"] == 21


def test_it_needs_the_image(tmp_path: Path) -> None:
    labels = np.ones((4, 5), int)
    planes = (ExportPlane(labels, measure_instances(labels, None, None)),)
    with pytest.raises(InputError, match="the image is not there"):
        write_ome_zarr(tmp_path / "cell.ome.zarr", ExportItem("cell", planes))
    assert list(tmp_path.iterdir()) == []
