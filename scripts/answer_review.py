"""Correct results as a person does on the review page who knows the true labels:

    python scripts/answer_review.py RESULTS TRUTH [--most 30]

The crops come in the order of the page. In each one, everything that is wrong is corrected, and then the crop
is said to be right. A wrong object is split or merged where that helps, and otherwise drawn anew: SAM is asked
about a box, and about a box and a click. If its answers are wrong, too, nobody says that the crop is right. What
the page would refuse is not done. The corrections go into RESULTS/corrections.csv, one after the other.
"""

import argparse
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from corrections_annotator import deepest_point, iou
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.evaluation.label_sources import label_files
from autosam.images import read_labels
from autosam.review.corrections import Correction
from autosam.review.doubt import Doubt
from autosam.review.drawn_mask import mask_text
from autosam.review.find_doubts import find_doubts
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewImage, ReviewResults
from autosam.review.server.live_answers import LiveAnswers
from autosam.review.server.save_corrections import SavedCorrections

RIGHT = 0.6
"""IoU with the truth from which a person leaves an outline as it is."""


@dataclass(eq=False)
class Person:
    """Knows the true labels of an image, and what is settled in it.

    Attributes
    ----------
    image : ReviewImage
    found, truth : ndarray of int32, shape (H, W)
    answers : LiveAnswers
        Of SAM.
    saved : SavedCorrections
        The file of the page.
    settled, known : set of int
        Objects of the results that were corrected, and true objects that are there now.
    """

    image: ReviewImage
    found: NDArray[np.int32]
    truth: NDArray[np.int32]
    answers: LiveAnswers
    saved: SavedCorrections
    settled: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for true in _ids(self.truth):
            for number in _ids(self.found[self.truth == true]):
                if iou(self.found == number, self.truth == true) >= RIGHT:
                    self.settled.add(number)
                    self.known.add(true)

    def correct(self, doubt: Doubt) -> None:
        """Correct what is wrong in a crop; if all is right then, say so."""
        top, left, bottom, right = doubt.crop
        window = np.s_[top:bottom, left:right]
        halves = {self._true_of(number) for number in _mostly_in(self.found, window)} - {0}
        for true in sorted(_mostly_in(self.truth, window) | halves):
            if true not in self.known and not self._repair(true):
                return
        for number in sorted(_mostly_in(self.found, window) - self.settled):
            self._say(Correction(self.image.name, "delete", (number,)))
        self._say(Correction(self.image.name, "reviewed", box=(top, left, bottom - 1, right - 1)))

    def _true_of(self, number: int) -> int:
        """Give the true object that most pixels of an object belong to; 0 for none."""
        return int(np.bincount(self.truth[self.found == number]).argmax())

    def _repair(self, true: int) -> bool:
        """Correct what became of a true object; tells whether that went well."""
        mask = self.truth == true
        touched = [number for number in _ids(self.found[mask]) if number not in self.settled]
        inside = [number for number in touched if np.mean(mask[self.found == number]) > 0.5]
        if len(inside) > 1 and self._say(Correction(self.image.name, "merge", tuple(inside))):
            self.known.add(true)
            return True
        for number in touched:
            own = self.found == number
            parts = [part for part in _ids(self.truth[own]) if np.mean(own[self.truth == part]) > 0.5]
            if len(parts) > 1:
                points = tuple(deepest_point(own & (self.truth == part)) for part in parts)
                if self._say(Correction(self.image.name, "split", (number,), points, (1,) * len(points))):
                    self.known.update(parts)
                    return true in parts
        return self._draw(true, mask, inside[:1])

    def _draw(self, true: int, mask: NDArray[np.bool_], objects: list[int]) -> bool:
        rows, cols = (np.flatnonzero(mask.any(axis=axis)).tolist() for axis in (1, 0))
        box = (rows[0], cols[0], rows[-1], cols[-1])
        by_box = Correction(self.image.name, "redraw" if objects else "add", tuple(objects), box=box)
        for asked in (by_box, replace(by_box, points=(deepest_point(mask),), point_labels=(1,))):
            crop = self.answers.answer(asked)
            seen = np.zeros(mask.shape, bool)
            if crop is not None:
                seen[crop.window] = crop.mask
            if iou(mask, seen) >= RIGHT and self._say(replace(asked, mask=mask_text(seen), by="sam")):
                self.known.add(true)
                return True
        return False

    def _say(self, one: Correction) -> bool:
        """Save a correction; tells whether it fits."""
        try:
            self.saved.add(replace(one, results=self.image.results))
        except InputError:
            return False
        self.settled.update(one.objects)
        return True


def _ids(labels: NDArray[np.int32]) -> list[int]:
    return [int(number) for number in np.unique(labels) if number]


def _mostly_in(labels: NDArray[np.int32], window: tuple[slice, slice]) -> set[int]:
    """Give the objects with more than half of their pixels in a window."""
    areas = np.bincount(labels.ravel())
    there = np.bincount(labels[window].ravel(), minlength=len(areas))
    return set(np.flatnonzero(2 * there > areas).tolist()) - {0}


def answer_review(results: ReviewResults, truth: str, *, most: int) -> list[Correction]:
    """Correct the most doubtful crops, and give the corrections of the folder.

    Parameters
    ----------
    truth : str
        A folder of label files with the names of the images.
    most : int
        After so many corrections, the crop is finished, and no other one begun.
    """
    files = label_files(truth).slices
    answers, saved = (
        LiveAnswers(results, device="cpu"),
        SavedCorrections(results, corrections_file(results.folder)),
    )
    answers.load()
    people: dict[str, Person] = {}
    for doubt in find_doubts(results, device="cpu").doubts:
        said = saved.read()
        if len(said) >= most:
            break
        if doubt.image not in people:
            image = results.images[doubt.image]
            true = read_labels(str(files[doubt.image]))
            people[doubt.image] = Person(image, image.read_labels(), true, answers, saved)
        top, left, bottom, right = doubt.crop
        done = (one.box for one in said if one.image == doubt.image and one.action == "reviewed" and one.box)
        if not any(b[0] <= top and b[1] <= left and b[2] >= bottom - 1 and b[3] >= right - 1 for b in done):
            people[doubt.image].correct(doubt)
    return saved.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("truth")
    parser.add_argument("--most", type=int, default=30, help="corrections, about")
    given = parser.parse_args()
    made = answer_review(ReviewResults.open(given.results), given.truth, most=given.most)
    print(", ".join(f"{number} {action}" for action, number in Counter(one.action for one in made).items()))


if __name__ == "__main__":
    main()
