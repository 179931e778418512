"""QuPath: a GeoJSON FeatureCollection of detections."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autosam.images import atomic_path
from autosam.instances.instance_table import InstanceTable, as_cells
from autosam.report.exports.export_item import ExportItem, StackPlace, color_of
from autosam.report.exports.outlines import Outline, Ring

_ROWS = 10_000
"""Rows of the table that are held as text at once."""
_PLACES = ("label", "bbox-0", "bbox-1", "bbox-2", "bbox-3")
"""Columns that are no measurements; the outline says them."""


def write_geojson(path: Path, item: ExportItem) -> None:
    """Write a feature for each object, with its class, its measurements and, in a stack, its plane.

    Outlines run along the edges of pixels: the pixels whose centers lie inside are the labels, bit for bit. An
    object's id is a UUID that follows from the image's name and the label. Values that are not known are left out.
    """
    kind = json.dumps({"name": item.kind, "color": color_of(1)}, ensure_ascii=False)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for number, plane in enumerate(item.outlined):
            plane_of = _plane(item.place_of(number))
            for outline, measured in zip(plane.outlines(), _measurements(plane.table), strict=True):
                identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{item.folder / item.name}/{number}/{outline.id}")
                file.write(
                    f'{separator}{{"type": "Feature", "id": "{identity}", '
                    f'"geometry": {{{_geometry(outline)}{plane_of}}}, '
                    f'"properties": {{"objectType": "detection", "name": "{outline.id}", '
                    f'"classification": {kind}, "measurements": {{{measured}}}}}}}'
                )
                separator = ",\n"
        file.write("\n]}\n")


def _plane(place: StackPlace | None) -> str:
    """Give the plane of QuPath, for all channels; of a stack without named axes, pages are slices."""
    if place is None:
        return ""
    z = place.z if place.z is not None else 0 if place.time is not None else place.index
    return f', "plane": {{"c": -1, "z": {z}, "t": {place.time or 0}}}'


def _geometry(outline: Outline) -> str:
    parts = [
        f"[{','.join(_ring(ring) for ring in (polygon.outer, *polygon.holes))}]" for polygon in outline.polygons
    ]
    if len(parts) == 1:
        return f'"type": "Polygon", "coordinates": {parts[0]}'
    return f'"type": "MultiPolygon", "coordinates": [{",".join(parts)}]'


def _ring(ring: Ring) -> str:
    return str([*ring.tolist(), ring[0].tolist()]).replace(" ", "")


def _measurements(table: InstanceTable) -> Iterator[str]:
    """Give the measurements of each object as members of a JSON object."""
    names = [json.dumps(name) for name in table.columns if name not in _PLACES]
    for start in range(0, len(table), _ROWS):
        rows = slice(start, start + _ROWS)
        columns = [as_cells(np.asarray(table[json.loads(name)])[rows]) for name in names]
        for cells in zip(*columns, strict=True):
            yield ", ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell)
