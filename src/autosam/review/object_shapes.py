"""Shapes that tell of merged and of split objects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LEVELS = 24
"""Depths at which an object is looked at for a neck."""
REACH = 2
"""Pixels between two objects that touch."""

_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Neck:
    """The deepest neck of an object.

    Attributes
    ----------
    depth : float
        1 - width at the neck / width of the narrower part: 0 without a neck, towards 1 for a thin one.
    places : tuple of two (int, int), or None
        Row and column of the middle of the two parts; None without a neck.
    """

    depth: float
    places: tuple[tuple[int, int], tuple[int, int]] | None


def find_neck(mask: NDArray[np.bool_]) -> Neck:
    """Find two deep maxima of the distance transform of an object, and the neck between them.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object.

    Examples
    --------
    >>> find_neck(np.ones((9, 9), bool))
    Neck(depth=0.0, places=None)
    """
    padded = np.pad(mask, 1)
    # A rough outline has many small maxima.
    depth = np.where(padded, ndimage.gaussian_filter(ndimage.distance_transform_edt(padded), 1.0), 0.0)
    found = Neck(0.0, None)
    for level in np.linspace(0, depth.max(), LEVELS, endpoint=False)[1:]:
        parts, number = ndimage.label(depth > level, structure=_EIGHT)
        if number < 2:
            continue
        peaks = ndimage.maximum(depth, parts, np.arange(1, number + 1))
        first, second = np.argsort(-peaks, kind="stable")[:2] + 1
        share = 1 - level / float(peaks[second - 1])
        if share > found.depth:
            places = ndimage.maximum_position(depth, parts, [first, second])
            (row, col), (row2, col2) = places
            found = Neck(float(share), ((int(row) - 1, int(col) - 1), (int(row2) - 1, int(col2) - 1)))
    return found


def touching_objects(labels: NDArray[np.int32]) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Find pairs of objects that touch, or have at most a pixel between them.

    Returns
    -------
    dict of (int, int) to ndarray of int64, shape (k,)
        For each pair, the lower id first, the flat indices of the pixels at which they meet; in order of the ids.
    """
    height, width = labels.shape
    first, second, where = [], [], []
    index = np.arange(labels.size).reshape(labels.shape)
    for down in range(REACH + 1):
        for right in range(-REACH if down else 1, REACH + 1):
            rows = slice(0, height - down), slice(down, height)
            cols = slice(max(0, -right), width - max(0, right)), slice(max(0, right), width - max(0, -right))
            one, other = labels[rows[0], cols[0]], labels[rows[1], cols[1]]
            meet = (one != other) & (one > 0) & (other > 0)
            for end in (0, 1):
                first.append(np.minimum(one[meet], other[meet]))
                second.append(np.maximum(one[meet], other[meet]))
                where.append(index[rows[end], cols[end]][meet])
    pairs = np.stack([np.concatenate(first), np.concatenate(second)], axis=1)
    pixels = np.concatenate(where)
    unique, of = np.unique(pairs, axis=0, return_inverse=True)
    order = np.argsort(of.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(of.ravel(), minlength=len(unique)))[:-1]
    groups = np.split(pixels[order], ends) if len(unique) else []
    return {
        (low, high): np.unique(group).astype(np.int64)
        for (low, high), group in zip(unique.tolist(), groups, strict=True)
    }
