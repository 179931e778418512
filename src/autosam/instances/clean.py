"""One mask → one connected object without holes, or nothing."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.instances.crop import MaskCrop
from autosam.instances.holes import find_holes
from autosam.instances.row_runs import single_runs

_EIGHT = np.ones((3, 3), dtype=bool)


def clean_mask(
    crop: MaskCrop, *, min_size: int, fill_holes: bool, points: ArrayLike | None = None
) -> MaskCrop | None:
    """Keep one 8-connected component of a mask, fill its holes and tighten its crop.

    Parameters
    ----------
    min_size : int
        Smallest size in pixels, after filling, of a mask that is an object.
    fill_holes : bool
        Fill the component's holes; these are 4-connected.
    points : array_like, shape (k, 2), or None
        The prompt's positive points: row and column in whole-image pixels. See :func:`main_component`.

    Returns
    -------
    MaskCrop or None
        With the same score and prompt; None where the mask is empty or too small.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[1, 0, 0, 0], [0, 0, 1, 1]], dtype=bool)
    >>> crop = MaskCrop(row=5, col=5, mask=mask, score=0.9, prompt=0)
    >>> cleaned = clean_mask(crop, min_size=2, fill_holes=True)
    >>> cleaned.row, cleaned.col, cleaned.mask.tolist()
    (6, 7, [[True, True]])
    """
    inside = None if points is None else np.asarray(points, dtype=np.float64) - (crop.row, crop.col)
    found = main_component(crop.mask, inside)
    if found is None:
        return None
    row, col, mask = found
    if fill_holes:
        mask = mask | (find_holes(mask) > 0)
    if np.count_nonzero(mask) < min_size:
        return None
    return replace(crop, row=crop.row + row, col=crop.col + col, mask=mask)


def main_component(
    mask: NDArray[np.bool_], points: NDArray[np.float64] | None = None
) -> tuple[int, int, NDArray[np.bool_]] | None:
    """Cut the main 8-connected component out of a mask, (h, w).

    The main component is the one that holds most of the points, (k, 2) in the mask's own rows and columns; among
    equals the largest, then the first in raster order.

    Returns
    -------
    tuple of int, int and ndarray of bool, or None
        First row, first column and the component in its own bounding box; None where the mask is empty.
    """
    runs = single_runs(mask)
    if runs is not None and len(runs[0]):
        rows, first, stop = runs
        # The stretches of neighboring rows touch, at a corner at least.
        if (
            rows[-1] - rows[0] + 1 == len(rows)
            and (first[1:] <= stop[:-1]).all()
            and (first[:-1] <= stop[1:]).all()
        ):
            top, left = int(rows[0]), int(first.min())
            return top, left, mask[top : rows[-1] + 1, left : stop.max()].copy()
    components, n = ndimage.label(mask, structure=_EIGHT)
    if n == 0:
        return None
    size = np.bincount(components.ravel(), minlength=n + 1)[1:]
    hits = np.zeros(n, dtype=np.int64)
    if points is not None:
        pixels = np.rint(points.reshape(-1, 2)).astype(np.int64)
        pixels = pixels[np.all((pixels >= 0) & (pixels < mask.shape), axis=1)]
        hits = np.bincount(components[tuple(pixels.T)], minlength=n + 1)[1:]
    main = int(np.lexsort((-size, -hits))[0]) + 1
    rows, cols = ndimage.find_objects(components, max_label=main)[main - 1]
    return rows.start, cols.start, components[rows, cols] == main
