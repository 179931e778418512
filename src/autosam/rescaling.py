"""Images of another scale than the training images: found out from the objects themselves."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.scale import LARGEST, TOLERANCE
from autosam.segmentation import Segmentation

OFF_SCALE = 1.6
"""An image is seen again only where its objects are this much larger or smaller than those of the training: less
can be a matter of which objects it shows, and is within what networks learn to bear."""

FEWEST = 5
"""Objects that tell a typical diameter; fewer tell nothing."""

PASSES = 3
"""Most times that an image is seen: networks find mainly the larger of objects that are too small for them, so
that the first estimate falls short."""


def typical_diameter(labels: NDArray[np.integer[Any]]) -> float | None:
    """Median diameter, in pixels, of circles with the objects' areas; None for fewer than ``FEWEST`` objects.

    Examples
    --------
    >>> typical_diameter(np.zeros((4, 4), dtype=np.int32)) is None
    True
    """
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return None if len(areas) < FEWEST else float(np.sqrt(4 * np.median(areas) / np.pi))


def segment_at_own_scale(segment: Callable[[float], Segmentation], *, trained: float) -> Segmentation:
    """Segment an image as it is, and again magnified where its objects are off the scale of the training.

    Parameters
    ----------
    segment : callable
        Segments the image at a magnification; its labels are on the image's own grid.
    trained : float
        Median diameter of the training objects in pixels of their images.

    Returns
    -------
    Segmentation
        That of the last pass; its ``magnification`` says how the image was seen. The first one, at 1, where the
        objects are within a factor of ``OFF_SCALE``, or fewer than ``FEWEST``; afterwards ``scale.TOLERANCE``
        counts. A pass that finds fewer than ``FEWEST`` is given up for the one before.
    """
    result = segment(1.0)
    tolerance = OFF_SCALE
    for _ in range(PASSES - 1):
        diameter = typical_diameter(result.labels)
        if diameter is None:
            break
        wanted = float(np.clip(trained / diameter, 1 / LARGEST, LARGEST))
        if 1 / tolerance <= wanted / result.magnification <= tolerance:
            break
        tolerance = TOLERANCE
        again = segment(wanted)
        if typical_diameter(again.labels) is None:
            break
        result = again
    return result
