"""Labels from the pixels of single objects, with a count of what the objects lose to each other."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam.data.sources.losses import COVERED, CUT, DRAWN, EMPTY, LARGE, OUTSIDE, PARTLY, Losses
from autosam.data.sources.release import ImageAndLabels
from autosam.data.sources.shapes import Outline, Pixels, fill
from autosam.images import read_image

OVERLAP_RULE = "where objects overlap, the first in the file keeps the pixel; one that is wholly covered is lost"


def paint(objects: Iterable[tuple[str, Pixels]], shape: tuple[int, int], losses: Losses) -> NDArray[np.uint32]:
    """Paint objects in their order into pixels that are still background.

    Parameters
    ----------
    objects : iterable of (str, Pixels)
        Each with its name for messages.
    shape : tuple of int
        (H, W) of the image.
    losses : Losses
        Counts what becomes of each.

    Returns
    -------
    ndarray of uint32, shape (H, W)
        Ids 1..n of the objects that have pixels, in their order; 0 for background and without objects.
    """
    labels = np.zeros(shape, np.uint32)
    number = 0
    for name, pixels in objects:
        size = pixels.size
        if not size:
            losses.add(OUTSIDE if pixels.outside else EMPTY, name)
            continue
        window = labels[pixels.window]
        free = pixels.mask & (window == 0)
        left = int(np.count_nonzero(free))
        if not left:
            losses.add(COVERED, name)
            continue
        number += 1
        window[free] = number
        losses.add(DRAWN, name)
        for fate, is_so in ((PARTLY, left < size), (CUT, pixels.cut), (LARGE, 2 * size > labels.size)):
            if is_so:
                losses.add(fate, name)
    return labels


def paint_outlines(image: Path, objects: Iterable[tuple[str, Outline]], losses: Losses) -> ImageAndLabels:
    """Read an image and paint its objects, each given by its name and its outline."""
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    losses.clear()
    filled = ((name, fill(outline, (height, width))) for name, outline in objects)
    return pixels, paint(filled, (height, width), losses)


def nested(objects: Sequence[Pixels], shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Find objects that lie wholly inside a larger one: pairs (outer, inner) of their indices.

    Of several objects around one, the smallest is named. Two objects of the same pixels are no pair.

    Examples
    --------
    >>> square, dot = Pixels(0, 0, np.ones((3, 3), bool)), Pixels(1, 1, np.ones((1, 1), bool))
    >>> nested([dot, square], (4, 4)), nested([square, square], (4, 4))
    ([(1, 0)], [])
    """
    sizes = [pixels.size for pixels in objects]
    drawn = np.zeros(shape, np.int64)
    found = []
    # Larger ones first, so that what an object is drawn on is what lies around it.
    for index in sorted(range(len(objects)), key=lambda i: -sizes[i]):
        if not sizes[index]:
            continue
        window, mask = drawn[objects[index].window], objects[index].mask
        under = window[mask]
        outer = int(under[0]) - 1
        if outer >= 0 and (under == under[0]).all() and sizes[outer] > sizes[index]:
            found.append((outer, index))
        window[mask] = index + 1
    return found
