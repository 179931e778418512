"""The statistics of training images that a model file keeps, so that the model can tell what is unlike them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from autosam.config import Config
from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.images.scaled_image import plane_of
from autosam.models.files.checkpoint import STATISTICS, ModelHeader
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks
from autosam.models.statistics.novelty import NoveltyStatistics, describe_tiles, shown_area, uncertain_share
from autosam.pipeline.predict import generator_pixels, generator_tile, see
from autosam.pipeline.probability_maps import MapSettings
from autosam.pipeline.segmenter import Segmenter
from autosam.training.fit.kinds import Described, fit_statistics
from autosam.training.fit.model_part import fitting_config, write_part
from autosam.training.samples.batches import tile_size

WINDOWS, OF_A_SOURCE = 750, 200
"""Most windows of training images that are described, and most of a source; no source has more than an equal
share. With 30 windows of each source, `nuclei` named less than half of electron micrographs: rare stains were in
one half of their source alone, so that the limit was high. With 150, it named all of them."""

TURNS = 16
"""Most windows for each tile's area in the labeled images: eight ways to turn one, at twice as many places as fit
beside one another. More windows of a small data set would be too much alike to tell how its images differ."""

DRAWS = 4
"""Times that a window is drawn, if need be, for each one that is wanted, as the same one can be drawn again."""

SMALLEST, LARGEST = 7 / 16, 1.5
"""Sides of windows, in those of a tile: from 224 to 768 pixels where a tile has 512."""


def measure_statistics(
    networks: Networks, config: Config, labeled_images: Sequence[LabeledImage]
) -> NoveltyStatistics | None:
    """Describe windows of training images as the generator sees them when it segments them.

    Each window counts as an image: it is normalized on its own, and its zoom is found where the image's is not
    known. So what holds for the windows holds for images of many sizes. Windows are turned at random, as all
    training tiles are, since a network's features of an image and of the same image turned differ more than those
    of two images.

    Parameters
    ----------
    networks : Networks
        In evaluation mode.
    config : Config
        What they segment with. Its ``seed`` draws the windows.
    labeled_images : sequence of LabeledImage
        What the networks were trained on, normalized.

    Returns
    -------
    NoveltyStatistics or None
        None where there is no generator, or where the windows are too few or too much alike: see
        `training.fit.kinds.fit_statistics`.
    """
    if networks.generator is None:
        return None
    size = config.tiles.size or tile_size(networks, config)
    settings = MapSettings.of(config, tile_size=size, combine="avg")._replace(flips=False, zooms=(1.0,))
    segmenter = Segmenter(replace(networks, statistics=None), config)
    rng = np.random.default_rng(config.seed)
    names = sorted({labeled_image.source for labeled_image in labeled_images})
    described: list[list[Described]] = []
    for name in names:
        own = [labeled_image for labeled_image in labeled_images if labeled_image.source == name]
        sides = [size / (config.images.zoom * (item.zoom or 1)) for item in own]
        # In tiles; a labeled image that is smaller than one is mirrored to fill it.
        area = sum(
            math.prod(max(1.0, length / side) for length in item.labels.shape)
            for item, side in zip(own, sides, strict=True)
        )
        count = max(1, min(WINDOWS // len(names), OF_A_SOURCE, math.ceil(TURNS * area)))
        found = (
            describe(segmenter, window, settings, zoom=own[number].zoom)
            for number, window in _draw_windows(own, count, sides=sides, rng=rng)
        )
        described.append([one for one in found if one is not None])
    return fit_statistics(described)


def describe(
    segmenter: Segmenter, image: NDArray[np.uint8], settings: MapSettings, *, zoom: float | None = None
) -> Described | None:
    """Describe an image as the generator sees it in segmentation; None for one that is constant.

    Parameters
    ----------
    segmenter : Segmenter
        With a generator and without statistics.
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
    settings : MapSettings
        For one zoom and orientation.
    zoom : float, optional
        That of the image, see `Segmenter.segment`; found by default.
    """
    generator = segmenter.networks.generator
    assert generator is not None
    view = segmenter.view(image, zoom)
    if view.blank:
        return None
    side = generator_tile(generator, settings)
    with describe_tiles(generator, side=side) as tiles:
        maps = see(
            segmenter.networks, generator_pixels(segmenter.networks, view, zoom=1.0), settings
        ).probabilities
    height, width = next(iter(maps.values())).shape
    return Described(np.stack(tiles), uncertain_share(maps), shown_area((height, width), tile=side))


def add_statistics(path: Path, labeled_images: Sequence[LabeledImage], *, seed: int = 0) -> NoveltyStatistics:
    """Put the statistics into a model file that `autosam train` wrote; everything else in it stays as it is.

    Parameters
    ----------
    path : Path
        Replaced when the new file is whole.
    labeled_images : sequence of LabeledImage
        What the model was trained on.
    seed : int
        Draws the windows.

    Returns
    -------
    NoveltyStatistics
        What was added, or put in the place of earlier statistics.

    Raises
    ------
    ModelError
        If the file cannot be read.
    InputError
        If there are no statistics: see `measure_statistics`.
    OutputError
        If the file cannot be written.
    """
    networks, header = load_networks(path)
    statistics = _add(path, networks, header, labeled_images, seed)
    if statistics is None:
        raise InputError(
            f"{len(labeled_images)} training images give no statistics for {path}: its generator is missing, "
            "or their windows are too few or all alike; name the images that it was trained on"
        )
    return statistics


def complete_statistics(
    path: Path, labeled_images: Sequence[LabeledImage], *, seed: int, device: torch.device | None = None
) -> None:
    """Do the same as `add_statistics` where the file has no statistics yet and there are some to be had.

    ``device`` is where the windows are described, by default the CPU, which is slow with a large encoder.
    """
    networks, header = load_networks(path)
    if networks.statistics is None:
        for network in networks.parts:
            network.to(device or "cpu")
        _add(path, networks, header, labeled_images, seed)


def _add(
    path: Path, networks: Networks, header: ModelHeader, labeled_images: Sequence[LabeledImage], seed: int
) -> NoveltyStatistics | None:
    """Measure and write; None, and nothing written, where there are no statistics."""
    statistics = measure_statistics(networks, fitting_config(header, seed=seed), labeled_images)
    if statistics is not None:
        write_part(path, STATISTICS, statistics.state_dict())
    return statistics


def _draw_windows(
    labeled_images: Sequence[LabeledImage], count: int, *, sides: Sequence[float], rng: np.random.Generator
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Give turned windows with the numbers of their images, image by image and row by row.

    ``sides`` are those of a tile in the pixels of each image. There are fewer windows than ``count`` where no more
    differ.
    """
    places: set[tuple[int, int, int, int, int, int, bool]] = set()
    for _ in range(DRAWS * count):
        if len(places) == count:
            break
        number = int(rng.integers(len(labeled_images)))
        shape = labeled_images[number].labels.shape
        side = max(1, round(sides[number] * SMALLEST * (LARGEST / SMALLEST) ** rng.random()))
        height, width = (min(side, length) for length in shape)
        row, col = (
            int(rng.integers(length - part + 1)) for length, part in zip(shape, (height, width), strict=True)
        )
        places.add((number, row, col, height, width, int(rng.integers(4)), bool(rng.integers(2))))
    for number, drawn in groupby(sorted(places), key=itemgetter(0)):
        pixels = plane_of(labeled_images[number].image)
        for _, row, col, height, width, quarter, flip in drawn:
            window = np.rot90(pixels[row : row + height, col : col + width], quarter)
            yield number, np.ascontiguousarray(window[:, ::-1] if flip else window)
