"""Random, augmented training tiles: tile i of a run is the same whenever and wherever it is made."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from autosam.config import Config
from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.images import Window, read_window
from autosam.pipeline.find_zoom import typical_diameter, wanted_zoom
from autosam.prompts.prompt import Prompt
from autosam.training.samples.deform import bend_tile, part_pieces, place_prompts
from autosam.training.samples.intensity import change_intensity
from autosam.training.samples.others import OtherPictures
from autosam.training.samples.paste import paste_objects
from autosam.training.samples.planes import resize_window
from autosam.training.samples.spin import draw_matrix, margin_around, spin_tile

IGNORED = -1
"""What stands in the labels of a tile where nothing is learnt."""

PASTED_ZOOM = 0.3
"""Range, in logarithm, by which pasted objects are zoomed more or less than the tile."""


class Tile(NamedTuple):
    """One training tile.

    Attributes
    ----------
    image : Tensor of float32, shape (3, S, S)
        0 to 1.
    labels : Tensor of int32, shape (S, S)
        0 for background, -1 where nothing is learnt; ids may have gaps.
    prompts : tuple of Prompt
        User prompts in tile pixels; often none.
    """

    image: Tensor
    labels: Tensor
    prompts: tuple[Prompt, ...]


class TileBatch(NamedTuple):
    """B tiles, stacked; ``prompts`` holds the user prompts of each."""

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
    """Random tiles of labeled images.

    Tile i is drawn by a generator seeded with the seed and i. So a resumed run sees the tiles that an
    uninterrupted one would have seen, with any number of workers. That holds as long as the images stay the same,
    which nothing checks.

    Parameters
    ----------
    labeled_images : sequence of LabeledImage
        At least one. Sources are drawn by their weights (``data.sources``), whatever their sizes.
    config : Config
        ``training.augment`` says how tiles are changed, ``training.object_tiles`` which share of them is cut
        around an object. ``training.augment.same_diameter`` brings objects to ``images.diameter``, or to the
        median diameter of all; images with too few objects to tell theirs stay as they are.
    size : int
        Side of a tile in pixels.
    length : int
        Number of tiles in the run.
    unlabeled : sequence of ndarray of uint8, shape (H, W)
        Gray images, whose amplitudes are mixed in beside those of other sources (``training.augment.spectrum``).

    Raises
    ------
    InputError
        If every tile is to have an object, and no image has one; or if no pixel of any image counts.
    """

    def __init__(
        self,
        labeled_images: Sequence[LabeledImage],
        config: Config,
        *,
        size: int,
        length: int,
        unlabeled: Sequence[NDArray[np.uint8]] = (),
    ) -> None:
        self._augment, self._object_share = config.training.augment, config.training.object_tiles
        drawn = [one for one in labeled_images if one.valid is None or one.valid.any()]
        if labeled_images and not drawn:
            raise InputError(
                f"none of the {len(labeled_images)} training images has a valid pixel; check the masks of valid "
                "pixels and ignore_label in data.sources"
            )
        if self._object_share == 1:
            drawn = [labeled_image for labeled_image in drawn if labeled_image.labels.any()]
            if not drawn:
                raise InputError(
                    "training.object_tiles=1 cuts every tile around an object, and none of the "
                    f"{len(labeled_images)} training images has one; check the labels, or set it below 1"
                )
        weights = {source.name: source.weight for source in config.data.sources}
        self._sources = [
            [labeled_image for labeled_image in drawn if labeled_image.source == name]
            for name in sorted({labeled_image.source for labeled_image in drawn})
            for _ in range(weights.get(name, 1))
        ]
        self._size, self._length, self._seed, self._zoom = size, length, config.seed, config.images.zoom
        low, high = (limit * self._zoom for limit in self._augment.zoom)
        self._others = OtherPictures(drawn, unlabeled, size=size, zoom_range=(low, high))
        self._diameter = (config.images.diameter or median_diameter(drawn)) if self._augment.same_diameter else 0.0
        self._donors: dict[str, list[LabeledImage]] = {}
        for one in drawn if self._augment.paste else []:
            if one.labels.any():
                self._donors.setdefault(one.source, []).append(one)
        # Measured once: it takes as long as cutting a tile. By name, which a worker process keeps.
        self._diameters = {
            labeled_image.name: typical_diameter(labeled_image.labels)
            for labeled_image in (drawn if self._diameter else [])
        }

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Tile:
        """Make one tile."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        rng, augment = np.random.default_rng((self._seed, index)), self._augment
        source = self._sources[rng.integers(len(self._sources))]
        labeled_image = source[rng.integers(len(source))]
        same_diameter = bool(self._diameter) and rng.random() < augment.same_diameter
        own = self._image_zoom(labeled_image, same_diameter)
        low, high = (limit * self._zoom * own for limit in augment.zoom)
        zoom = draw_zoom((low, high), rng)
        matrix = draw_matrix(rotate=augment.rotate, stretch=augment.stretch, rng=rng)
        margin = 0 if matrix is None else margin_around(self._size, matrix)
        image, labels, prompts = cut_tile(
            labeled_image, self._size, zoom, rng, object_share=self._object_share, margin=margin
        )
        if matrix is not None:
            image, labels, prompts = spin_tile(image, labels, prompts, matrix=matrix, size=self._size)
        # User prompts speak of objects that are there.
        if augment.paste and not labeled_image.prompts and rng.random() < augment.paste:
            pools = self._donors_for(labeled_image.source)
            image, labels = self._with_pasted(image, labels, pools, zoom / own, same_diameter, rng)
        if augment.elastic:
            image, labels, prompts = bend_tile(image, labels, prompts, largest=augment.elastic, rng=rng)
        image = change_intensity(image, augment, rng, other=partial(self._others.draw, labeled_image.source, rng))
        planes = np.repeat(image.transpose(2, 0, 1), 3 // image.shape[-1], axis=0)
        return Tile(torch.from_numpy(planes), torch.from_numpy(labels), tuple(prompts))

    def _with_pasted(
        self,
        image: NDArray[np.float32],
        labels: NDArray[np.int32],
        pools: Sequence[Sequence[LabeledImage]],
        zoom: float,
        same_diameter: bool,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Paste objects of one of the sources, seen at about the tile's zoom on top of their own image's."""
        if not pools:
            return image, labels
        pool = pools[int(rng.integers(len(pools)))]
        zoom *= float(np.exp(rng.uniform(-PASTED_ZOOM, PASTED_ZOOM)))
        # An object that ends at the border of its image is not whole together with its mirror image.
        one = pool[int(rng.integers(len(pool)))]
        zoom *= self._image_zoom(one, same_diameter)
        donor, donor_labels, _ = cut_tile(one, self._size, zoom, rng, object_share=1.0, mirrored=False)
        # A stained object on a gray image would be known by its color.
        if donor.shape != image.shape:
            return image, labels
        return paste_objects(image, labels, donor, donor_labels, rng=rng)

    def _donors_for(self, source: str) -> list[list[LabeledImage]]:
        """List the images whose objects are pasted: of other sources, or of this one where there is no other."""
        others = [images for name, images in self._donors.items() if name != source]
        return others or list(self._donors.values())

    def _image_zoom(self, labeled_image: LabeledImage, same_diameter: bool) -> float:
        """Zoom of an image to the diameter of all, or else by its pixel size."""
        known = 1.0 if labeled_image.zoom is None else labeled_image.zoom
        if not same_diameter:
            return known
        own = self._diameters[labeled_image.name]
        return known if own is None else wanted_zoom(own, trained=self._diameter)


def draw_zoom(zoom_range: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw a zoom log-uniformly."""
    return float(np.exp(rng.uniform(np.log(zoom_range[0]), np.log(zoom_range[1]))))


def median_diameter(labeled_images: Sequence[LabeledImage]) -> float:
    """Diameter of the circle of an object's area, the median over all objects; in pixels of the images.

    Images of known zoom count as zoomed. At least one of the images has an object.
    """
    known = [(one.labels, 1.0 if one.zoom is None else one.zoom) for one in labeled_images]
    areas = np.concatenate([np.bincount(labels.ravel())[1:] * zoom**2 for labels, zoom in known])
    return round(float(np.sqrt(4 * np.median(areas[areas > 0]) / np.pi)), 2)


def cut_tile(
    labeled_image: LabeledImage,
    size: int,
    zoom: float,
    rng: np.random.Generator,
    *,
    object_share: float,
    margin: int = 0,
    mirrored: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.int32], list[Prompt]]:
    """Cut a window, bring it to ``size`` and turn it; what lies outside the image is mirrored at its edges.

    Of an image with a mask of valid pixels the window holds at least one of them.

    Parameters
    ----------
    margin : int
        Pixels that are added on each side, whatever lies there.
    mirrored : bool
        Labels are mirrored, too; otherwise they are -1 outside the image.

    Returns
    -------
    image : ndarray of float32, shape (S, S, C)
        0 to 1; S is ``size`` and both margins, C is 1 where the window is gray, otherwise 3.
    labels : ndarray of int32, shape (S, S)
        The image's ids, or new ones where the window is mirrored; never interpolated. -1 where nothing is learnt.
    prompts : list of Prompt
        The user prompts that lie in the window.
    """
    side = max(1, round(size / zoom))
    height, width = labeled_image.labels.shape
    valid = labeled_image.valid
    if valid is None:
        center = np.array([rng.integers(height), rng.integers(width)])
    else:
        inside = np.flatnonzero(valid)
        center = np.array(divmod(int(inside[rng.integers(len(inside))]), width))
    ids = int(labeled_image.labels.max())
    if ids and rng.random() < object_share:
        pixels = np.flatnonzero(labeled_image.labels == rng.integers(1, ids + 1))
        if len(pixels):
            chosen = divmod(int(pixels[rng.integers(len(pixels))]), width)
            center = np.array(chosen) + rng.integers(-side // 4, side // 4 + 1, size=2)
    corner = center - side // 2
    # A window inside the image where it fits; otherwise the whole image, at a random place in the window.
    limits = [sorted((0, height - side)), sorted((0, width - side))]
    row, col = (int(np.clip(at, low, high)) for at, (low, high) in zip(corner, limits, strict=True))
    if margin:
        size += 2 * margin
        wide = max(1, round(size / zoom))
        row, col, side = row - (wide - side) // 2, col - (wide - side) // 2, wide
    window = Window(row, col, side, side)
    image = resize_window(read_window(labeled_image.image, window), size)
    nearest = ((np.arange(size) + 0.5) * side / size).astype(np.intp)
    labels = read_window(labeled_image.labels, window)
    if row < 0 or col < 0 or row + side > height or col + side > width:
        if mirrored:
            labels = part_pieces(labels)
        else:
            outside = np.ones_like(labels, dtype=bool)
            outside[max(-row, 0) : height - row, max(-col, 0) : width - col] = False
            labels = np.where(outside, IGNORED, labels)
    if valid is not None:
        labels = np.where(read_window(valid, window), labels, IGNORED)
    labels = labels[np.ix_(nearest, nearest)]
    quarter, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, labels = np.rot90(image, quarter), np.rot90(labels, quarter)
    if flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    prompts = place_prompts(labeled_image.prompts, window=window, size=size, quarter=quarter, flip=flip)
    return np.ascontiguousarray(image), np.ascontiguousarray(labels, dtype=np.int32), prompts
