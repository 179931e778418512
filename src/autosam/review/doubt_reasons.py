"""The reasons to doubt one object: its score, its outline as SAM and the generator see it, and its shape."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autosam.review.object_shapes import find_neck

Kind = Literal["score", "threshold", "conflict", "merge", "split", "missed", "image", "part"]

CONFLICT = 0.5
"""Doubt of an object whose outline has nothing in common with the generator's region."""
NECK, DEEP = 0.15, 0.05
"""Doubt of an object with a neck, and how deep that has to be to count whole."""
LARGE = 0.08
"""Doubt of an object twice as large as the median; it grows with the size, up to twice the number."""
NEAR = 0.1
"""Distance from a threshold within which a score is near it."""


@dataclass(frozen=True)
class Reason:
    """One reason to doubt: its kind, its weight 0 to 1, a sentence, and places to click."""

    kind: Kind
    weight: float
    why: str
    points: tuple[tuple[float, float], ...] = ()


def doubt_score(number: int, score: float, least: float) -> list[Reason]:
    """Doubt an object of a low score, and say if it was nearly left out."""
    if np.isnan(score):
        return [Reason("score", 0.0, f"The score of object {number} is not known.")]
    weight = float(np.clip(1 - score, 0, 1))
    if score < least + NEAR:
        why = f"The score of object {number} is {score:.2f}, and below {least:.2f} it would have been left out."
        return [Reason("threshold", weight, why)]
    return [Reason("score", weight, f"The score of object {number} is {score:.2f}.")]


def doubt_conflict(number: int, overlap: float) -> list[Reason]:
    """Doubt an object whose outline is another one to SAM than to the generator."""
    if np.isnan(overlap):
        return []
    why = f"SAM and the generator see different outlines of object {number} (overlap {overlap:.2f})."
    return [Reason("conflict", CONFLICT * (1 - overlap), why)]


def doubt_shape(
    number: int, own: NDArray[np.bool_], box: tuple[slice, slice], area: int, typical: float | None
) -> list[Reason]:
    """Say if an object looks like two."""
    neck = find_neck(own)
    parts = []
    if neck.places is not None:
        top, left = box[0].start, box[1].start
        points = tuple((float(row + top), float(col + left)) for row, col in neck.places)
        why = f"Object {number} has a neck: it could be two."
        parts.append(Reason("merge", NECK * min(1.0, neck.depth / DEEP), why, points))
    if typical is not None and area > typical:
        why = f"Object {number} is {area / typical:.1f} times as large as the median object: it could be several."
        parts.append(Reason("merge", LARGE * min(2.0, area / typical - 1), why))
    return parts


def agreement(labels: NDArray[np.int32], regions: NDArray[np.int32] | None) -> NDArray[np.float64]:
    """Give the IoU of each object with the region that fits it best, (n,); NaN without regions."""
    count = int(labels.max(initial=0))
    if regions is None:
        return np.full(count, np.nan)
    base = int(regions.max(initial=0)) + 1
    pairs, both = np.unique(labels.ravel().astype(np.int64) * base + regions.ravel(), return_counts=True)
    of, region = np.divmod(pairs, base)
    sizes, region_sizes = np.bincount(of, both, count + 1), np.bincount(region, both, base)
    best = np.zeros(count + 1)
    met = (of > 0) & (region > 0)
    np.maximum.at(best, of[met], (both / (sizes[of] + region_sizes[region] - both))[met])
    return best[1:]
