"""A look at an image in search of its zoom: what the generator alone is sure of, in a bounded number of pixels."""

import numpy as np
from numpy.typing import NDArray

from autosam.config import PromptsConfig
from autosam.images import zoom_image
from autosam.images.zoom import zoomed_shape
from autosam.models.networks import Networks
from autosam.pipeline.find_zoom import Look, Part, typical_diameter
from autosam.pipeline.predict import see
from autosam.pipeline.probability_maps import MapSettings
from autosam.pipeline.propose import Probabilities, threshold_regions
from autosam.pipeline.view import View

PIXELS = 512**2
"""Pixels of the generator's grid that tell the size of objects. An image with fewer is seen as a whole."""

SURE = 0.85
"""Mean foreground from which a region that no SAM has seen tells a size; a generator's specks lie below it."""


def look_at(networks: Networks, view: View, settings: MapSettings, prompts: PromptsConfig, *, part: Part) -> Look:
    """Measure the objects of a view by its regions by thresholds, on the generator's own grid.

    Parameters
    ----------
    networks : Networks
        With a generator, in evaluation mode.
    settings : MapSettings
        For one zoom and orientation.
    prompts : PromptsConfig
        With the thresholds.
    part : {"all", "middle", "tile"}
        Look at the whole image, or in its middle at ``PIXELS`` or at a tile of the generator.
    """
    # `see` refuses networks without one.
    downsample = 1 if networks.generator is None else networks.generator.downsample
    scale = view.total_zoom / downsample
    pixels = {"all": None, "middle": PIXELS, "tile": (settings.tile_size // downsample) ** 2}[part]
    place = (slice(None), slice(None)) if pixels is None else middle(view.shape, scale, pixels)
    maps = see(networks, [zoom_image(of[place], scale) for of in view.channels], settings)
    # Sizes in pixels are those of the networks' grid.
    smallest = round(prompts.min_size / downsample**2)
    labels = threshold_regions(maps.probabilities, prompts.model_copy(update={"min_size": smallest}))
    diameter = _sure_diameter(labels, maps.probabilities)
    complete = view.channels[0][place].shape[:2] == view.shape
    return Look(
        None if diameter is None else diameter / scale,
        maps.novelty,
        maps if complete else None,
    )


def middle(shape: tuple[int, int], scale: float, pixels: int) -> tuple[slice, slice]:
    """Give the rows and columns in the middle that have at most so many pixels after zooming.

    They are those of a square where the image allows, otherwise of a rectangle.
    """
    rows, cols = zoomed_shape(shape, scale)
    height = min(rows, round(pixels**0.5))
    width = min(cols, pixels // height)
    height = min(rows, pixels // width)
    return _middle(shape[0], height / rows), _middle(shape[1], width / cols)


def _middle(length: int, share: float) -> slice:
    side = max(1, int(length * share + 1e-9))
    return slice((length - side) // 2, (length - side) // 2 + side)


def _sure_diameter(labels: NDArray[np.int32], maps: Probabilities) -> float | None:
    foreground = maps.get("foreground")
    if foreground is None:
        return typical_diameter(labels)
    total = np.bincount(labels.ravel(), weights=foreground.ravel())
    sure = total >= SURE * np.bincount(labels.ravel())
    sure[0] = False
    return typical_diameter(np.where(sure[labels], labels, 0))
