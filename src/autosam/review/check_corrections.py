"""Whether corrections fit the results that they are about, and each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.refusal import noting
from autosam.errors import InputError, listed
from autosam.review.corrections import Correction
from autosam.review.drawn_mask import read_mask_text
from autosam.review.review_results import ReviewImage, ReviewResults

MOST_FAULTS = 10
"""Faults that a message names; it counts the others."""

_TOGETHER = ({"accept"}, {"delete"}, {"merge"})
"""Actions that an object can have several times: they say the same, or join more objects."""


@dataclass(frozen=True, eq=False)
class CheckedCorrections:
    """Corrections that fit their results and each other.

    Attributes
    ----------
    results : ReviewResults
        What they are about.
    of : mapping of str to (ReviewImage, list of Correction)
        Each corrected image with its corrections in their order, by name.
    """

    results: ReviewResults
    of: Mapping[str, tuple[ReviewImage, list[Correction]]]

    @property
    def all(self) -> list[Correction]:
        """All of them, image by image."""
        return [one for _, own in self.of.values() for one in own]


def check_corrections(corrections: Iterable[Correction], results: ReviewResults) -> CheckedCorrections:
    """Give each image its corrections, and check them against its labels and each other.

    Raises
    ------
    InputError
        If there is none; if labels cannot be read; or, with all faults in one line, if they name images that the
        results do not have, are about other results, or for what `faults_of` finds.
    """
    of, faults = _by_image(corrections, results)
    if not of and not faults:
        raise InputError(f"there is no correction of {results.folder} that stands; review the results first")
    remedy = "; or segment the same way again" if faults else ""
    for image, own in of.values():
        with noting(faults):
            faults += faults_of(image.read_labels(), own)
    refuse(faults, f"correct these rows, or take them back with undo{remedy}")
    return CheckedCorrections(results, of)


def _by_image(
    corrections: Iterable[Correction], results: ReviewResults
) -> tuple[dict[str, tuple[ReviewImage, list[Correction]]], list[str]]:
    """Give what is about images of the results, and the faults of the rest."""
    found: dict[str, tuple[ReviewImage, list[Correction]]] = {}
    faults = []
    for one in corrections:
        image = results.find(one.image)
        if image is None:
            why = " (it failed)" if "error" in results.record.entries.get(one.image, {}) else ""
            faults.append(f"{where(one)}: {results.folder} has no results of {one.image!r}{why}")
        elif one.results and one.results != image.results:
            faults.append(
                f"{where(one)}: it is about other results of {image.name} ({one.results}) than those in "
                f"{results.folder} ({image.results})"
            )
        else:
            found.setdefault(image.name, (image, []))[1].append(one)
    return found, faults


def faults_of(labels: NDArray[np.integer[Any]], corrections: Sequence[Correction]) -> list[str]:
    """Check the corrections of one image against its labels and each other.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Those that the corrections are about.

    Returns
    -------
    list of str
        A sentence for each correction that names an object that is not there, or draws or points outside the
        image, and for all that contradict each other; empty where there is none.
    """
    there = np.bincount(labels.ravel()) > 0
    faults = [f"{where(one)}: {fault}" for one in corrections for fault in _faults_of(one, labels, there)]
    return [*faults, *_contradictions(corrections)]


def where(one: Correction) -> str:
    """Say where a correction stands, for a message."""
    return f"line {one.line} (action {one.action_id})" if one.line else f"action {one.action_id or '?'}"


def refuse(faults: Sequence[str], remedy: str) -> None:
    """Raise one error for all faults; return where there is none."""
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise InputError(f"corrections cannot be applied: {'; '.join(faults[:MOST_FAULTS])}{more}: {remedy}")


def _faults_of(one: Correction, labels: NDArray[np.integer[Any]], there: NDArray[np.bool_]) -> list[str]:
    height, width = labels.shape
    missing = [str(number) for number in one.objects if number >= len(there) or not there[number]]
    faults = [f"{one.image} has no object {listed(missing)}"] if missing else []
    end = np.array([height, width]) - 0.5
    for what, places in (("point", one.points), ("box", () if one.box is None else one.box)):
        pairs = np.reshape(places, (-1, 2))
        if (pairs < -0.5).any() or (pairs > end).any():
            faults.append(f"the {what} lies outside the image of {height} × {width}")
    if one.mask:
        crop = read_mask_text(one.mask)
        if crop.row + crop.mask.shape[0] > height or crop.col + crop.mask.shape[1] > width:
            faults.append(f"the mask lies outside the image of {height} × {width}")
    if one.action == "split" and not faults:
        faults += _faults_of_split(one, labels)
    return faults


def _faults_of_split(one: Correction, labels: NDArray[np.integer[Any]]) -> list[str]:
    """Each point has to be on the object, and on a pixel of its own."""
    pixels = [pixel_of(point) for point in one.points]
    if len(set(pixels)) < len(pixels):
        return ["two points of split are on one pixel"]
    beside = [point for point, pixel in zip(one.points, pixels, strict=True) if labels[pixel] != one.objects[0]]
    return [f"the point {row:g}, {col:g} is not on object {one.objects[0]}" for row, col in beside]


def pixel_of(point: tuple[float, float]) -> tuple[int, int]:
    """Give the pixel that a point of an image lies in; integers are pixel centers."""
    return max(0, int(np.ceil(point[0] - 0.5))), max(0, int(np.ceil(point[1] - 0.5)))


def _contradictions(corrections: Sequence[Correction]) -> list[str]:
    """Find objects that are to become two things."""
    of_object: dict[int, list[Correction]] = {}
    for one in corrections:
        for number in one.objects:
            of_object.setdefault(number, []).append(one)
    faults: Mapping[tuple[str, str], list[str]] = {}
    for number, several in of_object.items():
        if len(several) > 1 and {one.action for one in several} not in _TOGETHER:
            first, second = (
                several[0],
                next((one for one in several[1:] if {one.action, several[0].action} not in _TOGETHER), several[1]),
            )
            told = (f"{where(first)} to {first.action}", f"{where(second)} to {second.action}")
            faults = {**faults, told: [*faults.get(told, []), str(number)]}
    return [f"object {listed(numbers)} is {first} and {second}" for (first, second), numbers in faults.items()]
