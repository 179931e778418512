"""Links between the slices of a volume: which objects of one tile, one to three slices apart, belong together.

Every decision reads the objects of seven slices at most, so it does not depend on how a volume is cut into slabs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.edges import ObjectEdges
from autosam.volumes.shared_pixels import RowStretches, SharedPixels, count_shared, row_stretches
from autosam.volumes.slice_objects import SliceObjects

CONTEXT = 3
"""Slices below and above a slab that its links depend on."""

_Bools = NDArray[np.bool_]
_Floats = NDArray[np.float64]


def link_slices(
    objects: Mapping[int, SliceObjects],
    slices: range,
    *,
    reach: int,
    iou: float,
    containment: float,
    taper: float,
) -> ObjectEdges:
    """Find the edges between the slices of one tile.

    Objects of neighboring slices belong together where they overlap enough: by their IoU, or by containment, the
    intersection over the smaller one, as a branch has a low IoU with the trunk. Two or three slices apart they
    belong together where, besides, one of the two has no partner in a nearer slice on that side, and where the
    two do not taper off towards each other. An object that tapers ends by itself; one that was missed does not.

    Parameters
    ----------
    objects : mapping of int to SliceObjects
        The objects of the tile in each slice, including `CONTEXT` slices below and above. A slice that is not
        there has none.
    slices : range
        The slab whose edges are wanted. An edge belongs to the slice in the middle of its two, the lower one of
        two middles: so every edge belongs to one slab.
    reach : int
        Slices that an edge may span, 1 to 3.
    iou, containment : float
        Lowest overlaps, 0 to 1; one of the two is enough.
    taper : float
        0 to 1: area of the lower object over that of its partner in the slice below it, 1 at most, times that
        of the upper one over its partner above. Edges with less are left out where they span two slices or more.

    Returns
    -------
    ObjectEdges
        Edges of steps 1 to `reach`, sorted.
    """
    start, stop = slices.start, slices.stop
    levels = {z: _Level.of(objects[z]) for z in range(start - 2, stop + CONTEXT) if z in objects}
    edges = []
    for step in range(1, reach + 1):
        found = {}
        for z in range(start - 2, stop + 2):
            if z in levels and z + step in levels:
                found[z] = _candidates(levels[z], levels[z + step], far=step > 1, iou=iou, containment=containment)
                if step > 1:
                    found[z] = found[z].that_do_not_taper(levels[z], levels[z + step], taper)
        # Only now: an edge does not stand in the way of others of its step.
        for z, pairs in found.items():
            pairs.note_partners(levels[z], levels[z + step], near=step == 1)
            if z + step // 2 in slices:
                edges.append(pairs.edges(levels[z], levels[z + step], step))
    return ObjectEdges.concatenate(edges)


@dataclass(eq=False)
class _Level:
    """The objects of one slice, and what is known about them so far."""

    objects: SliceObjects
    stretches: RowStretches
    linked_up: _Bools
    linked_down: _Bools
    # Area over that of the partner in the slice before the end, 1 without one.
    taper_up: _Floats
    taper_down: _Floats

    @classmethod
    def of(cls, objects: SliceObjects) -> "_Level":
        n = len(objects)
        return cls(objects, row_stretches(objects), np.zeros(n, bool), np.zeros(n, bool), np.ones(n), np.ones(n))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of objects of two slices that overlap enough."""

    shared: SharedPixels
    iou: _Floats
    containment: _Floats

    def take(self, kept: _Bools) -> "_Pairs":
        shared = SharedPixels(self.shared.first[kept], self.shared.second[kept], self.shared.pixels[kept])
        return _Pairs(shared, self.iou[kept], self.containment[kept])

    def that_do_not_taper(self, lower: _Level, upper: _Level, taper: float) -> "_Pairs":
        ends = lower.taper_up[self.shared.first] * upper.taper_down[self.shared.second]
        return self.take(ends >= taper)

    def note_partners(self, lower: _Level, upper: _Level, *, near: bool) -> None:
        first, second = self.shared.first, self.shared.second
        lower.linked_up[first] = True
        upper.linked_down[second] = True
        if near:
            # From the smallest to the largest intersection, so the last one written is the main partner.
            order = np.lexsort((-np.arange(len(first)), self.shared.pixels))
            first, second = first[order], second[order]
            one, other = lower.objects.areas[first], upper.objects.areas[second]
            lower.taper_down[first] = np.minimum(one / other, 1)
            upper.taper_up[second] = np.minimum(other / one, 1)

    def edges(self, lower: _Level, upper: _Level, step: int) -> ObjectEdges:
        return ObjectEdges(
            lower.objects.ids[self.shared.first],
            upper.objects.ids[self.shared.second],
            np.full(len(self.iou), step, np.uint8),
            self.iou.astype(np.float32),
            self.containment.astype(np.float32),
        )


def _candidates(lower: _Level, upper: _Level, *, far: bool, iou: float, containment: float) -> _Pairs:
    """Find the pairs that overlap enough; of far slices, those of which one object is still loose."""
    if not far:
        shared = count_shared(lower.stretches, upper.stretches)
    else:
        loose, loose_above = ~lower.linked_up, ~upper.linked_down
        parts = (
            count_shared(lower.stretches.of(loose), upper.stretches),
            count_shared(lower.stretches.of(~loose), upper.stretches.of(loose_above)),
        )
        shared = SharedPixels(
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.second for part in parts]),
            np.concatenate([part.pixels for part in parts]),
        )
    one, other = lower.objects.areas[shared.first], upper.objects.areas[shared.second]
    pairs = _Pairs(shared, shared.pixels / (one + other - shared.pixels), shared.pixels / np.minimum(one, other))
    return pairs.take((pairs.iou >= iou) | (pairs.containment >= containment))
