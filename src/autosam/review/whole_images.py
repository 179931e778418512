"""Whole images to look at, part by part, in place of what is doubtful."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from math import sqrt
from typing import TypeVar

from autosam.errors import InputError
from autosam.review.doubt import Doubt
from autosam.review.find_doubts import INSIDE, FoundDoubts
from autosam.review.review_results import ReviewResults

SMALLEST, LARGEST = 128, 512
"""Sides of parts in pixels, about: what a person sees at once, with enough around most objects."""
OBJECTS = 12
"""In a part, about, if its side allows it. So a part is soon done, also where objects are crowded."""

Item = TypeVar("Item")


def whole_images(results: ReviewResults, *, most: int | None = None) -> FoundDoubts:
    """List the parts of all images, image after image. No model is asked.

    An image of which each part was called right has complete labels. It shows its objects in their usual share,
    which doubtful crops do not. Images that follow each other in the list lie far apart in the results, because
    neighboring slices of a stack are alike.

    Parameters
    ----------
    results : ReviewResults
    most : int, optional
        How many parts to keep at most; by default all.

    Returns
    -------
    FoundDoubts
        Its doubts are of the kind ``part``, those of an image in raster order. Images that cannot be corrected are
        named in the notes.
    """
    parts: list[Doubt] = []
    notes = list(results.notes)
    for image in far_apart(list(results.images.values())):
        if "inside_px" in image.entry and INSIDE not in notes:
            notes.append(INSIDE)
        try:
            cut = _parts_of(image.shape, int(image.entry.get("instances", 0)))
            parts += (Doubt(image.name, crop, (), "part", 1.0, why) for crop, why in cut)
        except InputError as error:
            notes.append(str(error))
    return FoundDoubts(tuple(parts[:most]), tuple(notes), len(parts[most:]) if most is not None else 0)


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
    parts = list(product(pairwise(rows), pairwise(cols)))
    for number, ((top, bottom), (left, right)) in enumerate(parts, 1):
        what = "The whole image" if len(parts) == 1 else f"Part {number} of {len(parts)} of this image"
        yield (top, left, bottom, right), f"{what}: put right what is wrong, then press c."


def _cuts(side: int, wanted: float) -> list[int]:
    """Cut a side into parts of nearly one size.

    Examples
    --------
    >>> _cuts(1100, 512), _cuts(640, 512)
    ([0, 550, 1100], [0, 640])
    """
    count = max(1, round(side / wanted))
    return [side * number // count for number in range(count + 1)]
