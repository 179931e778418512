"""Negative points: where an object is not, because its neighbours are there."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.errors import ConfigError
from autosam.prompts.points import place_points

REACH = 32.0
"""Default distance, in pixels between pixel centres, within which another basin is a neighbour."""


def find_negatives(
    basins: NDArray[np.integer], *, count: int = 1, reach: float = REACH
) -> dict[int, NDArray[np.float64]]:
    """Find negatives of every basin: the deepest points of its nearest neighbours.

    A negative lies in another basin, never in the same one and never on background, where the generator may
    have missed a part of the object. Each neighbour gives one point, nearest neighbour first.

    Parameters
    ----------
    basins : ndarray of int, shape (H, W)
        Label image of the basins; 0 is background.
    count : int
        Largest number of negatives per basin.
    reach : float
        A basin is a neighbour if any pixel of it lies within this many pixels of the object's own.

    Returns
    -------
    dict of int to ndarray of float64, shape (k, 2)
        For every basin id, in order, row and column of its k <= ``count`` negatives in whole-image pixels;
        (0, 2) for a basin without neighbours.

    Raises
    ------
    ConfigError
        If the count or the reach is negative.

    Examples
    --------
    >>> import numpy as np
    >>> find_negatives(np.array([[1, 0, 2, 2, 2]]))
    {1: array([[0., 2.]]), 2: array([[0., 0.]])}
    """
    if count < 0:
        raise ConfigError(f"the number of negatives is {count}, wanted 0 or more: give a count")
    if reach < 0:
        raise ConfigError(f"the reach of negatives is {reach}, wanted 0 pixels or more: give a distance")
    boxes = {basin: box for basin, box in enumerate(ndimage.find_objects(basins), start=1) if box is not None}
    deepest: dict[int, NDArray[np.float64]] = {}
    found = {}
    for basin, box in boxes.items():
        near = _neighbours(basins, basin, box, reach)[:count] if count else []
        for other in near:
            if other not in deepest:
                rows, cols = boxes[other]
                inside = place_points(basins[rows, cols] == other, method="distance")[0]
                deepest[other] = inside + np.array([rows.start, cols.start])
        found[basin] = np.array([deepest[other] for other in near], dtype=np.float64).reshape(-1, 2)
    return found


def _neighbours(basins: NDArray[np.integer], basin: int, box: tuple[slice, slice], reach: float) -> list[int]:
    """List the ids within reach, nearest first, equals by id."""
    step = int(np.ceil(reach))
    crop = basins[tuple(slice(max(side.start - step, 0), side.stop + step) for side in box)]
    others = np.unique(crop[(crop != 0) & (crop != basin)])
    if others.size == 0:
        return []
    distance = ndimage.minimum(ndimage.distance_transform_edt(crop != basin), crop, others)
    order = np.argsort(distance, kind="stable")
    return [int(others[i]) for i in order if distance[i] <= reach]
