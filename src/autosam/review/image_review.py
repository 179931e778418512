"""One image of results while a person corrects it: what is shown follows the file of corrections."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError, listed
from autosam.review.check_corrections import faults_of, refuse
from autosam.review.corrected_labels import CorrectedLabels, ObjectOrigin, correct_labels
from autosam.review.corrections import DRAWING, LONGEST_MASK, Action, Correction, fault_in
from autosam.review.corrections_file import extend_corrections, read_corrections
from autosam.review.drawn_mask import mask_text, read_mask_text
from autosam.review.provenance import read_provenance
from autosam.review.review_results import ReviewResults


class ImageReview:
    """The labels of an image with its corrections, and a way to make more of them.

    Ids that are shown are those of the corrected labels. They change with each correction, while the file keeps
    the ids of the results.

    Parameters
    ----------
    results : ReviewResults
    name : str
        Of an image of these.
    path : Path
        The file of corrections; it need not be there yet.

    Attributes
    ----------
    standing : list of Correction
        Those of the image that nobody took back, in their order.
    corrected : CorrectedLabels
        The labels to show. What SAM still has to draw is not in them.

    Raises
    ------
    InputError
        If labels or corrections cannot be read, or are about other results.
    """

    def __init__(self, results: ReviewResults, name: str, path: Path) -> None:
        self.image, self.path, self._results = results.images[name], path, results
        self._labels = self.image.read_labels()
        self._scores = self.image.read_scores(int(self._labels.max(initial=0)))
        earlier = read_provenance(results.folder).get(name, {})
        # Ids of actions of an earlier round are used again in this one.
        self._origins = {number: replace(one, action_id="") for number, one in earlier.items()}
        self.standing: list[Correction] = []
        self.corrected = self._apply([])
        self.refresh()

    def refresh(self) -> None:
        """Read the file again, for other programs may have added to it."""
        self._show(read_corrections(self.path) if self.path.exists() else [])

    def act(self, action: Action, shown: Sequence[int] = (), *, drawing: Correction | None = None) -> None:
        """Correct something, and save it.

        What stood in the way of it is taken back in the same step: an object that was accepted and is deleted now
        has one correction in the end. What other programs have added to the file meanwhile counts, and is shown
        then.

        Parameters
        ----------
        shown : sequence of int
            Ids in `corrected` of the objects that it is about.
        drawing : Correction, optional
            Has points, box, mask and maker, as far as the action takes them.

        Raises
        ------
        InputError
            If it does not fit, or another program has changed one of the objects. Nothing is saved then.
        OutputError
            If the file cannot be written.
        """
        given = _taken(action, shown, drawing or Correction("", action))
        origins = [] if action in ("add", "reviewed") else [self.corrected.origins[one - 1] for one in shown]
        extend_corrections(self.path, lambda found: self._decide(found, given, origins))
        self.refresh()

    def question(
        self,
        shown: Sequence[int],
        on: NDArray[np.floating[Any]],
        beside: NDArray[np.floating[Any]],
        box: NDArray[np.floating[Any]] | None = None,
    ) -> Correction:
        """Make a correction of points and a box, which SAM can answer before it is saved.

        Parameters
        ----------
        shown : sequence of int
            Objects that are selected. If it is one of the results, it is the one to redraw.
        on, beside : ndarray of float, shape (n, 2)
            Row and column of points on the object and beside it.
        box : ndarray of float, shape (4, 2), optional
            Row and column of its corners; it is cut to the image.
        """
        before = self.corrected.origins[shown[0] - 1].before if len(shown) == 1 else ()
        objects = before if len(before) == 1 else ()
        last = np.array(self._labels.shape) - 1.0
        sides = (
            None if box is None else np.clip([box.min(axis=0), box.max(axis=0)], 0, last).round().ravel().tolist()
        )
        return Correction(
            self.image.name,
            "redraw" if objects else "add",
            objects,
            tuple((float(row), float(col)) for row, col in [*on, *beside]),
            (1,) * len(on) + (0,) * len(beside),
            None if sides is None else (sides[0], sides[1], sides[2], sides[3]),
        )

    def undo(self) -> Correction | None:
        """Take back the last correction that stands, and give it; None where there is none."""
        last: list[Correction] = []

        def choose(found: list[Correction]) -> list[Correction]:
            self._show(found)
            last.extend(self.standing[-1:])
            return [_undoing(one) for one in last]

        extend_corrections(self.path, choose)
        self.refresh()
        return last[0] if last else None

    def _show(self, found: Sequence[Correction]) -> None:
        own = [one for one in found if self._results.find(one.image) is self.image]
        if own == self.standing:
            return
        other = [one.action_id for one in own if one.results not in ("", self.image.results)]
        if other:
            raise InputError(
                f"{self.path}: actions {listed(other)} are about other results of {self.image.name}; move the "
                "file away, or segment the same way again"
            )
        self.corrected = self._apply(own)
        self.standing = own

    def _decide(
        self, found: Sequence[Correction], given: Correction, origins: Sequence[ObjectOrigin]
    ) -> list[Correction]:
        """Give the rows that a new correction adds to those that stand."""
        self._show(found)
        action, origins = given.action, self._as_shown(origins)
        if action == "accept":
            # Whoever corrected an object has accepted it.
            origins = [origin for origin in origins if not origin.action_id]
            if not origins:
                return []
        objects = {number for origin in origins for number in origin.before}
        undone = self._in_the_way(action, origins, objects)
        added = [
            replace(one, objects=tuple(sorted(rest)), action_id="")
            for one in undone
            if one.action in ("accept", "delete") and (rest := set(one.objects) - objects)
        ]
        if objects or action in ("add", "redraw", "reviewed"):
            # An object that a correction has added has no id to be drawn anew by.
            to_do: Action = "add" if action == "redraw" and not objects else action
            added.append(
                replace(
                    given,
                    image=self.image.name,
                    action=to_do,
                    objects=tuple(sorted(objects)),
                    action_id="",
                    results=self.image.results,
                )
            )
        self._check(undone, added)
        return [*(_undoing(one) for one in undone), *added]

    def _as_shown(self, origins: Sequence[ObjectOrigin]) -> list[ObjectOrigin]:
        """Find objects again that a person has chosen before the file was read."""
        there = {_identity(one): one for one in self.corrected.origins if one.label}
        gone = [str(one.label) for one in origins if _identity(one) not in there]
        if gone:
            raise InputError(f"another program has changed object {listed(gone)} meanwhile; choose again")
        return [there[_identity(one)] for one in origins]

    def _check(self, undone: Sequence[Correction], added: Sequence[Correction]) -> None:
        refuse([fault for one in added if (fault := fault_in(one))], "choose again")
        named = [replace(one, action_id=f"new {number}") for number, one in enumerate(added, 1)]
        standing = [*(one for one in self.standing if one not in undone), *named]
        refuse(faults_of(self._labels, standing), "choose again")
        self._apply(standing)

    def _in_the_way(self, action: Action, origins: Sequence[ObjectOrigin], objects: set[int]) -> list[Correction]:
        """Find the corrections that a new one of some objects replaces."""
        fixed = {"merge": ("split", *DRAWING), "split": ("split", "merge", *DRAWING)}.get(action, ("split",))
        for origin in origins:
            if origin.action_id and origin.action in fixed:
                raise InputError(
                    f"this object comes from a correction ({origin.action}, action {origin.action_id}), and "
                    f"{action} takes objects of the results; take that correction back first, with undo"
                )
        own = {origin.action_id for origin in origins if origin.action_id}
        return [
            one
            for one in self.standing
            if (one.action_id in own or objects.intersection(one.objects)) and {one.action, action} != {"merge"}
        ]

    def _apply(self, corrections: Sequence[Correction]) -> CorrectedLabels:
        known = [one for one in corrections if not one.asks_model]
        drawn = {one.action_id: read_mask_text(one.mask) for one in known if one.mask}
        refuse(faults_of(self._labels, known), f"correct these rows of {self.path}")
        return correct_labels(self._labels, self._scores, known, drawn, origins=self._origins)


def _identity(one: ObjectOrigin) -> tuple[object, ...]:
    """Tell an object from others, whatever its number is; to accept it does not change it."""
    return one.before, "" if one.action == "accept" else one.action_id


def _undoing(one: Correction) -> Correction:
    return Correction("", "undo", action_id=one.action_id)


def with_mask(given: Correction, shown: NDArray[np.bool_], answered: NDArray[np.bool_]) -> Correction:
    """Give a correction that draws the mask that a person has seen.

    Parameters
    ----------
    given : Correction
        The question that SAM was asked.
    shown, answered : ndarray of bool, shape (H, W)
        What is shown, and what SAM has answered. Where they differ, a hand has drawn it.

    Raises
    ------
    InputError
        If nothing is shown.
    """
    if not shown.any():
        raise InputError("there is no answer of SAM yet; put points or a box, or paint the object")
    text = mask_text(shown)
    if not np.array_equal(shown, answered):
        return replace(given, points=(), point_labels=(), box=None, mask=text, by="hand")
    # What is too long for a cell is asked again when the corrections are applied.
    return replace(given, mask=text if len(text) <= LONGEST_MASK else "", by="sam")


def _taken(action: Action, shown: Sequence[int], given: Correction) -> Correction:
    """Keep of a drawing what an action takes."""
    if action in ("accept", "delete", "merge", "split") and not shown:
        raise InputError(f"{action} takes objects; click on one, and shift-click on more")
    if action == "redraw" and len(shown) != 1:
        raise InputError("redraw takes one object; click on it first")
    if action == "split":
        return Correction("", action, points=given.points, point_labels=given.point_labels)
    if action == "reviewed":
        return Correction("", action, box=given.box)
    return given if action in DRAWING else Correction("", action)
