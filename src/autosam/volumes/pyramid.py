"""Coarser levels of a label pyramid: of the voxels that one stands for, the most frequent id."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.store_levels import Region


def write_level(store: LabelStore, region: Region, level: int) -> None:
    """Make one region of a level, 1 or above, from the next finer level, which has to be whole.

    Regions depend on nothing else and can be made in any order, in any process.

    Raises
    ------
    OutputError
        If the disk is full or refuses.
    """
    finer, own = store.levels[level - 1], store.levels[level]
    factors = [b // a for a, b in zip(finer.factors, own.factors, strict=True)]
    coarse = np.zeros([part.stop - part.start for part in region], store.dtype)
    # Chunk by chunk, which bounds the memory, and reads none of the finer ones twice.
    steps = [range(0, length, side) for length, side in zip(coarse.shape, own.chunk, strict=True)]
    for corner in product(*steps):
        spans = list(zip(corner, own.chunk, coarse.shape, region, factors, finer.shape, strict=True))
        inside = tuple(slice(at, min(at + side, length)) for at, side, length, *_ in spans)
        z, y, x = (
            slice((part.start + at) * factor, min((part.start + min(at + side, length)) * factor, end))
            for at, side, length, part, factor, end in spans
        )
        coarse[inside] = take_modes(store.read((z, y, x), level - 1), factors)
    store.write(region, coarse, level)


def take_modes(labels: NDArray[np.integer[Any]], factors: list[int]) -> NDArray[Any]:
    """Shrink labels (Z, Y, X) by factors of 1 or 2: each block becomes its most frequent id.

    Of a tie, instances go before background, and among them the lowest id. At an odd end, the block is smaller.

    Returns
    -------
    ndarray of the same type, each side divided by its factor and rounded up

    Examples
    --------
    >>> take_modes(np.array([[[0, 0, 7, 0, 5], [0, 3, 7, 0, 4]]]), [1, 2, 2]).tolist()
    [[[0, 7, 4]]]
    """
    # A last voxel that counts twice does not change which id is the most frequent.
    margins = [(0, length % factor) for length, factor in zip(labels.shape, factors, strict=True)]
    padded = np.pad(labels, margins, mode="edge") if any(after for _, after in margins) else labels
    corners = [
        padded[z :: factors[0], y :: factors[1], x :: factors[2]]
        for z in range(factors[0])
        for y in range(factors[1])
        for x in range(factors[2])
    ]
    coarse = corners[0].copy()
    mixed = np.zeros(coarse.shape, bool)
    for corner in corners[1:]:
        mixed |= corner != coarse
    if mixed.any():
        # Few blocks hold more than one id. Ascending, so that of a tie the lowest comes first.
        ids = np.sort(np.stack([corner[mixed] for corner in corners]), axis=0)
        votes = np.zeros(ids.shape, np.uint8)
        for other in ids:
            votes += ids == other
        votes = 2 * votes + (ids != 0)
        coarse[mixed] = np.take_along_axis(ids, votes.argmax(axis=0)[None], axis=0)[0]
    return coarse
