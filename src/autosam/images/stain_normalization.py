"""Stained tissue whose colors are unlike those of the training images, brought to theirs.

What a slide looks like depends on the laboratory's stains and scanner as much as on the tissue, and networks that
have seen a dozen slides take pale ones for something else.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

Stain = tuple[float, float, float, float, float, float]
"""Means of L*, a* and b* over an image, and their standard deviations."""

COLORFUL = 0.05
"""Difference between a pixel's channels, of 0 to 1, above which it has a color."""

COLORED = 0.05
"""Share of pixels with a color above which an image is colored."""

NEAREST = 10
"""Training images whose mean stain an unlike image is brought to."""

FARTHEST = 3.0
"""An image that lies this many times beyond the limit is no stained tissue, and stays as it is."""

FEWEST = 20
"""With fewer training images nothing is known of how far apart their stains are."""

LIMIT = 95.0
"""Percentage of the training images that have another one nearer than this: beyond it a stain is unlike them."""


def stain_of(image: NDArray[np.float32]) -> Stain | None:
    """Measure an image's stain.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, 3)
        Red, green and blue, 0 to 1.

    Returns
    -------
    Stain or None
        None where the image is gray, or nearly so.
    """
    colored = np.ptp(image, axis=-1) > COLORFUL
    if colored.mean() <= COLORED:
        return None
    lab = rgb2lab(image).reshape(-1, 3)
    return _as_stain(np.concatenate([lab.mean(axis=0), lab.std(axis=0)]))


def stain_target(stain: Stain, references: Sequence[Stain]) -> Stain | None:
    """Choose the stain that an image is to be brought to.

    Distances are Euclidean, in units of the references' standard deviation of each number. A stain is unlike the
    references if its nearest one is further away than ``LIMIT`` percent of them have another.

    Parameters
    ----------
    stain : Stain
        The image's own.
    references : sequence of Stain
        Those of the training images.

    Returns
    -------
    Stain or None
        The mean of the ``NEAREST`` references; None where the image is like some of them, or so far away that it
        is something else, or where the references are fewer than ``FEWEST`` or all alike in a number.
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
    """Bring a colored image whose stain is unlike the references' to theirs; None where nothing is to be done.

    See `stain_of`, `stain_target` and `transfer_stain`.
    """
    own = stain_of(image) if len(references) else None
    wanted = None if own is None else stain_target(own, references)
    return None if wanted is None else transfer_stain(image, wanted)


def transfer_stain(image: NDArray[np.float32], stain: Stain) -> NDArray[np.float32]:
    """Give an image the means and standard deviations of another stain.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, 3)
        Red, green and blue, 0 to 1.
    stain : Stain

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        0 to 1; colors beyond what red, green and blue can show are clipped.

    References
    ----------
    Reinhard et al., "Color transfer between images", IEEE Computer Graphics and Applications 21 (2001), here in
    CIE L*a*b* instead of lαβ, as is common for tissue.
    """
    lab = rgb2lab(image)
    own = lab.reshape(-1, 3)
    spread = own.std(axis=0)
    # A channel that is everywhere the same has nothing to stretch.
    gain = np.divide(stain[3:], spread, out=np.ones(3), where=spread > 0.01)
    moved = (lab - own.mean(axis=0)) * gain + np.array(stain[:3])
    moved[..., 0] = np.clip(moved[..., 0], 0, 100)
    # No light is that yellow: beyond it skimage warns of less than nothing of blue (CIE's Z).
    moved[..., 2] = np.minimum(moved[..., 2], 199.9 * (moved[..., 0] + 16) / 116)
    return np.asarray(np.clip(lab2rgb(moved), 0, 1), dtype=np.float32)


def _as_stain(values: NDArray[np.floating]) -> Stain:
    first, second, third, fourth, fifth, sixth = (float(value) for value in values)
    return (first, second, third, fourth, fifth, sixth)
