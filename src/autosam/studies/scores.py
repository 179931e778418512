"""Scores of a segmenter on labeled images, pooled over them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import isnan

from autosam.data import LabeledImage
from autosam.metrics import Scores, evaluate_pair, pool
from autosam.pipeline.segmenter import Segmenter

COLUMNS = ("ap50", "ap75", "mean_ap", "dice", "iou", "f1_50", "rand_error", "predicted", "objects")
"""Those of `Scores.row` that a study keeps; what each is stands in docs/metrics.md."""


@dataclass(frozen=True, eq=False)
class StudyScores:
    """What a segmenter made of labeled images.

    Attributes
    ----------
    pooled : Scores
        Over all images.
    by_source : dict of str to Scores
        Over the images of each source.
    images : int
        How many there were.
    seconds : float
        Mean time that one image took to segment.
    """

    pooled: Scores
    by_source: dict[str, Scores]
    images: int
    seconds: float


def score_labeled_images(segmenter: Segmenter, labeled_images: Sequence[LabeledImage]) -> StudyScores:
    """Segment labeled images and score them.

    Parameters
    ----------
    segmenter : Segmenter
        Its settings must leave intensities as they are (`as_normalized`): labeled images are normalized already.
    labeled_images : sequence of LabeledImage
        At least one.

    Returns
    -------
    StudyScores
    """
    sources: dict[str, list[Scores]] = {}
    seconds = 0.0
    for labeled_image in labeled_images:
        began = time.perf_counter()
        labels = segmenter.segment(labeled_image.image).labels
        seconds += time.perf_counter() - began
        sources.setdefault(labeled_image.source, []).append(evaluate_pair(labels, labeled_image.labels))
    return StudyScores(
        pooled=pool([scores for listed in sources.values() for scores in listed]),
        by_source={source: pool(listed) for source, listed in sources.items()},
        images=len(labeled_images),
        seconds=seconds / len(labeled_images),
    )


def row_of(scores: Scores) -> dict[str, float | int | None]:
    """Give the `COLUMNS` of scores, to four digits; None where one is undefined, as AP without any object."""
    row = scores.row()
    return {
        column: None
        if isnan(row[column])
        else row[column]
        if isinstance(row[column], int)
        else round(row[column], 4)
        for column in COLUMNS
    }


def digest_of(labeled_images: Sequence[LabeledImage]) -> str:
    """Give the SHA-256 of names, images, labels and prompts: scores with the same one can be compared."""
    digest = sha256()
    for labeled_image in labeled_images:
        digest.update(f"{labeled_image.name} {labeled_image.image.shape}".encode())
        digest.update(labeled_image.image.tobytes())
        digest.update(labeled_image.labels.tobytes())
        for prompt in labeled_image.prompts:
            for part in (prompt.points, prompt.point_labels, prompt.box):
                digest.update(b"none" if part is None else part.tobytes())
    return digest.hexdigest()
