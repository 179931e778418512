"""Holes of objects, filled only where no other object lies in them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.instances.crop import MaskCrop
from autosam.instances.open_regions import OpenRegions
from autosam.instances.row_runs import single_runs
from autosam.regions.numbering import flat_runs, sizes_and_first_pixels

INSIDE = 0.5
"""An object lies in a hole if the hole has more than this fraction of its pixels."""


def find_holes(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Find the 4-connected holes of a mask, (h, w), that do not reach the crop's outside, and number them.

    Returns
    -------
    ndarray of int32, shape (h, w)
        0 where there is no hole; numbers have gaps.
    """
    if single_runs(mask) is not None:
        return np.zeros(mask.shape, dtype=np.int32)
    # Labeling the padded complement once takes a fraction of the time of ndimage.binary_fill_holes.
    outside, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    outside[outside == outside[0, 0]] = 0
    return np.asarray(outside[1:-1, 1:-1], dtype=np.int32)


def fill_masks(crops: Sequence[MaskCrop], *, min_size: int, regions: OpenRegions | None = None) -> list[MaskCrop]:
    """Fill the holes of masks in which no other object lies, the innermost mask first.

    Parameters
    ----------
    crops : sequence of MaskCrop
        Each in its own bounding box.
    min_size : int
        A mask that is smaller, once it is filled, is no object: it is dropped, and lies in no hole.
    regions : OpenRegions, optional
        More objects that a hole may hold: regions of the generator to which no mask belongs.

    Returns
    -------
    list of MaskCrop
        Those that are left, in the same order.
    """
    filled = list(crops)
    first = np.array([(crop.row, crop.col) for crop in crops], dtype=np.int64).reshape(-1, 2)
    end = first + np.array([crop.mask.shape for crop in crops], dtype=np.int64).reshape(-1, 2)
    stands = np.zeros(len(crops), dtype=bool)
    by_row = np.argsort(first[:, 0], kind="stable")
    rows = first[by_row, 0]
    for i in np.argsort((end - first).prod(axis=1), kind="stable"):
        crop = filled[i]
        holes = find_holes(crop.mask)
        if holes.any():
            near = by_row[np.searchsorted(rows, first[i, 0]) : np.searchsorted(rows, end[i, 0])]
            within = (first[near] >= first[i]).all(axis=1) & (end[near] <= end[i]).all(axis=1)
            for j in near[within & stands[near]]:
                row, col = first[j] - first[i]
                height, width = filled[j].mask.shape
                there = holes[row : row + height, col : col + width][filled[j].mask]
                _leave_open(holes, there, size=there.size)
            if regions is not None:
                _leave_open_around(holes, regions[crop.window], regions.sizes)
            filled[i] = crop = replace(crop, mask=crop.mask | (holes > 0))
        stands[i] = np.count_nonzero(crop.mask) >= min_size
    return [crop for crop, stand in zip(filled, stands, strict=True) if stand]


def fill_labels(
    labels: NDArray[np.int32], *, fill_holes: bool, min_size: int, regions: OpenRegions | None = None
) -> None:
    """Fill the holes of instances in which no other object lies, and drop instances that stay too small.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        Changed in place. Where an instance reaches into a hole from outside, its pixels stay.
    fill_holes : bool
        Without it, instances are only dropped.
    min_size : int
        Smallest instance in pixels, once it is filled.
    regions : OpenRegions, optional
        See `fill_masks`.
    """
    sizes, _ = sizes_and_first_pixels(labels)
    changing = sizes < min_size
    if fill_holes:
        changing |= _perhaps_open(labels, len(sizes))
    changing[sizes == 0] = False
    if not changing.any():
        return
    boxes = ndimage.find_objects(labels)
    numbers = np.flatnonzero(changing).tolist()
    areas = [_area(boxes[number - 1]) for number in numbers]
    # What is dropped lies in no hole any more: the innermost first.
    for index in np.argsort(areas, kind="stable"):
        number = numbers[index]
        box = boxes[number - 1]
        part = labels[box]
        own = part == number
        if fill_holes and (holes := find_holes(own)).any():
            _leave_open_around(holes, part, sizes)
            if regions is not None:
                _leave_open_around(holes, regions[box], regions.sizes)
            own = own | ((holes > 0) & (part == 0))
            part[own] = number
        sizes[number] = np.count_nonzero(own)
        if sizes[number] < min_size:
            part[own] = 0


def _perhaps_open(labels: NDArray[np.int32], n: int) -> NDArray[np.bool_]:
    """Tell of each id below n whether a row holds several stretches of it: without such a row there is no hole."""
    several = np.zeros(n, dtype=bool)
    width = max(labels.shape[1], 1)
    for begins, _, ids in flat_runs(labels):
        # Stretches come row by row; those of one id in one row have one key.
        keys = np.sort(begins // width * n + ids)
        several[keys[1:][keys[1:] == keys[:-1]] % n] = True
    return several


def _area(box: tuple[slice, slice]) -> int:
    return int((box[0].stop - box[0].start) * (box[1].stop - box[1].start))


def _leave_open_around(holes: NDArray[np.int32], labels: NDArray[np.int32], sizes: NDArray[np.int64]) -> None:
    """Take out the holes in which one of the objects in ``labels``, (h, w), lies; ``sizes`` are theirs by id."""
    inside = labels[holes > 0]
    for number in np.unique(inside[inside > 0]):
        _leave_open(holes, holes[labels == number], size=int(sizes[number]))


def _leave_open(holes: NDArray[np.int32], there: NDArray[np.int32], *, size: int) -> None:
    """Take out the hole in which an object of this size lies; ``there`` holds the holes' numbers at its pixels."""
    counts = np.bincount(there)
    counts[:1] = 0
    for hole in np.flatnonzero(counts > INSIDE * size):
        holes[holes == hole] = 0
