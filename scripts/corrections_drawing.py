"""Answers of a simulated annotator as corrections, and what they cost: clicks, and corners of outlines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from corrections_annotator import RIGHT, Answer, Labels, Mask, Point, deepest_point
from skimage.measure import approximate_polygon, find_contours

from autosam.instances import MaskCrop
from autosam.metrics import iou
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt
from autosam.review.corrections import DRAWING, By, Correction
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


class Annotator:
    """Writes answers about a folder of results as a person gives them; each of them once.

    Parameters
    ----------
    results : ReviewResults
    truths : mapping of str to ndarray of integers, shape (H, W)
        By name of the image.
    asks_sam : bool
        SAM answers clicks, as on the served review page; otherwise outlines are drawn by hand.
    """

    def __init__(self, results: ReviewResults, truths: Mapping[str, Labels], *, asks_sam: bool) -> None:
        self._results, self._truths, self._asks_sam = results, truths, asks_sam
        self._segmenters: dict[str, Segmenter] = {}
        self._askers: dict[str, Ask] = {}
        self._made: dict[Answer, Made] = {}

    def make(self, one: Answer) -> Made:
        """Write an answer, or give what was written before."""
        if one not in self._made:
            image = self._results.images[one.image]
            ask = self._asker(image) if self._asks_sam else None
            self._made[one] = make_correction(one, image, self._truths[one.image], ask)
        return self._made[one]

    def _asker(self, image: ReviewImage) -> Ask:
        if image.name not in self._askers:
            run = image.run
            if run.number not in self._segmenters:
                self._segmenters[run.number] = open_segmenter(run, device="cpu")
            loaded = image.load(OriginImages())
            answers = PromptAnswers(self._segmenters[run.number], loaded.image, image.zoom)
            self._askers[image.name] = lambda prompt: answers.answer([prompt])[0]
        return self._askers[image.name]


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
    if one.action in DRAWING:
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
        if crop is None:
            # The next click would be where the first one was.
            break
        answer = np.zeros_like(truth)
        answer[crop.window] = crop.mask
        if iou(answer, truth) >= RIGHT:
            text = mask_text(crop.mask, row=crop.row, col=crop.col)
            return Made(_drawn(one, image, points, labels, text, "sam"), 1 + tried + 1)
        wrong = max((truth & ~answer, answer & ~truth), key=np.count_nonzero)
        points.append(deepest_point(wrong))
        labels.append(int(truth[int(points[-1][0]), int(points[-1][1])]))
    made = _drawn(one, image, (), (), mask_text(truth), "hand")
    return Made(made, 1 + tried + corners(truth))


def _drawn(
    one: Answer, image: ReviewImage, points: Sequence[Point], labels: Sequence[int], mask: str, by: By
) -> Correction:
    clicked = tuple(points), tuple(labels)
    return Correction(one.image, one.action, one.objects, *clicked, mask=mask, by=by, results=image.results)


def corners(mask: Mask) -> int:
    """Count the clicks of a polygon around an object, at least three."""
    outlines = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    longest = max(outlines, key=len)
    return max(3, len(approximate_polygon(longest, POLYGON)) - 1)
