"""How long instances are along their skeletons."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.store_levels import Region, StoreLevel
from autosam.volumes.surface import DIRECTIONS

if TYPE_CHECKING:
    from scipy.sparse import coo_array

_LARGEST = 1 << 21
"""Voxels of the box in which a skeleton is made, which takes about 50 bytes and a microsecond for each."""
_TOGETHER = 1 << 22
"""Voxels of a part of the volume that is read once for all instances in it."""


@dataclass(frozen=True, eq=False)
class SkeletonLengths:
    """Lengths of instances.

    Attributes
    ----------
    ids : ndarray of uint64, shape (n,)
    lengths : ndarray of float64, shape (n,)
        In the unit of the spacing, see `skeleton_length`; NaN where it is not known.
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
    """Sum up the steps of a tree through the voxels of a mask's skeleton.

    The skeleton is that of Lee et al. [1]_, as skimage makes it. Steps join neighbors of 26, and the tree is the
    shortest one; a ring is cut open at one step. A branch that is shorter than the mask is thick where it begins,
    from the middle to the border, comes from a bump, and is left out. Holes of one or two voxels are closed first:
    the skeleton would go around each of them. The ends of an instance are shorter than itself by about its radius.
    A mask without voxels gives NaN.

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
    # A slow import, needed only here.
    from scipy.ndimage import binary_closing, distance_transform_edt

    if not mask.any():
        return float("nan")
    closed = binary_closing(np.pad(mask, 2), np.ones((3, 3, 3), bool))[1:-1, 1:-1, 1:-1]
    # A margin, so that a step never leads to the next row.
    inside = np.pad(_thinned(closed[1:-1, 1:-1, 1:-1]), 1)
    at = np.flatnonzero(inside)
    if at.size < 2:
        return 0.0
    radius = distance_transform_edt(closed, sampling=spacing).reshape(-1)[at]
    return pruned_length(_tree(at, inside.shape, spacing), radius)


def _thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # A slow import, needed only here.
    from skimage.morphology import skeletonize

    skeleton: NDArray[np.bool_] = skeletonize(mask, method="lee") != 0
    if skeleton.any():
        return skeleton
    # Thinning leaves nothing of round and symmetric masks: without its first layers, this one is neither.
    padded = np.pad(mask, ((1, 0), (1, 0), (1, 0)))
    for axis in np.flatnonzero(np.array(mask.shape) > 1).tolist():
        padded &= np.roll(padded, 1, axis)
    skeleton = skeletonize(padded, method="lee") != 0
    return skeleton[1:, 1:, 1:]


def _tree(at: NDArray[np.int64], shape: tuple[int, ...], spacing: NDArray[np.float64]) -> "coo_array":
    """Join neighboring voxels, given by their places in raster order, to the shortest tree."""
    # A slow import, needed only here.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    strides = np.array([shape[1] * shape[2], shape[2], 1])
    begins, ends, weights = [], [], []
    for direction in DIRECTIONS:
        wanted = at + int(direction @ strides)
        found = np.minimum(np.searchsorted(at, wanted), at.size - 1)
        joined = np.flatnonzero(at[found] == wanted)
        begins.append(joined)
        ends.append(found[joined])
        weights.append(np.full(joined.size, np.linalg.norm(direction * spacing)))
    places = (np.concatenate(begins), np.concatenate(ends))
    return minimum_spanning_tree(
        coo_array((np.concatenate(weights), places), shape=(at.size, at.size)).tocsr()
    ).tocoo()


def pruned_length(tree: "coo_array", radius: NDArray[np.float64]) -> float:
    """Sum up the edges of a tree without its short branches, the shortest taken off first.

    Parameters
    ----------
    tree : sparse array, shape (n, n)
        Lengths of the edges.
    radius : ndarray of float64, shape (n,)
        A branch that is shorter than the radius of the node where it begins is taken off. Two such branches at
        one end leave the longer one, which continues what is before it.
    """
    neighbors: list[dict[int, float]] = [{} for _ in range(len(radius))]
    for a, b, length in zip(tree.row.tolist(), tree.col.tolist(), tree.data.tolist(), strict=True):
        neighbors[a][b] = neighbors[b][a] = length

    def branch(leaf: int) -> tuple[float, int, list[int], int] | None:
        """Walk from a leaf to the first fork; None where there is no fork, or the branch is long."""
        length, nodes, here, before = 0.0, [leaf], leaf, -1
        while True:
            onwards = [node for node in neighbors[here] if node != before]
            if len(onwards) != 1:
                break
            before, here = here, onwards[0]
            length += neighbors[before][here]
            if len(neighbors[here]) > 2:
                return (length, leaf, nodes, here) if length < radius[here] else None
            nodes.append(here)
        return None

    waiting = [found for leaf, near in enumerate(neighbors) if len(near) == 1 and (found := branch(leaf))]
    heapq.heapify(waiting)
    while waiting:
        _, leaf, nodes, fork = heapq.heappop(waiting)
        if len(neighbors[fork]) > 2:
            for node in nodes:
                for other in neighbors[node]:
                    neighbors[other].pop(node, None)
                neighbors[node].clear()
        elif found := branch(leaf):
            # The fork is none any more: the branch goes on to the next one.
            heapq.heappush(waiting, found)
    return sum(length for near in neighbors for length in near.values()) / 2


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
