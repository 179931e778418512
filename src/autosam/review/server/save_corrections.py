"""Saving what is clicked, where it fits the results and what was saved before."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.review.check_corrections import faults_of, refuse
from autosam.review.corrected_labels import correct_labels
from autosam.review.corrections import Correction, fault_in
from autosam.review.corrections_file import extend_corrections, read_corrections
from autosam.review.drawn_mask import read_mask_text
from autosam.review.provenance import read_provenance
from autosam.review.review_results import ReviewImage, ReviewResults
from autosam.review.server.read_correction import RefusedError

_NEW = "new"
"""Begin of the id of a correction while it is checked."""


class SavedCorrections:
    """The file of corrections of a folder of results, which grows with each click.

    Parameters
    ----------
    results : ReviewResults
    path : Path
        The file; it need not be there yet.

    Raises
    ------
    InputError
        If the results were corrected before, and their provenance is damaged.
    """

    def __init__(self, results: ReviewResults, path: Path) -> None:
        self._results, self.path = results, path
        self._origins = read_provenance(results.folder)

    def read(self) -> list[Correction]:
        """Read those that stand, with the names of results for their images; empty where there is no file.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        return self._named(read_corrections(self.path) if self.path.exists() else [])

    def _named(self, found: Sequence[Correction]) -> list[Correction]:
        images = [self._results.find(one.image) for one in found]
        return [
            one if image is None else replace(one, image=image.name)
            for one, image in zip(found, images, strict=True)
        ]

    def save(self, added: Sequence[Correction], undone: Collection[str] = ()) -> list[str]:
        """Take corrections back and add others, all of it or nothing.

        Parameters
        ----------
        added : sequence of Correction
            One that stands already is not written again, so that a request can be repeated.
        undone : collection of str
            Ids. Nothing happens to one that does not stand any more.

        Returns
        -------
        list of str
            The ids of those that were to be added.

        Raises
        ------
        RefusedError
            If one does not fit the results as they are now, or contradicts one that stands.
        InputError
            If labels or the file cannot be read.
        OutputError
            If the file cannot be written.
        """
        now = self._now(added)
        left: list[Correction] = []

        def choose(found: list[Correction]) -> list[Correction]:
            left.extend(one for one in self._named(found) if one.action_id not in undone)
            there = {replace(one, action_id="") for one in left}
            new = [one for one in added if one not in there]
            for image, labels in now:
                self._check(image, labels, left, [one for one in new if self._results.find(one.image) is image])
            gone = [one.action_id for one in found if one.action_id in undone]
            return [*(Correction("", "undo", action_id=action_id) for action_id in gone), *new]

        written = extend_corrections(self.path, choose)
        ids = {replace(one, action_id=""): one.action_id for one in (*left, *written)}
        return [ids[one] for one in added]

    def _now(self, added: Sequence[Correction]) -> list[tuple[ReviewImage, NDArray[np.int32]]]:
        """Read the labels that corrections are about, and check that they are the same still."""
        about: dict[str, tuple[ReviewImage, list[Correction]]] = {}
        for one in added:
            fault, image = fault_in(one), self._results.find(one.image)
            if fault or image is None:
                raise RefusedError(fault or f"there are no results of {one.image!r}")
            about.setdefault(image.name, (image, []))[1].append(one)
        # Without what an image remembers, for the files can have changed since the page was made.
        return [(image, _read_labels(replace(image), own)) for image, own in about.values()]

    def _check(
        self,
        image: ReviewImage,
        labels: NDArray[np.int32],
        standing: Sequence[Correction],
        new: Sequence[Correction],
    ) -> None:
        own = [one for one in standing if one.image == image.name]
        try:
            refuse(faults_of(labels, [*own, *new]), "undo the other one first")
            # As autosam apply will do it, but for what SAM is asked then.
            named = [replace(one, action_id=f"{_NEW} {number}") for number, one in enumerate(new, 1)]
            known = [one for one in (*own, *named) if not one.asks_model]
            drawn = {one.action_id: read_mask_text(one.mask) for one in known if one.mask}
            scores = np.zeros(int(labels.max(initial=0)))
            correct_labels(labels, scores, known, drawn, origins=self._origins.get(image.name))
        except InputError as error:
            raise RefusedError(str(error)) from error


def _read_labels(image: ReviewImage, corrections: Sequence[Correction]) -> NDArray[np.int32]:
    try:
        results = image.results
    except OSError as error:
        raise InputError(f"the labels of {image.name} are gone: {error.strerror or error}") from error
    if any(one.results not in ("", results) for one in corrections):
        raise RefusedError(f"the results of {image.name} have changed; start autosam review again")
    return image.read_labels()
