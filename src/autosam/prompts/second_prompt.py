"""The prompt of a second pass: what the first mask of an object says about it, and where its neighbors are."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autosam.prompts.points import place_points
from autosam.prompts.prompt import Prompt

NEGATIVES = 6
"""Negative points of a second prompt, on as many neighbors; published: best between 6 and 8, harmful above 12."""


def prompt_place(prompt: Prompt) -> NDArray[np.float64]:
    """Give the pixel that stands for a prompt's object, (2,): its first positive point, or else a center.

    The center is that of the box, or of the mask's crop, or of what points there are.
    """
    positive = prompt.points[prompt.point_labels == 1]
    if len(positive):
        return np.asarray(positive[0])
    if prompt.box is not None:
        return np.asarray(prompt.box.reshape(2, 2).mean(axis=0))
    if prompt.mask is not None:
        return np.array([prompt.mask.row, prompt.mask.col]) + (np.array(prompt.mask.shape) - 1) / 2
    return np.asarray(prompt.points.mean(axis=0))


def second_prompt(
    prompt: Prompt,
    mask: NDArray[np.bool_],
    corner: tuple[int, int],
    others: NDArray[np.float64],
    *,
    count: int = NEGATIVES,
) -> Prompt:
    """Make the second prompt of an object: box and deepest pixel of its first mask, and points on its neighbors.

    Parameters
    ----------
    prompt : Prompt
        The first one; its region and certainty stay, its mask is dropped.
    mask : ndarray of bool, shape (h, w)
        SAM's first answer, with at least one pixel.
    corner : tuple of int
        Row and column of the mask's first pixel.
    others : ndarray of float64, shape (n, 2)
        Places of the other prompts; see `prompt_place`. Those under the mask are of the same object and no
        negatives.
    count : int
        Most negatives: the nearest places to the box, equals in the order that they came in.

    Returns
    -------
    Prompt
        The positive point first. Without other prompts there are no negatives.

    References
    ----------
    micro-sam's automatic prompt generation, refinement "points+boxes", for the parts of the prompt and their
    number (computational-cell-analytics/micro-sam, ``micro_sam/v2/automatic_prompt_generation.py``).
    """
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = np.array([rows[0], cols[0], rows[-1], cols[-1]], dtype=np.float64) + np.tile(corner, 2)
    inside = place_points(mask, method="distance", count=1) + corner
    at = np.rint(others - corner).astype(np.int64)
    within = ((at >= 0) & (at < mask.shape)).all(axis=1)
    free = np.ones(len(others), dtype=bool)
    free[within] = ~mask[tuple(at[within].T)]
    others = others[free]
    distance = ((np.clip(others, box[:2], box[2:]) - others) ** 2).sum(axis=1)
    negatives = others[np.argsort(distance, kind="stable")[:count]]
    return replace(
        prompt,
        points=np.concatenate([inside, negatives]),
        point_labels=np.repeat(np.array([1, 0], dtype=np.int64), [1, len(negatives)]),
        box=box,
        mask=None,
    )
