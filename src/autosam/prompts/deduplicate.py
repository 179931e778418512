"""User prompts beside predicted ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.prompts.prompt import Prompt

SAME_BOX = 0.5
"""IoU of two boxes from which they belong to the same object."""


def deduplicate_prompts(
    predicted: Sequence[Prompt], regions: NDArray[np.int32], user_prompts: Sequence[Prompt]
) -> list[Prompt]:
    """Leave out the predicted prompts whose object has a user prompt.

    A predicted prompt goes if a positive point of a user prompt lies in its region, or if its box and that of a
    user prompt have an IoU of at least ``SAME_BOX``.

    Parameters
    ----------
    predicted, user_prompts : sequence of Prompt
        Of the same image.
    regions : ndarray of int32, shape (H, W)
        The regions that ``Prompt.region`` refers to.

    Returns
    -------
    list of Prompt
        What is left of ``predicted``, in its order.
    """
    prompted: set[int] = set()
    last = np.array(regions.shape) - 1
    for prompt in user_prompts:
        pixels = np.clip(np.round(prompt.points[prompt.point_labels == 1]).astype(int), 0, last)
        prompted.update(regions[tuple(pixels.T)].tolist())
    boxes = [prompt.box for prompt in user_prompts if prompt.box is not None]
    return [
        prompt
        for prompt in predicted
        if prompt.region not in prompted
        and (prompt.box is None or all(box_iou(prompt.box, box) < SAME_BOX for box in boxes))
    ]


def box_iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """IoU of two boxes: first row, first column, last row, last column, the last ones included.

    Examples
    --------
    >>> box_iou(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 2.0]))
    0.3333333333333333
    """
    shared = np.prod(np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]) + 1, 0))
    areas = np.prod(first[2:] - first[:2] + 1) + np.prod(second[2:] - second[:2] + 1)
    return float(shared / (areas - shared))
