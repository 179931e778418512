"""Prompts of missing objects, and SAM's answers to them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.instances import clean_mask, resize_crop
from autosam.pipeline.propose import without_regions
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt, find_negatives, place_points, zoom_prompts
from autosam.prompts.negatives import REACH
from autosam.volumes.interpolate import PlacedMask, placed_iou

MARGIN = 0.05
"""On each side of a box, as a fraction of its length along that axis."""

NEGATIVES = 6
"""Most negatives of a gap."""


class Answer(NamedTuple):
    """What SAM says to a prompt; the mask lies in pixels of the picture."""

    mask: PlacedMask
    score: float


def ask_again(
    segmenter: Segmenter,
    picture: NDArray[np.uint8],
    shapes: Sequence[PlacedMask],
    others: NDArray[np.integer],
    *,
    zoom: float,
) -> list[Answer | None]:
    """Ask SAM twice for the object of each shape: by its box, and by box, deepest point and negatives.

    The answer that agrees better with the shape counts. All are asked at once, so that SAM encodes each of its
    windows once. Points from the first answer, in a second step, were measured to be no better.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        Normalized.
    shapes : sequence of PlacedMask
        Where the objects are expected, in pixels of the picture and within it; an empty one is not asked about.
    others : ndarray of int, shape (h, w)
        Objects of the picture; 0 is background.
    zoom : float
        As in `Segmenter.segment`.

    Returns
    -------
    list of Answer or None
        For each shape; None where SAM sees nothing, or the picture is blank.
    """
    best: list[Answer | None] = [None] * len(shapes)
    asked = [index for index, shape in enumerate(shapes) if shape.area]
    pairs = gap_prompts([shapes[index] for index in asked], others)
    answers = answer_prompts(segmenter, picture, [prompt for pair in pairs for prompt in pair], zoom=zoom)
    for index, first, second in zip(asked, answers[::2], answers[1::2], strict=True):
        found = [answer for answer in (first, second) if answer is not None]
        best[index] = max(found, key=lambda answer: placed_iou(answer.mask, shapes[index]), default=None)
    return best


def answer_prompts(
    segmenter: Segmenter, picture: NDArray[np.uint8], prompts: Sequence[Prompt], *, zoom: float
) -> list[Answer | None]:
    """Let SAM answer prompts, in pixels of the picture, and no generator.

    Returns
    -------
    list of Answer or None
        One connected mask without holes for each prompt; None where it is empty, or the picture is blank.
    """
    answers: list[Answer | None] = [None] * len(prompts)
    view = segmenter.view(picture, zoom, normalized=True)
    if not prompts or view.blank:
        return answers
    proposals = without_regions(view.grid, side=0, user_prompts=zoom_prompts(prompts, view.factors))
    # Said, because prompts of a grid would get alternatives.
    for mask in segmenter.decode(view, proposals, alternatives=False) or []:
        prompt = proposals.prompts[mask.prompt]
        crop = clean_mask(mask, min_size=1, fill_holes=True, points=prompt.points[prompt.point_labels == 1])
        own = None if crop is None else resize_crop(crop, view.grid, view.shape)
        if own is not None:
            answers[mask.prompt] = Answer(PlacedMask(own.row, own.col, own.mask), own.score)
    return answers


def gap_prompts(shapes: Sequence[PlacedMask], others: NDArray[np.integer]) -> list[tuple[Prompt, Prompt]]:
    """Make two prompts of each shape: the box alone, and with the deepest point and negatives.

    Negatives are the deepest points of the nearest objects, the other shapes among them.

    Parameters
    ----------
    shapes : sequence of PlacedMask
        Within the picture, none of them empty.
    others : ndarray of int, shape (h, w)
        Objects of the picture; 0 is background.
    """
    limit = np.array(others.shape) - 1.0
    everything = _drawn(shapes, others)
    made = []
    for number, shape in enumerate(shapes, start=1):
        corner, sides = np.array([shape.row, shape.col]), np.array(shape.mask.shape)
        extra = MARGIN * sides
        box = np.concatenate([np.maximum(corner - extra, 0), np.minimum(corner + sides - 1 + extra, limit)])
        alone = Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box)
        deepest = place_points(shape.mask, method="distance", count=1) + corner
        negatives = _negatives(shape, everything, number)
        labels = np.repeat(np.array([1, 0], dtype=np.int64), [1, len(negatives)])
        made.append((alone, replace(alone, points=np.concatenate([deepest, negatives]), point_labels=labels)))
    return made


def _drawn(shapes: Sequence[PlacedMask], others: NDArray[np.integer]) -> NDArray[np.int64]:
    """Draw the shapes as 1..n, and the other objects, which keep their pixels, with higher numbers."""
    drawn = np.where(others != 0, others.astype(np.int64) + len(shapes), 0)
    for number, shape in enumerate(shapes, start=1):
        part = drawn[shape.row : shape.row + shape.mask.shape[0], shape.col : shape.col + shape.mask.shape[1]]
        part[shape.mask & (part == 0)] = number
    return drawn


def _negatives(shape: PlacedMask, everything: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Find the deepest points of the neighbors of a shape, (k, 2)."""
    reach = int(np.ceil(REACH))
    top, left = max(shape.row - reach, 0), max(shape.col - reach, 0)
    near = everything[
        top : shape.row + shape.mask.shape[0] + reach, left : shape.col + shape.mask.shape[1] + reach
    ]
    ids = np.unique(near[near != 0])
    if number not in ids:
        # Others cover it.
        return np.zeros((0, 2))
    # From 1 on without gaps, as `find_negatives` looks at every number.
    numbered = np.where(near == 0, 0, np.searchsorted(ids, near) + 1)
    return find_negatives(numbered, count=NEGATIVES)[int(np.searchsorted(ids, number)) + 1] + (top, left)
