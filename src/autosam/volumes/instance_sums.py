"""What of an instance adds up over the regions of a volume: voxels, places, box, crossings of its surface."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.store_levels import Region
from autosam.volumes.surface import DIRECTIONS

_AT_ONCE = 1 << 21
"""Voxels that are looked at at once, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class InstanceSums:
    """Sums over the voxels of instances, by rising id.

    Attributes
    ----------
    ids : ndarray of uint64, shape (n,)
    voxels : ndarray of int64, shape (n,)
    places : ndarray of int64, shape (n, 3)
        Sums of slice, row and column.
    boxes : ndarray of int64, shape (n, 6)
        First slice, row and column, and those after the last.
    crossings : ndarray of int64, shape (n, 13)
        How often a line along each of `surface.DIRECTIONS` enters or leaves the instance. What lies outside of the
        volume counts as background.
    """

    ids: NDArray[np.uint64]
    voxels: NDArray[np.int64]
    places: NDArray[np.int64]
    boxes: NDArray[np.int64]
    crossings: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls) -> "InstanceSums":
        """Give no instance."""
        n = len(DIRECTIONS)
        zeros = [np.zeros((0, *shape), np.int64) for shape in ((), (3,), (6,), (n,))]
        return cls(np.zeros(0, np.uint64), *zeros)

    @classmethod
    def add(cls, parts: Sequence["InstanceSums"]) -> "InstanceSums":
        """Add parts up; their order does not matter."""
        parts = [part for part in parts if len(part)]
        if len(parts) < 2:
            return parts[0] if parts else cls.empty()
        ids, voxels, places, boxes, crossings = (
            np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)
        )
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        first = np.flatnonzero(np.diff(ids, prepend=ids[0] ^ np.uint64(1)))
        return cls(
            ids[first],
            np.add.reduceat(voxels[order], first),
            np.add.reduceat(places[order], first),
            np.concatenate(
                [
                    np.minimum.reduceat(boxes[order, :3], first),
                    np.maximum.reduceat(boxes[order, 3:], first),
                ],
                axis=1,
            ),
            np.add.reduceat(crossings[order], first),
        )


def sum_region(store: LabelStore, region: Region) -> InstanceSums:
    """Sum over one region of the finest level, and the voxels around it, which have to be written.

    Parameters
    ----------
    region : tuple of slice
        Any part of the volume; parts that cover it once add up to the sums of the whole.
    """
    padded = _with_border(store, region)
    step = max(1, _AT_ONCE // max(padded[0].size, 1))
    corner = (region[0].start, region[1].start, region[2].start)
    depth = region[0].stop - region[0].start
    return InstanceSums.add(
        [
            _sum(padded[first : min(first + step, depth) + 2], (corner[0] + first, corner[1], corner[2]))
            for first in range(0, depth, step)
        ]
    )


def _with_border(store: LabelStore, region: Region) -> NDArray[Any]:
    """Read a region and one voxel around it, zeros outside of the volume."""
    inside = [slice(max(p.start - 1, 0), min(p.stop + 1, n)) for p, n in zip(region, store.shape, strict=True)]
    read = store.read((inside[0], inside[1], inside[2]))
    margins = [
        (int(part.start == 0), int(part.stop == length)) for part, length in zip(region, store.shape, strict=True)
    ]
    return np.pad(read, margins)


def _sum(padded: NDArray[Any], corner: tuple[int, int, int]) -> InstanceSums:
    """Sum over all but the outermost voxels; ``corner`` is the place of the first of them in the volume."""
    inner = np.zeros(padded.shape, bool)
    inner[1:-1, 1:-1, 1:-1] = padded[1:-1, 1:-1, 1:-1] != 0
    at = np.flatnonzero(inner)
    if not at.size:
        return InstanceSums.empty()
    flat = padded.reshape(-1)
    labels = flat[at]
    ids, index = np.unique(labels, return_inverse=True)
    n = len(ids)
    voxels = np.bincount(index, minlength=n)
    places = np.empty((n, 3), np.int64)
    boxes = np.empty((n, 6), np.int64)
    for axis, values in enumerate(np.unravel_index(at, padded.shape)):
        # Sums of float64 are exact here: they are whole numbers below 2**53.
        relative = np.bincount(index, weights=values, minlength=n).astype(np.int64)
        places[:, axis] = relative + voxels * (corner[axis] - 1)
        boxes[:, axis], boxes[:, 3 + axis] = _extent(index, values, n)
        boxes[:, axis] += corner[axis] - 1
        boxes[:, 3 + axis] += corner[axis]
    crossings = np.empty((n, len(DIRECTIONS)), np.int64)
    for number, direction in enumerate(DIRECTIONS):
        offset = int(direction @ [padded.shape[1] * padded.shape[2], padded.shape[2], 1])
        there, back = flat[at + offset] != labels, flat[at - offset] != labels
        crossings[:, number] = np.bincount(index[there], minlength=n) + np.bincount(index[back], minlength=n)
    return InstanceSums(ids.astype(np.uint64), voxels, places, boxes, crossings)


def _extent(
    index: NDArray[np.int64], values: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    low = np.full(n, np.iinfo(np.int64).max)
    high = np.full(n, -1)
    np.minimum.at(low, index, values)
    np.maximum.at(high, index, values)
    return low, high
