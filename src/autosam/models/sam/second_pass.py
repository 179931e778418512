"""The second pass: ask again about what the first masks show, and keep an answer that agrees with the first."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autosam.instances import MaskCrop
from autosam.prompts import Prompt, second_prompt

Answers = dict[int, list[MaskCrop]]
"""Masks by the number of their prompt."""


def second_prompts(
    prompts: Mapping[int, Prompt], answers: Answers, places: NDArray[np.float64]
) -> dict[int, Prompt]:
    """Make the second prompts of the objects that have a first mask; see `second_prompt`.

    Parameters
    ----------
    prompts : mapping of int to Prompt
        Those of regions are asked again. What a user or a grid asks stays as it is.
    answers : dict of int to list of MaskCrop
        One mask at most for each.
    places : ndarray of float64, shape (n, 2)
        Where all prompts of the image point, by their numbers.
    """
    again = {}
    for index, crops in answers.items():
        if crops and prompts[index].region > 0:
            corner, others = (crops[0].row, crops[0].col), np.delete(places, index, axis=0)
            again[index] = second_prompt(prompts[index], crops[0].mask, corner, others)
    return again


def keep_agreeing(first: Answers, second: Answers, *, least: float) -> Answers:
    """Replace the first masks by those second ones that have an IoU of at least ``least`` with them.

    The score stays the first one's: it tells whether there is an object, and the second mask where it ends.
    """
    return first | {
        index: [replace(crop, score=first[index][0].score) for crop in crops]
        for index, crops in second.items()
        if crops and crop_iou(first[index][0], crops[0]) >= least
    }


def crop_iou(one: MaskCrop, other: MaskCrop) -> float:
    """Compute the IoU of two masks of one image, each with at least one pixel."""
    (rows, cols), (others, across) = one.window, other.window
    top, left = max(one.row, other.row), max(one.col, other.col)
    bottom, right = min(rows.stop, others.stop), min(cols.stop, across.stop)
    shared = 0
    if top < bottom and left < right:
        within = slice(top - one.row, bottom - one.row), slice(left - one.col, right - one.col)
        opposite = slice(top - other.row, bottom - other.row), slice(left - other.col, right - other.col)
        shared = int(np.count_nonzero(one.mask[within] & other.mask[opposite]))
    return shared / int(np.count_nonzero(one.mask) + np.count_nonzero(other.mask) - shared)
