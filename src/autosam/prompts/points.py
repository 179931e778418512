"""Where to put the points of one object: on its centroid, its deepest pixel or its most probable pixels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.errors import ConfigError, InputError

METHODS = ("centroid", "distance", "probability")
"""The ways to place an object's first point."""


def check_placing(method: str, count: int) -> None:
    """Raise `ConfigError` for an unknown method or a negative number of points."""
    if method not in METHODS:
        raise ConfigError(f"point method {method!r} is unknown, wanted one of {', '.join(METHODS)}: choose one")
    if count < 0:
        raise ConfigError(f"the number of points is {count}, wanted 0 or more: give a count")


def place_points(
    mask: NDArray[np.bool_], probability: ArrayLike | None = None, *, method: str, count: int
) -> NDArray[np.float64]:
    """Place up to ``count`` points on the pixels of one object.

    ``centroid`` takes the object's own pixel nearest to its center of mass, which can lie outside a C-shaped
    object. ``distance`` takes the pixel deepest inside the object. Their further points come from farthest-point
    sampling [1]_: each is the pixel farthest from all points before it. Only pixels more than half as deep as the
    deepest are taken if there are enough of them, because a point on the outline tells SAM little. ``probability``
    takes the most probable pixels, as published. Ties go to the first pixel in raster order.

    The crop's edge counts as the object's edge, also along the image's border: the point of an object that the
    border cuts lies well inside its visible part.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object inside its crop.
    probability : array_like, shape (h, w), or None
        Foreground probability inside the crop; needed by ``probability`` alone.
    method : {"centroid", "distance", "probability"}
    count : int
        Number of points, 0 or more.

    Returns
    -------
    ndarray of float64, shape (k, 2)
        Row and column in pixels of the crop; k is ``count``, or the number of the object's pixels if that is less.

    Raises
    ------
    ConfigError
        If the method is unknown or the count negative.
    InputError
        If ``probability`` is needed and missing, or differs from the mask in shape.

    References
    ----------
    .. [1] T. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
       Science 38, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> place_points(np.ones((3, 7), dtype=bool), method="distance", count=2)
    array([[1., 1.],
           [1., 5.]])
    """
    check_placing(method, count)
    pixels: NDArray[np.intp] = np.argwhere(mask)
    if count == 0 or len(pixels) == 0:
        return np.zeros((0, 2), dtype=np.float64)
    if method == "probability":
        return pixels[_most_probable(mask, probability, count)].astype(np.float64)
    first = pixels[np.argmin(((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1))]
    if method == "distance" or count > 1:
        depth = edge_distance(mask)[mask]
        if method == "distance":
            first = pixels[np.argmax(depth)]
        inner = pixels[2 * depth > depth.max()]
        pixels = inner if len(inner) >= count else pixels
    return _farthest(pixels, first, count).astype(np.float64)


def edge_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute every pixel's Euclidean distance to the nearest pixel outside a mask, (h, w).

    Distances are in pixels between pixel centers: 0 outside the mask, at least 1 inside. The mask ends with its
    crop.
    """
    distance = ndimage.distance_transform_edt(np.pad(mask, 1))
    return np.asarray(distance[1:-1, 1:-1], dtype=np.float64)


def _most_probable(mask: NDArray[np.bool_], probability: ArrayLike | None, count: int) -> NDArray[np.intp]:
    """Rank the object's pixels, in raster order, by probability."""
    if probability is None:
        raise InputError("method 'probability' came without a foreground map: give one or choose 'distance'")
    values = np.asarray(probability)
    if values.shape != mask.shape:
        raise InputError(
            f"probability has shape {values.shape} and the mask {mask.shape}, wanted one: crop both alike"
        )
    order: NDArray[np.intp] = np.argsort(-values[mask].astype(np.float64), kind="stable")
    return order[:count]


def _farthest(pixels: NDArray[np.intp], first: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Take the first point, then again and again the pixel farthest from all that were taken."""
    chosen = [first]
    nearest = ((pixels - first) ** 2).sum(axis=1)
    for _ in range(min(count, len(pixels)) - 1):
        best = int(np.argmax(nearest))
        if nearest[best] == 0:
            break
        chosen.append(pixels[best])
        nearest = np.minimum(nearest, ((pixels - pixels[best]) ** 2).sum(axis=1))
    return np.array(chosen)
