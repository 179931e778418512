"""GeoJSON as QuPath writes it: objects with their kind, their class and their outline."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosam.data.sources.shapes import Outline, Points, as_ring, entry
from autosam.errors import InputError
from autosam.images.read import read_json

_GEOMETRIES = (
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
)
_SURFACES = _GEOMETRIES[:3]


@dataclass(frozen=True, eq=False)
class GeoObject:
    """One object.

    Attributes
    ----------
    name : str
        For messages.
    kind : str
        "annotation", "detection", "cell", "tile" and so on, in small letters; "" where the file does not say.
    of_class : str
        Name of its class, such as "Tumor: Positive"; "" where it has none.
    outline, nucleus : outline
        Its parts, and those of its nucleus; empty where there is none.
    is_surface : bool
        Whether it is drawn as an area, not as points or a line.
    """

    name: str
    kind: str
    of_class: str
    outline: Outline
    nucleus: Outline
    is_surface: bool


def read_geojson(path: Path) -> list[GeoObject]:
    """Read all objects of a file, in its order, children after their parents.

    The file holds a FeatureCollection, a list of features, one feature, or one geometry, plain or gzipped.

    Raises
    ------
    InputError
        If the file cannot be read or is not GeoJSON.
    """
    found = []
    for number, feature in enumerate(_features(_content(path), path), start=1):
        name = f"object {number} of {path.name}"
        geometry = feature.get("geometry")
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        found.append(
            GeoObject(
                name,
                _kind(feature),
                _class(feature),
                tuple(_parts(geometry, name)),
                tuple(_parts(feature.get("nucleusGeometry"), name)),
                kind in _SURFACES,
            )
        )
    return found


def _content(path: Path) -> Any:
    if path.suffix.lower() != ".gz":
        return read_json(path)
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as gzipped JSON: {' '.join(str(error).split())}.") from error


def _features(content: Any, path: Path) -> Iterator[dict[str, Any]]:
    """List features, those inside others too."""
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    elif isinstance(content, dict) and content.get("type") == "GeometryCollection":
        # Without features around it, each of its geometries is an object.
        content = content.get("geometries")
    elif isinstance(content, dict) and content.get("type") in _GEOMETRIES:
        content = [content]
    elif isinstance(content, dict) and "pathObjects" in content:
        content = content["pathObjects"]
    features = content if isinstance(content, list) else entry(content, "features", path)
    if not isinstance(features, list):
        raise InputError(f"{path} has 'features' that are no list; wanted GeoJSON as QuPath writes it.")
    for feature in features:
        if not isinstance(feature, dict):
            raise InputError(f"{path} holds a feature that is not an object; wanted GeoJSON as QuPath writes it.")
        if feature.get("type") in _GEOMETRIES:
            yield {"type": "Feature", "geometry": feature}
            continue
        if feature.get("type") == "FeatureCollection":
            yield from _features(feature, path)
            continue
        yield feature
        children = feature.get("childObjects") or _properties(feature).get("childObjects")
        if isinstance(children, list):
            yield from _features(children, path)


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    properties = feature.get("properties")
    return properties if isinstance(properties, dict) else {}


def _kind(feature: dict[str, Any]) -> str:
    """Type of an object; QuPath 0.2 spells it `object_type`, or `PathDetectionObject` as the id."""
    properties = _properties(feature)
    named = properties.get("objectType") or properties.get("object_type")
    if named is None and str(feature.get("id", "")).startswith("Path"):
        named = feature["id"]
    text = str(named or "").casefold().removeprefix("path").removesuffix("object")
    return "annotation" if text == "roi" else text


def _class(feature: dict[str, Any]) -> str:
    """Name of the class; newer versions write `names`, the parts of a derived class."""
    found = _properties(feature).get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        return ": ".join(map(str, names)) if isinstance(names, list) else str(found.get("name") or "")
    return str(found or "")


def _parts(geometry: Any, name: str) -> Iterator[list[Points]]:
    """List the polygons of a geometry, each with its holes; points and lines have none."""
    if not isinstance(geometry, dict):
        return
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        for part in _lists(geometry.get("geometries"), name):
            yield from _parts(part, name)
    elif kind == "Polygon":
        yield [as_ring(ring, name) for ring in _lists(entry(geometry, "coordinates", name), name)]
    elif kind == "MultiPolygon":
        for rings in _lists(entry(geometry, "coordinates", name), name):
            yield [as_ring(ring, name) for ring in _lists(rings, name)]


def _lists(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{name} has no lists of points; the file is damaged.")
    return value
