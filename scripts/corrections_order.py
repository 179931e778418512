"""In which order a simulated annotator answers: by doubt, as on the review page, or at random."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from corrections_annotator import Answer, Labels, Mask

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
    """Go through the doubts, the largest first, and answer what each shows.

    Of an object, and of two that could be one, that is what they need. At a place where nothing was kept, the true
    object is added. If none is there, the crop is called right once all in it is. Where nothing was found in an
    image, all its objects are added.

    Parameters
    ----------
    images : mapping of str to Known
        By name.
    doubts : sequence of Doubt
        From `find_doubts`.

    Returns
    -------
    list of Answer
        What no doubt shows comes last, image by image.
    """
    given: list[Answer] = []
    there: set[Answer] = set()

    def give(answers: Iterator[Answer]) -> None:
        for one in answers:
            if one not in there:
                there.add(one)
                given.append(one)

    for doubt in doubts:
        give(_shown(doubt, images[doubt.image], there))
    give(one for known in images.values() for one in known.answers)
    return given


def at_random(images: Mapping[str, Known], seed: int) -> list[Answer]:
    """Answer about each object, found or missed, with the same chance."""
    listed = [one for known in images.values() for one in known.answers]
    order = np.random.default_rng(seed).permutation(len(listed))
    return [listed[at] for at in order]


def _shown(doubt: Doubt, known: Known, there: set[Answer]) -> Iterator[Answer]:
    if doubt.kind == "image":
        yield from known.answers
    elif doubt.objects:
        shown = set(doubt.objects)
        yield from (one for one in known.answers if one.touches & shown)
    else:
        yield from _at_place(doubt, known, there)


def _at_place(doubt: Doubt, known: Known, there: set[Answer]) -> Iterator[Answer]:
    (point,) = doubt.points
    at = int(point[0]), int(point[1])
    true = int(known.truth[at])
    if true:
        yield from (one for one in known.answers if true in one.truths)
    elif known.valid is None or known.valid[at]:
        top, left, bottom, right = doubt.crop
        crop = np.s_[top:bottom, left:right]
        found, truths = set(np.unique(known.labels[crop])), set(np.unique(known.truth[crop]))
        wrong = [one for one in known.answers if one.action != "accept" and one not in there]
        seen = any(one.touches & found or set(one.truths) & truths for one in wrong)
        if not seen and (known.valid is None or known.valid[crop].all()):
            box = (float(top), float(left), float(bottom - 1), float(right - 1))
            yield Answer(doubt.image, "reviewed", box=box)
