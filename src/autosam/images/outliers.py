"""Where a percentile of all pixels is no good limit: specks far above the rest, or too few objects to count.

All intensities here are those of blocks, scaled so that the percentiles are 0 and 1.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.images.blocks import SIDE, Blocks

FEWEST = 64
"""Blocks that tell what an image is like; images with fewer keep their percentiles."""

TEXTURE = 4.0
"""Texture (see `measure_texture`) from which all of an image shows something, as tissue does in an electron
micrograph. White noise has 1; electron micrographs have 4.5 to 10."""

FLAT = 2.5
"""Texture below which the darker half of an image is background; fluorescence images mostly have 1 to 2."""

FAR = 5.0
"""Specks in a textured image move the percentile this many spreads above the median; usual are 1.5 to 2.5."""

FAR_BELOW = 16.0
"""The same below the median. Stained nuclei on a bright ground, which are no specks, lie up to 14 below it."""

SPREADS = 2.0
"""Spreads from the median to the limit without specks: the 99.5th percentile of a normal distribution."""

SIGNAL = 8.0
"""Spreads of the background above it, where objects begin."""

HEADROOM = 1.25
"""The limit over the 90th percentile of the objects' blocks, as it is where percentiles do well."""

FEW = 3.0
"""Objects this much brighter than the limit were too few to count for it."""

DIM = 5.0
"""A speck is this many times as bright as the median object, and so is the limit that it has moved."""

SPECKS = 0.05
"""Largest share of the image that specks cover."""

ENOUGH = 3
"""So many ordinary objects, or an area of them of ``SHARE``, make the brightest ones specks."""

SHARE = 0.25
"""See ``ENOUGH``: their area over that of the specks."""

SMALLEST = 3
"""Smallest object in blocks; hot pixels are smaller."""

CHANGE = 0.25
"""A limit is not moved by less than this share of the range."""


def limit_beyond_outliers(blocks: Blocks, rest: NDArray[np.bool_], *, far: float, steps: float) -> float | None:
    """Find the upper limit of an image whose percentiles are 0 and 1, if 1 is no good one.

    Parameters
    ----------
    blocks : Blocks
        Of the image.
    rest : ndarray of bool
        Those to look at.
    far : float
        ``FAR`` or ``FAR_BELOW``; infinite for images in color, whose darkest objects are what stains have colored.
    steps : float
        Difference between neighboring intensities, 0 for floating point numbers.

    Returns
    -------
    float or None
        None where 1 does well. In a textured image a number below 1. On a flat background a small one, if specks
        are brighter than all objects; a large one, if objects cover too little for the percentile.
    """
    values = blocks.mean[rest]
    if len(values) < FEWEST:
        return None
    median = float(np.median(values))
    noise = _noise(blocks, rest, median, steps)
    texture = measure_texture(blocks.mean, rest, median, noise)
    if texture >= TEXTURE:
        lower, upper = np.percentile(values, [10, 90])
        spread = max(float(upper) - median, median - float(lower))
        limit = median + SPREADS * spread if 1 - median > far * spread > 0 else None
    else:
        spread = max(median - float(np.percentile(values, 16)), noise)
        limit = _limit_of_objects(np.where(rest, blocks.mean - median, 0), SIGNAL * spread, 1 - median, texture)
        limit = None if limit is None else median + limit
    return limit if limit is not None and abs(limit - 1) > CHANGE else None


def is_textured(blocks: Blocks, rest: NDArray[np.bool_], *, steps: float) -> bool:
    """Tell whether all of an image, or of a part of one, shows something; False for few blocks."""
    values = blocks.mean[rest]
    if len(values) < FEWEST:
        return False
    median = float(np.median(values))
    return measure_texture(blocks.mean, rest, median, _noise(blocks, rest, median, steps)) >= TEXTURE


def shows_something(blocks: Blocks, rest: NDArray[np.bool_], *, steps: float) -> bool:
    """Tell whether an image, or a part of one, is textured or has objects on its background: not noise alone."""
    values = blocks.mean[rest]
    if len(values) < FEWEST:
        return False
    if is_textured(blocks, rest, steps=steps):
        return True
    median = float(np.median(values))
    spread = max(median - float(np.percentile(values, 16)), _noise(blocks, rest, median, steps))
    parts, count = ndimage.label(np.where(rest, blocks.mean - median, 0) > SIGNAL * spread, np.ones((3, 3), bool))
    return bool(count and np.bincount(parts.ravel())[1:].max() >= SMALLEST)


def measure_texture(means: NDArray[np.float32], rest: NDArray[np.bool_], median: float, noise: float) -> float:
    """Compare how much blocks differ at a distance of three blocks with how much white noise would let them.

    Only the darker half counts, so that bright objects on a background are no texture. 0 where nothing differs.
    """
    differences = []
    for one, other in ((np.s_[3:], np.s_[:-3]), (np.s_[:, 3:], np.s_[:, :-3])):
        first, second = means[one], means[other]
        dark = rest[one] & rest[other] & (first + second <= 2 * median)
        differences.append(np.abs(first - second)[dark])
    pairs = np.concatenate(differences)
    return float(np.median(pairs)) / (0.6745 * 2**0.5 * noise) if len(pairs) and noise > 0 else 0.0


def _noise(blocks: Blocks, rest: NDArray[np.bool_], median: float, steps: float) -> float:
    """Estimate the standard deviation of a block's mean from its pixels, in the darker half."""
    variance = float(np.median(blocks.variance[rest & (blocks.mean <= median)]))
    return math.sqrt(max(variance, steps**2 / 12)) / SIDE


def _limit_of_objects(above: NDArray[np.float32], least: float, limit: float, texture: float) -> float | None:
    """Find the limit above the background from the brightness of objects; None where `limit` does well."""
    parts, count = ndimage.label(above > least, np.ones((3, 3), bool))
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    numbers = np.arange(1, count + 1)[areas[1:] >= SMALLEST]
    if not len(numbers):
        return None
    peaks = ndimage.maximum(above, parts, numbers)
    # Of two objects, the dimmer one is typical.
    specks = peaks > DIM * np.sort(peaks)[(len(peaks) - 1) // 2]
    speck_area, other_area = areas[numbers[specks]].sum(), areas[numbers[~specks]].sum()
    others = (~specks).sum() >= ENOUGH or other_area >= SHARE * speck_area
    if speck_area > SPECKS * above.size or not others:
        specks[:] = False
    wanted = HEADROOM * float(np.percentile(above[np.isin(parts, numbers[~specks])], 90))
    too_few = texture < FLAT and wanted > FEW * limit
    too_dim = specks.any() and wanted * DIM < limit
    return wanted if too_few or too_dim else None
