"""The cross-sections of a volume's objects in single slices, and what predicted and true ones share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from autosam.data.valid_pixels import split_ignored
from autosam.evaluation.open_pair import OpenPair
from autosam.evaluation.volumes import BLOCK_VOXELS, blocks
from autosam.images.label_volume import Region
from autosam.metrics.contingency import Contingency, ContingencyTable, contingency_table

Ids = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Sections:
    """Cross-sections in columns: connected parts, 8 neighbors, of one object in one slice; by rising z.

    Attributes
    ----------
    z : ndarray of int64, shape (n,)
    index : ndarray of int64, shape (n,)
        Position of the object in the table's ids; -1 for one that does not count.
    areas : ndarray of int64, shape (n,)
    places : ndarray of int64, shape (n, 2)
        Row and column of the pixel of each that is nearest its centroid.
    """

    z: NDArray[np.int64]
    index: NDArray[np.int64]
    areas: NDArray[np.int64]
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.z)


@dataclass(frozen=True, eq=False)
class VolumeSections:
    """Cross-sections of both sides of a pair of volumes, and the pixels that they share.

    Attributes
    ----------
    table : ContingencyTable
        Of the volumes.
    pred, truth : Sections
    pred_at, truth_at : ndarray of int64, shape (K,)
        Positions of the two cross-sections of each pair that shares pixels.
    overlap : ndarray of int64, shape (K,)
    """

    table: ContingencyTable
    pred: Sections
    truth: Sections
    pred_at: NDArray[np.int64]
    truth_at: NDArray[np.int64]
    overlap: NDArray[np.int64]


def find_sections(
    pair: OpenPair,
    *,
    block_voxels: int = BLOCK_VOXELS,
    progress: Callable[[int, int], None] | None = None,
) -> VolumeSections:
    """Read two volumes once, slice by slice, and compare their cross-sections.

    Memory holds a block of slices, and some numbers for each cross-section.

    Parameters
    ----------
    pair : OpenPair
        Volumes (Z, Y, X).
    block_voxels : int
        Voxels of each side that are read at a time; always whole slices.
    progress : callable, optional
        Called with the slices that are done and their number.

    Raises
    ------
    InputError
        If an id is negative or a file is damaged.
    """
    shape = pair.truth.shape
    contingency = Contingency()
    sides: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    shared: list[NDArray[np.int64]] = []
    counts = [0, 0]
    depth = max(pair.pred.chunks[0], pair.truth.chunks[0])
    for region in blocks(shape, (depth, *shape[1:]), block_voxels):
        labels, counted = _read(pair, region)
        contingency.update(*labels, valid=counted)
        for z, (pred, truth) in enumerate(zip(*labels, strict=True)):
            inside = None if counted is None else counted[z]
            parts = [cut_sections(_within(side, inside)) for side in (pred, truth)]
            both = contingency_table(parts[0][0], parts[1][0])
            shared.append(
                np.stack([both.pred_index + counts[0], both.truth_index + counts[1], both.overlap], axis=1)
            )
            for side, (_, found), stored in zip((0, 1), parts, (pred, truth), strict=True):
                ids = stored[found[:, 1], found[:, 2]].astype(np.uint64)
                at = np.full(len(found), region[0].start + z, np.int64)
                # Ids need 64 bits without a sign; as int64 the bits stay.
                sides[side].append(np.column_stack([at, ids.view(np.int64), found]))
                counts[side] += len(found)
        if progress is not None:
            progress(region[0].stop, shape[0])
    table = contingency.table()
    pairs = np.concatenate([np.zeros((0, 3), np.int64), *shared])
    pred, truth = (
        _sections(rows, ids) for rows, ids in zip(sides, (table.pred_ids, table.truth_ids), strict=True)
    )
    kept = (pred.index[pairs[:, 0]] >= 0) & (truth.index[pairs[:, 1]] >= 0)
    return VolumeSections(table, pred, truth, *(column[kept] for column in pairs.T))


def read_counted(pair: OpenPair, z: int) -> tuple[Ids, Ids]:
    """Read one slice of both sides, (Y, X), with 0 where pixels do not count."""
    _, height, width = pair.truth.shape
    labels, counted = _read(pair, (slice(z, z + 1), slice(0, height), slice(0, width)))
    inside = None if counted is None else counted[0]
    return _within(labels[0][0], inside), _within(labels[1][0], inside)


def _read(pair: OpenPair, region: Region) -> tuple[tuple[Ids, Ids], NDArray[np.bool_] | None]:
    """Read both sides, and which voxels count; None for all. What does not count is no negative id any more."""
    pred, truth = pair.pred.read(region), pair.truth.read(region, ignore=pair.ignore)
    counted = None if pair.valid is None else pair.valid.read_mask(region)
    truth, counted = split_ignored(truth, counted, ignore=pair.ignore)
    return (pred, truth), counted


def _within(labels: Ids, counted: NDArray[np.bool_] | None) -> Ids:
    return labels if counted is None else np.where(counted, labels, np.zeros((), labels.dtype))


def _sections(rows: Sequence[NDArray[Any]], ids: NDArray[np.uint64]) -> Sections:
    columns = np.concatenate([np.zeros((0, 5), np.int64), *rows])
    own = np.ascontiguousarray(columns[:, 1]).view(np.uint64)
    index = np.searchsorted(ids, own)
    known = index < len(ids)
    known[known] = ids[index[known]] == own[known]
    return Sections(columns[:, 0], np.where(known, index, -1), columns[:, 2], columns[:, 3:])


def cut_sections(labels: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut ids into their connected parts, and give area, row and column of each.

    Returns
    -------
    parts : ndarray of int64, shape (H, W)
    found : ndarray of int64, shape (n, 3)
        The place is that of the pixel nearest the centroid.
    """
    # Equal bits are equal ids, whatever the sign.
    same = labels.view(np.int64) if labels.dtype == np.uint64 else labels.astype(np.int64)
    parts, n = label(same, background=0, connectivity=2, return_num=True)
    parts = np.asarray(parts, np.int64)
    flat = np.flatnonzero(parts)
    own = parts.ravel()[flat] - 1
    rows, columns = np.divmod(flat, labels.shape[1])
    areas = np.bincount(own, minlength=n)
    away = sum(
        ((side - (np.bincount(own, weights=side, minlength=n) / np.maximum(areas, 1))[own]) ** 2)
        for side in (rows, columns)
    )
    least = np.full(n, np.inf)
    np.minimum.at(least, own, away)
    nearest = np.flatnonzero(away == least[own])[::-1]
    places = np.zeros((n, 2), np.int64)
    # The last one is written, so of several equally near the first in raster order.
    places[own[nearest]] = np.stack([rows, columns], axis=1)[nearest]
    return parts, np.column_stack([areas, places])
