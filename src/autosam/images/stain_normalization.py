"""Stain normalization: stained tissue with unusual colors is given the colors of training images.

The colors of a slide depend on the laboratory's stains and scanner as much as on the tissue. Networks that have
seen a dozen slides fail on pale ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

Stain = tuple[float, float, float, float, float, float]
"""Means of L*, a* and b* over an image, then their standard deviations."""

COLORFUL = 0.05
"""Difference between a pixel's channels, of 0 to 1, above which it has a color."""

COLORED = 0.05
"""Share of pixels with a color above which an image is colored."""

NEAREST = 10
"""Number of nearest training images whose mean stain is the target."""

FARTHEST = 3.0
"""An image this many times beyond the limit is not stained tissue, and is left alone."""

FEWEST = 20
"""With fewer training images, the spread of their stains is not known."""

LIMIT = 95.0
"""Percentile of the distances from training images to their nearest one, beyond which a stain is unusual."""


def stain_of(image: NDArray[np.float32]) -> Stain | None:
    """Measure the stain of an RGB image, (H, W, 3), 0 to 1; None where it is gray, or nearly so."""
    return _measure(image) if colored_share(image) > COLORED else None


def colored_share(image: NDArray[np.float32]) -> float:
    """Give the share of the pixels of an RGB image, (H, W, 3), 0 to 1, that have a color."""
    if image.strides[2] == 0:
        # One plane, three times.
        return 0.0
    first, second, third = np.moveaxis(image, -1, 0)
    # Planes are compared many times as fast as the three numbers of each pixel.
    highest, lowest = np.maximum(np.maximum(first, second), third), np.minimum(np.minimum(first, second), third)
    return float((highest - lowest > COLORFUL).mean())


def stain_target(stain: Stain, references: Sequence[Stain]) -> Stain | None:
    """Choose the target stain of an image: the mean of the ``NEAREST`` of the training images' stains.

    Distances are Euclidean, in units of the references' standard deviation of each number. A stain is unusual if
    its nearest reference is farther than ``LIMIT`` percent of the references are from theirs. None where the stain
    is usual, so far away that the image is something else, or where the references are fewer than ``FEWEST`` or do
    not vary in a number.
    """
    known = np.array(references, dtype=np.float64).reshape(-1, 6)
    if len(known) < FEWEST or not (spread := known.std(axis=0)).all():
        return None
    among = np.linalg.norm((known[:, None] - known) / spread, axis=-1)
    np.fill_diagonal(among, np.inf)
    distances = np.linalg.norm((known - stain) / spread, axis=-1)
    limit = np.percentile(among.min(axis=0), LIMIT)
    if not limit < distances.min() <= FARTHEST * limit:
        return None
    return _as_stain(known[np.argsort(distances, kind="stable")[:NEAREST]].mean(axis=0))


def normalize_stain(image: NDArray[np.float32], references: Sequence[Stain]) -> NDArray[np.float32] | None:
    """Give a colored image of unusual stain that of the references; None where there is nothing to do."""
    own = stain_of(image) if len(references) else None
    change = None if own is None else find_change(own, references)
    return None if change is None else change.apply(image)


def find_change(own: Stain, references: Sequence[Stain]) -> "StainChange | None":
    """Find how an image of a stain gets that of the references; None where it is usual, see `stain_target`."""
    wanted = stain_target(own, references)
    return None if wanted is None else StainChange(own, wanted)


@dataclass(frozen=True)
class StainChange:
    """From one stain to another.

    Attributes
    ----------
    own, target : Stain
        That of the image that was measured, and the one to give it.
    """

    own: Stain
    target: Stain

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change an RGB image, (H, W, 3), 0 to 1, or any part of it, by the means and deviations of the whole.

        Colors that RGB cannot show are clipped.

        References
        ----------
        Reinhard et al., "Color transfer between images", IEEE Computer Graphics and Applications 21 (2001), here
        in CIE L*a*b* instead of lαβ, as is common for tissue.
        """
        lab = rgb2lab(image)
        # In the type that they were measured in: a whole image gets the same bytes as ever.
        own = np.array(self.own, lab.dtype)
        # A constant channel cannot be stretched.
        gain = np.divide(self.target[3:], own[3:], out=np.ones(3), where=own[3:] > 0.01)
        moved = (lab - own[:3]) * gain + np.array(self.target[:3])
        moved[..., 0] = np.clip(moved[..., 0], 0, 100)
        # No light is more yellow: beyond this skimage warns of negative values of CIE's Z.
        moved[..., 2] = np.minimum(moved[..., 2], 199.9 * (moved[..., 0] + 16) / 116)
        return np.asarray(np.clip(lab2rgb(moved), 0, 1), dtype=np.float32)


def transfer_stain(image: NDArray[np.float32], stain: Stain) -> NDArray[np.float32]:
    """Give an RGB image, (H, W, 3), 0 to 1, the means and standard deviations of another stain."""
    return StainChange(_measure(image), stain).apply(image)


def _measure(image: NDArray[np.float32]) -> Stain:
    lab = rgb2lab(image).reshape(-1, 3)
    return _as_stain(np.concatenate([lab.mean(axis=0), lab.std(axis=0)]))


def _as_stain(values: NDArray[np.floating]) -> Stain:
    first, second, third, fourth, fifth, sixth = map(float, values)
    return first, second, third, fourth, fifth, sixth
