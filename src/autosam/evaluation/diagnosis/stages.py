"""The first stage that lost each true object, and the first that let each false one through."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.evaluation.diagnosis.assignment import Fault, assign_prompts
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
    a partner answers the same questions, asked of its own prompt. Without masks, what a prompt points at and
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

    without_sam = masks is None
    lost = _stages(range(len(ids)), of_mask[of_mask >= 0], assignment.truth, assignment.right, without_sam)
    stages = tuple(Stage.FOUND if hit else stage for hit, stage in zip(found, lost, strict=True))
    false = table.pred_ids[np.setdiff1d(np.arange(len(table.pred_ids)), matches.pred_index)]
    asked = _prompts_of(false.astype(np.int64), labels, regions, prompts, prompt_of)
    good = [mask.prompt for mask, own in zip(masks or (), of_mask, strict=True) if own >= 0]
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
        false_ids=false,
        false_stages=_stages(asked, good, assignment.prompt, assignment.right, without_sam),
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


def _stages(
    numbers: Iterable[int],
    with_mask: Iterable[int],
    pointed: NDArray[np.int64],
    right: NDArray[np.bool_],
    without_sam: bool,
) -> tuple[Stage, ...]:
    """Say where objects or prompts were lost, from those with a good mask and the pairs of the assignment."""
    kept, paired, rightly = set(with_mask), set(pointed.tolist()), set(pointed[right].tolist())

    def stage(number: int) -> Stage:
        if number in kept:
            return Stage.MERGE
        if number not in paired:
            return Stage.DETECTION
        return Stage.MASK if number in rightly and not without_sam else Stage.PROMPT

    return tuple(map(stage, numbers))


def _prompts_of(
    ids: NDArray[np.int64],
    labels: NDArray[np.integer[Any]],
    regions: NDArray[np.integer[Any]],
    prompts: Sequence[Prompt],
    prompt_of: NDArray[np.integer[Any]],
) -> list[int]:
    """Return the prompt of each instance, for a region that filled in that of the region; -1 for none."""
    prompt_of_region = {prompt.region: number for number, prompt in enumerate(prompts) if prompt.region}
    found = []
    for label in ids:
        prompt = int(prompt_of[label - 1])
        if prompt < 0:
            beneath = np.bincount(regions[labels == label])
            beneath[:1] = 0
            prompt = prompt_of_region.get(int(beneath.argmax()), -1)
        found.append(prompt)
    return found
