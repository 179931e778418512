"""Random, augmented training tiles: tile i of a run is the same whenever and wherever it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.images import Window, read_window
from autosam.pipeline.find_zoom import typical_diameter, wanted_zoom
from autosam.prompts.prompt import Prompt
from autosam.training.samples.deform import bend_tile, part_pieces, place_prompts
from autosam.training.samples.intensity import change_intensity


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; see `config.AugmentConfig`."""

    zoom: tuple[float, float] = (1.0, 1.0)
    same_diameter: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    color: float = 0.0
    elastic: float = 0.0


class Tile(NamedTuple):
    """What is learned from at a time.

    Attributes
    ----------
    image : Tensor of float32, shape (3, S, S)
        0 to 1.
    labels : Tensor of int32, shape (S, S)
        0 for background; ids may have gaps.
    prompts : tuple of Prompt
        An user's prompts, in tile pixels; empty where the scene has none there.
    """

    image: Tensor
    labels: Tensor
    prompts: tuple[Prompt, ...]


class TileBatch(NamedTuple):
    """Several tiles.

    Attributes
    ----------
    images : Tensor of float32, shape (B, 3, S, S)
    labels : Tensor of int32, shape (B, S, S)
    prompts : tuple of tuples of Prompt
        Those of each tile.
    """

    images: Tensor
    labels: Tensor
    prompts: tuple[tuple[Prompt, ...], ...]


def collate_tiles(tiles: Sequence[Tile]) -> TileBatch:
    """Make a batch of at least one tile: the `collate_fn` of a DataLoader."""
    return TileBatch(
        torch.stack([tile.image for tile in tiles]),
        torch.stack([tile.labels for tile in tiles]),
        tuple(tile.prompts for tile in tiles),
    )


class TileDataset(Dataset[Tile]):
    """Tiles of labeled scenes.

    Every tile is drawn by a generator seeded with ``(seed, index)``, so a resumed run sees the tiles that an
    uninterrupted one would have seen, with any number of workers.

    Parameters
    ----------
    labeled_images : sequence of LabeledImage
        At least one. Sources are drawn by their weights, whatever their sizes.
    size : int
        Side of a tile in pixels.
    length : int
        Number of tiles in the run.
    seed : int
    augmentation : Augmentation
    scale : float
        Zoom at which the networks see the images; that of the augmentation comes on top of it.
    weights : mapping of str to int
        Weights of sources by name; 1 for the others.
    object_share : float
        Share of the tiles that are cut around an object; the others lie anywhere. At 1, images without an
        object are never drawn.
    diameter : float, optional
        Median diameter, in pixels of the images, to which an image's objects are brought in the share of the
        tiles that ``augmentation.same_diameter`` says; images with too few objects to tell theirs stay as they
        are.

    Raises
    ------
    InputError
        If every tile is to have an object, and no scene has one.
    """

    def __init__(
        self,
        labeled_images: Sequence[LabeledImage],
        *,
        size: int,
        length: int,
        seed: int,
        augmentation: Augmentation,
        scale: float = 1.0,
        weights: Mapping[str, int] = MappingProxyType({}),
        object_share: float = 0.8,
        diameter: float | None = None,
    ) -> None:
        drawn = (
            [labeled_image for labeled_image in labeled_images if labeled_image.labels.any()]
            if object_share == 1
            else list(labeled_images)
        )
        if object_share == 1 and not drawn:
            raise InputError(
                f"training.object_tiles=1 cuts every tile around an object, and none of the {len(labeled_images)} "
                "training images has one; check the labels, or set it below 1"
            )
        self._sources = [
            [labeled_image for labeled_image in drawn if labeled_image.source == name]
            for name in sorted({s.source for s in drawn})
            for _ in range(weights.get(name, 1))
        ]
        self._size = size
        self._length = length
        self._seed = seed
        self._augmentation = augmentation
        self._zoom = (augmentation.zoom[0] * scale, augmentation.zoom[1] * scale)
        self._object_share = object_share
        self._diameter = diameter if augmentation.same_diameter else None
        # Once, and not at every tile: it takes as long as cutting one. By name, which a worker process keeps.
        self._diameters = {
            labeled_image.name: typical_diameter(labeled_image.labels)
            for labeled_image in (drawn if self._diameter is not None else [])
        }

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Tile:
        """Make one tile."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        rng, augmentation = np.random.default_rng((self._seed, index)), self._augmentation
        source = self._sources[rng.integers(len(self._sources))]
        labeled_image = source[rng.integers(len(source))]
        factor = self._image_zoom(labeled_image, rng)
        low, high = self._zoom
        image, labels, prompts = cut_tile(
            labeled_image, self._size, (low * factor, high * factor), rng, object_share=self._object_share
        )
        if augmentation.elastic:
            image, labels, prompts = bend_tile(image, labels, prompts, largest=augmentation.elastic, rng=rng)
        image = change_intensity(
            image,
            rng,
            contrast=augmentation.contrast,
            brightness=augmentation.brightness,
            noise=augmentation.noise,
            blur=augmentation.blur,
            color=augmentation.color,
        )
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        return Tile(torch.from_numpy(planes), torch.from_numpy(labels), tuple(prompts))

    def _image_zoom(self, labeled_image: LabeledImage, rng: np.random.Generator) -> float:
        """Zoom of an image, so that its objects have the diameter of all, where that is drawn."""
        if self._diameter is None or rng.random() >= self._augmentation.same_diameter:
            return 1.0
        own = self._diameters[labeled_image.name]
        return 1.0 if own is None else wanted_zoom(own, trained=self._diameter)


def cut_tile(
    labeled_image: LabeledImage,
    size: int,
    scale: tuple[float, float],
    rng: np.random.Generator,
    *,
    object_share: float = 0.8,
) -> tuple[NDArray[np.float32], NDArray[np.int32], list[Prompt]]:
    """Cut a window, bring it to ``size`` and turn it; an image smaller than the window is mirrored at its edges.

    Returns
    -------
    image : ndarray of float32, shape (size, size, 3)
        0 to 1.
    labels : ndarray of int32, shape (size, size)
        The scene's ids, or new ones where the window is mirrored; never interpolated.
    prompts : list of Prompt
        The scene's, as far as they lie in the window.
    """
    zoom = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    side = max(1, round(size / zoom))
    height, width = labeled_image.labels.shape
    center = np.array([rng.integers(height), rng.integers(width)])
    ids = int(labeled_image.labels.max())
    if ids and rng.random() < object_share:
        pixels = np.argwhere(labeled_image.labels == rng.integers(1, ids + 1))
        if len(pixels):
            center = pixels[rng.integers(len(pixels))] + rng.integers(-side // 4, side // 4 + 1, size=2)
    corner = center - side // 2
    # A window inside the image where it fits; otherwise the whole image, at a random place in the window.
    limits = [sorted((0, height - side)), sorted((0, width - side))]
    row, col = (int(np.clip(at, low, high)) for at, (low, high) in zip(corner, limits, strict=True))
    window = Window(row, col, side, side)
    image = torch.from_numpy(read_window(labeled_image.image, window).astype(np.float32) / 255).permute(2, 0, 1)[
        None
    ]
    if side != size:
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=side > size)
    nearest = ((np.arange(size) + 0.5) * side / size).astype(np.intp)
    labels = read_window(labeled_image.labels, window)
    if side > min(height, width):
        labels = part_pieces(labels)
    labels = labels[np.ix_(nearest, nearest)]
    turned = image[0].permute(1, 2, 0).numpy()
    quarter, flip = int(rng.integers(4)), bool(rng.integers(2))
    turned, labels = np.rot90(turned, quarter), np.rot90(labels, quarter)
    if flip:
        turned, labels = turned[:, ::-1], labels[:, ::-1]
    prompts = place_prompts(labeled_image.prompts, window=window, size=size, quarter=quarter, flip=flip)
    return np.ascontiguousarray(turned), np.ascontiguousarray(labels, dtype=np.int32), prompts
