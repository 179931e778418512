"""Whole images to look at, part by part, in place of what is doubtful."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from math import sqrt
from typing import TypeVar

from autosam.errors import InputError
from autosam.review.corrected_files import TRAINING, TrainingFiles
from autosam.review.doubt import Doubt
from autosam.review.find_doubts import FoundDoubts
from autosam.review.review_results import ReviewImage, ReviewResults

SMALLEST, LARGEST = 128, 512
"""Sides of parts in pixels, about: what a person sees at once, with enough around most objects."""
OBJECTS = 12
"""In a part, about, if its side allows it. So a part is soon done, also where objects are crowded."""

OVERLAP = 1 / 8
"""How far a part reaches into its neighbors, relative to its own side."""

Item = TypeVar("Item")


def whole_images(results: ReviewResults, *, most: int | None = None) -> FoundDoubts:
    """List the parts of all images, image after image. No model is asked.

    An image of which each part was called right has complete labels. It shows its objects in their usual share,
    which doubtful crops do not. Images that follow each other in the list lie far apart in the results, because
    neighboring slices of a stack are alike. Parts overlap, so that one shows what another one cuts.

    Parameters
    ----------
    results : ReviewResults
    most : int, optional
        How many parts to list at most. An image has all of its parts in the list, or none. By default all.

    Returns
    -------
    FoundDoubts
        Its doubts are of the kind ``part``, those of an image in raster order. Parts that were called right in an
        earlier round are left out. So are images that cannot be corrected as a whole, which the notes name.

    Raises
    ------
    InputError
        If no image can be corrected as a whole, or each has more parts than may be listed.
    """
    earlier = TrainingFiles(results.folder / TRAINING)
    notes, parts, others, least = list(results.notes), list[Doubt](), 0, 0
    for image in far_apart(list(results.images.values())):
        try:
            own = _open_parts(image, earlier)
        except InputError as error:
            notes.append(str(error))
            continue
        least = min(least or len(own), len(own))
        if most is not None and len(parts) + len(own) > most:
            others += len(own)
        else:
            parts += own
    if len(notes) == len(results.notes) + len(results.images):
        raise InputError(notes[-1])
    if others and not parts:
        raise InputError(f"--crops is {most}, and no image has fewer than {least} parts; give a larger number")
    return FoundDoubts(tuple(parts), tuple(notes), others)


def _open_parts(image: ReviewImage, earlier: TrainingFiles) -> list[Doubt]:
    """List the parts of an image that were not called right yet."""
    if "inside_px" in image.entry:
        raise InputError(
            f"the image {image.name} was segmented inside an area alone (--inside), and its labels cannot become "
            "complete; segment it without --inside, or leave out --whole-images"
        )
    area = earlier.area(image.name, image.shape)
    found = []
    for crop, why in _parts_of(image.shape, int(image.entry.get("instances", 0))):
        top, left, bottom, right = crop
        if area is None or not area[top:bottom, left:right].all():
            found.append(Doubt(image.name, crop, (), "part", 1.0, why))
    return found


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


def _parts_of(shape: tuple[int, int], objects: int) -> Iterator[tuple[tuple[int, int, int, int], str]]:
    """Give the parts of an image in raster order, and what is said of each."""
    wanted = sqrt(OBJECTS * shape[0] * shape[1] / max(1, objects))
    rows, cols = (_cuts(side, min(max(wanted, SMALLEST), LARGEST)) for side in shape)
    parts = list(product(rows, cols))
    for number, ((top, bottom), (left, right)) in enumerate(parts, 1):
        what = "The whole image" if len(parts) == 1 else f"Part {number} of {len(parts)} of this image"
        yield (top, left, bottom, right), f"{what}: put right what is wrong, then press c."


def _cuts(side: int, wanted: float) -> list[tuple[int, int]]:
    """Cut a side into parts of nearly one size, and let each reach into its neighbors.

    Examples
    --------
    >>> _cuts(1100, 512), _cuts(640, 512)
    ([(0, 618), (482, 1100)], [(0, 640)])
    """
    count = max(1, round(side / wanted))
    more = int(side / count * OVERLAP)
    edges = [side * number // count for number in range(count + 1)]
    return [(max(0, first - more), min(side, last + more)) for first, last in pairwise(edges)]
