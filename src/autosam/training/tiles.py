"""Random, augmented training tiles: tile i of a run is the same whenever and wherever it is made."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from autosam.data.folders import Scene
from autosam.images import Window, read_window

OBJECT_SHARE = 0.8
"""Share of the tiles that are centred on an object; the others lie anywhere."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; see `config.AugmentConfig`."""

    scale: tuple[float, float] = (1.0, 1.0)
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    blur: float = 0.0


class TileDataset(Dataset[tuple[Tensor, Tensor]]):
    """Tiles of labelled scenes.

    Every tile is drawn by a generator seeded with ``(seed, index)``, so a resumed run sees the tiles that an
    uninterrupted one would have seen, with any number of workers.

    Parameters
    ----------
    scenes : sequence of Scene
        At least one. Sources are drawn with equal shares, whatever their sizes.
    size : int
        Side of a tile in pixels.
    length : int
        Number of tiles in the run.
    seed : int
    augmentation : Augmentation
    """

    def __init__(
        self, scenes: Sequence[Scene], *, size: int, length: int, seed: int, augmentation: Augmentation
    ) -> None:
        self._sources = [
            [scene for scene in scenes if scene.source == name] for name in sorted({s.source for s in scenes})
        ]
        self._size = size
        self._length = length
        self._seed = seed
        self._augmentation = augmentation

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Give a tile: image float32 (3, size, size) of 0..1 and labels int32 (size, size)."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        rng = np.random.default_rng((self._seed, index))
        source = self._sources[rng.integers(len(self._sources))]
        scene = source[rng.integers(len(source))]
        image, labels = cut_tile(scene, self._size, self._augmentation.scale, rng)
        image = change_intensity(image, self._augmentation, rng)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), torch.from_numpy(labels)


def cut_tile(
    scene: Scene, size: int, scale: tuple[float, float], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut a window, bring it to ``size`` and turn it; an image smaller than the window is mirrored at its edges.

    Returns
    -------
    image : ndarray of float32, shape (size, size, 3)
        0 to 1.
    labels : ndarray of int32, shape (size, size)
        The scene's ids, or new ones where the window is mirrored; never interpolated.
    """
    magnification = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    side = max(1, round(size / magnification))
    height, width = scene.labels.shape
    center = np.array([rng.integers(height), rng.integers(width)])
    ids = int(scene.labels.max())
    if ids and rng.random() < OBJECT_SHARE:
        pixels = np.argwhere(scene.labels == rng.integers(1, ids + 1))
        if len(pixels):
            center = pixels[rng.integers(len(pixels))] + rng.integers(-side // 4, side // 4 + 1, size=2)
    corner = center - side // 2
    # A window inside the image where it fits; otherwise the whole image, at a random place in the window.
    limits = [sorted((0, height - side)), sorted((0, width - side))]
    row, col = (int(np.clip(at, low, high)) for at, (low, high) in zip(corner, limits, strict=True))
    window = Window(row, col, side, side)
    image = torch.from_numpy(read_window(scene.image, window).astype(np.float32) / 255).permute(2, 0, 1)[None]
    if side != size:
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=side > size)
    nearest = ((np.arange(size) + 0.5) * side / size).astype(np.intp)
    labels = read_window(scene.labels, window)
    if side > min(height, width):
        labels = part_mirrored(labels)
    labels = labels[np.ix_(nearest, nearest)]
    turned = image[0].permute(1, 2, 0).numpy()
    quarter, flip = int(rng.integers(4)), bool(rng.integers(2))
    turned, labels = np.rot90(turned, quarter), np.rot90(labels, quarter)
    if flip:
        turned, labels = turned[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(turned), np.ascontiguousarray(labels, dtype=np.int32)


def part_mirrored(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the mirror images of an object ids of their own; one that touches its image stays one with it.

    Otherwise an object and its mirror images would be one target, as large as the tile.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)

    Returns
    -------
    ndarray of int32, shape (H, W)
        Ids 1..n without gaps; each is one 8-connected component.
    """
    parted = np.zeros_like(labels)
    count = 0
    for object_id, crop in enumerate(ndimage.find_objects(labels), start=1):
        if crop is not None:
            pieces, found = ndimage.label(labels[crop] == object_id, structure=np.ones((3, 3)))
            parted[crop][pieces > 0] = pieces[pieces > 0] + count
            count += found
    return parted


def change_intensity(
    image: NDArray[np.float32], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change gamma, contrast, brightness, sharpness and noise; the result stays within 0 to 1."""
    gamma = np.exp(rng.uniform(-augmentation.contrast, augmentation.contrast))
    gain = 1 + rng.uniform(-augmentation.contrast, augmentation.contrast)
    offset = rng.uniform(-augmentation.brightness, augmentation.brightness)
    sigma = rng.uniform(0, augmentation.blur) if rng.random() < 0.5 else 0.0
    noise = rng.uniform(0, augmentation.noise)
    changed = image**gamma if augmentation.contrast else image
    mean = changed.mean()
    changed = (changed - mean) * gain + mean + offset
    if sigma > 0.2:
        changed = ndimage.gaussian_filter(changed, (sigma, sigma, 0))
    if noise > 0:
        # One value for all channels: gray images come as three equal ones.
        changed = changed + noise * rng.standard_normal((*changed.shape[:2], 1), dtype=np.float32)
    return np.asarray(np.clip(changed, 0, 1), dtype=np.float32)
