"""The statistics of training images that a model file keeps, so that the model can tell what is unlike them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autosam.config import Config
from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.images import Window, read_window, zoom_image
from autosam.images.zoom import zoomed_shape
from autosam.models.files.checkpoint import STATISTICS, ModelHeader
from autosam.models.files.model_file import load_networks
from autosam.models.generator.maps import BATCH, BATCH_CPU, generator_windows
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks
from autosam.models.precision import Precision, autocast
from autosam.models.statistics.novelty import NoveltyStatistics, fit_statistics, moments
from autosam.models.variants import parameter_device
from autosam.training.fit.model_part import fitting_config, write_part
from autosam.training.samples.batches import tile_size

TILES = 1000
"""Most training tiles that are described; no source has more than an equal share."""

TURNS = 16
"""Most tiles for each tile's area in the labeled images: eight ways to turn one, at twice as many places as fit
beside one another. More tiles of a small data set would be too much alike to tell how its images differ."""

DRAWS = 4
"""Times that a tile is drawn, if need be, for each one that is wanted, as the same one can be drawn again."""

SMALL = 0.4
"""Share of the tiles that are half as wide and high, as a small image is."""


def measure_statistics(
    networks: Networks, config: Config, labeled_images: Sequence[LabeledImage]
) -> NoveltyStatistics | None:
    """Describe training tiles as the generator sees them when it segments.

    They are turned at random, as all training tiles are, since a network's features of an image and of the same
    image turned differ more than those of two images; nothing else of the augmentation is done to them. Some
    of them are small, as images can be.

    Parameters
    ----------
    networks : Networks
        In evaluation mode.
    config : Config
        Its ``seed`` draws the tiles; ``images.zoom`` is what the labeled images are zoomed by. They are not
        brought to one diameter: what is left of the few that are far off it is so unlike the others that hardly
        anything would be out of distribution.
    labeled_images : sequence of LabeledImage
        What the networks were trained on, normalized.

    Returns
    -------
    NoveltyStatistics or None
        None where there is no generator, or where the tiles are too few or too much alike: see
        `models.statistics.novelty.fit_statistics`.
    """
    if networks.generator is None:
        return None
    # What the generator sees smaller than SAM is cut at its own scale, as in segmentation.
    smaller = networks.generator.downsample
    size = (config.tiles.size or tile_size(networks, config)) // smaller
    rng = np.random.default_rng(config.seed)
    sources = sorted({labeled_image.source for labeled_image in labeled_images})
    described: list[NDArray[np.float32]] = []
    for name in sources:
        own = [labeled_image for labeled_image in labeled_images if labeled_image.source == name]
        scale = config.images.zoom / smaller
        # In tiles; a labeled image that is smaller than one is mirrored to fill it.
        shapes = [zoomed_shape(labeled_image.image.shape[:2], scale) for labeled_image in own]
        area = sum(math.prod(max(1.0, side / size) for side in shape) for shape in shapes)
        count = min(TILES // len(sources), math.ceil(TURNS * area))
        tiles = _draw_tiles(own, count, size=size, scale=scale, rng=rng)
        described.append(
            describe(networks.generator, tiles, tile_size=size * smaller, precision=config.decode.precision)
        )
    return fit_statistics(described)


def describe(
    generator: Generator | SamGenerator,
    tiles: Iterable[NDArray[np.float32]],
    *,
    tile_size: int,
    precision: Precision,
) -> NDArray[np.float32]:
    """Describe tiles as `models.statistics.novelty.describe_tiles` does while a generator predicts their maps.

    Only the layers up to the deepest feature map run, and for several tiles at a time.

    Parameters
    ----------
    generator : Generator or SamGenerator
        In evaluation mode.
    tiles : iterable of ndarray of float32, shape (h, w, 3)
        At least one, at the generator's own scale, of 0 to 1. Each is mirrored until the generator takes it.
    tile_size : int
        That of `predict_maps`.
    precision : {"auto", "float32", "bfloat16"}

    Returns
    -------
    ndarray of float32, shape (n, 2 C)
        In the order of the tiles. A tile that does not fit into one window has a row for each.
    """
    device = parameter_device(generator)
    look: Callable[[Tensor], Tensor] = generator.deepest_features
    if isinstance(generator, Generator):
        look = partial(generator.deepest_features, reduced=True)
    parts = (
        read_window(tile, window)
        for tile in tiles
        for window in generator_windows(
            generator, (tile.shape[0], tile.shape[1]), tile_size=tile_size, overlap=0.0, reduced=True
        )
    )
    described: list[NDArray[np.float32]] = []
    most = BATCH_CPU if device.type == "cpu" else BATCH
    count = max(1, most // (generator.tile_size or tile_size) ** 2)
    for _, alike in groupby(parts, key=np.shape):
        while batch := list(islice(alike, count)):
            pixels = torch.from_numpy(np.stack(batch).transpose(0, 3, 1, 2))
            with torch.no_grad(), autocast(device, precision):
                features = look(pixels.to(device, memory_format=torch.channels_last))
            described.extend(moments(features))
    return np.stack(described)


def add_statistics(path: Path, labeled_images: Sequence[LabeledImage], *, seed: int = 0) -> NoveltyStatistics:
    """Put the statistics into a model file that `autosam train` wrote; everything else in it stays as it is.

    Parameters
    ----------
    path : Path
        Replaced when the new file is whole.
    labeled_images : sequence of LabeledImage
        What the model was trained on.
    seed : int
        Draws the tiles.

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
            "or their tiles are too few or all alike; name the images that it was trained on"
        )
    return statistics


def complete_statistics(
    path: Path, labeled_images: Sequence[LabeledImage], *, seed: int, device: torch.device | None = None
) -> None:
    """Do the same as `add_statistics` where the file has no statistics yet and there are some to be had.

    ``device`` is where the tiles are described, by default the CPU, which is slow with a large encoder.
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


def _draw_tiles(
    labeled_images: Sequence[LabeledImage], count: int, *, size: int, scale: float, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Give turned tiles, image by image and row by row; fewer than ``count`` where there are no more."""
    places: set[tuple[int, int, int, int, int, bool]] = set()
    for _ in range(DRAWS * count):
        if len(places) == count:
            break
        number = int(rng.integers(len(labeled_images)))
        height, width = zoomed_shape(labeled_images[number].image.shape[:2], scale)
        part = max(1, size // 2) if rng.random() < SMALL else size
        row, col = (int(rng.integers(max(1, side - part + 1))) for side in (height, width))
        places.add((number, row, col, part, int(rng.integers(4)), bool(rng.integers(2))))
    for number, drawn in groupby(sorted(places), key=itemgetter(0)):
        pixels = zoom_image(labeled_images[number].image.astype(np.float32) / 255, scale)
        for _, row, col, part, quarter, flip in drawn:
            tile = np.rot90(read_window(pixels, Window(row, col, part, part)), quarter)
            yield tile[:, ::-1] if flip else tile
