"""An image whose labels are too large for memory, to be exported object by object."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from autosam.instances import InstanceTable
from autosam.instances.label_parts import InstanceBoxes, Reader, group_instances
from autosam.report.exports.outlines import Outline, Polygon, trace_outlines


@dataclass(frozen=True, eq=False)
class LargePlane:
    """One 2D image whose labels are read by parts; see `ExportPlane` for the others.

    Only formats that write outlines or the table take it (`ExportFormat.by_parts`).

    Attributes
    ----------
    boxes : InstanceBoxes
        Of all instances.
    table : InstanceTable
        Their measurements, by id.
    read : callable
        Reads a window of the labels.
    """

    boxes: InstanceBoxes
    table: InstanceTable
    read: Reader

    @property
    def highest_id(self) -> int:
        """The highest id; 0 without an instance."""
        return int(self.boxes.ids[-1]) if len(self.boxes) else 0

    def outlines(self) -> Iterator[Outline]:
        """Give the outline of each object, by id."""
        for group in group_instances(self.boxes):
            corner = np.array([group.window[1].start, group.window[0].start])
            for outline in trace_outlines(group.labels(self.read)):
                polygons = (
                    Polygon(polygon.outer + corner, tuple(hole + corner for hole in polygon.holes))
                    for polygon in outline.polygons
                )
                yield replace(outline, polygons=tuple(polygons))
