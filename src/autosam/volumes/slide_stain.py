"""The stain of a slide or of a volume in color: measured once in a sample of its tissue, for all of its tiles."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.stain_normalization import Stain, StainChange, colored_share, find_change, stain_of
from autosam.volumes.contrast import Contrast, Slices, evenly

NEARLY = 0.7
"""Share of the most colored pixels that a window needs to count."""

SLICES = 3
"""Slices of a volume that are looked at."""

PIECES, SIDE = 12, 256
"""Of each, ``PIECES`` × ``PIECES`` windows of so many pixels a side, as many as fit."""


def find_slide_stain(source: Slices, contrast: Contrast, references: Sequence[Stain]) -> StainChange | None:
    """Find how a slide gets the colors of the training images, as `normalize_stain` does with an image.

    A training image is tissue, and a slide mostly glass, so that only windows count in which nearly as many pixels
    have a color as in any. The stain of the slide is the median of theirs, number by number. None where it is
    usual, or where there is no color.
    """
    if not len(references):
        return None
    found = [_stain(contrast, *piece) for piece in _pieces(source)]
    enough = NEARLY * max((share for share, _ in found), default=0.0)
    stains = [stain for share, stain in found if stain is not None and share >= enough]
    if not stains:
        return None
    first, second, third, fourth, fifth, sixth = np.median(stains, axis=0).tolist()
    return find_change((first, second, third, fourth, fifth, sixth), references)


def _stain(contrast: Contrast, z: int, pixels: NDArray[np.generic]) -> tuple[float, Stain | None]:
    """Give the share of colored pixels and the stain of a window."""
    image = np.asarray(contrast.scaled(pixels, z) / np.float32(255), np.float32)
    return colored_share(image), stain_of(image)


def _pieces(source: Slices) -> Iterator[tuple[int, NDArray[np.generic]]]:
    depth, height, width = source.shape
    for z in evenly(depth, SLICES):
        for rows in _spans(height):
            for cols in _spans(width):
                try:
                    pixels = source.read(z, (rows, cols))
                except InputError:
                    continue
                if pixels.ndim == 2:
                    return
                yield z, pixels


def _spans(length: int) -> list[slice]:
    count = min(PIECES, -(-length // SIDE))
    side = min(length, SIDE)
    return [slice(at, at + side) for at in ((length - side) * i // max(count - 1, 1) for i in range(count))]
