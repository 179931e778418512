"""Random intensities of a training tile: gray levels, sharpness, noise, and places that lost their content."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BAND_SHARE = (0.01, 0.05)
"""Width of a lost band as a share of the tile's side."""

PATCH_SHARE = (0.05, 0.25)
"""Sides of a lost patch as shares of the tile's side."""


def change_intensity(
    image: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    contrast: float = 0.0,
    brightness: float = 0.0,
    noise: float = 0.0,
    blur: float = 0.0,
    color: float = 0.0,
) -> NDArray[np.float32]:
    """Change gamma, contrast, brightness, color, sharpness and noise.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, 3)
        0 to 1.
    rng : numpy Generator
    contrast, brightness, noise, blur, color : float
        Ranges as in `tiles.Augmentation`; 0 leaves the image as it is.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        0 to 1.
    """
    gamma = np.exp(rng.uniform(-contrast, contrast))
    gain = 1 + rng.uniform(-contrast, contrast)
    offset = rng.uniform(-brightness, brightness)
    sigma = rng.uniform(0, blur) if rng.random() < 0.5 else 0.0
    amplitude = rng.uniform(0, noise)
    changed = image**gamma if contrast else image
    mean = changed.mean()
    changed = (changed - mean) * gain + mean + offset
    # Drawn only where it is asked for, and where there is color: gray images come as three equal channels.
    if color and np.ptp(image, axis=-1).any():
        changed = 1 - (1 - changed) * np.exp(rng.uniform(-color, color, size=3))
    if sigma > 0.2:
        changed = ndimage.gaussian_filter(changed, (sigma, sigma, 0))
    if amplitude > 0:
        # One value for all channels: gray images come as three equal ones.
        changed = changed + amplitude * rng.standard_normal((*changed.shape[:2], 1), dtype=np.float32)
    return np.asarray(np.clip(changed, 0, 1), dtype=np.float32)


def lose_content(
    image: NDArray[np.float32], labels: NDArray[np.int32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Blank a band across the tile or a patch of it, as folds, knife marks, dirt and charging do.

    What is left there is the mean of the tile, nearly white or nearly black. An object that is seen for the larger
    part stays whole in the labels: an annotator draws it across a fold, and so shall the networks. This is what
    the MissingParts of pytorch_connectomics does with every object (Lin et al. 2021, "PyTorch Connectomics", which
    leaves the labels alone). There the neighboring slices tell what is hidden; a single one does not, so here the
    hidden pixels of an object that is hidden for the larger part become background. To ask for them would teach to
    invent objects.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, 3)
        0 to 1.
    labels : ndarray of int32, shape (H, W)
    rng : numpy Generator

    Returns
    -------
    image, labels : ndarray
        New arrays of the same shapes and types.
    """
    hidden = _random_region(labels.shape, rng)
    level = (float(image.mean()), rng.uniform(0.9, 1.0), rng.uniform(0.0, 0.1))[rng.integers(3)]
    image = image.copy()
    image[hidden] = level
    ids, total = np.unique(labels, return_counts=True)
    lost, unseen = np.unique(labels[hidden], return_counts=True)
    mostly = lost[2 * unseen > total[np.searchsorted(ids, lost)]]
    labels = labels.copy()
    labels[hidden] = np.where(np.isin(labels[hidden], mostly), 0, labels[hidden])
    return image, labels


def _random_region(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice]:
    """Give a band along rows, one along columns, or a rectangle, at a random place."""
    band, along_rows = rng.random() < 0.5, rng.random() < 0.5
    region = []
    for axis, side in enumerate(shape):
        low, high = BAND_SHARE if band else PATCH_SHARE
        extent = max(1, round(rng.uniform(low, high) * side))
        start = int(rng.integers(side - extent + 1))
        whole = band and axis == int(along_rows)
        region.append(slice(0, side) if whole else slice(start, start + extent))
    return region[0], region[1]
