"""The crops that a person looks at, with their pixels, outlines and ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.evaluation.results_page.shown_image import ShownImage, show_image
from autosam.pipeline.origin_images import OriginImages
from autosam.report.page_pictures import PagePicture, fit_picture
from autosam.report.self_contained import picture_data
from autosam.review.doubt import Doubt
from autosam.review.review_results import ReviewImage, ReviewResults

BYTES = 15_000_000
"""What all crops of a page take together at most, about."""
MOST_BYTES = 600_000
"""What one crop takes at most."""


@dataclass(frozen=True, eq=False)
class ReviewCrop:
    """A crop with what is doubtful in it.

    Attributes
    ----------
    doubt : Doubt
    picture : PagePicture
    runs : list of int
        The ids in the crop row by row, as pairs: an id, 0 for background, and how many pixels in a row have it.
    missing : str
        Why the image itself is not shown; empty where it is.
    data : mapping
        What the viewer knows of the picture.
    """

    doubt: Doubt
    picture: PagePicture
    runs: list[int]
    missing: str
    data: dict[str, Any]

    def for_page(self) -> dict[str, Any]:
        """Give what the page's scripts know of the crop."""
        doubt = self.doubt
        top, left, bottom, right = doubt.crop
        return {
            "image": doubt.image,
            "kind": doubt.kind,
            "why": doubt.why,
            "objects": list(doubt.objects),
            "points": [list(point) for point in doubt.points],
            "row": top,
            "col": left,
            "height": bottom - top,
            "width": right - left,
            "runs": self.runs,
        }


@dataclass(frozen=True, eq=False)
class MadeCrops:
    """Crops in the order of their doubts, and sentences on what could not be shown."""

    crops: tuple[ReviewCrop, ...]
    notes: tuple[str, ...]


def make_crops(
    results: ReviewResults,
    doubts: Sequence[Doubt],
    *,
    images: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MadeCrops:
    """Cut what is doubtful out of its images, each of which is read once.

    Of an image that is gone the overlay is shown, and without one the outlines alone.

    Parameters
    ----------
    images : str, optional
        File or folder of the images, by name; by default where the run record says.
    progress : callable, optional
        Called with the images that are done, and their number.

    Raises
    ------
    InputError
        If not a single image of the results is there, or `images` has none.
    """
    origins, budget = OriginImages(images), min(MOST_BYTES, BYTES // max(1, len(doubts)))
    wanted: dict[str, list[int]] = {}
    for place, doubt in enumerate(doubts):
        wanted.setdefault(doubt.image, []).append(place)
    made: dict[int, ReviewCrop] = {}
    missing = []
    for done, (name, places) in enumerate(wanted.items(), 1):
        image = results.images[name]
        shown = show_image(image.found, image.entry, image.run, origins, results.folder, pixels=True)
        if shown.missing:
            missing.append(f"{name}: {shown.missing}")
        for place in places:
            made[place] = _cut(image, shown, doubts[place], budget)
        if progress is not None:
            progress(done, len(wanted))
    others = (image for name, image in results.images.items() if name not in wanted)
    if wanted and len(missing) == len(wanted) and not any(_is_there(image, origins) for image in others):
        raise InputError(
            f"not one image of {results.folder} can be shown ({missing[0]}); put the images back, or say where "
            "they are with --images"
        )
    return MadeCrops(tuple(made[place] for place in range(len(doubts))), tuple(missing))


def _is_there(image: ReviewImage, origins: OriginImages) -> bool:
    try:
        image.load(origins)
    except InputError:
        return False
    return True


def _cut(image: ReviewImage, shown: ShownImage, doubt: Doubt, budget: int) -> ReviewCrop:
    assert shown.labels is not None
    top, left, bottom, right = doubt.crop
    window = slice(top, bottom), slice(left, right)
    labels = shown.labels[window].astype(np.int32)
    pixels = shown.picture
    if pixels is not None and pixels.shape[:2] != shown.labels.shape:
        # An overlay that was reduced.
        pixels = None
    picture = fit_picture(None if pixels is None else pixels[window], {"objects": labels}, most=budget)
    # Labels of all crops at once would take much memory.
    return ReviewCrop(
        doubt, picture, _runs_of(labels), shown.missing, picture_data(image.name, picture, shown.scores)
    )


def _runs_of(labels: NDArray[np.int32]) -> list[int]:
    """Write ids as `ReviewCrop.runs` has them.

    Examples
    --------
    >>> _runs_of(np.array([[0, 0, 7], [7, 7, 0]], np.int32))
    [0, 2, 7, 3, 0, 1]
    """
    flat = labels.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(np.concatenate([starts, [flat.size]]))
    return [int(number) for pair in zip(flat[starts], lengths, strict=True) for number in pair]
