"""Prompt-object assignment: which true object each prompt of a tile points at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from autosam.prompts import Prompt
from autosam.prompts.deduplicate import box_iou
from autosam.training.prompting.simulate import mask_box

MATCH_IOU = 0.25
"""A predicted prompt whose region has no higher IoU than this with any object teaches the IoU head 0."""


@dataclass(frozen=True, eq=False)
class TilePrompts:
    """Prompts of one tile and their objects.

    Attributes
    ----------
    targets : ndarray of int64, shape (n,)
        Id of each prompt's object in the labels; 0 where there is none.
    regions : ndarray of int32, shape (H, W)
        The regions that ``Prompt.region`` refers to; all 0 where the prompts do not come from regions.
    best_iou : bool
        Prompts without an object teach the IoU head the IoU of SAM's mask with its best object, and not 0.
    """

    prompts: list[Prompt]
    targets: NDArray[np.int64]
    regions: NDArray[np.int32]
    best_iou: bool = False


def match_regions(
    regions: NDArray[np.int32],
    labels: NDArray[np.int32],
    *,
    matching: Literal["hungarian", "overlap"],
    min_iou: float = MATCH_IOU,
) -> NDArray[np.int64]:
    """Find the object of each region by IoU.

    Parameters
    ----------
    regions, labels : ndarray of int32, shape (H, W)
    matching : {"hungarian", "overlap"}
        One to one for the largest total IoU (Hungarian method), or each region to the object with which it has the
        highest IoU, so that two regions may have the same object. The lowest id wins a tie.

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


def match_user_prompts(
    labels: NDArray[np.int32], prompts: Sequence[Prompt], *, valid: NDArray[np.bool_] | None = None
) -> TilePrompts:
    """Find the object of each user prompt of a tile.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    prompts : sequence of Prompt
        In tile pixels; they may reach over the tile's border. Their masks do not count.
    valid : ndarray of bool, shape (H, W), optional
        Where labels are known. Prompts without an object whose first positive point, or the center of their box,
        lies elsewhere are left out.

    Returns
    -------
    TilePrompts
        The prompts with a positive point or a box, in their order; others point at no object and are left out.
        The target is the object under most of the positive points. Without positive points, it is the object whose
        bounding box has the highest IoU, above ``MATCH_IOU``, with the prompt's. The lowest id wins a tie.
    """
    pointing = [prompt for prompt in prompts if has_positive_point(prompt) or prompt.box is not None]
    boxes = {int(object_id): mask_box(labels == object_id) for object_id in np.unique(labels[labels > 0])}
    targets = np.zeros(len(pointing), dtype=np.int64)
    for index, prompt in enumerate(pointing):
        if has_positive_point(prompt):
            targets[index] = _object_under(labels, prompt.points[prompt.point_labels == 1])
        elif prompt.box is not None:
            # The objects' boxes end at the tile's border too.
            shown = np.clip(prompt.box, 0, np.tile(np.array(labels.shape) - 1.0, 2))
            overlaps = {object_id: box_iou(shown, box) for object_id, box in boxes.items()}
            best = max(overlaps, key=overlaps.__getitem__, default=0)
            targets[index] = best if overlaps.get(best, 0.0) > MATCH_IOU else 0
    if valid is not None and not valid.all():
        kept = [i for i, prompt in enumerate(pointing) if targets[i] or valid[_place(prompt, labels.shape)]]
        pointing, targets = [pointing[i] for i in kept], targets[kept]
    return TilePrompts(pointing, targets, np.zeros_like(labels))


def _place(prompt: Prompt, shape: tuple[int, ...]) -> tuple[int, int]:
    """Give the pixel that a prompt points at: its first positive point, or the center of its box."""
    if has_positive_point(prompt):
        place = prompt.points[prompt.point_labels == 1][0]
    else:
        place = np.asarray(prompt.box).reshape(2, 2).mean(axis=0)
    row, col = np.clip(np.rint(place).astype(int), 0, np.array(shape) - 1)
    return int(row), int(col)


def has_positive_point(prompt: Prompt) -> bool:
    """Tell whether a prompt has a positive point."""
    return bool((prompt.point_labels == 1).any())


def _object_under(labels: NDArray[np.int32], points: NDArray[np.float64]) -> int:
    """Find the object under most of the points; 0 where there is none under any."""
    at = np.rint(points).astype(np.int64)
    at = at[((at >= 0) & (at < labels.shape)).all(axis=1)]
    votes = np.bincount(labels[at[:, 0], at[:, 1]], minlength=1)
    votes[0] = 0
    return int(votes.argmax())
