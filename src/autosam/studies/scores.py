"""Scores of a segmenter on labeled images, as a row of a table."""

import time
from collections.abc import Sequence
from hashlib import sha256
from math import isnan
from typing import Any

from numpy.typing import NDArray

from autosam.data import LabeledImage
from autosam.metrics import Scores, evaluate_pair, pool
from autosam.pipeline.segmenter import Segmenter

COLUMNS = ("ap50", "ap75", "mean_ap", "dice", "iou", "f1_50", "rand_error", "predicted", "objects")
"""Those of `Scores.row` that a study keeps; what each is stands in docs/metrics.md."""

Score = float | int | None
"""A float or a count; None where it is undefined."""


def score_labeled_images(segmenter: Segmenter, labeled_images: Sequence[LabeledImage]) -> dict[str, Score]:
    """Segment labeled images, at least one, and score them.

    Returns
    -------
    dict of str to float, int or None
        `COLUMNS` pooled over all images, to four digits, None where undefined, as AP without any object. Also
        ``images_scored``, how many there were, and ``seconds_per_image``, the mean time of segmenting one. With
        several sources ``{source}_{column}``, too, pooled over the images of each.
    """
    sources: dict[str, list[Scores]] = {}
    seconds = 0.0
    for one in labeled_images:
        began = time.perf_counter()
        labels = segmenter.segment(one.image, zoom=one.zoom, normalized=True).labels
        seconds += time.perf_counter() - began
        sources.setdefault(one.source, []).append(evaluate_pair(labels, one.labels, valid=one.valid))
    row = _pooled([scores for listed in sources.values() for scores in listed])
    row |= {"images_scored": len(labeled_images), "seconds_per_image": round(seconds / len(labeled_images), 3)}
    if len(sources) > 1:
        for source, listed in sources.items():
            row |= {f"{source}_{column}": score for column, score in _pooled(listed).items()}
    return row


def digest_of(labeled_images: Sequence[LabeledImage]) -> str:
    """Return the SHA-256 of names, images, labels, masks and prompts: scores with the same one can be compared."""
    digest = sha256()
    for one in labeled_images:
        digest.update(f"{one.name} {one.image.shape}".encode())
        digest.update(one.image.tobytes())
        digest.update(one.labels.tobytes())
        if one.zoom is not None:
            digest.update(f"zoom {one.zoom!r}".encode())
        if one.valid is not None:
            digest.update(one.valid.tobytes())
        for prompt in one.prompts:
            for part in (prompt.points, prompt.point_labels, prompt.box):
                digest.update(b"none" if part is None else part.tobytes())
    return digest.hexdigest()


def digest_of_arrays(arrays: Sequence[NDArray[Any]]) -> str:
    """Return the SHA-256 of shapes and contents."""
    digest = sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _pooled(listed: Sequence[Scores]) -> dict[str, Score]:
    row = pool(listed).row()
    return {column: None if isnan(row[column]) else round(row[column], 4) for column in COLUMNS}
