"""The prompts of a training tile and their objects: made of the truth, by the generator or by an user."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit

from autosam.models.sam.interface import LOW_RES_STRIDE
from autosam.prompts import Prompt, make_prompts
from autosam.prompts.deduplicate import box_iou
from autosam.regions import find_regions
from autosam.training.prompting.simulate import (
    PointSampling,
    jitter_box,
    low_resolution_mask,
    mask_box,
    sample_points,
)

Matching = Literal["hungarian", "overlap"]
"""How regions get their objects, see `match_regions`."""

MATCH_IOU = 0.25
"""An predicted prompt whose region overlaps no object by more than this teaches the IoU head 0."""


@dataclass(frozen=True, eq=False)
class TilePrompts:
    """Prompts of one tile and what each should give.

    Attributes
    ----------
    prompts : list of Prompt
    targets : ndarray of int64, shape (n,)
        Id of each prompt's object in the labels; 0 where there is none.
    regions : ndarray of int32, shape (H, W)
        The regions that ``Prompt.region`` refers to; all 0 where the prompts do not come from regions.
    """

    prompts: list[Prompt]
    targets: NDArray[np.int64]
    regions: NDArray[np.int32]


def ground_truth_prompts(
    labels: NDArray[np.int32],
    foreground: NDArray[np.float32] | None,
    *,
    count: int,
    min_size: int,
    points: int,
    negatives: int,
    box_margin: float,
    how: PointSampling,
    jitter: float,
    max_jitter: float,
    mask: bool,
    rng: np.random.Generator,
) -> TilePrompts:
    """Simulate prompts for randomly chosen objects: a jittered box, random pixels and a mask.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    foreground : ndarray of float32, shape (H, W), or None
        The generator's probabilities, for the mask prompt; where there are none, it is made of the truth.
    count : int
        Most prompts.
    min_size : int
        Objects with fewer visible pixels are not prompted.
    points, negatives : int
        Points on each object, and most points in its neighbors.
    box_margin : float
        As in `make_prompts`; jitter is added to it.
    how : {"uniform", "core"}
        As in `sample_points`.
    jitter, max_jitter : float
        ``sigma`` and ``limit`` of `jitter_box`.
    mask : bool
        Whether prompts bring a mask.
    rng : numpy.random.Generator

    Returns
    -------
    TilePrompts
        In order of object id. Empty lists where no object is large enough.
    """
    sizes = np.bincount(labels.ravel())
    ids = np.flatnonzero(sizes >= max(min_size, 1))
    ids = ids[ids > 0]
    chosen = np.sort(rng.permutation(ids)[:count])
    # The objects that were not chosen stay in: their pixels are absent in the others' mask prompts.
    predicted = make_prompts(
        labels,
        foreground,
        method="distance",
        points=1,
        negatives=negatives,
        box=True,
        box_margin=box_margin,
        mask=mask and foreground is not None,
    )
    regions = ndimage.find_objects(labels)
    by_id = {prompt.region: prompt for prompt in predicted}
    prompts = []
    for object_id in chosen:
        prompt = by_id[int(object_id)]
        # One pixel more on every side shows where the outline is, except at the image's border.
        crop = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in regions[object_id - 1])
        places = sample_points(labels[crop] == object_id, points, how=how, rng=rng)
        places += [side.start for side in crop]
        beside = prompt.points[prompt.point_labels == 0]
        simulated = replace(
            prompt,
            points=np.concatenate([places, beside]),
            point_labels=np.repeat(np.array([1, 0], dtype=np.int64), [len(places), len(beside)]),
            box=None
            if prompt.box is None
            else jitter_box(prompt.box, labels.shape, sigma=jitter, limit=max_jitter, rng=rng),
        )
        if mask and foreground is None:
            coarse = low_resolution_mask(labels == object_id, stride=LOW_RES_STRIDE, rng=rng)
            simulated = replace(simulated, mask=coarse)
        prompts.append(simulated)
    return TilePrompts(prompts, chosen.astype(np.int64), labels)


def predicted_prompts(
    labels: NDArray[np.int32],
    foreground: NDArray[np.float32] | None,
    boundary: NDArray[np.float32] | None,
    *,
    count: int,
    threshold: float,
    boundary_threshold: float,
    min_size: int,
    method: str,
    points: int,
    negatives: int,
    box_margin: float,
    matching: Matching,
    unmatched: bool,
    rng: np.random.Generator,
    center: NDArray[np.float32] | None = None,
    center_threshold: float = 0.5,
    affinities: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> TilePrompts:
    """Let the generator prompt as it will when it works, and match its prompts to the objects.

    Parameters are those of `find_regions`, `make_prompts`, `ground_truth_prompts` and `match_regions`, and
    ``unmatched``: whether prompts without an object are kept. Those that are not take no place among the
    ``count``.

    Returns
    -------
    TilePrompts
        In order of region id. Empty lists where the generator sees nothing.
    """
    regions = find_regions(
        foreground,
        boundary,
        threshold=threshold,
        boundary_threshold=boundary_threshold,
        min_size=min_size,
        center=center,
        center_threshold=center_threshold,
        affinities=affinities,
    )
    predicted = make_prompts(
        regions,
        foreground,
        method=method,
        points=points,
        negatives=negatives,
        box=True,
        box_margin=box_margin,
        mask=foreground is not None,
    )
    partner = match_regions(regions, labels, matching=matching)
    if not unmatched:
        predicted = [prompt for prompt in predicted if partner[prompt.region]]
    chosen = np.sort(rng.permutation(len(predicted))[:count])
    prompts = [predicted[index] for index in chosen]
    targets = np.array([partner[prompt.region] for prompt in prompts], dtype=np.int64)
    return TilePrompts(prompts, targets, regions)


def match_regions(
    regions: NDArray[np.int32],
    labels: NDArray[np.int32],
    *,
    matching: Matching = "hungarian",
    min_iou: float = MATCH_IOU,
) -> NDArray[np.int64]:
    """Match regions to objects by IoU.

    Parameters
    ----------
    regions, labels : ndarray of int32, shape (H, W)
    matching : {"hungarian", "overlap"}
        One to one for the largest total IoU (Hungarian method), or each region to the object that it overlaps
        most in IoU, so that two regions may have the same object; equals by id.
    min_iou : float

    Returns
    -------
    ndarray of int64, shape (number of regions + 1,)
        At index i the object of region i, or 0 where its IoU is not above ``min_iou``; index 0 holds 0.
    """
    n_regions, n_objects = int(regions.max(initial=0)), int(labels.max(initial=0))
    partner = np.zeros(n_regions + 1, dtype=np.int64)
    if not n_regions or not n_objects:
        return partner
    pairs = regions.astype(np.int64).ravel() * (n_objects + 1) + labels.ravel()
    table = np.bincount(pairs, minlength=(n_regions + 1) * (n_objects + 1)).reshape(n_regions + 1, n_objects + 1)
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    iou = (table / np.maximum(union, 1))[1:, 1:]
    if matching == "hungarian":
        rows, columns = linear_sum_assignment(iou, maximize=True)
    else:
        rows, columns = np.arange(n_regions), iou.argmax(axis=1)
    good = iou[rows, columns] > min_iou
    partner[rows[good] + 1] = columns[good] + 1
    return partner


def match_user_prompts(labels: NDArray[np.int32], prompts: Sequence[Prompt]) -> TilePrompts:
    """Match an user's own prompts of one tile to its objects.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    prompts : sequence of Prompt
        In the tile's pixels; they may reach over its border. Their masks do not count.

    Returns
    -------
    TilePrompts
        The prompts that have a positive point or a box, in the order that they came in; those with neither say
        nothing of an object and are left out. The target is the object under most of the positive points; without
        positive points, the one whose bounding box has the highest IoU, above ``MATCH_IOU``, with the
        prompt's; equals by id.
    """
    said = [prompt for prompt in prompts if _points_at(prompt) or prompt.box is not None]
    boxes = {int(object_id): mask_box(labels == object_id) for object_id in np.unique(labels[labels > 0])}
    targets = np.zeros(len(said), dtype=np.int64)
    for index, prompt in enumerate(said):
        if _points_at(prompt):
            targets[index] = _object_under(labels, prompt.points[prompt.point_labels == 1])
        elif prompt.box is not None:
            # The objects' boxes end at the tile's border too.
            shown = np.clip(prompt.box, 0, np.tile(np.array(labels.shape) - 1.0, 2))
            overlaps = {object_id: box_iou(shown, box) for object_id, box in boxes.items()}
            best = max(overlaps, key=overlaps.__getitem__, default=0)
            targets[index] = best if overlaps.get(best, 0.0) > MATCH_IOU else 0
    return TilePrompts(said, targets, np.zeros_like(labels))


def vary(
    prompts: Sequence[Prompt], *, mask_share: float, box_only: float, point_only: float, rng: np.random.Generator
) -> list[Prompt]:
    """Drop parts of the prompts, the same for all of a tile, so that SAM learns every combination.

    Parameters
    ----------
    prompts : sequence of Prompt
    mask_share : float
        Share of the tiles whose prompts keep their masks.
    box_only, point_only : float
        Shares of the tiles whose prompts keep the box or the points; the rest keeps both. A prompt without a box
        keeps its points all the same, one without positive points its box, one with neither its mask.
    rng : numpy.random.Generator

    Returns
    -------
    list of Prompt
        In the same order.
    """
    kind = rng.random()
    keep_points = kind < 1 - box_only - point_only or kind >= 1 - point_only
    keep_box = kind < 1 - point_only
    keep_mask = rng.random() < mask_share
    none = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    varied = []
    for prompt in prompts:
        pointing = _points_at(prompt)
        with_points = keep_points or prompt.box is None
        with_mask = keep_mask or (prompt.box is None and not pointing)
        varied.append(
            replace(
                prompt,
                points=prompt.points if with_points else none[0],
                point_labels=prompt.point_labels if with_points else none[1],
                box=prompt.box if keep_box or not pointing else None,
                mask=prompt.mask if with_mask else None,
            )
        )
    return varied


def vary_thresholds(thresholds: Sequence[float], *, reach: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw thresholds of probabilities anew, each at most ``reach`` logits from where it was; 0 and 1 stay."""
    if not reach:
        return tuple(thresholds)
    shifts = rng.uniform(-reach, reach, size=len(thresholds))
    return tuple(float(expit(logit(value) + shift)) for value, shift in zip(thresholds, shifts, strict=True))


def _points_at(prompt: Prompt) -> bool:
    """Tell whether a prompt has a positive point."""
    return bool((prompt.point_labels == 1).any())


def _object_under(labels: NDArray[np.int32], points: NDArray[np.float64]) -> int:
    """Find the object under most of the points; 0 where there is none under any."""
    at = np.rint(points).astype(np.int64)
    at = at[((at >= 0) & (at < labels.shape)).all(axis=1)]
    votes = np.bincount(labels[at[:, 0], at[:, 1]], minlength=1)
    votes[0] = 0
    return int(votes.argmax())
