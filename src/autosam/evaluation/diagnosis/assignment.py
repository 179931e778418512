"""Which true objects each prompt points at, and whether it is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.metrics import contingency_table, match_objects
from autosam.metrics.matching import best_ious
from autosam.prompts import Prompt
from autosam.prompts.deduplicate import box_iou

BOX_LIMIT = 0.7
"""IoU of bounding boxes from which a prompt's box is right, whatever its region looks like inside."""


class Fault(StrEnum):
    """What is wrong with the regions that point at an object."""

    MERGED = "merged"
    PART = "part"
    LOOSE = "loose"


@dataclass(frozen=True, eq=False)
class Assignment:
    """The K pairs of a prompt and a true object that it points at, and what follows for the T objects.

    Attributes
    ----------
    prompt, truth : ndarray of int64, shape (K,)
        Index of the prompt, and of the object, both from 0.
    right : ndarray of bool, shape (K,)
        Whether the prompt is right for the object.
    faults : tuple of Fault, length T
        What is wrong with the prompts of an object if none is right: merged, if one of its regions holds another
        object too; otherwise part, if one lies at least half inside it; otherwise loose: it is held by regions
        that are far larger.
    region_iou, box_iou : ndarray of float64, shape (T,)
        The highest of each object: with any region, and of bounding boxes with those that point at it.
    """

    prompt: NDArray[np.int64]
    truth: NDArray[np.int64]
    right: NDArray[np.bool_]
    faults: tuple[Fault, ...]
    region_iou: NDArray[np.float64]
    box_iou: NDArray[np.float64]


def assign_prompts(
    objects: NDArray[np.integer[Any]],
    regions: NDArray[np.integer[Any]],
    prompts: Sequence[Prompt],
    *,
    limit: Fraction,
    boxes: bool,
) -> Assignment:
    """Find what each prompt points at.

    A prompt that came from a region points at an object if the two share at least half of the smaller one. It is
    right for the object with which its region is paired by the one-to-one matching at ``limit``, and, where it has
    a box and ``boxes`` is on, for those that it points at with an IoU of the two bounding boxes, both without
    margin, of at least ``BOX_LIMIT``. A prompt without a region, as those of a grid, points at the object in which
    at least half of its positive points lie, and is always right: a point can say no more.

    Parameters
    ----------
    objects : ndarray of integers, shape (H, W)
        True objects, ids 1..T without gaps, 0 for background.
    regions : ndarray of integers, shape (H, W)
        The regions that ``Prompt.region`` refers to.
    prompts : sequence of Prompt
        On the same grid.
    limit : Fraction
        IoU from which a region is that of an object.
    boxes : bool
        Whether a right box makes a right prompt.

    Returns
    -------
    Assignment
        Empty pairs where there are no prompts or no objects.
    """
    table = contingency_table(regions, objects)
    prompt_of = np.full(int(regions.max(initial=0)) + 1, -1, dtype=np.int64)
    for number, prompt in enumerate(prompts):
        if 0 < prompt.region < len(prompt_of):
            prompt_of[prompt.region] = number
    region_ids = table.pred_ids[table.pred_index].astype(np.int64)
    prompt_index = prompt_of[region_ids]
    holds = 2 * table.overlap >= table.truth_sizes[table.truth_index]
    inside = 2 * table.overlap >= table.pred_sizes[table.pred_index]
    merger = (np.bincount(table.pred_index[holds], minlength=len(table.pred_ids)) > 1)[table.pred_index]
    matches = match_objects(table, limit)
    partner = np.full(len(table.pred_ids), -1, dtype=np.int64)
    partner[matches.pred_index] = matches.truth_index
    right = partner[table.pred_index] == table.truth_index

    best_box = np.zeros(len(table.truth_ids))
    region_boxes, object_boxes = _boxes(regions), _boxes(objects)
    near = (holds | inside) & (prompt_index >= 0)
    for pair in np.flatnonzero(near):
        truth = int(table.truth_index[pair])
        iou = box_iou(region_boxes[int(region_ids[pair])], object_boxes[truth + 1])
        best_box[truth] = max(best_box[truth], iou)
        if boxes and prompts[prompt_index[pair]].box is not None:
            right[pair] |= iou >= BOX_LIMIT
    is_merged, has_part = (
        np.bincount(table.truth_index[near & wrong], minlength=len(table.truth_ids)) > 0
        for wrong in (holds & merger, inside)
    )
    pointed, pointed_at = _pointed(objects, prompts)
    # A region that is right shares more than half of the smaller one anyway.
    return Assignment(
        prompt=np.concatenate([prompt_index[near], pointed]),
        truth=np.concatenate([table.truth_index[near], pointed_at]),
        right=np.concatenate([right[near], np.ones(len(pointed), dtype=bool)]),
        faults=tuple(
            Fault.MERGED if merged else Fault.PART if part else Fault.LOOSE
            for merged, part in zip(is_merged, has_part, strict=True)
        ),
        region_iou=best_ious(table),
        box_iou=best_box,
    )


def _boxes(labels: NDArray[np.integer[Any]]) -> dict[int, NDArray[np.float64]]:
    """First row, first column, last row and last column of every id."""
    return {
        number: np.array([*(side.start for side in found), *(side.stop - 1 for side in found)], dtype=np.float64)
        for number, found in enumerate(ndimage.find_objects(labels), start=1)
        if found is not None
    }


def _pointed(
    objects: NDArray[np.integer[Any]], prompts: Sequence[Prompt]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of prompts without a region and the objects that their points lie in."""
    pairs = []
    last = np.array(objects.shape) - 1
    for number, prompt in enumerate(prompts):
        positive = prompt.points[prompt.point_labels == 1]
        if prompt.region or not len(positive):
            continue
        # A grid's last points lie up to a pixel beyond the image.
        rows, columns = np.clip(np.floor(positive + 0.5).astype(np.int64), 0, last).T
        ids, counts = np.unique(objects[rows, columns], return_counts=True)
        pairs += [(number, int(own) - 1) for own in ids[2 * counts >= len(positive)] if own > 0]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
