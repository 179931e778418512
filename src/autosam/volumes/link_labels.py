"""Labels of single slices, of any program, as instances of a volume: the links alone, without a network.

Slices are read in order, and a few are held at a time. What is kept of the others are some numbers of each object.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config.volume_section import VolumeConfig
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.interpolate import PlacedMask, interpolate_masks
from autosam.volumes.link_slices import CONTEXT, link_slices
from autosam.volumes.partition import kept_edges
from autosam.volumes.shared_pixels import count_shared, row_stretches
from autosam.volumes.slice_objects import (
    INTERPOLATED,
    SliceObjects,
    make_ids,
    objects_of_labels,
    paint,
    slices_of,
)
from autosam.volumes.unite import positions, unite

_Ints = NDArray[np.int64]

_SLAB = 8
"""Slices that are linked at once."""


@dataclass(frozen=True, eq=False)
class LinkedLabels:
    """Instances of a volume, as what becomes of the ids of each slice.

    Attributes
    ----------
    ids : ndarray of uint64, shape (n,)
        Of all objects, rising; see `SliceObjects`.
    values : ndarray of uint64, shape (n,)
        Id of each object in the labels that came.
    numbers : ndarray of int64, shape (n,)
        Instance of each object: 1, 2, ... in order of the first slice, then of the id in it; 0 for none.
    filled : mapping of int to SliceObjects
        Interpolated objects, by slice.
    filled_numbers : mapping of int to ndarray of int64
        Their instances.
    """

    ids: NDArray[np.uint64]
    values: NDArray[np.uint64]
    numbers: _Ints
    filled: Mapping[int, SliceObjects]
    filled_numbers: Mapping[int, _Ints]

    @property
    def count(self) -> int:
        """Number of instances."""
        return int(self.numbers.max(initial=0))

    def relabel(self, z: int, labels: NDArray[np.integer[Any]], *, corner: tuple[int, int] = (0, 0)) -> _Ints:
        """Give a window of a slice its instances.

        Parameters
        ----------
        labels : ndarray of integers, shape (h, w)
            As they came.
        corner : tuple of int
            Row and column of the window in the slice.
        """
        first, stop = np.searchsorted(slices_of(self.ids), [z, z + 1])
        found = np.zeros(labels.shape, np.int64)
        inside = labels != 0
        places = np.searchsorted(self.values[first:stop], labels[inside].astype(np.uint64))
        found[inside] = self.numbers[first:stop][places]
        if z in self.filled:
            drawn = np.zeros(labels.shape, np.int64)
            paint(self.filled[z], self.filled_numbers[z], drawn, corner=corner)
            # What was found stays.
            found[~inside] = drawn[~inside]
        return found


def link_labels(
    read: Callable[[int], NDArray[np.integer[Any]] | None],
    depth: int,
    *,
    settings: VolumeConfig,
    fill: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> LinkedLabels:
    """Link the slices of labels.

    Parameters
    ----------
    read : callable
        Gives the labels of a slice, (H, W), 0 for background; None where the slice is missing. Each is asked for
        once, in order.
    depth : int
        Number of slices.
    settings : VolumeConfig
        How objects are linked, and which instances are left out.
    fill : bool
        Interpolate the objects that are missing in a slice between two that are linked across it, unless others
        cover more than the share ``fill_overlap`` of the place.
    advance : callable
        Is told how many slices have been read.

    Returns
    -------
    LinkedLabels
        Empty where no slice has an object.
    """
    window: dict[int, SliceObjects] = {}
    ids, sizes, values = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    edges, filled = [], []
    done = 0
    for start in range(0, depth, _SLAB):
        slab = range(start, min(start + _SLAB, depth))
        while done < min(slab.stop + CONTEXT, depth):
            labels = read(done)
            if labels is not None:
                window[done] = objects_of_labels(labels, z=done, tile=0)
                ids.append(window[done].ids)
                sizes.append(window[done].areas)
                # In the order of the objects.
                values.append(np.unique(labels[labels != 0]).astype(np.uint64))
            done += 1
            advance(done)
        edges.append(
            link_slices(
                window,
                slab,
                reach=settings.link_reach,
                iou=settings.link_iou,
                containment=settings.link_containment,
                taper=settings.link_taper,
                cut_merges=settings.cut_merges,
            )
        )
        if fill:
            filled += _interpolate(window, edges[-1].gaps(), settings.fill_overlap)
        for z in [z for z in window if z < slab.stop - CONTEXT]:
            del window[z]
    linked, objects = ObjectEdges.concatenate(edges), np.concatenate(ids)
    linked = linked.take(kept_edges(objects, linked, method=settings.partition))
    numbers = unite(
        objects,
        linked.a,
        linked.b,
        sizes=np.concatenate(sizes),
        min_size=settings.min_size,
        slices=range(depth),
        min_slices=settings.min_slices,
    )
    return LinkedLabels(objects, np.concatenate(values), numbers, *_by_slice(filled, objects, numbers))


def _interpolate(
    objects: Mapping[int, SliceObjects], gaps: ObjectEdges, most_covered: float
) -> list[tuple[int, SliceObjects]]:
    """Draw what is missing across gaps: the lower object of each, and the one that is missing."""
    found = []
    for a, b in zip(gaps.a, gaps.b, strict=True):
        first, last = (int(z) for z in slices_of(np.array([a, b])))
        lower, upper = _placed(objects[first], a), _placed(objects[last], b)
        for z in range(first + 1, last):
            between = interpolate_masks(lower, upper, (z - first) / (last - first))
            missing = objects_of_labels(
                between.mask.astype(np.uint8),
                z=z,
                tile=0,
                corner=(between.row, between.col),
                origin=INTERPOLATED,
            )
            others = objects.get(z, SliceObjects.empty())
            covered = count_shared(row_stretches(missing), row_stretches(others)).pixels.sum()
            if covered <= most_covered * missing.areas.sum():
                found.append((int(a), missing))
    return found


def _placed(objects: SliceObjects, wanted: np.uint64) -> PlacedMask:
    index = int(np.searchsorted(objects.ids, wanted))
    top, left = (int(side) for side in objects.boxes[index, :2])
    return PlacedMask(top, left, objects.mask(index))


def _by_slice(
    filled: list[tuple[int, SliceObjects]], ids: NDArray[np.uint64], numbers: _Ints
) -> tuple[dict[int, SliceObjects], dict[int, _Ints]]:
    """Sort interpolated objects by slice, with the instances that they belong to."""
    own = numbers[positions(ids, np.array([a for a, _ in filled], np.uint64))]
    places: dict[int, list[int]] = {}
    for place, (_, objects) in enumerate(filled):
        places.setdefault(int(objects.z[0]), []).append(place)
    # Numbered anew, as each came as the first of its slice.
    return (
        {
            z: SliceObjects.concatenate(
                [replace(filled[i][1], ids=make_ids(z, 0, [n])) for n, i in enumerate(places[z])]
            )
            for z in places
        },
        {z: own[places[z]] for z in places},
    )
