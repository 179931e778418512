"""Whole images to look at, part by part, in place of what is doubtful."""

from collections.abc import Sequence
from itertools import pairwise, product
from math import ceil, sqrt
from typing import TypeVar

import numpy as np

from autosam.errors import InputError
from autosam.pipeline.origin_images import OriginImages
from autosam.review.corrected_files import TRAINING, TrainingFiles
from autosam.review.doubt import Doubt
from autosam.review.find_doubts import FoundDoubts
from autosam.review.review_results import ReviewImage, ReviewResults

SMALLEST, LARGEST = 128, 512
"""Sides of parts in pixels, about: what a person sees at once, with enough around most objects."""
OBJECTS = 12
"""How many a part has, about, if its side allows it. So a crowded part does not take long either."""
LONGER = 1.25
"""How much longer than wanted a part can be, before there is one more."""
OVERLAP = 1 / 8
"""How far a part reaches into its neighbors, relative to its side."""

Item = TypeVar("Item")


def whole_images(results: ReviewResults, *, most: int | None = None, images: str | None = None) -> FoundDoubts:
    """List the parts of all images, image after image. No model is asked.

    An image of which each part was called right has complete labels. It shows its objects in their usual share,
    which doubtful crops do not. Images that follow each other in the list lie far apart by name, because
    neighboring slices of a stack are alike. Parts overlap, so that one shows what another one cuts.

    Parameters
    ----------
    results : ReviewResults
    most : int, optional
        How many parts to list at most. An image has all of its parts in the list, or none. By default all.
    images : str, optional
        File or folder of the images, by name; by default where the run record says.

    Returns
    -------
    FoundDoubts
        Its doubts are of the kind ``part``, those of an image in raster order. Images that were complete in an
        earlier round are left out. So are images of which nothing can be learnt as a whole, which the notes name.

    Raises
    ------
    InputError
        If nothing can be learnt of any image, or each has more parts than may be listed.
    """
    origins, earlier = OriginImages(images), TrainingFiles(results.folder / TRAINING)
    notes, parts, left = list(results.notes), list[Doubt](), list[int]()
    for name in far_apart(sorted(results.images)):
        image = results.images[name]
        try:
            own = [] if _is_complete(image, earlier) else _parts_of(image)
            if most is not None and len(parts) + len(own) > most:
                left.append(len(own))
            elif own:
                _check(image, origins)
                parts += own
        except InputError as error:
            notes.append(str(error))
    refused = notes[len(results.notes) :]
    if len(refused) == len(results.images):
        raise InputError(refused[0])
    if left and not parts:
        raise InputError(f"--crops is {most}, and no image has fewer than {min(left)} parts; give a larger number")
    return FoundDoubts(tuple(parts), tuple(notes), sum(left))


def _is_complete(image: ReviewImage, earlier: TrainingFiles) -> bool:
    area = earlier.area(image.name, image.shape)
    return area is not None and bool(area.all())


def _check(image: ReviewImage, origins: OriginImages) -> None:
    """Refuse an image of which nothing can be learnt as a whole."""
    if "inside_px" in image.entry:
        raise InputError(
            f"the image {image.name} was segmented inside an area alone (--inside), and its labels cannot become "
            "complete; segment it without --inside, or leave out --whole-images"
        )
    if image.read_labels().shape != image.shape:
        raise InputError(f"the labels of {image.name} have another size than its image; segment it again")
    if not isinstance(image.load(origins).image, np.ndarray):
        raise InputError(
            f"the image {image.name} has several channels, which autosam adapt does not learn from; leave out "
            "--whole-images to correct it"
        )


def far_apart(items: Sequence[Item]) -> list[Item]:
    """Put a sequence in an order of which every beginning is spread over the whole.

    That is the order of van der Corput: numbers by their binary digits, read from the end.

    Examples
    --------
    >>> far_apart("abcdefgh")
    ['a', 'e', 'c', 'g', 'b', 'f', 'd', 'h']
    """
    digits = max(1, (len(items) - 1).bit_length())
    return [items[at] for at in sorted(range(len(items)), key=lambda at: f"{at:0{digits}b}"[::-1])]


def _parts_of(image: ReviewImage) -> list[Doubt]:
    """Give the parts of an image in raster order."""
    height, width = image.shape
    wanted = sqrt(OBJECTS * height * width / max(1, int(image.entry.get("instances") or 0)))
    rows, cols = (_cuts(side, min(max(wanted, SMALLEST), LARGEST)) for side in (height, width))
    parts = list(product(rows, cols))
    found = []
    for number, ((top, bottom), (left, right)) in enumerate(parts, 1):
        what = "The whole image" if len(parts) == 1 else f"Part {number} of {len(parts)} of this image"
        why = f"{what}: put right what is wrong, then press c."
        found.append(Doubt(image.name, (top, left, bottom, right), (), "part", 0.0, why))
    return found


def _cuts(side: int, wanted: float) -> list[tuple[int, int]]:
    """Cut a side into parts of nearly one size, and let each reach into its neighbors.

    Examples
    --------
    >>> _cuts(1100, 512), _cuts(600, 512)
    ([(0, 618), (482, 1100)], [(0, 600)])
    """
    count = ceil(side / (wanted * LONGER))
    more = int(side / count * OVERLAP)
    edges = [side * number // count for number in range(count + 1)]
    return [(max(0, first - more), min(side, last + more)) for first, last in pairwise(edges)]
