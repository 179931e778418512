"""Cut one object into parts, by a point in each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed


def split_object(mask: NDArray[np.bool_], points: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
    """Cut an object where it is narrow between points, by a watershed on its distance transform.

    Each point climbs from the outline away to a place that is deepest around it. From these ways the watershed
    floods the distance to the outline, so that two parts meet at the neck between them (Beucher and Lantuéjoul
    1979). Where two points come to one place, there is no neck between them, and every pixel goes to the point
    that is nearest within the object.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object.
    points : sequence of (int, int)
        Row and column of a pixel of each part; all on the object, no two on one pixel.

    Returns
    -------
    ndarray of int32, shape (h, w)
        1 to k for the parts in order of the points, 0 beside the object. Every pixel of the object is in a part:
        pieces of it that hold no point go to the nearest part.

    Examples
    --------
    >>> split_object(np.ones((1, 5), bool), [(0, 0), (0, 4)]).tolist()
    [[1, 1, 1, 2, 2]]
    """
    padded = np.pad(mask, 1)
    # Smoothed, for a rough outline has many small maxima.
    depth = np.where(padded, ndimage.gaussian_filter(ndimage.distance_transform_edt(padded), 1.0), 0.0)
    ways = [_climb(depth, (row + 1, col + 1)) for row, col in points]
    if len({way[-1] for way in ways}) < len(ways):
        depth, ways = np.zeros_like(depth), [way[:1] for way in ways]
    markers = np.zeros(padded.shape, np.int32)
    for number, way in enumerate(ways, 1):
        markers[tuple(np.transpose(way))] = number
    parts = watershed(-depth, markers, mask=padded, connectivity=2)
    alone = padded & (parts == 0)
    if alone.any():
        nearest = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
        parts[alone] = parts[tuple(nearest[:, alone])]
    return np.asarray(parts[1:-1, 1:-1], np.int32)


def _climb(depth: NDArray[np.float64], place: tuple[int, int]) -> list[tuple[int, int]]:
    """Go from a pixel to the deepest of its eight neighbors, until none is deeper; never to the border."""
    way = [place]
    while True:
        row, col = way[-1]
        around = depth[row - 1 : row + 2, col - 1 : col + 2]
        step = np.unravel_index(int(np.argmax(around)), around.shape)
        if around[step] <= depth[row, col]:
            return way
        way.append((row - 1 + int(step[0]), col - 1 + int(step[1])))
