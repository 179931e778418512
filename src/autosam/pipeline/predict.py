"""The second step: the generator's probability maps, averaged over channels, mirror images and zooms."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.images import resize_map, zoom_image
from autosam.models.combine import combine_maps
from autosam.models.generator.maps import predict_maps
from autosam.models.networks import Networks
from autosam.models.statistics.novelty import describe_tiles
from autosam.pipeline.probability_maps import Maps, MapSettings
from autosam.pipeline.view import View


def predict(networks: Networks, view: View, settings: MapSettings) -> Maps:
    """Predict the maps of a view.

    Parameters
    ----------
    networks : Networks
        With a generator, in evaluation mode.

    Raises
    ------
    ConfigError
        If there is no generator, or if maps of affinities were to be averaged over zooms or mirror images.
    """
    generator, statistics = networks.generator, networks.statistics
    if generator is None:
        raise ConfigError("the model has no generator, so it predicts no maps; give it user prompts or a grid")
    if settings.zooms != (1.0,) and "affinity_row" in generator.channels:
        raise ConfigError(
            "decode.zooms averages maps over zooms, and affinities are between pixels of one grid; set it to [1.0]"
        )
    downsample, count = generator.downsample, len(settings.zooms)
    mean: dict[str, NDArray[np.float32]] = {}
    novelty: float | None = None
    for number, zoom in enumerate(settings.zooms):
        # Straight from the image's own pixels, which zooming twice would blur.
        seen = (
            view.zoomed
            if zoom == downsample
            else [zoom_image(pixels, view.total_zoom * zoom / downsample) for pixels in view.channels]
        )
        described: AbstractContextManager[list[NDArray[np.float32]]] = (
            describe_tiles(generator) if statistics is not None and number == 0 else nullcontext([])
        )
        with described as tiles:
            answers = (
                predict_maps(
                    generator,
                    pixels,
                    tile_size=settings.tile_size,
                    overlap=settings.overlap,
                    flips=settings.flips,
                    reduced=True,
                    precision=settings.precision,
                )
                for pixels in seen
            )
            maps = combine_maps(answers, settings.combine)
        if statistics is not None and tiles:
            novelty = statistics.novelty(np.stack(tiles))
        for name, values in maps.items():
            part = resize_map(values, view.grid)
            mean[name] = part if count == 1 else mean.get(name, 0) + part / np.float32(count)
    return Maps(mean, novelty, settings)
