"""The generator's maps of one image: of all its channels, its mirror images and its zooms."""

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from autosam.config import DecodeConfig
from autosam.errors import ConfigError
from autosam.images import resize_map, zoom_image
from autosam.models.combine import CombineAnswers, combine_maps
from autosam.models.generator.maps import predict_maps
from autosam.models.networks import Networks
from autosam.models.statistics.novelty import describe_tiles


def image_maps(
    networks: Networks,
    channels: Sequence[NDArray[np.float32]],
    source: Sequence[NDArray[np.float32]],
    *,
    scale: float,
    how: CombineAnswers,
    tile_size: int,
    overlap: float,
    settings: DecodeConfig,
) -> tuple[dict[str, NDArray[np.float32]], float | None]:
    """Average the maps of all zooms on the grid of SAM.

    Parameters
    ----------
    networks : Networks
        With a generator, in evaluation mode.
    channels : sequence of ndarray of float32, shape (H, W, 3)
        Normalized, as SAM sees them.
    source : sequence of ndarray of float32, shape (h, w, 3)
        The same on the image's own grid.
    scale : float
        How much coarser that grid is.
    how : {"avg", "max"}
        What becomes of the maps of several channels.
    tile_size, overlap
        See `models.generator.maps.predict_maps`.
    settings : DecodeConfig
        Its ``flips``, ``scales`` and ``precision``.

    Returns
    -------
    maps : dict of str to ndarray of float32, shape (H, W)
        Probabilities by channel.
    novelty : float or None
        How unlike the training images the image is, at the first zoom; None where the model cannot tell.

    Raises
    ------
    ConfigError
        If there is no generator, or if maps of affinities were to be averaged over zooms or mirror
        images.
    """
    generator, statistics = networks.generator, networks.statistics
    if generator is None:
        raise ConfigError("the model has no generator, so it predicts no maps; prompt it by hand or by a grid")
    if settings.zooms != (1.0,) and "affinity_row" in generator.channels:
        raise ConfigError(
            "decode.zooms averages maps over zooms, and affinities are between pixels of one grid; set it to [1.0]"
        )
    shape = (channels[0].shape[0], channels[0].shape[1])
    smaller = generator.downsample
    n_scales = len(settings.zooms)
    mean: dict[str, NDArray[np.float32]] = {}
    novelties: list[float | None] = []
    unknown: list[NDArray[np.float32]] = []
    for factor in settings.zooms:
        # Straight from the image's own pixels, which zooming twice would blur.
        seen = channels if factor == smaller else [zoom_image(p, scale * factor / smaller) for p in source]
        with nullcontext(unknown) if statistics is None else describe_tiles(generator) as tiles:
            maps = combine_maps(
                (
                    predict_maps(
                        generator,
                        pixels,
                        tile_size=tile_size,
                        overlap=overlap,
                        flips=settings.flips,
                        reduced=True,
                        precision=settings.precision,
                    )
                    for pixels in seen
                ),
                how,
            )
        # Networks that remember their answers, as in `studies.memory`, do not run again and describe nothing.
        novelties.append(statistics.novelty(np.stack(tiles)) if statistics is not None and tiles else None)
        for name, values in maps.items():
            part = resize_map(values, shape)
            mean[name] = part if n_scales == 1 else mean.get(name, 0) + part / np.float32(n_scales)
    return mean, novelties[0]
