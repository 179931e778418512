"""Exact outlines of labels, along the edges of pixels.

Coordinates are x before y in this package only, as the formats want them; (0, 0) is the upper left corner of the
first pixel. A pixel belongs to an object if its center lies inside an odd number of the object's rings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from autosam.instances.runs import find_runs
from autosam.report.exports.corners import find_corners, follow

Ring = NDArray[np.int64]
"""Corners (N, 2), x before y, closed without repeating the first one."""


@dataclass(frozen=True, eq=False)
class Polygon:
    """A connected part of an object: a ring around it, and one around each of its holes.

    No ring visits a corner twice; rings may touch at corners. The Simple Features standard calls this valid. Outer
    rings are clockwise as seen on the screen, holes the other way.
    """

    outer: Ring
    holes: tuple[Ring, ...]


@dataclass(frozen=True, eq=False)
class Outline:
    """All parts of one object; pixels that touch at a corner only are in different parts."""

    id: int
    polygons: tuple[Polygon, ...]


def trace_outlines(labels: NDArray[np.integer[Any]]) -> Iterator[Outline]:
    """Give the outline of each object of labels (H, W), by id.

    Examples
    --------
    >>> [(found.id, found.polygons[0].outer.tolist()) for found in trace_outlines(np.array([[0, 5, 5]]))]
    [(5, [[1, 0], [3, 0], [3, 1], [1, 1]])]
    """
    ids = find_runs(labels).ids
    parts = _Parts(labels)
    for first, last, rings in follow(find_corners(labels, ids), len(ids)):
        bounds = np.searchsorted(rings.index, np.arange(first, last + 1)).tolist()
        begins, ends, simple = rings.begins.tolist(), rings.ends.tolist(), rings.simple.tolist()
        for offset, owner in enumerate(ids[first:last].tolist()):
            mine = range(bounds[offset], bounds[offset + 1])
            closed = [rings.points_xy[begins[number] : ends[number]] for number in mine]
            if not all(simple[number] for number in mine):
                closed = [cut for ring in closed for cut in _cut(ring)]
            # The only ring of an object is an outer one, and clockwise already.
            only = (Polygon(closed[0], ()),)
            yield Outline(owner, only if len(closed) == 1 else parts.polygons(owner, closed))


def _cut(ring: Ring) -> Iterator[Ring]:
    """Cut a ring that comes back to a corner into rings that do not."""
    path: list[int] = []
    places: dict[tuple[int, int], int] = {}
    points = list(map(tuple, ring.tolist()))
    for number, point in enumerate(points):
        if point in places:
            begin = places[point]
            yield ring[path[begin:]]
            for gone in path[begin + 1 :]:
                del places[points[gone]]
            # The corner stays, once, for the rest of the ring.
            path[begin:] = [number]
        else:
            places[point] = len(path)
            path.append(number)
    yield ring[path]


class _Parts:
    """Connected parts of all objects, found when the holes of an object with several parts need them."""

    def __init__(self, labels: NDArray[np.integer[Any]]) -> None:
        self._labels = labels

    @cached_property
    def _numbers(self) -> NDArray[Any]:
        ids = np.unique(self._labels)
        found: NDArray[Any] = label(np.searchsorted(ids, self._labels), connectivity=1, background=-1)
        return found

    def polygons(self, owner: int, rings: list[Ring]) -> tuple[Polygon, ...]:
        """Sort the rings of an object into parts with their holes."""
        outer: list[tuple[Ring, int, int]] = []
        holes: list[tuple[Ring, int, int]] = []
        for ring in rings:
            # The pixel at the lower right of the uppermost, then leftmost corner lies inside the ring.
            at = int(((ring[:, 1] << 32) + ring[:, 0]).argmin())
            col, row = ring[at].tolist()
            is_outer = bool(self._labels[row, col] == owner)
            # A clockwise ring goes on to the right from there.
            clockwise = bool(ring[(at + 1) % len(ring), 1] == row)
            turned = ring if clockwise == is_outer else ring[::-1]
            (outer if is_outer else holes).append((turned, row, col))
        if not holes or len(outer) == 1:
            inside = tuple(hole for hole, _, _ in holes)
            return tuple(Polygon(ring, inside) for ring, _, _ in outer)
        parts: dict[int, list[Ring]] = {int(self._numbers[row, col]): [] for _, row, col in outer}
        for hole, row, col in holes:
            # Above a hole is the part that it is in.
            parts[int(self._numbers[row - 1, col])].append(hole)
        return tuple(Polygon(ring, tuple(parts[int(self._numbers[row, col])])) for ring, row, col in outer)
