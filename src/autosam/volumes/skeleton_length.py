"""How long instances are along their skeletons."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.store_levels import Region, StoreLevel
from autosam.volumes.surface import DIRECTIONS

_LARGEST = 1 << 23
"""Voxels of the box in which a skeleton is made: up to 9 seconds and 100 MB."""
_TOGETHER = 1 << 24
"""Voxels of a part of the volume that is read once for all instances in it."""


@dataclass(frozen=True, eq=False)
class SkeletonLengths:
    """Lengths of instances.

    Attributes
    ----------
    ids : ndarray of uint64, shape (n,)
    lengths : ndarray of float64, shape (n,)
        In the unit of the spacing, all branches together; NaN where it is not known.
    levels : ndarray of int64, shape (n,)
        Level of the pyramid at which each was measured; -1 where none fits.
    """

    ids: NDArray[np.uint64]
    lengths: NDArray[np.float64]
    levels: NDArray[np.int64]

    @classmethod
    def join(cls, parts: Sequence["SkeletonLengths"]) -> "SkeletonLengths":
        """Join lengths of different instances, by rising id."""
        ids = np.concatenate([np.zeros(0, np.uint64), *(part.ids for part in parts)])
        lengths = np.concatenate([np.zeros(0), *(part.lengths for part in parts)])
        levels = np.concatenate([np.zeros(0, np.int64), *(part.levels for part in parts)])
        order = np.argsort(ids)
        return cls(ids[order], lengths[order], levels[order])


def group_by_region(store: LabelStore, boxes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Group instances by the region of the finest level that the first corner of their box lies in.

    Parameters
    ----------
    boxes : ndarray of int64, shape (n, 6)
        First slice, row and column, and those after the last.

    Returns
    -------
    list of ndarray of int64
        Positions in ``boxes``, of each region that has some, in raster order of the regions.
    """
    if not len(boxes):
        return []
    level = store.levels[0]
    counts = [-(-n // side) for n, side in zip(level.shape, level.region, strict=True)]
    numbers = np.ravel_multi_index(tuple((boxes[:, :3] // level.region).T), counts)
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def measure_skeletons(
    store: LabelStore,
    ids: NDArray[np.uint64],
    boxes: NDArray[np.int64],
    voxel_size: tuple[float, float, float],
    *,
    largest: int = _LARGEST,
) -> SkeletonLengths:
    """Measure instances, best those of one of `group_by_region`, whose voxels are read together.

    Each one is measured at the finest level at which its box has no more than `largest` voxels. All levels have to
    be written.

    Parameters
    ----------
    boxes : ndarray of int64, shape (n, 6)
        Of the finest level, see `group_by_region`.
    voxel_size : tuple of float
        Spacing of slices, rows and columns of the finest level.
    """
    lengths = np.full(len(ids), np.nan)
    levels = np.array([_level(store.levels, box, largest) for box in boxes.tolist()], np.int64).reshape(-1)
    for level in np.unique(levels[levels >= 0]).tolist():
        own = np.flatnonzero(levels == level)
        factors = np.array(store.levels[level].factors)
        scaled = np.concatenate([boxes[own, :3] // factors, -(-boxes[own, 3:] // factors)], axis=1)
        spacing = np.array(voxel_size) * factors
        for group, corner, labels in _read(store, level, scaled):
            for member in group:
                low, high = scaled[member, :3] - corner, scaled[member, 3:] - corner
                place = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
                lengths[own[member]] = skeleton_length(labels[place] == ids[own[member]], spacing)
    return SkeletonLengths(ids, lengths, levels)


def skeleton_length(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> float:
    """Sum up the steps of a tree through all voxels of a mask's skeleton.

    The skeleton is that of Lee et al. [1]_, as skimage makes it. Steps join neighbors of 26, and the tree is the
    shortest one; a ring is cut open at one step. The ends of an instance are shorter than itself by about its
    radius. A mask without voxels gives NaN.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
    spacing : ndarray of float64, shape (3,)
        Of slices, rows and columns.

    References
    ----------
    .. [1] T.-C. Lee, R.L. Kashyap and C.-N. Chu, Building skeleton models via 3-D medial surface/axis thinning
       algorithms, CVGIP 56(6), 462-478, 1994.
    """
    # Slow imports, needed only here.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree
    from skimage.morphology import skeletonize

    if not mask.any():
        return float("nan")
    skeleton = skeletonize(mask, method="lee")
    if not skeleton.any():
        # Thinning leaves nothing of round and symmetric masks: without its first layers, this one is neither.
        padded = np.pad(mask, 1)
        for axis in range(3):
            padded &= np.roll(padded, 1, axis)
        skeleton = skeletonize(padded, method="lee")
    # A margin, so that a step never leads to the next row.
    inside = np.pad(skeleton != 0, 1)
    at = np.flatnonzero(inside)
    if at.size < 2:
        return 0.0
    strides = np.array([inside.shape[1] * inside.shape[2], inside.shape[2], 1])
    begins, ends, weights = [], [], []
    for direction in DIRECTIONS:
        wanted = at + int(direction @ strides)
        found = np.minimum(np.searchsorted(at, wanted), at.size - 1)
        joined = np.flatnonzero(at[found] == wanted)
        begins.append(joined)
        ends.append(found[joined])
        weights.append(np.full(joined.size, np.linalg.norm(direction * spacing)))
    graph = coo_array(
        (np.concatenate(weights), (np.concatenate(begins), np.concatenate(ends))), shape=(at.size, at.size)
    )
    return float(minimum_spanning_tree(graph.tocsr()).sum())


def _level(levels: Sequence[StoreLevel], box: Sequence[int], largest: int) -> int:
    """Choose the finest level at which a box is small enough, -1 without one."""
    for number, level in enumerate(levels):
        sides = [-(-box[3 + i] // level.factors[i]) - box[i] // level.factors[i] for i in range(3)]
        if sides[0] * sides[1] * sides[2] <= largest:
            return number
    return -1


def _read(
    store: LabelStore, level: int, boxes: NDArray[np.int64]
) -> Iterator[tuple[list[int], NDArray[np.int64], NDArray[Any]]]:
    """Read boxes one after the other, as many together as fit; give their numbers, the first corner and labels."""
    group: list[int] = []
    low = high = np.zeros(3, np.int64)
    for number, box in enumerate(boxes):
        both = np.minimum(low, box[:3]), np.maximum(high, box[3:])
        if group and np.prod(both[1] - both[0]) > _TOGETHER:
            yield group, low, store.read(_region(low, high), level)
            group = []
        group.append(number)
        low, high = both if len(group) > 1 else (box[:3], box[3:])
    if group:
        yield group, low, store.read(_region(low, high), level)


def _region(low: NDArray[np.int64], high: NDArray[np.int64]) -> Region:
    z, y, x = (slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    return z, y, x
