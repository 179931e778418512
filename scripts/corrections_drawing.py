"""Answers of a simulated annotator as corrections, and what they cost: clicks, and corners of outlines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from corrections_annotator import RIGHT, Answer, Labels, Mask, Point, deepest_point, iou
from skimage.measure import approximate_polygon, find_contours

from autosam.instances import MaskCrop
from autosam.pipeline.origin_images import OriginImages
from autosam.prompts import Prompt
from autosam.review.corrections import Correction
from autosam.review.drawn_mask import mask_text
from autosam.review.prompt_answers import PromptAnswers, open_segmenter
from autosam.review.review_results import ReviewImage, ReviewResults

MOST_POINTS = 4
"""Points after which an annotator gives up SAM's answer and draws the outline by hand."""

POLYGON = 1.5
"""Pixels by which an outline drawn by clicks may differ from the true one."""

Ask = Callable[[Prompt], MaskCrop | None]
"""SAM about one prompt; None where it sees nothing."""


@dataclass(frozen=True)
class Made:
    """A correction and its cost.

    Attributes
    ----------
    correction : Correction
    clicks : int
        Clicks and keys on the review page, and the corners of outlines that are drawn by hand.
    """

    correction: Correction
    clicks: int


def make_corrections(
    answers: Sequence[Answer], results: ReviewResults, truths: Mapping[str, Labels], *, asks_sam: bool
) -> list[Made]:
    """Write answers about a folder of results as a person gives them.

    Parameters
    ----------
    truths : mapping of str to ndarray of integers, shape (H, W)
        By name of the image.
    asks_sam : bool
        The model of the run has a SAM, which answers clicks as on the served review page.
    """
    asking: dict[str, Ask] = {}
    if asks_sam:
        segmenters = {}
        for name in dict.fromkeys(one.image for one in answers):
            image = results.images[name]
            if image.run.number not in segmenters:
                segmenters[image.run.number] = open_segmenter(image.run, device="cpu")
            loaded = image.load(OriginImages())
            asking[name] = _asker(PromptAnswers(segmenters[image.run.number], loaded.image, image.zoom))
    return [
        make_correction(one, results.images[one.image], truths[one.image], asking.get(one.image))
        for one in answers
    ]


def _asker(answers: PromptAnswers) -> Ask:
    return lambda prompt: answers.answer([prompt])[0]


def make_correction(one: Answer, image: ReviewImage, truth: Labels, ask: Ask | None) -> Made:
    """Write an answer as a person gives it.

    Parameters
    ----------
    one : Answer
    image : ReviewImage
        The results that it is about.
    truth : ndarray of integers, shape (H, W)
    ask : callable or None
        SAM, which is asked first; None where the model has none, and outlines are drawn by hand.
    """
    if one.action in ("redraw", "add"):
        return _draw(one, image, truth == one.truths[0], ask)
    labels = (1,) * len(one.points)
    made = Correction(one.image, one.action, one.objects, one.points, labels, box=one.box, results=image.results)
    # A key; for a merge the neighbors; for a split its points, and Enter.
    more = {"merge": len(one.objects) - 1, "split": len(one.points) + 1}
    return Made(made, 1 + more.get(one.action, 0))


def _draw(one: Answer, image: ReviewImage, truth: Mask, ask: Ask | None) -> Made:
    """Draw an object: SAM with one point after the other, and by hand where that does not get there."""
    points: list[Point] = [deepest_point(truth)]
    labels, tried = [1], 0
    while ask is not None and tried < MOST_POINTS:
        tried += 1
        crop = ask(Prompt(np.array(points), np.array(labels), None))
        answer = _whole(crop, truth.shape)
        if crop is not None and iou(answer, truth) >= RIGHT:
            text = mask_text(crop.mask, row=crop.row, col=crop.col)
            return Made(_drawn(one, image, points, labels, text, "sam"), 1 + tried + 1)
        wrong = max((truth & ~answer, answer & ~truth), key=np.count_nonzero)
        points.append(deepest_point(wrong))
        labels.append(int(truth[int(points[-1][0]), int(points[-1][1])]))
    made = _drawn(one, image, (), (), mask_text(truth), "hand")
    return Made(made, 1 + tried + corners(truth))


def _drawn(
    one: Answer, image: ReviewImage, points: Sequence[Point], labels: Sequence[int], mask: str, by: str
) -> Correction:
    assert by in ("sam", "hand")
    return Correction(
        one.image,
        one.action,
        one.objects,
        tuple(points),
        tuple(labels),
        mask=mask,
        by="sam" if by == "sam" else "hand",
        results=image.results,
    )


def corners(mask: Mask) -> int:
    """Count the clicks of a polygon around an object, at least three."""
    outlines = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    longest = max(outlines, key=len)
    return max(3, len(approximate_polygon(longest, POLYGON)) - 1)


def _whole(crop: MaskCrop | None, shape: tuple[int, ...]) -> Mask:
    whole = np.zeros(shape, bool)
    if crop is not None:
        whole[crop.window] = crop.mask
    return whole
