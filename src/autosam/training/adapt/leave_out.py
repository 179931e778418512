"""Which of few labels are learnt from, and which are left out to validate: images, or regions of few images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from autosam.data import LabeledImage
from autosam.training.adapt.few_labels import count_objects
from autosam.training.samples.tiles import median_diameter

FROM = 4
"""Images with objects from which whole images are left out; of fewer, a region of each."""

SHARE = 0.25
"""Share of the objects that is left out."""

LEAST_MARGIN = 16
"""Smallest margin between what is learnt and what validates, in pixels; it is as wide as an object otherwise."""


@dataclass(frozen=True, eq=False)
class Division:
    """Labels in two parts.

    Attributes
    ----------
    learnt, left_out : list of LabeledImage
        The latter is empty where no object can be left out.
    how : {"images", "regions", "nothing"}
        What was left out.
    """

    learnt: list[LabeledImage]
    left_out: list[LabeledImage]
    how: str


def leave_out(labeled_images: Sequence[LabeledImage]) -> Division:
    """Divide labels in a part to learn from and a part to validate on.

    Neighboring slices look alike, so the last images by name are left out, or one side of each image with a margin
    beside it.

    Parameters
    ----------
    labeled_images : sequence of LabeledImage
        With at least one object.
    """
    with_objects = [one for one in labeled_images if one.labels.any()]
    if len(with_objects) >= FROM:
        total = count_objects(labeled_images)
        last: list[LabeledImage] = []
        for one in reversed(with_objects[2:]):
            last.insert(0, one)
            if count_objects(last) >= SHARE * total:
                break
        names = {one.name for one in last}
        return Division([one for one in labeled_images if one.name not in names], last, "images")
    margin = max(LEAST_MARGIN, round(_diameter(with_objects)))
    learnt: list[LabeledImage] = []
    left: list[LabeledImage] = []
    for one in labeled_images:
        best = max(_cuts(one, margin), key=lambda cut: cut.worth, default=None)
        if best is None:
            learnt.append(one)
            continue
        kept, validating = _parts(one, best, margin)
        learnt.append(kept)
        left.append(validating)
    return Division(learnt, left, "regions" if left else "nothing")


def _diameter(labeled_images: Sequence[LabeledImage]) -> float:
    return median_diameter([replace(one, zoom=None) for one in labeled_images])


class _Cut(NamedTuple):
    """A place along an axis, whether what follows it is left out or what is before it, and how good that is."""

    axis: int
    place: int
    last: bool
    worth: float


def _cuts(one: LabeledImage, margin: int) -> Iterator[_Cut]:
    """Give the ways to cut one side off an image, with objects in both parts."""
    boxes = [box for box in ndimage.find_objects(one.labels) if box is not None]
    for axis in (0, 1):
        length = one.labels.shape[axis]
        starts = np.array([box[axis].start for box in boxes])
        stops = np.array([box[axis].stop for box in boxes])
        for place in range(length // 8, length - length // 8, max(1, length // 32)):
            for last in (True, False):
                inside = (starts >= place) if last else (stops <= place)
                outside = (stops <= place - margin) if last else (starts >= place + margin)
                if not inside.any() or not outside.any():
                    continue
                share = inside.sum() / len(boxes)
                lost = 1 - share - outside.sum() / len(boxes)
                worth = -abs(share - SHARE) - 0.5 * lost
                yield _Cut(axis, place, last, float(worth))


def _parts(one: LabeledImage, cut: _Cut, margin: int) -> tuple[LabeledImage, LabeledImage]:
    """Cut an image in what is learnt and what is left out, in which objects that are cut do not count."""
    axis, place, last, _ = cut
    learnt = slice(0, place - margin) if last else slice(place + margin, None)
    left = slice(place, None) if last else slice(0, place)
    kept = _window(one, axis, left)
    crossing = np.unique(np.take(one.labels, place - 1 if last else place, axis=axis))
    valid = np.ones(kept.labels.shape, bool) if kept.valid is None else kept.valid
    here = np.isin(kept.labels, crossing[crossing > 0])
    validating = replace(kept, labels=np.where(here, 0, kept.labels).astype(np.int32), valid=valid & ~here)
    return _window(one, axis, learnt), validating


def _window(one: LabeledImage, axis: int, part: slice) -> LabeledImage:
    where = (part, slice(None)) if axis == 0 else (slice(None), part)
    valid = None if one.valid is None else np.ascontiguousarray(one.valid[where])
    return replace(
        one,
        image=np.ascontiguousarray(one.image[where]),
        labels=np.ascontiguousarray(one.labels[where]),
        valid=valid,
    )
