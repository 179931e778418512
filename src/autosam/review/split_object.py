"""Cut one object into parts, by a point in each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

SHALLOW = 0.95
"""Width between two parts, relative to the narrower one, above which there is no neck."""


def split_object(mask: NDArray[np.bool_], points: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
    """Cut an object where it is narrow between points, by a watershed on its distance transform.

    Each point climbs from the outline away to a place that is deepest around it. From these ways the watershed
    floods the distance to the outline, so that two parts meet at the neck between them (Beucher and Lantuéjoul
    1979). Where there is no neck between two points, every pixel goes to the point that is nearest within the
    object.

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
    parts = None
    if len({way[-1] for way in ways}) == len(ways):
        parts = _flood(depth, ways, padded)
    if parts is None or not _has_necks(depth, parts, ways):
        parts = _flood(np.zeros_like(depth), [way[:1] for way in ways], padded)
    alone = padded & (parts == 0)
    if alone.any():
        nearest = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
        parts[alone] = parts[tuple(nearest[:, alone])]
    return np.asarray(parts[1:-1, 1:-1], np.int32)


def _flood(
    depth: NDArray[np.float64], ways: Sequence[list[tuple[int, int]]], mask: NDArray[np.bool_]
) -> NDArray[np.int32]:
    markers = np.zeros(mask.shape, np.int32)
    for number, way in enumerate(ways, 1):
        markers[tuple(np.transpose(way))] = number
    return np.asarray(watershed(-depth, markers, mask=mask, connectivity=2), np.int32)


def _has_necks(
    depth: NDArray[np.float64], parts: NDArray[np.int32], ways: Sequence[list[tuple[int, int]]]
) -> bool:
    """Tell whether every part is narrower where it meets another one than at the end of its way."""
    peaks = np.array([0.0, *(depth[way[-1]] for way in ways)])
    padded, deep = np.pad(parts, 1), np.pad(depth, 1)
    rows, cols = np.nonzero(padded)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one, other = padded[rows, cols], padded[rows + down, cols + right]
        meet = (one != other) & (other > 0)
        between = np.minimum(deep[rows, cols], deep[rows + down, cols + right])[meet]
        if (between > SHALLOW * np.minimum(peaks[one[meet]], peaks[other[meet]])).any():
            return False
    return True


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
