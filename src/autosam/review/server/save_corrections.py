"""Saving what is clicked, one correction at a time, where it fits the results and what was saved before."""

from collections.abc import Sequence
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

_NEW = "new"
"""Id of a correction while it is checked."""


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

    def add(self, one: Correction) -> str:
        """Append a correction, and give its id.

        Raises
        ------
        InputError
            If it does not fit the results as they are now, or contradicts one that stands.
        OutputError
            If the file cannot be written.
        """
        image = self._results.find(one.image)
        if image is None:
            raise InputError(f"there are no results of {one.image!r}")
        labels = self._labels_of(image, one)

        def choose(found: list[Correction]) -> list[Correction]:
            self._check(one, image, labels, self._named(found))
            return [one]

        (added,) = extend_corrections(self.path, choose)
        return added.action_id

    def undo(self, action_id: str) -> None:
        """Take a correction back; nothing happens where it does not stand any more.

        Raises
        ------
        InputError
            If the file is damaged.
        OutputError
            If the file cannot be written.
        """
        extend_corrections(
            self.path,
            lambda found: [
                Correction("", "undo", action_id=action_id) for one in found if one.action_id == action_id
            ],
        )

    def _labels_of(self, image: ReviewImage, one: Correction) -> NDArray[np.int32]:
        """Read the labels that a correction is about."""
        # Without what the image remembers, for the files can have changed since the page was made.
        now = replace(image)
        try:
            same = one.results == now.results
        except OSError as error:
            raise InputError(f"the labels of {image.name} are gone: {error.strerror or error}") from error
        if not same:
            raise InputError(f"the results of {image.name} have changed; start autosam review again")
        return now.read_labels()

    def _check(
        self, one: Correction, image: ReviewImage, labels: NDArray[np.int32], found: Sequence[Correction]
    ) -> None:
        fault = fault_in(one)
        if fault:
            raise InputError(fault)
        own = [other for other in found if other.image == image.name]
        refuse(faults_of(labels, [*own, one]), "undo the other one first")
        # As autosam apply will do it, but for what SAM is asked then.
        known = [other for other in (*own, replace(one, action_id=_NEW)) if not other.asks_model]
        drawn = {other.action_id: read_mask_text(other.mask) for other in known if other.mask}
        scores = np.zeros(int(labels.max(initial=0)))
        correct_labels(labels, scores, known, drawn, origins=self._origins.get(image.name))
