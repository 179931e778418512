"""How doubtful each object and place of an image is, and why.

The numbers estimate the chance that a person would correct something. They were chosen on 1,149 objects in
images of EM, fluorescence and stained tissue. There the score alone told objects with a wrong outline (IoU
below .75) from right ones with an area under the curve of .79. Of the places where the generator saw something
and nothing was kept, 59 % were missed objects. Necks and sizes told merged objects from others with .75, but
added next to nothing to the score. So scores and places lead, and shapes say what may be wrong. Of the first
tenth of the list, 66 % had to be corrected, and 36 % of all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.review.doubt_reasons import Kind, Reason, agreement, doubt_conflict, doubt_score, doubt_shape
from autosam.review.object_shapes import touching_objects

ONE_SHAPE, ROUGHEST = 0.4, 0.85
"""Doubt of two objects that are one convex shape without a border inside, and the least solidity that counts."""
LEAST = 0.02
"""Doubt of two objects below which they are not listed."""
MISSED, SURE = 0.3, 0.4
"""Doubt of a place where nothing was kept, and what the generator's probability adds to it."""
UNLIKE = 0.3
"""Doubt that is added where an image is unlike the training images: novelty 2 and more."""
PLAIN = 0.4
"""How much a score counts when the reason is named: it says nothing of what is wrong."""
FEWEST = 5
"""Objects that tell a typical size."""
SHARE_MISSED = 0.3
"""Smallest probability of the foreground in which something may have been missed."""
SMALLEST = 0.1
"""Smallest such place, relative to the median object."""
MARGIN, SIDE = 16, 96
"""Pixels around what is shown, and smallest side of a crop."""


@dataclass(frozen=True)
class Doubt:
    """Something to look at.

    Attributes
    ----------
    image : str
        Name of the image's results.
    crop : tuple of int
        First row, first column, and the row and column after the last, of what to show.
    objects : tuple of int
        Ids in the results; none for a place or an image.
    kind : str
        ``score``: a low score. ``threshold``: a score near that below which objects are dropped. ``conflict``: SAM
        and the generator see different outlines. ``merge``: likely two objects. ``split``: likely parts of one.
        ``missed``: the generator sees something, and nothing was kept. ``image``: nothing was found at all.
        ``part``: not in doubt, but a part of an image that is looked at as a whole.
    doubt : float
        0 to 1.
    why : str
        One sentence.
    points : tuple of (float, float)
        Where a person would click, row and column: in both parts of a merged object, in a missed one.
    """

    image: str
    crop: tuple[int, int, int, int]
    objects: tuple[int, ...]
    kind: Kind
    doubt: float
    why: str
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class SeenAgain:
    """An image of the results, as the generator sees it again.

    Attributes
    ----------
    name : str
    labels : ndarray of int32, shape (H, W)
    scores : ndarray of float64, shape (n,)
        Score of id i at i - 1; NaN where it is not known.
    regions : ndarray of int32, shape (H, W), or None
        The generator's own segmentation; None where the generator was not asked, or the objects are its regions.
    maps : mapping of str to ndarray of float32, shape (H, W)
        The generator's probabilities; empty where it was not asked.
    min_score : float
        Score below which objects were dropped.
    novelty : float or None
        See `Segmentation`.
    done : frozenset of int
        Objects that somebody has reviewed: they are in no doubt.
    complete : bool
        Whether objects were kept in the whole image, not inside an area alone: then no place lacks one.
    """

    name: str
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    regions: NDArray[np.int32] | None = None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    min_score: float = 0.0
    novelty: float | None = None
    done: frozenset[int] = frozenset()
    complete: bool = True


def rank(doubts: Iterable[Doubt], images: Sequence[str]) -> list[Doubt]:
    """Put doubts in order: the largest first, of equal ones by image and in raster order."""
    place = {name: number for number, name in enumerate(images)}
    return sorted(doubts, key=lambda one: (-one.doubt, place[one.image], one.crop, one.objects, one.kind))


def image_doubts(seen: SeenAgain) -> list[Doubt]:
    """List what is doubtful in one image, each object once, by its strongest reason.

    Returns
    -------
    list of Doubt
        Of all objects that nobody has reviewed, of pairs that could be one object, and of places, in raster order
        of each. An image with none of them gives one doubt of the kind ``image``.
    """
    shape = (seen.labels.shape[0], seen.labels.shape[1])
    base = 0.0 if seen.novelty is None else UNLIKE * float(np.clip(seen.novelty - 1, 0, 1))
    boxes = ndimage.find_objects(seen.labels)
    areas = np.bincount(seen.labels.ravel(), minlength=len(boxes) + 1)
    found = []
    overlaps = agreement(seen.labels, seen.regions)
    there = areas[1:][areas[1:] > 0]
    typical = float(np.median(there)) if len(there) >= FEWEST else None
    for number, box in enumerate(boxes, 1):
        if box is None or number in seen.done:
            continue
        parts = [
            *doubt_score(number, float(seen.scores[number - 1]), seen.min_score),
            *doubt_conflict(number, overlaps[number - 1]),
            *doubt_shape(number, seen.labels[box] == number, box, areas[number], typical),
        ]
        found.append(_doubt(seen.name, _around(box, shape), (number,), parts, base))
    found += _of_pairs(seen, boxes, base)
    if seen.complete:
        found += _of_places(seen, typical, base)
    if not found and not seen.done:
        why = "Nothing was found in this image."
        if base:
            why = f"Nothing was found, and the image is unlike the training images (novelty {seen.novelty:.1f})."
        found = [Doubt(seen.name, (0, 0, *shape), (), "image", round(max(MISSED, base), 4), why)]
    return found


def _doubt(
    name: str,
    crop: tuple[int, int, int, int],
    objects: tuple[int, ...],
    parts: Sequence[Reason],
    base: float,
) -> Doubt:
    """Join reasons as if they were independent, and name the strongest."""
    named = max(parts, key=lambda part: part.weight * (PLAIN if part.kind in ("score", "threshold") else 1))
    number = 1 - (1 - base) * float(np.prod([1 - part.weight for part in parts]))
    return Doubt(name, crop, objects, named.kind, round(float(np.clip(number, 0, 1)), 4), named.why, named.points)


def _of_pairs(seen: SeenAgain, boxes: Sequence[tuple[slice, slice] | None], base: float) -> list[Doubt]:
    """Find neighbors without a border between them that have one shape together."""
    border = seen.maps.get("boundary")
    found = []
    for (one, other), pixels in touching_objects(seen.labels).items():
        if one in seen.done and other in seen.done:
            continue
        open_ = 1.0 if border is None else 1 - float(np.mean(border.ravel()[pixels]))
        if ONE_SHAPE * open_ < LEAST:
            continue
        window = _union(boxes[one - 1], boxes[other - 1])
        together = np.isin(seen.labels[window], (one, other))
        convex = float(np.clip((_solidity(together) - ROUGHEST) / (1 - ROUGHEST), 0, 1))
        weight = ONE_SHAPE * convex * open_
        if weight >= LEAST:
            why = f"Objects {one} and {other} touch and have one shape together: they could be one."
            crop = _around(window, (seen.labels.shape[0], seen.labels.shape[1]))
            found.append(_doubt(seen.name, crop, (one, other), [Reason("split", weight, why)], base))
    return found


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Area over the area of the convex hull of an object's pixels."""
    # A slow import.
    from skimage.morphology import convex_hull_image

    return float(mask.sum() / convex_hull_image(mask).sum())


def _of_places(seen: SeenAgain, typical: float | None, base: float) -> list[Doubt]:
    """Find foreground that lies in no object and is large enough to be one."""
    foreground = seen.maps.get("foreground")
    if foreground is None:
        return []
    free = (foreground > SHARE_MISSED) & ~ndimage.binary_dilation(seen.labels > 0, iterations=2)
    places, _ = ndimage.label(free)
    sizes = np.bincount(places.ravel())
    least = max(20.0, SMALLEST * (typical or 0.0))
    found = []
    for number, box in enumerate(ndimage.find_objects(places), 1):
        if box is None or sizes[number] < least:
            continue
        own = places[box] == number
        seen_as = float(foreground[box][own].mean())
        inner = ndimage.distance_transform_edt(np.pad(own, 1))[1:-1, 1:-1]
        row, col = np.unravel_index(int(np.argmax(inner)), inner.shape)
        point = (float(row + box[0].start), float(col + box[1].start))
        why = f"The generator sees an object here (probability {seen_as:.2f}), and none was kept."
        part = Reason("missed", MISSED + SURE * seen_as, why, (point,))
        crop = _around(box, (seen.labels.shape[0], seen.labels.shape[1]))
        found.append(_doubt(seen.name, crop, (), [part], base))
    return found


def _union(one: tuple[slice, slice] | None, other: tuple[slice, slice] | None) -> tuple[slice, slice]:
    assert one is not None
    assert other is not None
    rows, cols = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return rows, cols


def _around(box: tuple[slice, slice], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Give a box with its surroundings, inside the image."""
    first, last = [], []
    for part, side in zip(box, shape, strict=True):
        more = max(MARGIN, (part.stop - part.start) // 2, (SIDE - (part.stop - part.start) + 1) // 2)
        first.append(max(0, part.start - more))
        last.append(min(side, part.stop + more))
    return first[0], first[1], last[0], last[1]
