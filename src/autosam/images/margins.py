"""Margins that are no part of an image: frames, padding, text bars, the surroundings of a mosaic."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.images.blocks import Blocks

EVEN = 0.01
"""Blocks are a margin's if their pixels lie this near to the lowest or highest intensity, of the whole range."""

GAP = 0.25
"""A margin is this far from the intensities of the rest, of the rest's range. Otherwise it does no harm."""

ALONG = 1 / 3
"""A margin touches this share of a side of the image; an object that is cut by the border does not."""

SMALLEST = 0.002
"""Smallest margin, as a share of the image."""

ISLAND = 0.1
"""Parts of the rest below this share of the largest one belong to the margin, as the letters in a text bar."""

DEPTH = 4
"""Blocks from the margin to the inside of the rest."""

SOLID = 0.5
"""Share of the rest that lies inside, where the margin is no straight frame. Objects cut out of their background
have less: their background is no margin."""


def find_rest(blocks: Blocks) -> NDArray[np.bool_] | None:
    """Find the blocks of an image that are in no margin; None where there is none, or it does no harm."""
    lowest, highest = np.nanmin(blocks.least, initial=np.inf), np.nanmax(blocks.most, initial=-np.inf)
    near = EVEN * (highest - lowest)
    if not near > 0:
        return None
    empty = np.isnan(blocks.mean)
    dark = _touching(empty | (blocks.most <= lowest + near))
    bright = _touching(empty | (blocks.least >= highest - near))
    for margin in (dark | bright, dark, bright):
        rest = _without(margin)
        if rest is None:
            continue
        low, high = np.percentile(blocks.least[rest & ~empty], 1), np.percentile(blocks.most[rest & ~empty], 99)
        far_dark = not (margin & dark).any() or low - lowest > GAP * (high - low)
        far_bright = not (margin & bright).any() or highest - high > GAP * (high - low)
        if high > low and far_dark and far_bright:
            return rest
    return None


def _touching(even: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the parts that take a good share of a side of the image."""
    parts, _ = ndimage.label(even)
    kept: set[int] = set()
    for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        counts = np.bincount(side)
        kept.update(np.flatnonzero(counts >= max(1, ALONG * len(side))).tolist())
    return np.isin(parts, list(kept - {0}))


def _without(margin: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return what a margin leaves, without islands in it and the blocks on its edge; None if too little."""
    if not SMALLEST <= margin.mean() < 1:
        return None
    near = ndimage.binary_dilation(margin, np.ones((3, 3), bool))
    parts, count = ndimage.label(~near)
    if not count:
        return None
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    rest = (areas >= ISLAND * areas.max())[parts]
    rows, columns = np.flatnonzero(rest.any(axis=1)), np.flatnonzero(rest.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if margin[box].mean() > SMALLEST:
        inside = ndimage.binary_erosion(rest, np.ones((3, 3), bool), iterations=DEPTH, border_value=1)
        if inside.sum() < SOLID * rest.sum():
            return None
    return np.asarray(rest, dtype=bool)
