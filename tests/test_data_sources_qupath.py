"""GeoJSON of QuPath in all its forms: regions are no objects, and nothing is lost without a word."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from autosam.data.importing import import_release
from autosam.data.sources import open_release
from autosam.data.store import Store
from autosam.errors import InputError

H, W = 24, 30
Ring = list[list[float]]


def box(top: float, left: float, bottom: float, right: float) -> Ring:
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(
    geometry: object, kind: str | None = "annotation", of_class: str | None = None, **more: object
) -> dict:
    if isinstance(geometry, list):
        geometry = {"type": "Polygon", "coordinates": [geometry]}
    properties: dict[str, object] = {} if kind is None else {"objectType": kind}
    if of_class is not None:
        properties["classification"] = {"name": of_class, "color": [255, 0, 0]}
    return {"type": "Feature", "id": "0a1b", "geometry": geometry, "properties": properties} | more


REGION = feature(box(0, 0, H, W), of_class="Training")
NUCLEI = [feature(box(2, 2, 6, 6), of_class="Nucleus"), feature(box(10, 10, 13, 14), of_class="Nucleus: Positive")]


def imported(tmp_path: Path, content: object, target: str | None = None, name: str = "s.geojson") -> Store:
    root = tmp_path / "in"
    root.mkdir(exist_ok=True)
    tifffile.imwrite(root / "s.tif", np.zeros((H, W), np.uint8))
    for old in root.glob("*json*"):
        old.unlink()
    text = json.dumps(content).encode()
    (root / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    release = open_release(str(root), target=target)
    assert release.source == "qupath"
    return import_release(release, tmp_path / "s.h5", restart=True)[0]


def sizes(*arguments: object, **more: object) -> list[int]:
    return np.bincount(imported(*arguments, **more).labels("s").ravel())[1:].tolist()  # type: ignore[arg-type]


def notes(*arguments: object, **more: object) -> str:
    return "; ".join(imported(*arguments, **more).manifest.notes)  # type: ignore[arg-type]


@pytest.mark.parametrize("features", [[REGION, *NUCLEI], [*NUCLEI, REGION]])
def test_an_annotation_around_others_is_a_region(tmp_path: Path, features: list[object]) -> None:
    assert sizes(tmp_path, features) == [16, 12]
    assert "1 of 3 objects is left out as a region around others" in notes(tmp_path, features)


def test_a_region_that_holds_nothing_is_known_by_its_class(tmp_path: Path) -> None:
    regions = [feature(box(0, 0, 15, 16), of_class="Training"), feature(box(16, 0, H, 16), of_class="Training")]
    assert sizes(tmp_path, [*regions, *NUCLEI]) == [16, 12]
    # Alone in its file it cannot be told from an object; but its size is said.
    assert "1 of 1 objects is larger than half of the image" in notes(tmp_path, [REGION])


def test_nested_regions_are_all_left_out(tmp_path: Path) -> None:
    slide, tumor = feature(box(0, 0, H, W)), feature(box(1, 1, 15, 16), of_class="Tumor")
    assert sizes(tmp_path, [slide, tumor, *NUCLEI]) == [16, 12]


def test_the_same_outline_twice_is_one_object(tmp_path: Path) -> None:
    assert sizes(tmp_path, [NUCLEI[0], NUCLEI[0]]) == [16]
    assert "1 of 2 objects is wholly covered by others and lost" in notes(tmp_path, [NUCLEI[0], NUCLEI[0]])


def test_classes_and_kinds_can_be_chosen(tmp_path: Path) -> None:
    spot = feature(box(20, 20, 22, 22), "detection", "Spot")
    content = [REGION, *NUCLEI, spot]
    # Where there are detections, annotations are the regions they lie in.
    assert sizes(tmp_path, content) == [4]
    assert "3 of 4 objects are left out as a region around others" in notes(tmp_path, content)
    assert sizes(tmp_path, content, "annotation") == [16, 12]
    # A class holds those derived from it, and no cell has a nucleus here, so that "nucleus" is a class.
    assert sizes(tmp_path, content, "Nucleus") == sizes(tmp_path, content, "nucleus") == [16, 12]
    assert sizes(tmp_path, content, "Nucleus: Positive") == [12]
    assert sizes(tmp_path, content, "Training") == [H * W]
    with pytest.raises(
        InputError, match="no object of the qupath data could be drawn: 4 of 4 objects are left out"
    ):
        sizes(tmp_path, content, "Immune")


def test_ignored_classes_tiles_and_lines_are_counted(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [5, 5]]}
    point = {"type": "Point", "coordinates": [3, 4]}
    content = [
        *NUCLEI,
        feature(box(20, 20, 23, 23), of_class="Ignore*"),
        feature(box(0, 0, 12, 12), "tile"),
        feature(box(0, 0, 12, 12), "tmaCore"),
        feature(line),
        feature(point),
        feature(None, "root"),
    ]
    assert sizes(tmp_path, content) == [16, 12]
    said = notes(tmp_path, content)
    assert "5 of 8 objects are left out as no object" in said
    assert "1 of 8 objects is left out as of a class that QuPath ignores" in said


FORMS = {
    "collection": lambda features: {"type": "FeatureCollection", "features": features},
    "array": lambda features: features,
    "one": lambda features: features[0],
    "geometry": lambda features: features[0]["geometry"],
    "pathObjects": lambda features: {"pathObjects": features},
    "collections": lambda features: [{"type": "FeatureCollection", "features": [f]} for f in features],
    "children": lambda features: [feature(box(0, 0, H, W), childObjects=features)],
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_file(tmp_path: Path, form: str) -> None:
    wanted = [16] if form in ("one", "geometry") else [16, 12]
    assert sizes(tmp_path, FORMS[form](NUCLEI)) == wanted


@pytest.mark.parametrize("name", ["s.tif.geojson", "s.ome.tif.geojson", "s.geojson.gz", "S.GEOJSON"])
def test_names_of_exports(tmp_path: Path, name: str) -> None:
    if name.startswith("S"):
        with pytest.raises(InputError, match="2 faults"):
            sizes(tmp_path, NUCLEI, name=name)
    else:
        assert sizes(tmp_path, NUCLEI, name=name) == [16, 12]


def test_holes_parts_and_collections(tmp_path: Path) -> None:
    holed = {"type": "Polygon", "coordinates": [box(2, 2, 8, 8), box(4, 4, 6, 6), [[3, 3], [4, 4]]]}
    # Parts that overlap join: they punch no hole into each other.
    parts = {"type": "MultiPolygon", "coordinates": [[box(10, 2, 14, 6)], [box(12, 4, 16, 8), box(13, 6, 14, 7)]]}
    mixed = {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Polygon", "coordinates": [box(18, 20, 20, 22)]},
            {"type": "LineString", "coordinates": [[0, 0], [9, 9]]},
            {
                "type": "GeometryCollection",
                "geometries": [{"type": "Polygon", "coordinates": [box(2, 20, 3, 22)]}],
            },
        ],
    }
    labels = imported(tmp_path, [feature(holed), feature(parts), feature(mixed)]).labels("s")
    truth = np.zeros((H, W), int)
    truth[2:8, 2:8], truth[4:6, 4:6] = 1, 0
    truth[10:14, 2:6] = truth[12:16, 4:8] = 2
    truth[13:14, 6:7] = 0
    truth[18:20, 20:22] = truth[2:3, 20:22] = 3
    np.testing.assert_array_equal(labels, truth)


@pytest.mark.parametrize(
    "ring", [[[5, 5], [9, 9]], [[5, 5], [9, 9], [5, 5]], [], [[1, 1], [2, 2], [7, 7], [1, 1]]]
)
def test_rings_without_area_are_left_out_and_counted(tmp_path: Path, ring: Ring) -> None:
    content = [*NUCLEI, feature(ring)]
    assert sizes(tmp_path, content) == [16, 12]
    assert "1 of 3 objects is without area" in notes(tmp_path, content)


def test_nuclei_of_cells(tmp_path: Path) -> None:
    nucleus = {"type": "Polygon", "coordinates": [box(3, 3, 5, 5)]}
    cells = [feature(box(2, 2, 8, 8), "cell", nucleusGeometry=nucleus), feature(box(10, 10, 14, 14), "cell")]
    assert sizes(tmp_path, cells) == sizes(tmp_path, cells, "cell") == [36, 16]
    assert sizes(tmp_path, cells, "nucleus") == [4]
    assert "1 of 2 objects is without area" in notes(tmp_path, cells, "nucleus")


def test_old_spellings(tmp_path: Path) -> None:
    old = [
        {"type": "Feature", "id": "PathAnnotationObject", "geometry": REGION["geometry"]},
        *({"type": "Feature", "id": "PathDetectionObject", "geometry": n["geometry"]} for n in NUCLEI),
    ]
    assert sizes(tmp_path, old) == [16, 12]
    plain = [
        feature(box(2, 2, 6, 6), None),
        {"type": "Feature", "geometry": NUCLEI[1]["geometry"], "properties": None},
    ]
    assert sizes(tmp_path, plain) == [16, 12]


def test_an_image_without_objects_is_empty(tmp_path: Path) -> None:
    assert not imported(tmp_path, {"type": "FeatureCollection", "features": []}).labels("s").any()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"features": 3}, "are no list"),
        ([feature({"type": "Polygon", "coordinates": 3})], "no lists of points"),
        ([feature({"type": "MultiPolygon", "coordinates": [3]})], "no lists of points"),
        ([feature({"type": "Polygon"})], "no 'coordinates'"),
        ([feature([["a", 1], [2, 3], [4, 5]])], "not a list of"),
        ([3], "not an object"),
    ],
)
def test_damaged_files(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        sizes(tmp_path, content)
    assert "\n" not in str(error.value)
    (tmp_path / "in/s.geojson").rename(tmp_path / "in/s.geojson.gz")
    with pytest.raises(InputError, match="cannot be read as gzipped JSON"):
        import_release(open_release(str(tmp_path / "in")), tmp_path / "s.h5", restart=True)


@pytest.mark.parametrize("wrapped", [False, True])
def test_geometries_without_features_are_objects(tmp_path: Path, wrapped: bool) -> None:
    shapes = [item["geometry"] for item in NUCLEI]
    content = {"type": "GeometryCollection", "geometries": shapes} if wrapped else shapes
    assert sizes(tmp_path, content) == [16, 12]


def test_outlines_of_an_ome_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.ome.tif", np.zeros((H, W), np.uint8))
    (tmp_path / "s.ome.tif.geojson").write_text(json.dumps(NUCLEI))
    assert [item.name for item in open_release(str(tmp_path)).slices] == ["s"]
