"""The zoom of an image: known beforehand, or found from the objects themselves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.errors import ConfigError
from autosam.images.zoom import LARGEST, TOLERANCE, settled
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.view import View

FEWEST = 5
"""Objects that tell a typical diameter; fewer tell nothing."""

PASSES = 3
"""Most zooms that an image is looked at: networks find mainly the larger of objects that are too small for them,
so that the first estimate falls short."""

NEAR = 1.1
"""Factor between two zooms of an image that is off scale from which it is looked at once more."""

MOST = 2.0
"""Largest zoom that is found: four times the pixels. Larger ones are for those who know the objects."""


Part = Literal["all", "middle", "tile"]
"""What is looked at: all of an image, no more of its middle than tells the size of objects, or one tile."""


class Look(NamedTuple):
    """What the generator alone sees in an image, or in its middle.

    Attributes
    ----------
    diameter : float or None
        Typical diameter of the objects that it is sure of, in pixels of the image's own grid; None for too few.
    novelty : float or None
        See `Maps`.
    maps : Maps or None
        Those of the whole image, on the generator's grid; None where it has seen the middle only.
    """

    diameter: float | None
    novelty: float | None = None
    maps: Maps | None = None


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


def find_zoom(view: View, look: Callable[[View, Part], Look], *, trained: float, zoom_tolerance: float) -> View:
    """Look at an image as it is, and again zoomed where its objects are off the size of the training objects.

    Parameters
    ----------
    view : View
        At zoom 1.
    look : callable
        Looks at a part of a view.
    trained : float
        Median diameter of the training objects in pixels of their images.
    zoom_tolerance : float
        An image is zoomed only where its objects are this many times larger or smaller. Less can be a matter
        of which objects it shows, and is within what networks learn to bear.

    Returns
    -------
    View
        That of the last look: the first one, at 1, where the objects are within a factor of ``zoom_tolerance``, or
        fewer than ``FEWEST`` are sure. After the first look, the tolerance is the smaller of ``zoom_tolerance``
        and ``NEAR``. A look that finds fewer than ``FEWEST`` is given up for the one before. The zoom is at most
        ``MOST``. An image unlike the training images is zoomed only if it is no longer unlike them then: its
        objects may be no objects. If the objects want another zoom, its ``warnings`` say so.
    """
    part: Part = "middle"
    seen, found = view, look(view, part)
    if found.diameter is None and found.maps is None:
        # The middle holds too few, and without further ones these maps are the result.
        part = "all"
        found = look(view, part)
    unlike = _unlike(found)
    wanted, tolerance = view.zoom, zoom_tolerance
    for _ in range(PASSES - 1):
        if found.diameter is None:
            break
        wanted = wanted_zoom(found.diameter, trained=trained)
        target = min(wanted, MOST)
        if 1 / tolerance <= target / seen.zoom <= tolerance:
            break
        tolerance = min(zoom_tolerance, NEAR)
        again = view.at(target)
        # The tile is one of the middle; where that holds too few objects, it tells nothing.
        further = look(again, "tile" if unlike and part == "middle" else part)
        if further.diameter is None or (unlike and _unlike(further)):
            break
        unlike = False
        seen, found = again, further
    return replace(seen, maps=found.maps, warnings=_untried(wanted, seen.zoom, zoom_tolerance, unlike=unlike))


def _unlike(found: Look) -> bool:
    return found.novelty is not None and found.novelty > 1


def _untried(wanted: float, zoom: float, tolerance: float, *, unlike: bool) -> tuple[str, ...]:
    """Say so where the objects want a zoom that they did not get."""
    if 1 / tolerance <= wanted / zoom <= tolerance or not (unlike or wanted > MOST):
        return ()
    size = f"{wanted:.1f} times too small" if wanted > 1 else f"{1 / wanted:.1f} times too large"
    done = "the image is unlike the training images and was not zoomed" if unlike else f"zoomed {zoom:g} times"
    return (f"objects look {size} for the model; {done}: give --diameter",)
