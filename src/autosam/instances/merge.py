"""Masks → labels: one id per instance, each pixel to the best mask that has it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.errors import InputError
from autosam.instances.clean import main_component
from autosam.instances.crop import MaskCrop
from autosam.instances.holes import fill_labels
from autosam.instances.open_regions import OpenRegions, certainty
from autosam.instances.suppress import suppress_masks
from autosam.regions.numbering import renumbered, sizes_and_first_pixels

UNCONFIRMED = 0.5
"""Factor of an instance's score that SAM did not confirm."""


class Merged(NamedTuple):
    """The instances of one image.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps, in raster order of each instance's first pixel.
    prompt_of : ndarray of int64, shape (n,)
        For every id in order, the prompt of its mask; -1 where it is a region.
    scores : ndarray of float64, shape (n,)
        For every id in order, its score, 0 to 1.
    """

    labels: NDArray[np.int32]
    prompt_of: NDArray[np.int64]
    scores: NDArray[np.float64]


def merge_masks(
    crops: Sequence[MaskCrop],
    shape: tuple[int, int],
    *,
    iou_threshold: float,
    ios_threshold: float,
    min_size: int,
    fill_holes: bool,
    regions: OpenRegions | None = None,
) -> Merged:
    """Suppress double and merged masks and paint the others into one label image.

    A pixel in several masks belongs to the best one. Of what remains of a mask its largest 8-connected component
    is kept.

    Parameters
    ----------
    crops : sequence of MaskCrop
        The masks, in any order.
    shape : tuple of int
        Height and width of the image in pixels.
    iou_threshold, ios_threshold : float
        See :func:`suppress_masks`.
    min_size : int
        An instance must keep this many pixels after better ones have taken theirs.
    fill_holes : bool
        Fill an instance's holes in which no other instance lies.
    regions : OpenRegions, optional
        Regions that lie in a hole as instances do, as they may become some; see `open_regions`.

    Returns
    -------
    Merged
        Zeros of shape (H, W) and arrays of shape (0,) where there are no masks.

    Raises
    ------
    InputError
        If a mask reaches outside the image.
    """
    for crop in crops:
        rows, cols = crop.window
        if min(crop.row, crop.col) < 0 or rows.stop > shape[0] or cols.stop > shape[1]:
            raise InputError(
                f"the mask of prompt {crop.prompt} covers rows {rows.start}:{rows.stop} and columns "
                f"{cols.start}:{cols.stop}, wanted inside {shape[0]} × {shape[1]}: clip masks to the image"
            )
    labels = np.zeros(shape, dtype=np.int32)
    best_first = [
        crops[i] for i in suppress_masks(crops, iou_threshold=iou_threshold, ios_threshold=ios_threshold)
    ]
    for number, crop in enumerate(best_first, start=1):
        window = labels[crop.window]
        window[crop.mask & (window == 0)] = number

    for number, crop in enumerate(best_first, start=1):
        window = labels[crop.window]
        own = window == number
        window[own] = 0
        # Better masks may have cut it to pieces.
        found = main_component(own)
        if found is not None:
            row, col, mask = found
            window[row : row + mask.shape[0], col : col + mask.shape[1]][mask] = number
    fill_labels(labels, fill_holes=fill_holes, min_size=min_size, regions=regions)
    return _number(labels, [crop.prompt for crop in best_first], [crop.score for crop in best_first])


def fill_from_regions(
    merged: Merged,
    regions: NDArray[np.integer],
    foreground: ArrayLike,
    *,
    region_score: NDArray[np.floating] | None = None,
    threshold: float,
    uncovered: float = 0.5,
    min_size: int,
    fill_holes: bool,
    in_place: bool = False,
) -> Merged:
    """Add the largest uncovered component of each region that the generator is sure of and SAM rejected.

    Parameters
    ----------
    regions : ndarray of int, shape (H, W)
        The generator's own regions, from :func:`autosam.regions.find_regions`.
    foreground : array_like, shape (H, W)
        The generator's foreground probability, 0 to 1.
    region_score : ndarray of float, shape (n,), optional
        The score of each of the n regions, used in place of its mean foreground probability.
    threshold : float
        Mean foreground probability, or region score, above which a region comes back; 1 adds none.
    uncovered : float
        More than this fraction of the region must belong to no instance.
    min_size : int
        Smallest size in pixels of an added instance.
    fill_holes : bool
        Then fill the holes in which no instance lies.
    in_place : bool
        Change the labels of ``merged`` instead of a copy.

    Returns
    -------
    Merged
        Ids are numbered anew. The score of an added instance is ``UNCONFIRMED`` times its mean foreground
        probability, or times the region score.

    Raises
    ------
    InputError
        If labels, regions and foreground differ in shape.
    """
    values = np.asarray(foreground)
    if not merged.labels.shape == regions.shape == values.shape:
        raise InputError(
            f"labels are {merged.labels.shape}, regions {regions.shape} and foreground {values.shape}, "
            "wanted one shape: give maps of one image"
        )
    labels = merged.labels if in_place else merged.labels.copy()
    scores = merged.scores.tolist()
    for region, box in enumerate(ndimage.find_objects(regions), start=1):
        if box is None:
            continue
        own = regions[box] == region
        free = own & (labels[box] == 0)
        sure = certainty(region, box, own, values, region_score)
        if sure <= threshold or np.count_nonzero(free) <= uncovered * np.count_nonzero(own):
            continue
        found = main_component(free)
        if found is None or np.count_nonzero(found[2]) < min_size:
            continue
        row, col, mask = box[0].start + found[0], box[1].start + found[1], found[2]
        part = np.s_[row : row + mask.shape[0], col : col + mask.shape[1]]
        worth = values[part][mask].mean(dtype=np.float64) if region_score is None else region_score[region - 1]
        scores.append(UNCONFIRMED * float(worth))
        labels[part][mask] = len(scores)
    if fill_holes:
        fill_labels(labels, fill_holes=True, min_size=0)
    return _number(labels, [*merged.prompt_of, *[-1] * (len(scores) - len(merged.scores))], scores)


def keep_regions(
    regions: NDArray[np.int32],
    scores: NDArray[np.float64],
    *,
    min_score: float,
    min_size: int,
    fill_holes: bool,
) -> Merged:
    """Make every region an instance that is large and sure enough.

    Parameters
    ----------
    regions : ndarray of int32, shape (H, W)
    scores : ndarray of float64, shape (n,)
        The score of each of the n regions.

    Returns
    -------
    Merged
        Ids are numbered anew; without prompts.
    """
    ids = np.arange(len(scores) + 1, dtype=np.int32)
    labels = renumbered(regions, np.where(np.concatenate([[False], scores >= min_score]), ids, 0))
    fill_labels(labels, fill_holes=fill_holes, min_size=min_size)
    return _number(labels, [-1] * len(scores), scores.tolist())


def _number(labels: NDArray[np.int32], prompt_of: Sequence[int], scores: Sequence[float]) -> Merged:
    """Renumber the ids that have pixels 1..n by first pixel, in place."""
    _, first = sizes_and_first_pixels(labels)
    order = np.flatnonzero(first >= 0)
    order = order[np.argsort(first[order])]
    number = np.zeros(len(scores) + 1, dtype=np.int32)
    number[order] = np.arange(1, len(order) + 1)
    return Merged(
        labels=renumbered(labels, number, out=labels),
        prompt_of=np.array(prompt_of, dtype=np.int64)[order - 1],
        scores=np.array(scores, dtype=np.float64)[order - 1],
    )
