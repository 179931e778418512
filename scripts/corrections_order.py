"""In which order a simulated annotator answers: by doubt, image by image, or at random."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from corrections_annotator import Answer, Box, Labels, Mask

from autosam.review.doubt import Doubt


@dataclass(frozen=True, eq=False)
class Known:
    """An image with what was found in it and what is true.

    Attributes
    ----------
    labels, truth : ndarray of integers, shape (H, W)
    valid : ndarray of bool, shape (H, W), or None
        Where the truth is known; None for everywhere.
    answers : list of Answer
        From `plan_answers`.
    """

    labels: Labels
    truth: Labels
    valid: Mask | None
    answers: list[Answer]


def by_doubt(images: Mapping[str, Known], doubts: Sequence[Doubt]) -> list[Answer]:
    """Go through the crops of the review page in its order, and put right all that each one shows.

    Then the crop is called right, so that its background is known, too. A crop that lies in another one is
    skipped. Where a part of a crop has no truth, its wrong objects are corrected, and those that the doubt is
    about are accepted.

    Parameters
    ----------
    images : mapping of str to Known
        By name.
    doubts : sequence of Doubt
        From `find_doubts`, or parts of whole images from `whole_images`.

    Returns
    -------
    list of Answer
        What no crop shows comes last, image by image.
    """
    given: dict[Answer, None] = {}
    for doubt in doubts:
        boxes = (one.box for one in given if one.image == doubt.image)
        given |= dict.fromkeys(answers_about(doubt, images[doubt.image], boxes))
    return list(given | dict.fromkeys(one for known in images.values() for one in known.answers))


def at_random(images: Mapping[str, Known], doubts: Sequence[Doubt], seed: int) -> list[Answer]:
    """Do the same in a random order, in which other crops may lie in one that came before."""
    order = np.random.default_rng(seed).permutation(len(doubts))
    return by_doubt(images, [doubts[at] for at in order])


def answers_about(doubt: Doubt, known: Known, reviewed: Iterable[Box | None]) -> list[Answer]:
    """Say what is done about a crop: nothing where it lies in one that was called right.

    A part of a whole image counts as far as its truth is known.
    """
    if doubt.kind == "part" and known.valid is not None:
        doubt = replace(doubt, crop=_cut_to(known.valid, doubt.crop))
    box = box_of(doubt)
    if _lies_in(box, reviewed):
        return []
    top, left, bottom, right = doubt.crop
    if known.valid is None or known.valid[top:bottom, left:right].all():
        return [*_wrong_in(doubt, known), Answer(doubt.image, "reviewed", box=box)]
    accepted = (one for one in known.answers if one.action == "accept")
    return [*_wrong_in(doubt, known), *(one for one in accepted if one.touches & set(doubt.objects))]


def _cut_to(valid: Mask, crop: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Give the part of a crop around all that is valid in it; the crop itself where nothing is."""
    top, left, bottom, right = crop
    rows, cols = (np.flatnonzero(valid[top:bottom, left:right].any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return crop
    return top + int(rows[0]), left + int(cols[0]), top + int(rows[-1]) + 1, left + int(cols[-1]) + 1


def _wrong_in(doubt: Doubt, known: Known) -> list[Answer]:
    """Give what is to be done about each wrong object that a crop shows a pixel of."""
    top, left, bottom, right = doubt.crop
    crop = np.s_[top:bottom, left:right]
    found, truths = set(np.unique(known.labels[crop])), set(np.unique(known.truth[crop]))
    wrong = (one for one in known.answers if one.action != "accept")
    return [one for one in wrong if one.touches & found or set(one.truths) & truths]


def box_of(doubt: Doubt) -> Box:
    """Give a crop as first row, first column, last row and last column."""
    top, left, bottom, right = map(float, doubt.crop)
    return top, left, bottom - 1, right - 1


def _lies_in(box: Box, others: Iterable[Box | None]) -> bool:
    """Whether a box lies in one of others."""
    top, left, bottom, right = box
    return any(o and o[0] <= top and o[1] <= left and o[2] >= bottom and o[3] >= right for o in others)
