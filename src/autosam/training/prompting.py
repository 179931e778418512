"""The prompts that SAM is trained on: made of the truth, or emitted by the generator and matched to the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from autosam.prompts import Prompt, emit_prompts, find_basins

MATCH_IOU = 0.25
"""An emitted prompt whose basin overlaps no object by more than this teaches the IoU head 0."""

BOX_JITTER = 0.1
"""Standard deviation of a simulated box's corners, as a fraction of its side (SAM's own training: 10 %)."""

MAX_JITTER = 20.0
"""Largest shift of a corner in pixels, as in SAM's training."""


@dataclass(frozen=True, eq=False)
class TilePrompts:
    """Prompts of one tile and what each should give.

    Attributes
    ----------
    prompts : list of Prompt
    targets : ndarray of int64, shape (n,)
        Id of each prompt's object in the labels; 0 where there is none.
    basins : ndarray of int32, shape (H, W)
        The regions that ``Prompt.basin`` refers to.
    """

    prompts: list[Prompt]
    targets: NDArray[np.int64]
    basins: NDArray[np.int32]


def truth_prompts(
    labels: NDArray[np.int32],
    foreground: NDArray[np.float32] | None,
    *,
    count: int,
    min_size: int,
    points: int,
    negatives: int,
    box_margin: float,
    rng: np.random.Generator,
) -> TilePrompts:
    """Simulate prompts for randomly chosen objects: a jittered box, random pixels and the generator's logits.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    foreground : ndarray of float32, shape (H, W), or None
        The generator's probabilities, for the mask prompt; None gives prompts without masks.
    count : int
        Most prompts.
    min_size : int
        Objects with fewer visible pixels are not prompted.
    points, negatives : int
        Points on each object, and most points in its neighbours.
    box_margin : float
        As in `emit_prompts`; jitter is added to it.
    rng : numpy.random.Generator

    Returns
    -------
    TilePrompts
        Empty lists where no object is large enough.
    """
    sizes = np.bincount(labels.ravel())
    ids = np.flatnonzero(sizes >= max(min_size, 1))
    ids = ids[ids > 0]
    chosen = np.sort(rng.permutation(ids)[:count])
    # The objects that were not chosen stay in: their pixels are absent in the others' mask prompts.
    emitted = emit_prompts(
        labels, foreground, points=1, negatives=negatives, box_margin=box_margin, mask=foreground is not None
    )
    regions = ndimage.find_objects(labels)
    by_id = {prompt.basin: prompt for prompt in emitted}
    prompts = []
    for object_id in chosen:
        prompt = by_id[int(object_id)]
        crop = regions[object_id - 1]
        pixels = np.argwhere(labels[crop] == object_id) + (crop[0].start, crop[1].start)
        places = pixels[rng.integers(len(pixels), size=points)].astype(np.float64)
        beside = prompt.points[prompt.point_labels == 0]
        prompts.append(
            replace(
                prompt,
                points=np.concatenate([places, beside]),
                point_labels=np.repeat(np.array([1, 0], dtype=np.int64), [len(places), len(beside)]),
                box=jitter_box(prompt.box, labels.shape, rng),
            )
        )
    return TilePrompts(prompts, chosen.astype(np.int64), labels)


def emitted_prompts(
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
    rng: np.random.Generator,
) -> TilePrompts:
    """Let the generator prompt as it will when it works, and match its prompts to the objects.

    Parameters are those of `find_basins`, `emit_prompts` and `truth_prompts`.

    Returns
    -------
    TilePrompts
        Basins and objects are matched one to one for the largest total IoU (Hungarian method).
    """
    basins = find_basins(
        foreground, boundary, threshold=threshold, boundary_threshold=boundary_threshold, min_size=min_size
    )
    emitted = emit_prompts(
        basins,
        foreground,
        method=method,
        points=points,
        negatives=negatives,
        box_margin=box_margin,
        mask=foreground is not None,
    )
    partner = match_regions(basins, labels)
    chosen = np.sort(rng.permutation(len(emitted))[:count])
    prompts = [emitted[index] for index in chosen]
    targets = np.array([partner[prompt.basin] for prompt in prompts], dtype=np.int64)
    return TilePrompts(prompts, targets, basins)


def match_regions(
    basins: NDArray[np.int32], labels: NDArray[np.int32], *, min_iou: float = MATCH_IOU
) -> NDArray[np.int64]:
    """Match basins to objects one to one.

    Returns
    -------
    ndarray of int64, shape (number of basins + 1,)
        At index i the object of basin i, or 0 where its IoU is not above ``min_iou``; index 0 holds 0.
    """
    n_basins, n_objects = int(basins.max(initial=0)), int(labels.max(initial=0))
    partner = np.zeros(n_basins + 1, dtype=np.int64)
    if not n_basins or not n_objects:
        return partner
    pairs = basins.astype(np.int64).ravel() * (n_objects + 1) + labels.ravel()
    table = np.bincount(pairs, minlength=(n_basins + 1) * (n_objects + 1)).reshape(n_basins + 1, n_objects + 1)
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    iou = (table / np.maximum(union, 1))[1:, 1:]
    rows, columns = linear_sum_assignment(iou, maximize=True)
    good = iou[rows, columns] > min_iou
    partner[rows[good] + 1] = columns[good] + 1
    return partner


def jitter_box(
    box: NDArray[np.float64] | None, shape: Sequence[int], rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Shift every corner by noise in proportion to the box's own height and width; clipped to the image."""
    if box is None:
        return None
    sides = np.tile(box[2:] - box[:2] + 1, 2)
    shift = np.clip(rng.normal(0, BOX_JITTER, 4) * sides, -MAX_JITTER, MAX_JITTER)
    limits = np.tile(np.array(shape[:2]) - 1.0, 2)
    moved = np.clip(box + shift, 0, limits)
    # A jitter larger than a thin box must not turn it over.
    return np.concatenate([np.minimum(moved[:2], moved[2:]), np.maximum(moved[:2], moved[2:])])


def vary(prompts: Sequence[Prompt], *, mask_share: float, rng: np.random.Generator) -> list[Prompt]:
    """Drop parts of the prompts, the same for all of a tile, so that SAM learns every combination.

    Half of the tiles keep point and box, three tenths the box, the rest the point; the mask stays in
    ``mask_share`` of the tiles.
    """
    kind = rng.random()
    keep_points, keep_box = kind < 0.5 or kind >= 0.8, kind < 0.8
    keep_mask = rng.random() < mask_share
    none = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    return [
        replace(
            prompt,
            points=prompt.points if keep_points else none[0],
            point_labels=prompt.point_labels if keep_points else none[1],
            box=prompt.box if keep_box else None,
            mask=prompt.mask if keep_mask else None,
        )
        for prompt in prompts
    ]
