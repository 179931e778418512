"""Every export, read back by another program's reader, gives the same objects."""

import json
import pickle
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
from awkward_labels import AWKWARD, rasterized
from pycocotools import mask
from pycocotools.coco import COCO

from autosam.data.seg_file import read_seg
from autosam.data.sources import open_release
from autosam.errors import ConfigError, InputError
from autosam.images import write_png
from autosam.instances import measure_instances, read_table
from autosam.instances.label_parts import find_boxes, group_instances
from autosam.report.exports import (
    FORMATS,
    ExportFormat,
    ExportItem,
    ExportPlane,
    StackPlace,
    choose_formats,
)
from autosam.report.exports.large_plane import LargePlane

by_name = {known.name: known for known in FORMATS}
each = pytest.mark.parametrize("labels", AWKWARD.values(), ids=AWKWARD)


def plane(labels: np.ndarray, *, image: bool = True, pixel_size_nm: float | None = None) -> ExportPlane:
    pixels = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape) if image else None
    return ExportPlane(labels, measure_instances(labels, pixels, None, pixel_size_nm=pixel_size_nm), pixels)


def item(labels: np.ndarray, *, image: bool = True, pixel_size_nm: float | None = 250, **more: Any) -> ExportItem:
    volume = labels.ndim == 3
    slices = labels if volume else [labels]
    planes = tuple(plane(part, image=image, pixel_size_nm=pixel_size_nm) for part in slices)
    return ExportItem("cell", planes, "nucleus", volume=volume, pixel_size_nm=pixel_size_nm, **more)


def write(folder: Path, name: str, *items: ExportItem) -> Path:
    known = by_name[name]
    if isinstance(known, ExportFormat):
        path = folder / f"{items[0].name}{known.ending}"
        known.write(path, items[0])
    else:
        path = folder / known.file
        known.write(path, items)
    assert [left.name for left in folder.iterdir()] == [path.name]
    return path


# ImageJ


def rings_of(roi: roifile.ImagejRoi) -> list[np.ndarray]:
    found = roi.coordinates(multi=True)
    return list(found) if isinstance(found, list) else [found]


def objects_of(rois: list[roifile.ImagejRoi]) -> dict[int, list[np.ndarray]]:
    closed = {int(roi.name): [np.concatenate([ring, ring[:1]]) for ring in rings_of(roi)] for roi in rois}
    assert len(closed) == len(rois)
    return closed


@each
def test_rois(tmp_path: Path, labels: np.ndarray) -> None:
    path = write(tmp_path, "roi", item(labels))
    rois = [roifile.ImagejRoi.frombytes(data) for data in _members(path).values()]
    np.testing.assert_array_equal(rasterized(objects_of(rois), labels.shape), labels)
    assert all(roi.position == 0 for roi in rois)
    before = path.read_bytes()
    by_name["roi"].write(path, item(labels))  # type: ignore[arg-type]
    assert path.read_bytes() == before


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_rois_of_simple_objects_are_traced_and_of_rings_composite(tmp_path: Path) -> None:
    members = _members(write(tmp_path, "roi", item(AWKWARD["rings"])))
    assert list(members) == ["001.roi", "002.roi", "300.roi"]
    # The bytes that ImageJ's RoiDecoder looks at: magic, type (8 is traced, 1 a rectangle), box, shape size.
    for name, kind, composite in (("001", 8, False), ("002", 1, True), ("300", 1, True)):
        data = members[f"{name}.roi"]
        assert data[:4] == b"Iout"
        assert data[6] == kind
        assert (int.from_bytes(data[36:40], "big") > 0) == composite
    box = [int.from_bytes(members["002.roi"][start : start + 2], "big") for start in (8, 10, 12, 14)]
    assert box == [5, 5, 11, 15]


def test_rois_of_stacks_have_their_position(tmp_path: Path) -> None:
    page = write(tmp_path, "roi", item(AWKWARD["rings"], place=StackPlace(3)))
    assert {roifile.ImagejRoi.frombytes(data).position for data in _members(page).values()} == {4}
    page.unlink()
    labels = np.zeros((12, 6, 7), int)
    labels[2, 1:3] = 5
    labels[11, 1:3] = labels[11, 5, 6] = 5
    volume = write(tmp_path, "roi", item(labels))
    rois = [roifile.ImagejRoi.frombytes(data) for data in _members(volume).values()]
    assert [(roi.name, roi.position) for roi in rois] == [("5_z02", 3), ("5_z11", 12)]


def test_places_in_stacks_of_several_axes(tmp_path: Path) -> None:
    # Of one axis, ImageJ counts the planes; of several it wants each. QuPath wants each.
    for place, counted, slice_and_frame, plane in (
        (StackPlace(3), 4, (0, 0), (3, 0)),
        (StackPlace(3, z=3), 4, (0, 0), (3, 0)),
        (StackPlace(3, time=3), 4, (0, 0), (0, 3)),
        (StackPlace(7, z=1, time=3, several_axes=True), 0, (2, 4), (1, 3)),
        (StackPlace(7, time=7, several_axes=True), 0, (0, 8), (0, 7)),
    ):
        one = item(np.ones((2, 2), int), place=place)
        rois, geojson = by_name["roi"], by_name["geojson"]
        assert isinstance(rois, ExportFormat)
        assert isinstance(geojson, ExportFormat)
        rois.write(tmp_path / "a.zip", one)
        (roi,) = [roifile.ImagejRoi.frombytes(data) for data in _members(tmp_path / "a.zip").values()]
        assert (roi.position, (roi.z_position, roi.t_position)) == (counted, slice_and_frame)
        geojson.write(tmp_path / "a.geojson", one)
        (feature,) = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
        assert feature["geometry"]["plane"] == {"c": -1, "z": plane[0], "t": plane[1]}


def test_rois_far_from_the_corner(tmp_path: Path) -> None:
    # Plain polygons have 16 bits.
    labels = np.zeros((3, 70_000), np.uint8)
    labels[1:, 29_990:30_010] = 1
    labels[:2, 66_000:66_010] = 2
    rois = [roifile.ImagejRoi.frombytes(data) for data in _members(write(tmp_path, "roi", item(labels))).values()]
    np.testing.assert_array_equal(rasterized(objects_of(rois), labels.shape), labels)


# QuPath


@each
def test_geojson(tmp_path: Path, labels: np.ndarray) -> None:
    path = write(tmp_path, "geojson", item(labels))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    objects = {}
    table = measure_instances(labels, None, None)
    for number, feature in enumerate(content["features"]):
        assert feature["type"] == "Feature"
        geometry = feature["geometry"]
        parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        assert geometry["type"] == ("Polygon" if len(parts) == 1 else "MultiPolygon")
        rings = [ring for part in parts for ring in part]
        assert all(ring[0] == ring[-1] for ring in rings)
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] == "nucleus"
        assert len(properties["classification"]["color"]) == 3
        assert properties["measurements"]["area"] == table["area"][number]
        assert properties["measurements"]["area_um2"] == pytest.approx(table["area"][number] / 16)
        assert "score" not in properties["measurements"]
        objects[int(properties["name"])] = rings
    np.testing.assert_array_equal(rasterized(objects, labels.shape), labels)
    assert len({feature["id"] for feature in content["features"]}) == len(objects)
    # autosam's own import of QuPath's files numbers objects in their order.
    write_png(tmp_path / "cell.png", np.zeros(labels.shape, np.uint8))
    (found,) = open_release(str(tmp_path / "cell.png"), str(path), source="qupath").slices
    painted = found.read()[1]
    assert painted is not None
    np.testing.assert_array_equal(np.array([0, *objects])[painted], labels)


def test_geojson_of_stacks_has_planes(tmp_path: Path) -> None:
    page = write(tmp_path, "geojson", item(AWKWARD["rings"], place=StackPlace(3)))
    features = json.loads(page.read_text(encoding="utf-8"))["features"]
    assert {feature["geometry"]["plane"]["z"] for feature in features} == {3}
    volume = by_name["geojson"]
    volume.write(page, item(np.stack([AWKWARD["rings"], AWKWARD["rings"]])))  # type: ignore[arg-type]
    features = json.loads(page.read_text(encoding="utf-8"))["features"]
    assert [feature["geometry"]["plane"]["z"] for feature in features] == [0, 0, 0, 1, 1, 1]
    assert len({feature["id"] for feature in features}) == 6


# COCO


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools
def test_coco(tmp_path: Path) -> None:
    items = []
    for name, labels in AWKWARD.items():
        made = item(labels)
        items.append(ExportItem(name, made.planes, "nucleus", image_file=Path("raw") / f"{name}.png"))
    found = COCO(write(tmp_path, "coco", *items))
    assert [found.imgs[key]["file_name"] for key in sorted(found.imgs)] == [f"{name}.png" for name in AWKWARD]
    assert [category["name"] for category in found.cats.values()] == ["nucleus"]
    for image_id, labels in enumerate(AWKWARD.values(), start=1):
        image = found.imgs[image_id]
        assert (image["height"], image["width"]) == labels.shape
        again = np.zeros(labels.shape, np.int64)
        for annotation in found.loadAnns(found.getAnnIds(imgIds=image_id)):
            inside = found.annToMask(annotation).astype(bool)
            assert not again[inside].any()
            again[inside] = annotation["label"]
            packed = mask.encode(np.asfortranarray(inside, np.uint8))
            assert annotation["segmentation"]["counts"] == packed["counts"].decode()
            assert annotation["area"] == mask.area(packed) == inside.sum()
            assert annotation["bbox"] == mask.toBbox(packed).tolist()
            assert annotation["iscrowd"] == 0
        np.testing.assert_array_equal(again, labels)
    assert len(found.anns) == sum(len(np.unique(labels[labels > 0])) for labels in AWKWARD.values())


def test_coco_of_nothing(tmp_path: Path) -> None:
    assert COCO(write(tmp_path, "coco")).dataset["annotations"] == []
    (tmp_path / "coco_instances.json").unlink()
    assert COCO(write(tmp_path, "coco", item(np.zeros((4, 5), int)))).imgs[1]["width"] == 5


def test_slices_are_images_of_coco(tmp_path: Path) -> None:
    found = COCO(write(tmp_path, "coco", item(np.stack([AWKWARD["rings"]] * 2))))
    assert [image["file_name"] for image in found.imgs.values()] == ["cell_p0", "cell_p1"]
    assert len(found.getAnnIds(imgIds=2)) == 3


# Cellpose


@each
def test_seg_npy(tmp_path: Path, labels: np.ndarray) -> None:
    path = write(tmp_path, "seg-npy", item(labels, image_file=tmp_path / "cell.png"))
    np.testing.assert_array_equal(read_seg(path), labels)
    content = np.load(path, allow_pickle=True).item()
    # What cellpose.gui.io._load_seg looks up.
    assert {"masks", "outlines", "colors", "filename", "flows", "ismanual", "est_diam", "chan_choose"} <= set(
        content
    )
    assert content["filename"] == str(tmp_path / "cell.png")
    assert content["masks"].dtype in (np.uint16, np.uint32)
    assert content["outlines"].shape == labels.shape
    assert ((content["outlines"] == labels) | (content["outlines"] == 0)).all()
    assert len(content["colors"]) == labels.max()
    assert content["ismanual"].shape == np.unique(labels[labels > 0]).shape
    assert "img" not in content
    # Nothing of autosam is needed to open it.
    assert b"autosam" not in pickle.dumps({key: value for key, value in content.items() if key != "filename"})


def test_seg_npy_of_a_page_holds_the_image(tmp_path: Path) -> None:
    made = item(AWKWARD["rings"], place=StackPlace(2))
    content = np.load(write(tmp_path, "seg-npy", made), allow_pickle=True).item()
    np.testing.assert_array_equal(content["img"], made.image)


def test_seg_npy_refuses_ids_beyond_its_type(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"highest id is 4294967296"):
        write(tmp_path, "seg-npy", item(np.array([[0, 2**32]])))


# Tables


def test_csv(tmp_path: Path) -> None:
    made = item(AWKWARD["rings"])
    table = read_table(write(tmp_path, "csv", made))
    for name, values in made.planes[0].table.columns.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-8, err_msg=name)
    (tmp_path / "cell_instances.csv").unlink()
    volume = read_table(write(tmp_path, "csv", item(np.stack([AWKWARD["rings"], 0 * AWKWARD["rings"]]))))
    assert volume["slice"].tolist() == [0, 0, 0]
    assert volume["label"].tolist() == [1, 2, 300]


# Choosing


def test_formats_are_chosen_by_name() -> None:
    assert [known.name for known in choose_formats(["csv", "roi", "csv"])] == ["csv", "roi"]
    for names, says in (
        (["roi", "xyz"], "no export format 'xyz'; choose among roi, geojson, coco, ome-zarr"),
        ([], "no export format was named"),
        (["ome-zarr", "ome-zarr-0.4"], "the same files"),
    ):
        with pytest.raises(ConfigError, match=says):
            choose_formats(names)


# Labels that are too large for memory


@pytest.mark.parametrize("name", ["geojson", "roi", "csv"])
@pytest.mark.parametrize("pixels", [1, 10**6])
@each
def test_labels_by_parts_give_the_bytes_of_the_whole(tmp_path, monkeypatch, labels, pixels, name):
    if labels.ndim != 2:
        pytest.skip("volumes are no large image")
    monkeypatch.setattr(
        "autosam.report.exports.large_plane.group_instances", partial(group_instances, pixels=pixels)
    )
    whole = item(labels)
    boxes = find_boxes(labels.__getitem__, (slice(0, labels.shape[0]), slice(0, labels.shape[1])))
    parts = replace(whole, planes=(), large=LargePlane(boxes, whole.planes[0].table, labels.__getitem__))
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    wanted, found = write(tmp_path / "whole", name, whole), write(tmp_path / "parts", name, parts)
    assert found.read_bytes() == wanted.read_bytes()
