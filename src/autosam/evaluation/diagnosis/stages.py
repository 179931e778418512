"""The first stage that lost each true object, and the first that let each false one through."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.evaluation.diagnosis.assignment import Assignment, Fault, assign_prompts
from autosam.instances import MaskCrop
from autosam.metrics import contingency_table, match_objects
from autosam.metrics.matching import best_ious
from autosam.prompts import Prompt

LIMIT = Fraction(1, 2)
"""IoU from which a region, a mask or an instance is that of an object."""


class Stage(StrEnum):
    """Where an object was lost, or that it was found; in the order of the pipeline."""

    FOUND = "found"
    DETECTION = "detection"
    PROMPT = "prompt"
    MASK = "mask"
    MERGE = "merge"


@dataclass(frozen=True, eq=False)
class ImageStages:
    """What became of the T true objects of an image, and where its F false ones come from.

    Attributes
    ----------
    ids : ndarray of uint64, shape (T,)
        Of the true objects, ascending.
    sizes : ndarray of int64, shape (T,)
        Their pixels.
    stages : tuple of Stage, length T
        ``FOUND``, or the first stage that lost the object.
    faults : tuple of (Fault or None), length T
        What is wrong with the prompts of an object that was lost in ``PROMPT``; None for all others.
    region_iou, box_iou, mask_iou, label_iou : ndarray of float64, shape (T,)
        The highest IoU, 0 to 1, of each with any region; of its bounding box with that of a region that points at
        it; with any mask that SAM gave; with any instance of the result. 0 where there is none.
    best_mask : ndarray of int64, shape (T,)
        Index of the mask of the highest IoU; -1 where none overlaps.
    false_ids : ndarray of uint64, shape (F,)
        The instances that no true object matches, ascending.
    false_stages : tuple of Stage, length F
        The first stage that went wrong for each; never ``FOUND``.
    """

    ids: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    stages: tuple[Stage, ...]
    faults: tuple[Fault | None, ...]
    region_iou: NDArray[np.float64]
    box_iou: NDArray[np.float64]
    mask_iou: NDArray[np.float64]
    label_iou: NDArray[np.float64]
    best_mask: NDArray[np.int64]
    false_ids: NDArray[np.uint64]
    false_stages: tuple[Stage, ...]


def find_stages(
    truth: NDArray[np.integer[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    regions: NDArray[np.integer[Any]],
    prompts: Sequence[Prompt],
    prompt_of: NDArray[np.integer[Any]],
    masks: Sequence[MaskCrop] | None,
) -> ImageStages:
    """Assign every true object to the first stage that lost it, and every false one to the first that made it.

    A true object is *found* if the one-to-one matching at IoU >= 1/2 pairs it with an instance. One that is not
    was lost in the *merge* if any mask reached IoU 1/2 with it; otherwise in *detection* if no prompt points at
    it, in the *prompt* if none that does is right (`assign_prompts`), and else in the *mask*. An instance without
    a partner is judged by the same questions, asked of its own prompt. Without masks, what a prompt points at and
    the result lacks was lost in the prompt.

    Parameters
    ----------
    truth : ndarray of integers, shape (H, W)
        True objects of any ids; 0 is background.
    labels : ndarray of integers, shape (H, W)
        The result, ids 1..n, 0 for background.
    regions : ndarray of integers, shape (H, W)
        The generator's regions that ``Prompt.region`` refers to; zeros where it was not asked.
    prompts : sequence of Prompt
        What SAM was asked.
    prompt_of : ndarray of integers, shape (n,)
        Index of the prompt of each instance, -1 where it is a region.
    masks : sequence of MaskCrop, or None
        Every mask that SAM gave, before anything was dropped; None where there was no SAM.

    Returns
    -------
    ImageStages
        Empty arrays and tuples where there are no true objects, or no false ones.

    Raises
    ------
    InputError
        If the arrays differ in shape or are no labels.
    """
    if regions.shape != labels.shape:
        raise InputError(
            f"regions have shape {regions.shape} and labels {labels.shape}; wanted one grid: bring both to the "
            "image's own"
        )
    table = contingency_table(labels, truth)
    ids, matches = table.truth_ids, match_objects(table, LIMIT)
    objects = np.searchsorted(ids, truth.astype(np.uint64)).astype(np.int64) + 1
    objects[truth == 0] = 0
    found = np.zeros(len(ids), dtype=bool)
    found[matches.truth_index] = True
    assignment = assign_prompts(objects, regions, prompts, limit=LIMIT, boxes=masks is not None)
    of_mask, mask_iou, best_mask = _reach(objects, table.truth_sizes, masks or (), found)

    with_mask = set(of_mask[of_mask >= 0].tolist())
    pointed, right = set(assignment.truth.tolist()), set(assignment.truth[assignment.right].tolist())
    stages = tuple(
        Stage.FOUND
        if found[number]
        else _stage(number in with_mask, number in pointed, number in right, masks is None)
        for number in range(len(ids))
    )
    false = np.setdiff1d(np.arange(len(table.pred_ids)), matches.pred_index)
    return ImageStages(
        ids=ids,
        sizes=table.truth_sizes,
        stages=stages,
        faults=tuple(
            fault if stage is Stage.PROMPT else None
            for stage, fault in zip(stages, assignment.faults, strict=True)
        ),
        region_iou=assignment.region_iou,
        box_iou=assignment.box_iou,
        mask_iou=mask_iou,
        label_iou=best_ious(table),
        best_mask=best_mask,
        false_ids=table.pred_ids[false],
        false_stages=_false_stages(
            table.pred_ids[false].astype(np.int64), labels, regions, prompts, prompt_of, masks, assignment, of_mask
        ),
    )


def _reach(
    objects: NDArray[np.int64], sizes: NDArray[np.int64], masks: Sequence[MaskCrop], found: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the object of each mask, -1 for none, and the IoU and the index of the best mask of each object."""
    of_mask = np.full(len(masks), -1, dtype=np.int64)
    iou, best = np.zeros(len(sizes)), np.full(len(sizes), -1, dtype=np.int64)
    for number, crop in enumerate(masks):
        height, width = crop.mask.shape
        covered = objects[crop.row : crop.row + height, crop.col : crop.col + width][crop.mask]
        ids, shared = np.unique(covered[covered > 0], return_counts=True)
        ids, union = ids - 1, covered.size + sizes[ids - 1] - shared
        ious = shared / union
        better = ious > iou[ids]
        iou[ids[better]], best[ids[better]] = ious[better], number
        own = ids[shared * LIMIT.denominator >= union * LIMIT.numerator]
        if len(own):
            # Two equal halves share a mask at IoU 1/2 each: it can stand for one, which is the one that has it.
            of_mask[number] = own[np.argmax(found[own])]
    return of_mask, iou, best


def _stage(with_mask: bool, pointed: bool, right: bool, without_sam: bool) -> Stage:
    if with_mask:
        return Stage.MERGE
    if not pointed:
        return Stage.DETECTION
    return Stage.MASK if right and not without_sam else Stage.PROMPT


def _false_stages(
    false: NDArray[np.int64],
    labels: NDArray[np.integer[Any]],
    regions: NDArray[np.integer[Any]],
    prompts: Sequence[Prompt],
    prompt_of: NDArray[np.integer[Any]],
    masks: Sequence[MaskCrop] | None,
    assignment: Assignment,
    of_mask: NDArray[np.int64],
) -> tuple[Stage, ...]:
    prompt_of_region = {prompt.region: number for number, prompt in enumerate(prompts) if prompt.region}
    good = {mask.prompt for mask, own in zip(masks or (), of_mask, strict=True) if own >= 0}
    pointed, right = set(assignment.prompt.tolist()), set(assignment.prompt[assignment.right].tolist())
    stages = []
    for label in false:
        prompt = int(prompt_of[label - 1])
        if prompt < 0:
            beneath = np.bincount(regions[labels == label])
            beneath[:1] = 0
            prompt = prompt_of_region.get(int(beneath.argmax()), -1)
        stages.append(_stage(prompt in good, prompt in pointed, prompt in right, masks is None))
    return tuple(stages)
