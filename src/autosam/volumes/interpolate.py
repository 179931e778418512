"""The shape of an object between two slices, from its masks in both."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CLOSER = 0.1
"""By how much the IoU of two masks must rise when they are moved together, so that the object itself moved."""


class PlacedMask(NamedTuple):
    """A mask in a crop, and where the crop lies.

    Attributes
    ----------
    row, col : int
        The crop's first row and column in pixels of the slice; they may be negative.
    mask : ndarray of bool, shape (h, w)
        Of shape (0, 0) for no pixel at all.
    """

    row: int
    col: int
    mask: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    def moved(self, rows: int, cols: int) -> "PlacedMask":
        """Move it down and to the right."""
        return PlacedMask(self.row + rows, self.col + cols, self.mask)

    def cut(self, rows: slice, cols: slice) -> "PlacedMask":
        """Leave out what lies outside a window of the slice; of shape (0, 0) where that is all."""
        height, width = self.mask.shape
        top, left = max(self.row, rows.start), max(self.col, cols.start)
        bottom, right = min(self.row + height, rows.stop), min(self.col + width, cols.stop)
        if top >= bottom or left >= right:
            return PlacedMask(top, left, np.zeros((0, 0), dtype=bool))
        inside = self.mask[top - self.row : bottom - self.row, left - self.col : right - self.col]
        return tightened(PlacedMask(top, left, inside))

    def within(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        """Draw it into a window of the slice, (rows, cols); what lies outside is cut."""
        drawn = np.zeros((rows.stop - rows.start, cols.stop - cols.start), dtype=bool)
        inside = self.cut(rows, cols)
        height, width = inside.mask.shape
        top, left = inside.row - rows.start, inside.col - cols.start
        drawn[top : top + height, left : left + width] = inside.mask
        return drawn


def interpolate_masks(lower: PlacedMask, upper: PlacedMask, share: float, *, follow: bool = True) -> PlacedMask:
    """Interpolate a mask between two by their signed distances [1]_.

    A pixel's signed distance is the one to the mask's outline, positive inside. The pixels whose weighted mean of
    both is not negative make the mask between.

    Parameters
    ----------
    lower, upper : PlacedMask
        Masks of one object in two slices. They need not overlap.
    share : float
        Place of the slice between them: 0 at the lower, 1 at the upper one. With two slices missing, 1/3 and 2/3.
    follow : bool
        Move both masks to their interpolated centroid first, by whole pixels, if they do not overlap where they
        are, or clearly less (`CLOSER`): an object that runs obliquely moves from slice to slice. Otherwise they
        stay: where a part begins or ends, the centroid moves and the object does not.

    Returns
    -------
    PlacedMask
        In the smallest crop that holds it. Never empty where both masks have pixels: shapes that leave nothing
        between them, such as a ring and a spot, give the nearer mask. Of shape (0, 0) where one of them is empty.

    References
    ----------
    .. [1] S. P. Raya and J. K. Udupa, "Shape-based interpolation of multidimensional objects", IEEE Transactions
       on Medical Imaging 9, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> small = PlacedMask(4, 4, np.ones((1, 1), dtype=bool))
    >>> large = PlacedMask(2, 12, np.ones((5, 5), dtype=bool))
    >>> between = interpolate_masks(small, large, 0.5)
    >>> between.row, between.col, between.mask.shape
    (3, 8, (3, 3))
    """
    if not (lower.mask.any() and upper.mask.any()):
        return PlacedMask(lower.row, lower.col, np.zeros((0, 0), dtype=bool))
    if follow:
        lower, upper = moved_together(lower, upper, share)
    between = mean_mask((lower, upper), (1 - share, share))
    return between if between.mask.size else tightened(lower if share < 0.5 else upper)


def mean_mask(masks: Sequence[PlacedMask], weights: Sequence[float]) -> PlacedMask:
    """Give the pixels at which the weighted mean of the signed distances of some masks is not negative.

    It lies within the union of the masks. Of shape (0, 0) where no such pixel is left.
    """
    window = _joint_window(masks)
    # A sum of rounded parts can be a little below zero.
    mean = sum(
        weight * _signed_distance(placed.within(*window)) for placed, weight in zip(masks, weights, strict=True)
    )
    return tightened(PlacedMask(window[0].start, window[1].start, np.asarray(mean >= -1e-9)))


def placed_iou(one: PlacedMask, other: PlacedMask) -> float:
    """Compute the IoU of two placed masks; 0 where both are empty."""
    window = _joint_window((one, other))
    drawn, second = one.within(*window), other.within(*window)
    union = np.count_nonzero(drawn | second)
    return float(np.count_nonzero(drawn & second) / union) if union else 0.0


def moved_together(lower: PlacedMask, upper: PlacedMask, share: float) -> tuple[PlacedMask, PlacedMask]:
    """Move two masks to the place between their centroids, if they overlap clearly more there.

    Neither may be empty. See `interpolate_masks`.
    """
    # From one centroid to the other.
    way = _centroid(upper) - _centroid(lower)
    down, right = np.rint(share * way).astype(int)
    back_up, back_left = np.rint(way).astype(int) - (down, right)
    moved = lower.moved(int(down), int(right)), upper.moved(-int(back_up), -int(back_left))
    overlap = placed_iou(lower, upper)
    return moved if not overlap or placed_iou(*moved) > overlap + CLOSER else (lower, upper)


def _joint_window(masks: Sequence[PlacedMask]) -> tuple[slice, slice]:
    """Give the smallest window that holds all crops."""
    bottom = max(placed.row + placed.mask.shape[0] for placed in masks)
    right = max(placed.col + placed.mask.shape[1] for placed in masks)
    return slice(min(placed.row for placed in masks), bottom), slice(min(placed.col for placed in masks), right)


def _centroid(placed: PlacedMask) -> NDArray[np.float64]:
    inside: NDArray[np.float64] = np.argwhere(placed.mask).mean(axis=0)
    return inside + (placed.row, placed.col)


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give every pixel center's distance to the outline, half a pixel from the nearest center beyond it."""
    # The outline is closed at the edge of the canvas.
    padded = np.pad(mask, 1)
    inside: NDArray[np.float64] = ndimage.distance_transform_edt(padded)
    outside: NDArray[np.float64] = ndimage.distance_transform_edt(~padded)
    return np.asarray(np.where(padded, inside - 0.5, 0.5 - outside)[1:-1, 1:-1], dtype=np.float64)


def tightened(placed: PlacedMask) -> PlacedMask:
    """Cut the empty rows and columns around a mask."""
    rows, cols = (np.flatnonzero(placed.mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return placed._replace(mask=np.zeros((0, 0), dtype=bool))
    cut = placed.mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return PlacedMask(placed.row + int(rows[0]), placed.col + int(cols[0]), cut)
