"""A person's prompts beside automatic ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.prompts.prompt import Prompt

SAME_BOX = 0.5
"""IoU of two boxes from which they speak of the same object."""


def deduplicate_prompts(
    predicted: Sequence[Prompt], regions: NDArray[np.int32], by_hand: Sequence[Prompt]
) -> list[Prompt]:
    """Leave out the automatic prompts whose objects a person has prompted too.

    Parameters
    ----------
    predicted : sequence of Prompt
        Made of the regions.
    regions : ndarray of int32, shape (H, W)
        The regions that ``Prompt.region`` refers to.
    by_hand : sequence of Prompt
        Of the same image. One of them claims the regions that its positive points lie in; where it has a box, also
        those whose own box it covers with an IoU of at least ``SAME_BOX``.

    Returns
    -------
    list of Prompt
        Those of ``predicted`` that nobody claims, in their order.
    """
    claimed: set[int] = set()
    last = np.array(regions.shape) - 1
    for prompt in by_hand:
        places = np.clip(np.round(prompt.points[prompt.point_labels == 1]).astype(int), 0, last)
        claimed.update(int(regions[row, column]) for row, column in places)
    boxes = [prompt.box for prompt in by_hand if prompt.box is not None]
    return [
        prompt
        for prompt in predicted
        if prompt.region not in claimed
        and (prompt.box is None or all(box_iou(prompt.box, box) < SAME_BOX for box in boxes))
    ]


def box_iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """IoU of two boxes, each first row, first column, last row, last column, the last ones included.

    Examples
    --------
    >>> box_iou(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 2.0]))
    0.3333333333333333
    """
    shared = np.prod(np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]) + 1, 0))
    areas = np.prod(first[2:] - first[:2] + 1) + np.prod(second[2:] - second[:2] + 1)
    return float(shared / (areas - shared))
