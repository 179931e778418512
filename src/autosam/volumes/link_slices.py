"""Links between the slices of a volume: which objects of one tile, one to three slices apart, belong together.

Every decision reads the objects of a few slices, see `CONTEXT`, whatever the slabs are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.cut_merges import TRACK, Pairs, find_merges
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.shared_pixels import RowStretches, SharedPixels, count_shared, row_stretches
from autosam.volumes.slice_objects import SliceObjects

CONTEXT = TRACK + 1
"""Slices below and above a slab that its links depend on."""

_Bools = NDArray[np.bool_]
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


def link_slices(
    objects: Mapping[int, SliceObjects],
    slices: range,
    *,
    reach: int,
    iou: float,
    containment: float,
    taper: float,
    cut_merges: bool,
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
    cut_merges : bool
        Take an object that merges two tracks in its slice alone from all but the largest of them, see
        `find_merges`. An edge of step 2 then joins the ends of the track.

    Returns
    -------
    ObjectEdges
        Edges of steps 1 to `reach`, sorted. Where merges are cut, there may be edges of step 2 whatever `reach`
        is.
    """
    levels = {
        z: _Level.of(objects[z]) for z in range(slices.start - CONTEXT, slices.stop + CONTEXT) if z in objects
    }
    linker = _Linker(levels, iou, containment, taper)
    found = {(z, step): pairs for step in range(1, reach + 1) for z, pairs in linker.link(step).items()}
    if cut_merges:
        # A cut in the slice above a slab takes an edge of the slab.
        linker.cut(found, range(slices.start, slices.stop + 1))
    return ObjectEdges.concatenate(
        [
            pairs.edges(levels[z], levels[z + step], step)
            for (z, step), pairs in found.items()
            if z + step // 2 in slices
        ]
    )


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

    def mask(self, positions: _Ints) -> _Bools:
        mask = np.zeros(len(self.objects), bool)
        mask[positions] = True
        return mask


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of objects of two slices that overlap enough."""

    shared: SharedPixels
    iou: _Floats
    containment: _Floats

    @classmethod
    def concatenate(cls, parts: list["_Pairs"]) -> "_Pairs":
        nothing = np.zeros(0)
        return cls(
            SharedPixels.concatenate([part.shared for part in parts]),
            np.concatenate([nothing, *(part.iou for part in parts)]),
            np.concatenate([nothing, *(part.containment for part in parts)]),
        )

    @property
    def ends(self) -> Pairs:
        return self.shared.first, self.shared.second

    def take(self, kept: _Bools) -> "_Pairs":
        return _Pairs(self.shared.take(kept), self.iou[kept], self.containment[kept])

    def without(self, first: int, second: int) -> "_Pairs":
        return self.take((self.shared.first != first) | (self.shared.second != second))

    def edges(self, lower: _Level, upper: _Level, step: int) -> ObjectEdges:
        return ObjectEdges(
            lower.objects.ids[self.shared.first],
            upper.objects.ids[self.shared.second],
            np.full(len(self.iou), step, np.uint8),
            self.iou.astype(np.float32),
            self.containment.astype(np.float32),
        )


@dataclass(eq=False)
class _Linker:
    levels: dict[int, _Level]
    iou: float
    containment: float
    taper: float

    def link(self, step: int) -> dict[int, _Pairs]:
        """Find the pairs of one step, by their lower slice; the steps before it have been found."""
        found = {}
        for z, lower in self.levels.items():
            upper = self.levels.get(z + step)
            if upper is None:
                continue
            if step == 1:
                found[z] = self._enough(lower, upper, count_shared(lower.stretches, upper.stretches))
            else:
                found[z] = self._far(lower, upper)
        # Only now: a pair does not stand in the way of others of its step.
        for z, pairs in found.items():
            _note_partners(pairs, self.levels[z], self.levels[z + step], near=step == 1)
        return found

    def _enough(self, lower: _Level, upper: _Level, shared: SharedPixels) -> _Pairs:
        one, other = lower.objects.areas[shared.first], upper.objects.areas[shared.second]
        pairs = _Pairs(
            shared, shared.pixels / (one + other - shared.pixels), shared.pixels / np.minimum(one, other)
        )
        return pairs.take((pairs.iou >= self.iou) | (pairs.containment >= self.containment))

    def _far(self, lower: _Level, upper: _Level) -> _Pairs:
        """Find pairs of which one object is still loose, and that do not taper off towards each other."""
        loose, loose_above = ~lower.linked_up, ~upper.linked_down
        shared = SharedPixels.concatenate(
            [
                count_shared(lower.stretches.of(loose), upper.stretches),
                count_shared(lower.stretches.of(~loose), upper.stretches.of(loose_above)),
            ]
        )
        pairs = self._enough(lower, upper, shared)
        first, second = pairs.ends
        return pairs.take(lower.taper_up[first] * upper.taper_down[second] >= self.taper)

    def cut(self, found: dict[tuple[int, int], _Pairs], slices: range) -> None:
        """Cut the false merges in some slices, in place."""
        near = {z: pairs.ends for (z, step), pairs in found.items() if step == 1}

        def across(z: int, below: _Ints, above: _Ints) -> Pairs:
            return self._between(z, below, above).ends

        def area(z: int, index: int) -> int:
            return int(self.levels[z].objects.areas[index])

        # All are found before any is cut, so that none depends on which slices came before.
        for cut in [cut for z in slices for cut in find_merges(near, z, across=across, area=area)]:
            z = cut.z
            found[z - 1, 1] = found[z - 1, 1].without(cut.below, cut.merged)
            found[z, 1] = found[z, 1].without(cut.merged, cut.above)
            joined = self._between(z, np.array([cut.below]), np.array([cut.above]))
            found[z - 1, 2] = _Pairs.concatenate([found.get((z - 1, 2), _Pairs.concatenate([])), joined])

    def _between(self, z: int, below: _Ints, above: _Ints) -> _Pairs:
        """Find the pairs across slice z among some objects below and above it."""
        lower, upper = self.levels[z - 1], self.levels[z + 1]
        shared = count_shared(lower.stretches.of(lower.mask(below)), upper.stretches.of(upper.mask(above)))
        return self._enough(lower, upper, shared)


def _note_partners(pairs: _Pairs, lower: _Level, upper: _Level, *, near: bool) -> None:
    first, second = pairs.ends
    lower.linked_up[first] = True
    upper.linked_down[second] = True
    if near:
        # From the smallest to the largest intersection, so the last one written is the main partner.
        order = np.lexsort((-np.arange(len(first)), pairs.shared.pixels))
        first, second = first[order], second[order]
        one, other = lower.objects.areas[first], upper.objects.areas[second]
        lower.taper_down[first] = np.minimum(one / other, 1)
        upper.taper_up[second] = np.minimum(other / one, 1)
