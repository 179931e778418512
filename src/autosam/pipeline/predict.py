"""The second step: the generator's probability maps, averaged over channels, mirror images and zooms."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.images import resize_map, zoom_image
from autosam.models.combine import combine_maps
from autosam.models.generator.maps import ORIENTATIONS, Orientation, predict_maps
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks
from autosam.models.statistics.novelty import NoveltyStatistics, describe_tiles, shown_area, uncertain_share
from autosam.pipeline.probability_maps import Maps, MapSettings
from autosam.pipeline.view import Channel, View


def predict(networks: Networks, view: View, settings: MapSettings) -> Maps:
    """Predict the maps of a view, on the grid of the networks.

    What the search for the zoom has predicted is not predicted again.

    Parameters
    ----------
    networks : Networks
        With a generator, in evaluation mode.

    Raises
    ------
    ConfigError
        If there is no generator, or if maps of affinities were to be averaged over zooms or mirror images.
    """
    generator, count = _generator_of(networks), len(settings.zooms)
    if settings.zooms != (1.0,) and "affinity_row" in generator.channels:
        raise ConfigError(
            "decode.zooms averages maps over zooms, and affinities are between pixels of one grid; set it to [1.0]"
        )
    if view.maps is not None and view.maps.settings == settings._replace(flips=False):
        return on_grid(_turned(networks, view, view.maps, settings), view.grid)
    mean: dict[str, NDArray[np.float32]] = {}
    novelty: float | None = None
    for number, zoom in enumerate(settings.zooms):
        seen = see(networks, generator_pixels(networks, view, zoom=zoom), settings)
        novelty = seen.novelty if number == 0 else novelty
        for name, part in on_grid(seen, view.grid).probabilities.items():
            mean[name] = part if count == 1 else mean.get(name, 0) + part / np.float32(count)
    return Maps(mean, novelty, settings)


def _turned(networks: Networks, view: View, once: Maps, settings: MapSettings) -> Maps:
    """Average the maps of an image as it is with those of its other orientations."""
    others = ORIENTATIONS[settings.flips][1:]
    if not others:
        return once
    seen = see(networks, generator_pixels(networks, view, zoom=1.0), settings, orientations=others)
    own = np.float32(1 / (len(others) + 1))
    mean = {name: once.probabilities[name] * own + part * (1 - own) for name, part in seen.probabilities.items()}
    return Maps(mean, once.novelty, settings)


def generator_pixels(networks: Networks, view: View, *, zoom: float) -> list[Channel]:
    """Zoom an image for the generator, straight from its own pixels, which zooming twice would blur."""
    scale = view.total_zoom * zoom / _generator_of(networks).downsample
    return [of if scale == 1 else zoom_image(of[:], scale) for of in view.channels]


def on_grid(maps: Maps, grid: tuple[int, int]) -> Maps:
    """Bring maps to another grid; those that are on it come back as they are."""
    if all(values.shape == grid for values in maps.probabilities.values()):
        return maps
    return Maps(
        {name: resize_map(values, grid) for name, values in maps.probabilities.items()},
        maps.novelty,
        maps.settings,
    )


def see(
    networks: Networks,
    channels: Sequence[Channel],
    settings: MapSettings,
    *,
    orientations: Sequence[Orientation] | None = None,
) -> Maps:
    """Predict the maps of pixels at the scale of the generator, on their grid.

    Parameters
    ----------
    channels : sequence of ndarray of float32, or of ScaledImage, shape (h, w, 3)
        An image, or part of one, in one or more channels.
    settings : MapSettings
        Its ``zooms`` are not read.
    orientations : sequence of Orientation, optional
        Those of ``settings.flips`` by default.
    """
    generator = _generator_of(networks)
    turned = ORIENTATIONS[settings.flips] if orientations is None else orientations
    with _described(generator, networks.statistics, settings) as tiles:
        answers = (
            predict_maps(
                generator,
                pixels,
                tile_size=settings.tile_size,
                overlap=settings.overlap,
                orientations=turned,
                reduced=True,
                precision=settings.precision,
            )
            for pixels in channels
        )
        maps = combine_maps(answers, settings.combine)
    return Maps(maps, _novelty(networks.statistics, tiles, maps, generator_tile(generator, settings)), settings)


def generator_tile(generator: Generator | SamGenerator, settings: MapSettings) -> int:
    """Give the side of a tile in pixels of the generator's grid: that of the training tiles."""
    return generator.tile_size or settings.tile_size // generator.downsample


def _novelty(
    statistics: NoveltyStatistics | None,
    tiles: Sequence[NDArray[np.float32]],
    maps: Mapping[str, NDArray[np.float32]],
    side: int,
) -> float | None:
    if statistics is None or not tiles:
        return None
    height, width = next(iter(maps.values())).shape
    area = shown_area((height, width), tile=side)
    return statistics.novelty(np.stack(tiles), uncertain=uncertain_share(maps), area=area)


def _described(
    generator: Generator | SamGenerator, statistics: NoveltyStatistics | None, settings: MapSettings
) -> AbstractContextManager[list[NDArray[np.float32]]]:
    """Describe parts as large as the training tiles that the statistics are of; nothing without statistics."""
    if statistics is None:
        return nullcontext([])
    return describe_tiles(generator, side=generator_tile(generator, settings))


def _generator_of(networks: Networks) -> Generator | SamGenerator:
    if networks.generator is None:
        raise ConfigError("the model has no generator, so it predicts no maps; give it user prompts or a grid")
    return networks.generator
