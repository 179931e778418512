"""Where to look first in a folder of results: every image is seen again by the model that made them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.errors import AutosamError, InputError
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.segmenter import Segmenter
from autosam.review.corrected_files import TRAINING, TrainingFiles
from autosam.review.corrected_labels import ObjectOrigin
from autosam.review.doubt import Doubt, SeenAgain, image_doubts, rank
from autosam.review.prompt_answers import open_segmenter
from autosam.review.provenance import read_provenance
from autosam.review.review_results import ReviewImage, ReviewResults

INSIDE = (
    "objects were kept inside an area alone (--inside), so no place without an object is listed; call nothing "
    "right that reaches out of the area"
)
"""What a person has to know of such results; once, however many images there are."""


@dataclass(frozen=True)
class FoundDoubts:
    """What is doubtful in a folder.

    Attributes
    ----------
    doubts : tuple of Doubt
        The most doubtful first.
    notes : tuple of str
        Sentences on what could not be looked at.
    others : int
        How many there are that are less doubtful.
    """

    doubts: tuple[Doubt, ...]
    notes: tuple[str, ...]
    others: int = 0


def find_doubts(
    results: ReviewResults,
    *,
    images: str | None = None,
    device: str = "auto",
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FoundDoubts:
    """Look at all images again, by the steps of the pipeline up to the generator's regions.

    Of an image that is gone or has changed, labels and scores alone count, and so for all images if the model is
    gone.

    Parameters
    ----------
    images : str, optional
        File or folder of the images, by name; by default where the run record says.
    device : str
        As in `Segmenter.from_model`.
    most : int, optional
        How many to keep, so that memory does not grow with the images; by default all.
    progress : callable, optional
        Called with the images that are done, and their number.

    Raises
    ------
    InputError
        If `images` has no image, or provenance.csv is damaged.
    """
    looking = _Looking(OriginImages(images), read_provenance(results.folder), device)
    earlier = TrainingFiles(results.folder / TRAINING)
    names, found, number = list(results.images), list[Doubt](), 0
    for done, image in enumerate(results.images.values(), 1):
        try:
            seen = _still_open(image_doubts(looking.see(image)), earlier.area(image.name, image.shape))
            number += len(seen)
            found += seen
        except InputError as error:
            looking.notes.append(str(error))
        if most is not None and len(found) > 2 * most:
            found = rank(found, names)[:most]
        if progress is not None:
            progress(done, len(results.images))
    ordered = rank(found, names)[:most]
    notes = tuple(dict.fromkeys((*results.notes, *looking.notes)))
    return FoundDoubts(tuple(ordered), notes, number - len(ordered))


def _still_open(doubts: list[Doubt], area: NDArray[np.bool_] | None) -> list[Doubt]:
    """Leave out what lies in an area that was called right in an earlier round."""
    if area is None:
        return doubts
    windows = ((one, np.s_[one.crop[0] : one.crop[2], one.crop[1] : one.crop[3]]) for one in doubts)
    return [one for one, window in windows if not area[window].all()]


class _Looking:
    """Sees images again, with the model of each run loaded once."""

    def __init__(
        self, origins: OriginImages, provenance: Mapping[str, Mapping[int, ObjectOrigin]], device: str
    ) -> None:
        self.origins, self.provenance, self.device = origins, provenance, device
        self.segmenters: dict[str, Segmenter | None] = {}
        self.notes: list[str] = []

    def see(self, image: ReviewImage) -> SeenAgain:
        """See an image again; an `InputError` where its labels cannot be read."""
        labels = image.read_labels()
        made = self.provenance.get(image.name, {})
        seen = SeenAgain(
            image.name,
            labels,
            image.read_scores(int(labels.max(initial=0))),
            novelty=image.entry.get("novelty"),
            done=frozenset(number for number, origin in made.items() if origin.action),
            complete="inside_px" not in image.entry,
        )
        if not seen.complete and INSIDE not in self.notes:
            self.notes.append(INSIDE)
        segmenter = self._segmenter(image)
        if segmenter is None:
            return seen
        try:
            loaded = image.load(self.origins)
        except InputError as error:
            self.notes.append(str(error))
            return seen
        view = segmenter.view(loaded.image, image.zoom)
        maps = segmenter.predict(view)
        proposals = segmenter.propose(view, maps)
        # The regions and maps on the image's own grid.
        again = segmenter.merge(view, maps, proposals, None)
        refined = segmenter.config.decode.sam is True and bool(maps.probabilities)
        return SeenAgain(
            seen.name,
            labels,
            seen.scores,
            again.regions if refined else None,
            again.maps,
            _least_score(segmenter, refined=refined),
            seen.novelty if again.novelty is None else again.novelty,
            seen.done,
            seen.complete,
        )

    def _segmenter(self, image: ReviewImage) -> Segmenter | None:
        """Load the model of a run; None where it is gone, or asked people instead of its generator."""
        number = image.run.number
        if number not in self.segmenters:
            self.segmenters[number] = None
            try:
                opened = open_segmenter(image.run, prompted=False, device=self.device)
            except AutosamError as error:
                self.notes.append(f"{error}; until then, scores and shapes alone say what is doubtful")
                return None
            if opened.networks.generator is not None and opened.config.prompts.method != "user":
                self.segmenters[number] = opened
        return self.segmenters[number]


def _least_score(segmenter: Segmenter, *, refined: bool) -> float:
    """Give the score below which objects are left out."""
    config, least = segmenter.config, segmenter.config.merge.min_score
    chosen = segmenter.networks.region_classifier is not None and config.prompts.region_classifier
    return max(least, config.prompts.min_region_score) if chosen and not refined else least
