"""ImageJ ROIs: a zip that the ROI Manager opens."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autosam.images import atomic_path
from autosam.report.exports.export_item import ExportItem, color_of
from autosam.report.exports.outlines import Outline

if TYPE_CHECKING:
    from roifile import ImagejRoi

_LARGEST = 30_000
"""Coordinates up to here fit the 16 bits of a plain polygon, whoever reads them; others are written as shapes."""
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0


def write_rois(path: Path, item: ExportItem) -> None:
    """Write a ROI for each object, named after its id.

    An object with holes or of several parts is a composite ROI. Pages and slices of stacks have their position.
    Outlines run along the edges of pixels, so that ImageJ's masks of the ROIs are the labels, bit for bit.
    """
    digits = max((len(str(plane.highest_id)) for plane in item.outlined), default=1)
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for number, plane in enumerate(item.outlined):
            place = item.place_of(number)
            for outline in plane.outlines():
                name = f"{outline.id:0{digits}d}"
                if item.volume:
                    name += f"_z{number:0{len(str(len(item.planes) - 1))}d}"
                roi = _roi(outline)
                roi.name = name
                # ImageJ counts from 1; 0 is every slice, channel or time.
                if place is not None and place.several_axes:
                    roi.z_position = 0 if place.z is None else place.z + 1
                    roi.t_position = 0 if place.time is None else place.time + 1
                elif place is not None:
                    roi.position = place.index + 1
                # Without a date of its own, the same labels give the same bytes.
                archive.writestr(zipfile.ZipInfo(f"{name}.roi"), roi.tobytes(), zipfile.ZIP_DEFLATED)


def _roi(outline: Outline) -> "ImagejRoi":
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    rings = [ring for polygon in outline.polygons for ring in (polygon.outer, *polygon.holes)]
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    roi = ImagejRoi(
        options=ROI_OPTIONS.OVERLAY_BACKGROUNDS | ROI_OPTIONS.OVERLAY_LABELS,
        stroke_color=bytes((255, *color_of(outline.id))),
    )
    if len(rings) == 1 and len(corners) <= _LARGEST and max(right, bottom) <= _LARGEST:
        roi.roitype = ROI_TYPE.TRACED
        roi.integer_coordinates = (rings[0] - (left, top)).astype(np.int32)
        roi.n_coordinates = len(rings[0])
    else:
        path: list[float] = []
        for ring in rings:
            for number, (x, y) in enumerate(ring.tolist()):
                path += (_LINE if number else _MOVE, x, y)
            path.append(_CLOSE)
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = np.array(path, np.float32)
        roi.shape_roi_size = len(path)
    # The box of a shape follows from its corners; beyond 16 bits ImageJ does not need it.
    roi.left, roi.top, roi.right, roi.bottom = (min(side, 2**15 - 1) for side in (left, top, right, bottom))
    return roi
