"""Images of another scale than the training images: known beforehand, or found out from the objects themselves."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.images.zoom import LARGEST, TOLERANCE, settled
from autosam.pipeline.segmentation import Segmentation

FEWEST = 5
"""Objects that tell a typical diameter; fewer tell nothing."""

SURE = 0.85
"""Score from which an object that no SAM has judged tells a scale; a generator's specks lie below it."""

PASSES = 4
"""Most times that an image is seen: networks find mainly the larger of objects that are too small for them, so
that the first estimate falls short."""

NEAR = 1.1
"""Factor between two zooms of an image that is off scale from which it is seen once more."""


def known_zoom(
    *,
    pixel_size: float | None,
    diameter: float | None,
    trained_pixel_size: float | None,
    trained_diameter: float | None,
    zoom_tolerance: float = TOLERANCE,
) -> float | None:
    """Say how much an image must be zoomed to look as those that a model was trained on.

    Parameters
    ----------
    pixel_size, trained_pixel_size : float, optional
        Side of a pixel of the image and of the training images, in nm.
    diameter, trained_diameter : float, optional
        Typical diameter of their objects in pixels; counts before the pixel size.
    zoom_tolerance : float
        As `segment_at_own_scale`, which shall not see an image better than somebody who knows its scale.

    Returns
    -------
    float or None
        1 where the two agree to within the smaller one of ``zoom_tolerance`` and ``scale.TOLERANCE``; None where
        one of them is not known.

    Raises
    ------
    ConfigError
        If a diameter came, and that of the training objects is not known.
    InputError
        If the zoom can only be a mistake, see `settled`.
    """
    if diameter is not None and trained_diameter is None:
        raise ConfigError(
            "the model does not say how large the objects were that it was trained on, so a diameter is of no "
            "use; set images.diameter, or images.zoom"
        )
    tolerance = min(zoom_tolerance, TOLERANCE)
    if diameter is not None and trained_diameter is not None:
        return settled(trained_diameter / diameter, tolerance)
    if pixel_size is not None and trained_pixel_size is not None:
        return settled(pixel_size / trained_pixel_size, tolerance)
    return None


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


def wanted_zoom(diameter: float, *, trained: float) -> float:
    """Zoom that brings objects of a diameter to that of the training objects, within ``zoom.LARGEST``."""
    return float(np.clip(trained / diameter, 1 / LARGEST, LARGEST))


def segment_at_own_scale(
    segment: Callable[[float], Segmentation], *, trained: float, zoom_tolerance: float = 1.6, sure: float = 0.0
) -> Segmentation:
    """Segment an image as it is, and again zoomed where its objects are off the scale of the training.

    Parameters
    ----------
    segment : callable
        Segments the image at a zoom; its labels are on the image's own grid.
    trained : float
        Median diameter of the training objects in pixels of their images.
    zoom_tolerance : float
        An image is seen again only where its objects are this many times larger or smaller: less can be a matter
        of which objects it shows, and is within what networks learn to bear.
    sure : float
        Objects with a lower score do not tell the diameter.

    Returns
    -------
    Segmentation
        That of the last pass; its ``zoom`` says how the image was seen. The first one, at 1, where the
        objects are within a factor of ``zoom_tolerance``, or fewer than ``FEWEST``; afterwards the smaller one of
        it and ``NEAR`` counts. A pass that finds fewer than ``FEWEST`` is given up for the one before.
    """
    result = segment(1.0)
    tolerance = zoom_tolerance
    for _ in range(PASSES - 1):
        diameter = _diameter_of(result, sure)
        if diameter is None:
            break
        wanted = wanted_zoom(diameter, trained=trained)
        if 1 / tolerance <= wanted / result.zoom <= tolerance:
            break
        tolerance = min(zoom_tolerance, NEAR)
        again = segment(wanted)
        if _diameter_of(again, sure) is None:
            break
        result = again
    return result


def _diameter_of(result: Segmentation, sure: float) -> float | None:
    scores = np.concatenate([[0.0], result.scores])
    return typical_diameter(np.where(scores[result.labels] >= sure, result.labels, 0) if sure else result.labels)
