"""Surfaces of instances from the borders that lines along the lattice's directions cross."""

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = np.array([step for step in product((0, 1, -1), repeat=3) if step > (0, 0, 0)], np.int64)
"""The 13 directions of a voxel's 26 neighbors, one of each opposite pair, as (z, y, x)."""


@lru_cache(maxsize=8)
def area_weights(voxel_size: tuple[float, float, float]) -> NDArray[np.float64]:
    """Say how much surface one crossing along each direction stands for.

    The surface is twice the mean, over all directions, of what lines along them cross (Crofton). Each of the 13
    directions stands for those nearest to it, which depends on the spacing. Balls of a radius of 5 voxels and more
    are right within 1 %, where the faces of voxels sum up to 50 % too much and marching cubes to 9 %. Flat sides
    along the axes come out too small: by 8 % for cubic voxels, by 16 % where slices are four times as far apart as
    rows.

    Parameters
    ----------
    voxel_size : tuple of float
        Spacing of slices, rows and columns.

    Returns
    -------
    ndarray of float64, shape (13,)
        In the square of the unit of the spacing, for `DIRECTIONS`.

    References
    ----------
    .. [1] G. Lehmann and D. Legland, Efficient N-dimensional surface estimation using Crofton formula and
       run-length encoding, Insight Journal, 2012.
    """
    # A slow import, needed only here.
    from scipy.spatial import SphericalVoronoi

    steps = DIRECTIONS * np.array(voxel_size)
    lengths = np.linalg.norm(steps, axis=1)
    unit = steps / lengths[:, None]
    nearest = SphericalVoronoi(np.concatenate([unit, -unit])).calculate_areas()[:13] / (2 * np.pi)
    # Lines along a direction through all voxels are as dense as voxel volume over step.
    weights: NDArray[np.float64] = 2 * nearest * np.prod(voxel_size) / lengths
    return weights
