"""Pictures of other sources, whose spectra are mixed into a tile's own."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from autosam.data.folders import LabeledImage
from autosam.images import Window, read_window
from autosam.training.samples.planes import Plane


class OtherPictures:
    """Gray windows of all images, drawn from another source than a tile's.

    Parameters
    ----------
    labeled_images : sequence of LabeledImage
        Each source is drawn as often as any other.
    unlabeled : sequence of ndarray of uint8, shape (H, W) or (H, W, 3)
        Together they are one source more.
    size : int
        Side of a tile in pixels.
    zoom_range : tuple of float
        How much the windows are zoomed, drawn log-uniformly.
    """

    def __init__(
        self,
        labeled_images: Sequence[LabeledImage],
        unlabeled: Sequence[NDArray[np.uint8]],
        *,
        size: int,
        zoom_range: tuple[float, float],
    ) -> None:
        self._size, self._zoom_range = size, zoom_range
        self._sources: dict[str, list[NDArray[np.uint8]]] = {}
        for one in labeled_images:
            self._sources.setdefault(one.source, []).append(one.image)
        self._unlabeled = list(unlabeled)

    def draw(self, source: str, rng: np.random.Generator) -> Plane:
        """Draw a picture, (size, size), of another source than this; of the same one where there is no other."""
        pools = [images for name, images in self._sources.items() if name != source]
        pools += [self._unlabeled] if self._unlabeled else []
        pool = (pools or [self._sources[source]])[rng.integers(max(1, len(pools)))]
        image = pool[rng.integers(len(pool))]
        low, high = np.log(self._zoom_range)
        side = max(1, round(self._size / float(np.exp(rng.uniform(low, high)))))
        row, col = (int(rng.integers(max(1, length - side + 1))) for length in image.shape[:2])
        pixels = read_window(image, Window(row, col, side, side))
        gray = pixels.mean(axis=-1, dtype=np.float32) if pixels.ndim == 3 else pixels.astype(np.float32)
        planes = torch.from_numpy(gray / 255)[None, None]
        resized = F.interpolate(planes, (self._size, self._size), mode="bilinear", antialias=side > self._size)
        return resized[0, 0].numpy()
