"""Regions → prompts: what the generator tells SAM about each object."""

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.errors import ConfigError, InputError
from autosam.prompts.negatives import find_negatives
from autosam.prompts.points import check_placing, place_points
from autosam.prompts.prompt import MaskPrompt, Prompt
from autosam.prompts.region_logits import RegionLogits
from autosam.regions.numbering import means_in_regions


def make_prompts(
    regions: NDArray[np.integer],
    foreground: ArrayLike | None,
    *,
    method: str,
    points: int,
    negatives: int,
    box: bool,
    box_margin: float,
    mask: bool,
    rejected: NDArray[np.bool_] | None = None,
    only: Collection[int] | None = None,
) -> list[Prompt]:
    """Make one prompt of every region.

    Parameters
    ----------
    regions : ndarray of int, shape (H, W)
        As :func:`find_regions` gives them; 0 is background.
    foreground : array_like, shape (H, W), or None
        Foreground probability, 0 to 1. Without it ``foreground`` of every prompt is 1.
    method, points : str, int
        How to place positive points, and how many per object; see :func:`place_points`.
    negatives : int
        Largest number of negative points per object; see :func:`find_negatives`.
    box : bool
        Give the region's bounding box.
    box_margin : float
        Margin on each side of the box, as a fraction of the box's length along that axis; clipped to the image.
    mask : bool
        Give the generator's logits in the smallest crop that holds the box with its margin. They lie between
        ``ABSENT`` and ``-ABSENT``; pixels of other regions are ``ABSENT``.
    rejected : ndarray of bool, shape (H, W), optional
        Pixels that belong to no object, whatever the map says: ``ABSENT`` in every mask.
    only : collection of int, optional
        Regions to make prompts of; None for all.

    Returns
    -------
    list of Prompt
        In order of region id, positive points before negative ones. Empty where there is no region.

    Raises
    ------
    ConfigError
        If a setting is out of range, or if no point, box or mask is asked for.
    InputError
        If the maps are not 2D or differ in shape, or if a foreground map is needed and missing.
    """
    check_placing(method, points)
    if not 0 <= box_margin < math.inf:
        raise ConfigError(f"box_margin is {box_margin}, wanted 0 or more: give a fraction of the box's side")
    if not (points or box or mask):
        raise ConfigError("prompts came with points=0, box=False and mask=False, wanted at least one: turn one on")
    regions = np.asarray(regions)
    values = None if foreground is None else np.asarray(foreground)
    if regions.ndim != 2 or (values is not None and values.shape != regions.shape):
        raise InputError(
            f"regions are {regions.shape} and foreground {None if values is None else values.shape}, "
            "wanted one shape (H, W): give those of one image"
        )
    if values is None and (mask or (points and method == "probability")):
        raise InputError(
            "mask prompts or method 'probability' came without a foreground map: give one, or use points by "
            "distance and boxes"
        )
    beside = find_negatives(regions, count=negatives) if negatives else {}
    means = None if values is None else means_in_regions(regions, values)
    prompts = []
    for region, crop in enumerate(ndimage.find_objects(regions), start=1):
        if crop is None or (only is not None and region not in only):
            continue
        own = regions[crop] == region
        inside = None if values is None else values[crop]
        positive = place_points(own, inside, method=method, count=points) + [side.start for side in crop]
        negative = beside.get(region, np.zeros((0, 2)))
        wide = _with_margin(crop, box_margin, regions.shape)
        prompts.append(
            Prompt(
                points=np.concatenate([positive, negative]),
                point_labels=np.repeat(np.array([1, 0], dtype=np.int64), [len(positive), len(negative)]),
                box=wide if box else None,
                mask=_mask_prompt(regions, values, region, wide, rejected)
                if mask and values is not None
                else None,
                foreground=1.0 if means is None else within_one(float(means[region])),
                region=region,
            )
        )
    return prompts


def _with_margin(crop: tuple[slice, slice], margin: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Turn a crop into a box with a margin; the last row and column belong to it."""
    first = np.array([side.start for side in crop], dtype=np.float64)
    last = np.array([side.stop - 1 for side in crop], dtype=np.float64)
    extra = margin * (last - first + 1)
    limit = np.array(shape, dtype=np.float64) - 1
    return np.concatenate([np.maximum(first - extra, 0), np.minimum(last + extra, limit)])


def _mask_prompt(
    regions: NDArray[np.integer],
    foreground: NDArray[np.floating],
    region: int,
    box: NDArray[np.float64],
    rejected: NDArray[np.bool_] | None,
) -> MaskPrompt:
    """Cut the generator's logits out of its map."""
    row, col = (int(value) for value in np.floor(box[:2]))
    last_row, last_col = (int(value) for value in np.ceil(box[2:]))
    crop = (slice(row, last_row + 1), slice(col, last_col + 1))
    return MaskPrompt(row=row, col=col, logits=RegionLogits(regions, foreground, rejected, region, crop))


def within_one(mean: float) -> float:
    """Keep a mean of probabilities inside 0 to 1, against rounding."""
    return min(max(mean, 0.0), 1.0)


def ground_truth_prompts(truth: NDArray[np.integer], *, points: int, box_margin: float) -> list[Prompt]:
    """Make boxes and points of true objects, numbered 1..n, (H, W).

    Parameters
    ----------
    points : int
        Points of each object beside its box, each as far from the object's outline as can be; 0 for none.
    box_margin : float
        As in ``prompts.box_margin``.

    Returns
    -------
    list of Prompt
        By ascending id, none of them with a mask; empty where there are no objects.
    """
    return make_prompts(
        truth, None, method="distance", points=points, negatives=0, box=True, box_margin=box_margin, mask=False
    )
