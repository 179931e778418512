"""A simulated annotator: what a person who knows the truth does about each object of an image.

The plan of an image names each predicted and each true object once, so that its answers can be given in any order
and number. An answer does not say yet how an object is drawn: that is `corrections_drawing`'s part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.metrics import iou
from autosam.metrics.contingency import contingency_table
from autosam.prompts.points import place_points
from autosam.review.join_objects import join_objects
from autosam.review.split_object import split_object

RIGHT = 0.75
"""IoU from which on an outline is accepted, as in the study behind `review.doubt`."""

SAME = 0.1
"""IoU from which on a wrong outline is redrawn. Below it, the object is deleted, and the true one is added."""

MOSTLY = 0.5
"""Share of an object that lies in another one where it is a part of it."""

Labels = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
Act = Literal["accept", "delete", "merge", "split", "redraw", "add", "reviewed"]


@dataclass(frozen=True)
class Answer:
    """What is done about one object, or said of a crop.

    Attributes
    ----------
    image : str
    action : str
        As in `Correction`.
    objects : tuple of int
        Predicted objects that the correction names.
    truths : tuple of int
        True objects that are right after it; of an object that is drawn, the one to draw.
    points : tuple of (float, float)
        Where a split clicks.
    covered : tuple of int
        Predicted objects that go when this one is drawn over them.
    box : tuple of float, or None
        What is ``reviewed``.
    """

    image: str
    action: Act
    objects: tuple[int, ...] = ()
    truths: tuple[int, ...] = ()
    points: tuple[Point, ...] = ()
    covered: tuple[int, ...] = ()
    box: Box | None = None

    @property
    def touches(self) -> frozenset[int]:
        """Predicted objects that it settles."""
        return frozenset((*self.objects, *self.covered))


def plan_answers(image: str, labels: Labels, truth: Labels, valid: Mask | None = None) -> list[Answer]:
    """Say what is to be done about an image until each object is right.

    Parameters
    ----------
    image : str
        Its name.
    labels : ndarray of integers, shape (H, W)
        What was found.
    truth : ndarray of integers, shape (H, W)
        True objects; 0 where `valid` is false.
    valid : ndarray of bool, shape (H, W), optional
        Where the truth is known. Of predicted objects with half of their pixels outside, nothing can be said.

    Returns
    -------
    list of Answer
        Those about predicted objects by id, then what is added, by id of the true object; empty where both are.
    """
    return list(_Plan(image, np.asarray(labels), np.asarray(truth), valid).answers())


def deepest_point(mask: Mask) -> Point:
    """Give the pixel that lies farthest from the outline of a mask: where a person clicks."""
    rows, cols = ndimage.find_objects(mask.astype(np.uint8))[0]
    ((row, col),) = place_points(mask[rows, cols], method="distance", count=1)
    return float(rows.start + row), float(cols.start + col)


class _Plan:
    """What is settled of an image, and what is not."""

    def __init__(self, image: str, labels: Labels, truth: Labels, valid: Mask | None) -> None:
        self.image, self.labels, self.truth = image, labels, truth
        table = contingency_table(labels, truth)
        sizes = dict(zip(table.pred_ids.tolist(), table.pred_sizes.tolist(), strict=True))
        true_sizes = dict(zip(table.truth_ids.tolist(), table.truth_sizes.tolist(), strict=True))
        inside = np.ones(int(labels.max(initial=0)) + 1)
        if valid is not None:
            inside = np.bincount(labels.ravel(), valid.ravel(), len(inside))
        self.open = {one for one in sizes if valid is None or inside[one] > MOSTLY * sizes[one]}
        self.wanted = set(true_sizes)
        found = zip(table.pred_index, table.truth_index, table.overlap, table.union, strict=True)
        self.iou: dict[tuple[int, int], float] = {}
        self.within: dict[int, list[int]] = {}
        """Predicted objects that lie mostly in a true one."""
        self.holds: dict[int, list[int]] = {}
        """True objects that lie mostly in a predicted one."""
        for at, true_at, overlap, union in found:
            one, true = int(table.pred_ids[at]), int(table.truth_ids[true_at])
            if one not in self.open:
                continue
            self.iou[one, true] = float(overlap / union)
            if overlap > MOSTLY * sizes[one]:
                self.within.setdefault(true, []).append(one)
            if overlap > MOSTLY * true_sizes[true]:
                self.holds.setdefault(one, []).append(true)

    def answers(self) -> Iterator[Answer]:
        made = [*self._merges(), *self._accepts(), *self._splits(), *self._redraws()]
        made += [self._drawn("add", (), true) for true in sorted(self.wanted)]
        gone = {number for one in made for number in one.covered}
        made += [Answer(self.image, "delete", (number,)) for number in sorted(self.open - gone)]
        yield from sorted(made, key=lambda one: (not one.objects, one.objects, one.truths))

    def _settle(self, objects: Sequence[int], truths: Sequence[int]) -> None:
        self.open -= set(objects)
        self.wanted -= set(truths)

    def _merges(self) -> Iterator[Answer]:
        """Objects whose union is right, and better than the best of them."""
        for true, parts in sorted(self.within.items()):
            if len(parts) < 2:
                continue
            own = np.isin(self.labels, parts)
            joined = join_objects(own, self.labels == 0)
            best = max(self.iou[part, true] for part in parts)
            if joined is not None and iou(joined, self.truth == true) >= max(RIGHT, best):
                self._settle(parts, [true])
                yield Answer(self.image, "merge", tuple(sorted(parts)), (true,))

    def _accepts(self) -> Iterator[Answer]:
        for (one, true), value in sorted(self.iou.items()):
            if value >= RIGHT and one in self.open and true in self.wanted:
                self._settle([one], [true])
                yield Answer(self.image, "accept", (one,), (true,))

    def _splits(self) -> Iterator[Answer]:
        """Objects whose parts are right where they are cut."""
        for one, truths in sorted(self.holds.items()):
            if one not in self.open or len(truths) < 2 or not set(truths) <= self.wanted:
                continue
            own = self.labels == one
            points = [deepest_point(own & (self.truth == true)) for true in truths]
            parts = split_object(own, [(int(row), int(col)) for row, col in points])
            pairs = enumerate(truths, 1)
            if all(iou(parts == number, self.truth == true) >= RIGHT for number, true in pairs):
                self._settle([one], truths)
                yield Answer(self.image, "split", (one,), tuple(truths), tuple(points))

    def _redraws(self) -> Iterator[Answer]:
        """Objects that are drawn anew, the most similar pairs first."""
        for (one, true), value in sorted(self.iou.items(), key=lambda item: (-item[1], item[0])):
            if value >= SAME and one in self.open and true in self.wanted:
                self._settle([one], [true])
                yield self._drawn("redraw", (one,), true)

    def _drawn(self, action: Act, objects: tuple[int, ...], true: int) -> Answer:
        others = [one for one in self.within.get(true, []) if one in self.open and one not in objects]
        return Answer(self.image, action, objects, (true,), covered=tuple(sorted(others)))
