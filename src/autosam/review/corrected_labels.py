"""Corrections of one image, applied to its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.instances import MaskCrop
from autosam.instances.clean import main_component
from autosam.regions import renumbered, sizes_and_first_pixels
from autosam.review.check_corrections import pixel_of, refuse, where
from autosam.review.corrections import DRAWING, MAKERS, By, Correction
from autosam.review.join_objects import WIDEST_GAP, join_objects
from autosam.review.split_object import split_object

LEAST_LEFT = 0.5
"""Share of an object that nobody reviewed which has to be left when another one was drawn over it."""


@dataclass(frozen=True)
class ObjectOrigin:
    """Where an object of corrected labels comes from, or what became of one that is gone.

    Attributes
    ----------
    label : int
        Its id in the corrected labels; 0 for one that is gone.
    by : {"model", "sam", "hand"}
        Who made its shape; of one that is gone, who took it away.
    action : str
        Of the correction; empty where nobody reviewed it, and ``replaced`` where another object was drawn over it.
    action_id : str
        Of the correction.
    before : tuple of int
        Its ids before: none where it was added, several where it was merged.
    """

    label: int
    by: By
    action: str = ""
    action_id: str = ""
    before: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class CorrectedLabels:
    """The labels of one image after its corrections.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        1..n in raster order; all 0 where no object is left.
    scores : ndarray of float64, shape (n,)
        In order of id: that of the model where it is known, of SAM's answer, and 1 for what a hand has drawn.
    origins : tuple of ObjectOrigin
        Of each object in order of id, and then of those that are gone.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    origins: tuple[ObjectOrigin, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many objects each has made: ``model``, ``sam`` and ``hand``."""
        return {by: sum(one.by == by for one in self.origins if one.label) for by in MAKERS}


def correct_labels(
    labels: NDArray[np.int32],
    scores: NDArray[np.float64],
    corrections: Sequence[Correction],
    drawn: Mapping[str, MaskCrop],
    *,
    origins: Mapping[int, ObjectOrigin] | None = None,
) -> CorrectedLabels:
    """Apply corrections in which `faults_of` has found no fault.

    Objects are deleted first, then merged and split, then drawn, each in the order of the corrections. An object
    that is drawn takes pixels of background and of objects that nobody reviewed, and none of those that somebody
    did. If it takes more than half of an object that nobody reviewed, that one is gone.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        Ids, 0 for background.
    scores : ndarray of float64, shape (n,)
        Score of id i at i - 1; NaN where it is not known.
    corrections : sequence of Correction
        Of this image.
    drawn : mapping of str to MaskCrop
        The masks of objects that were drawn, in pixels of the image, by ``action_id``.
    origins : mapping of int to ObjectOrigin, optional
        Where objects come from, by id, if they were corrected before; by default the model made all of them.

    Raises
    ------
    InputError
        If objects to be merged are too far apart, or no pixel of an object that was drawn is free.
    """
    canvas = _Canvas(labels, scores, origins or {})
    for action, apply in (
        ("accept", canvas.accept),
        ("delete", canvas.delete),
        ("merge", canvas.merge),
        ("split", canvas.split),
    ):
        own = [one for one in corrections if one.action == action]
        for one in _joined(own) if action == "merge" else own:
            apply(one)
    anew = [one for one in corrections if one.action in DRAWING]
    for one in anew:
        canvas.lift(one)
    for one in anew:
        canvas.draw(one, drawn[one.action_id])
    refuse(canvas.faults, "change these corrections, or take them back with undo")
    return canvas.result()


@dataclass
class _Canvas:
    """Labels while corrections are applied: ids are those of before, and new ones above them."""

    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    origins: Mapping[int, ObjectOrigin]
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.labels = self.labels.copy()
        self.boxes = ndimage.find_objects(self.labels)
        ids = [number for number, box in enumerate(self.boxes, 1) if box is not None]
        made = {number: ObjectOrigin(number, "model") for number in ids} | dict(self.origins)
        self.known = {number: replace(made[number], before=(number,)) for number in ids}
        self.score = {number: float(self.scores[number - 1]) for number in ids}
        self.gone: list[ObjectOrigin] = []
        self.next = len(self.boxes) + 1

    def accept(self, one: Correction) -> None:
        for number in one.objects:
            self._review(number, one)

    def delete(self, one: Correction) -> None:
        for number in one.objects:
            if number in self.known:
                window, own = self._own(number)
                self.labels[window][own] = 0
                self._remove(number, one.made_by, one)

    def merge(self, one: Correction) -> None:
        window = _around([self.boxes[number - 1] for number in one.objects])
        view = self.labels[window]
        own = np.isin(view, one.objects)
        joined = join_objects(own, view == 0)
        if joined is None:
            numbers = " and ".join(map(str, one.objects))
            self.faults.append(
                f"{where(one)}: objects {numbers} lie more than {WIDEST_GAP} pixels apart or have another one "
                "between them"
            )
            return
        sizes = [int((view == number).sum()) for number in one.objects]
        first = min(one.objects)
        view[joined] = first
        self.score[first] = float(np.average([self.score[number] for number in one.objects], weights=sizes))
        for number in one.objects:
            del self.known[number]
        self._name(first, one)
        self.boxes[first - 1] = window

    def split(self, one: Correction) -> None:
        (number,) = one.objects
        window, own = self._own(number)
        top, left = window[0].start, window[1].start
        pixels = [pixel_of(point) for point in one.points]
        parts = split_object(own, [(row - top, col - left) for row, col in pixels])
        del self.known[number]
        for part in range(1, len(pixels) + 1):
            # The first part keeps the number.
            key = number if part == 1 else self._new(window)
            self.labels[window][parts == part] = key
            self.score[key] = self.score[number]
            self._name(key, one)

    def lift(self, one: Correction) -> None:
        """Take away an object that will be drawn anew."""
        for number in one.objects:
            window, own = self._own(number)
            self.labels[window][own] = 0
            del self.known[number]

    def draw(self, one: Correction, crop: MaskCrop) -> None:
        """Paint an object over background and over objects that nobody reviewed."""
        view = self.labels[crop.window]
        reviewed = [number for number, origin in self.known.items() if origin.action]
        free = crop.mask & ~np.isin(view, reviewed)
        piece = main_component(free)
        if piece is None:
            inside = ", ".join(map(str, np.unique(view[crop.mask]).tolist()))
            self.faults.append(f"{where(one)}: all pixels of its object belong to objects {inside}")
            return
        row, col, mask = piece
        window = MaskCrop(crop.row + row, crop.col + col, mask, 1.0, 0).window
        covered = np.unique(self.labels[window][mask])
        before = {int(number): int(self._own(number)[1].sum()) for number in covered if number}
        key = self._new(window)
        self.labels[window][mask] = key
        self.score[key] = crop.score if one.made_by == "sam" else 1.0
        self._name(key, one)
        for number, size in before.items():
            self._tidy(number, size, one)

    def result(self) -> CorrectedLabels:
        """Give the objects their numbers in raster order."""
        _, first = sizes_and_first_pixels(self.labels)
        left = np.flatnonzero(first >= 0)
        left = left[np.argsort(first[left])]
        numbers = np.zeros(len(first), np.int32)
        numbers[left] = np.arange(1, len(left) + 1)
        origins = [replace(self.known[key], label=new) for new, key in enumerate(left.tolist(), 1)]
        scores = np.array([self.score[key] for key in left.tolist()], np.float64)
        return CorrectedLabels(renumbered(self.labels, numbers), scores, (*origins, *self.gone))

    def _own(self, number: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """Give the window of an object and its pixels there."""
        window: tuple[slice, slice] = self.boxes[number - 1]
        return window, self.labels[window] == number

    def _new(self, window: tuple[slice, slice]) -> int:
        number, self.next = self.next, self.next + 1
        self.boxes.append(window)
        return number

    def _review(self, number: int, one: Correction) -> None:
        # Who made its shape stays.
        self.known[number] = replace(self.known[number], action=one.action, action_id=one.action_id)

    def _name(self, number: int, one: Correction) -> None:
        self.known[number] = ObjectOrigin(number, one.made_by, one.action, one.action_id, one.objects)

    def _remove(self, number: int, by: By, one: Correction, action: str | None = None) -> None:
        origin = self.known.pop(number)
        self.gone.append(ObjectOrigin(0, by, action or one.action, one.action_id, origin.before))

    def _tidy(self, number: int, size: int, one: Correction) -> None:
        """Keep the largest piece of an object that another one was drawn over, if it is most of it."""
        window, own = self._own(number)
        piece = main_component(own)
        self.labels[window][own] = 0
        if piece is None or np.count_nonzero(piece[2]) < LEAST_LEFT * size:
            self._remove(number, one.made_by, one, "replaced")
            return
        row, col, mask = piece
        rows, cols = slice(row, row + mask.shape[0]), slice(col, col + mask.shape[1])
        self.labels[window][rows, cols][mask] = number


def _around(boxes: Sequence[tuple[slice, slice]]) -> tuple[slice, slice]:
    rows, cols = zip(*boxes, strict=True)
    return (
        slice(min(one.start for one in rows), max(one.stop for one in rows)),
        slice(min(one.start for one in cols), max(one.stop for one in cols)),
    )


def _joined(merges: Sequence[Correction]) -> list[Correction]:
    """Make one merge of those that share an object."""
    found: list[Correction] = []
    for one in merges:
        objects = set(one.objects)
        apart = []
        for other in found:
            if objects & set(other.objects):
                objects |= set(other.objects)
                one = replace(one, action_id=other.action_id, line=other.line)
            else:
                apart.append(other)
        found = [*apart, replace(one, objects=tuple(sorted(objects)))]
    return found
