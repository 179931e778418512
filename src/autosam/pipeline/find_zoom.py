"""The zoom of an image: known beforehand, or found from the objects themselves."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config, ImagesConfig, MergeConfig
from autosam.errors import ConfigError
from autosam.images.zoom import LARGEST, TOLERANCE, settled
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.view import View

FEWEST = 5
"""Objects that tell a typical diameter; fewer tell nothing."""

SURE = 0.85
"""Score from which an object that no SAM has seen tells a scale; a generator's specks lie below it."""

PASSES = 4
"""Most times that an image is seen: networks find mainly the larger of objects that are too small for them, so
that the first estimate falls short."""

NEAR = 1.1
"""Factor between two zooms of an image that is off scale from which it is seen once more."""


def known_zoom(settings: ImagesConfig, *, pixel_size_nm: float | None, diameter: float | None) -> float | None:
    """Zoom at which an image looks as those that a model was trained on.

    Parameters
    ----------
    settings : ImagesConfig
        The model's: ``pixel_size`` and ``diameter`` of its training images.
    pixel_size_nm : float, optional
        Side of a pixel of the image.
    diameter : float, optional
        Typical diameter of its objects in pixels; counts before the pixel size.

    Returns
    -------
    float or None
        1 where the two agree to within the smaller one of ``images.zoom_tolerance`` and ``zoom.TOLERANCE``, so
        that a known zoom is at least as accurate as a found one. None where nothing is known.

    Raises
    ------
    ConfigError
        If a diameter came, and that of the training objects is not known.
    InputError
        If the zoom can only be a mistake, see `settled`.
    """
    if diameter is not None and settings.diameter is None:
        raise ConfigError(
            "the model does not say how large the objects were that it was trained on, so a diameter is of no "
            "use; set images.diameter, or images.zoom"
        )
    tolerance = min(settings.zoom_tolerance, TOLERANCE)
    if diameter is not None and settings.diameter is not None:
        return settled(settings.diameter / diameter, tolerance)
    if pixel_size_nm is not None and settings.pixel_size is not None:
        return settled(pixel_size_nm / settings.pixel_size, tolerance)
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


def find_zoom(
    view: View, look: Callable[[View], tuple[View, Segmentation]], *, trained: float, zoom_tolerance: float
) -> View:
    """Look at an image as it is, and again zoomed where its objects are off the size of the training objects.

    Parameters
    ----------
    view : View
        At zoom 1.
    look : callable
        Segments a view; gives it back with the maps that it has predicted.
    trained : float
        Median diameter of the training objects in pixels of their images.
    zoom_tolerance : float
        An image is seen again only where its objects are this many times larger or smaller. Less can be a matter
        of which objects it shows, and is within what networks learn to bear.

    Returns
    -------
    View
        That of the last look: the first one, at 1, where the objects are within a factor of ``zoom_tolerance``, or
        fewer than ``FEWEST`` are sure. After the first look, the tolerance is the smaller of ``zoom_tolerance``
        and ``NEAR``. A look that finds fewer than ``FEWEST`` is given up for the one before.
    """
    seen, found = look(view)
    tolerance = zoom_tolerance
    for _ in range(PASSES - 1):
        diameter = _sure_diameter(found)
        if diameter is None:
            break
        wanted = wanted_zoom(diameter, trained=trained)
        if 1 / tolerance <= wanted / seen.zoom <= tolerance:
            break
        tolerance = min(zoom_tolerance, NEAR)
        again, found = look(view.at(wanted))
        if _sure_diameter(found) is None:
            break
        seen = again
    return seen


def _sure_diameter(found: Segmentation) -> float | None:
    scores = np.concatenate([[0.0], found.scores])
    return typical_diameter(np.where(scores[found.labels] >= SURE, found.labels, 0))


def without_sam(config: Config) -> Config:
    """Give settings for a look at an image: the generator sees it once, and all regions by thresholds are kept."""
    decode = config.decode.model_copy(update={"sam": False, "flips": False, "zooms": (1.0,)})
    # A region classifier knows one zoom only.
    prompts = config.prompts.model_copy(update={"region_classifier": False})
    # Also regions that are too small for the result tell the size of objects.
    merge = MergeConfig(min_size=0, min_score=0, fill_holes=False)
    return config.model_copy(update={"decode": decode, "prompts": prompts, "merge": merge})
