"""Negative points: where an object is not, because its neighbors are there."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.errors import ConfigError
from autosam.prompts.points import place_points

REACH = 32.0
"""Distance, in pixels between pixel centers, within which another region is a neighbor."""


def find_negatives(
    regions: NDArray[np.integer], *, count: int, reach: float = REACH
) -> dict[int, NDArray[np.float64]]:
    """Find negatives of every region: the deepest points of its nearest neighbors, one of each.

    Negatives never lie on background, where the generator may have missed a part of the object.

    Parameters
    ----------
    regions : ndarray of int, shape (H, W)
        0 is background.
    count : int
        Largest number of negatives per region.
    reach : float
        A region is a neighbor if one of its pixels lies within this many pixels of one of the object's.

    Returns
    -------
    dict of int to ndarray of float64, shape (k, 2)
        For every region id, row and column of its k <= ``count`` negatives, nearest neighbor first; (0, 2) for a
        region without neighbors.

    Raises
    ------
    ConfigError
        If the count or the reach is negative.

    Examples
    --------
    >>> import numpy as np
    >>> find_negatives(np.array([[1, 0, 2, 2, 2]]), count=1)
    {1: array([[0., 2.]]), 2: array([[0., 0.]])}
    """
    if count < 0 or reach < 0:
        raise ConfigError(f"the number of negatives is {count} and their reach {reach}, wanted 0 or more of both")
    boxes = {region: box for region, box in enumerate(ndimage.find_objects(regions), start=1) if box is not None}
    deepest: dict[int, NDArray[np.float64]] = {}
    found = {}
    for region, box in boxes.items():
        near = _neighbors(regions, region, box, reach)[:count] if count else []
        for other in near:
            if other not in deepest:
                rows, cols = boxes[other]
                inside = place_points(regions[rows, cols] == other, method="distance", count=1)[0]
                deepest[other] = inside + np.array([rows.start, cols.start])
        found[region] = np.array([deepest[other] for other in near], dtype=np.float64).reshape(-1, 2)
    return found


def _neighbors(regions: NDArray[np.integer], region: int, box: tuple[slice, slice], reach: float) -> list[int]:
    """List the ids within reach, nearest first, equals by id."""
    step = int(np.ceil(reach))
    crop = regions[tuple(slice(max(side.start - step, 0), side.stop + step) for side in box)]
    others = np.unique(crop[(crop != 0) & (crop != region)])
    if others.size == 0:
        return []
    distance = ndimage.minimum(ndimage.distance_transform_edt(crop != region), crop, others)
    order = np.argsort(distance, kind="stable")
    return [int(others[i]) for i in order if distance[i] <= reach]
