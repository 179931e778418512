"""QuPath: objects exported as GeoJSON, one file per image."""

from functools import partial
from pathlib import Path
from typing import Any

from autosam.data.manifest import as_name
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import pair_up
from autosam.data.sources.shapes import OVERLAP_RULE, Points, as_ring, entry, read_painted
from autosam.errors import InputError
from autosam.images.read import read_json
from autosam.images.source import by_stem

_SUFFIXES = (".geojson", ".json")


class QuPath(ReleaseReader):
    """`NAME.tif` and `NAME.geojson` in one folder or two; the second argument names the outlines."""

    name = "qupath"
    layout = "IMAGES OUTLINES (folders or files), or one folder of NAME.tif and NAME.geojson"
    targets = ("object", "nucleus")
    takes_labels = True

    def _sniff(self, request: Request) -> bool:
        place = Path(request.labels) if request.labels is not None else request.path
        if place.is_dir():
            return any(place.glob("*.geojson"))
        return request.labels is not None and place.suffix.lower() == ".geojson"

    def _open(self, request: Request) -> Release:
        path, place = request.path, Path(request.labels) if request.labels is not None else request.path
        if path.is_file() and place.is_file() and request.labels is not None:
            pairs = [(path.stem, path, place)]
        else:
            if not path.is_dir() or not place.is_dir():
                raise InputError(f"{path} and {place} are not two folders or two files; wanted {self.layout}.")
            outlines = {p.stem: p for p in sorted(place.iterdir()) if p.suffix.lower() in _SUFFIXES}
            pairs = pair_up(by_stem(path), outlines, source=self.name)
        key = "nucleusGeometry" if request.target == "nucleus" else "geometry"
        return Release(
            self.name,
            [Slice(as_name(stem), partial(_read, image, file, key)) for stem, image, file in pairs],
            "ids-2d",
            made=f"QuPath objects ({key}), filled; a pixel is inside if its center is",
            notes=(
                OVERLAP_RULE,
                "where a file has detections or cells, annotations are the regions they lie in and left out",
            ),
        )


def _slice(stem: str, image: Path, file: Path, key: str) -> Slice:
    return Slice(as_name(stem), lambda: read_painted(image, read_objects(file, key)))


def _read(image: Path, file: Path, key: str) -> ImageAndLabels:
    return read_painted(image, read_objects(file, key))


def read_objects(path: Path, key: str = "geometry") -> list[list[Points]]:
    """Read the outlines of a GeoJSON file that QuPath wrote.

    The file holds a FeatureCollection, a list of features or one feature. The key is "geometry" for the object's
    outline, or "nucleusGeometry" for that of a cell's nucleus; cells without one are left out.

    Returns
    -------
    list of list of ndarray, shape (N, 2)
        The rings of each object, x before y, in pixels of the full image; holes are rings inside others. Points
        and lines are left out.
    """
    content = read_json(path)
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    features = content if isinstance(content, list) else entry(content, "features", path)
    kinds = [_kind(feature, path) for feature in features]
    if {"detection", "cell"} & set(kinds):
        features = [f for f, kind in zip(features, kinds, strict=True) if kind in ("detection", "cell")]
    found = []
    for number, feature in enumerate(features, start=1):
        rings = _rings(feature.get(key), f"object {number} of {path}")
        if rings:
            found.append(rings)
    return found


def _kind(feature: Any, path: Path) -> str:
    """Type of an object; QuPath 0.2 spells it `object_type`, or `PathDetectionObject` as the id."""
    if not isinstance(feature, dict):
        raise InputError(f"{path} holds a feature that is not an object; wanted GeoJSON as QuPath writes it.")
    properties = feature.get("properties") or {}
    named = properties.get("objectType") or properties.get("object_type") or str(feature.get("id", ""))
    return str(named).casefold().removeprefix("path").removesuffix("object")


def _rings(geometry: Any, name: str) -> list[Points]:
    if not isinstance(geometry, dict):
        return []
    kind = geometry.get("type")
    if kind not in ("Polygon", "MultiPolygon"):
        return []
    coordinates = entry(geometry, "coordinates", name)
    parts = [coordinates] if kind == "Polygon" else coordinates
    if not isinstance(parts, list) or not all(isinstance(part, list) for part in parts):
        raise InputError(f"{name} has no lists of points; the file is damaged.")
    return [as_ring(ring, name) for part in parts for ring in part]
