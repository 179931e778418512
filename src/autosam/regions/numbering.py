"""Ids of label images: how large each one is, where it begins, and new numbers in that order."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_STRIP = 1 << 20
"""Pixels that are looked at at once, which bounds the memory."""


def flat_runs(
    labels: NDArray[np.integer],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]]:
    """Give the stretches of one id in one row: first pixels in the flattened image, lengths, ids.

    They come strip by strip, in raster order; background has none.
    """
    width = labels.shape[1]
    step = max(1, _STRIP // max(width, 1))
    for top in range(0, labels.shape[0] if width else 0, step):
        part = np.ascontiguousarray(labels[top : top + step]).ravel()
        first = np.empty(part.shape, dtype=bool)
        np.not_equal(part[1:], part[:-1], out=first[1:])
        first[::width] = True
        begins = np.flatnonzero(first)
        lengths, ids = np.diff(begins, append=part.size), part[begins]
        objects = ids != 0
        yield begins[objects] + top * width, lengths[objects], ids[objects]


def sizes_and_first_pixels(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels of every id from 0 to the highest, and find the first one in the flattened image.

    Returns
    -------
    sizes, first : ndarray of int64, shape (n + 1,)
        0 and -1 for an id without pixels, and for the background.

    Examples
    --------
    >>> sizes_and_first_pixels(np.array([[0, 3, 3], [1, 1, 3]]))
    (array([0, 2, 0, 3]), array([-1,  3, -1,  1]))
    """
    n = int(labels.max(initial=0)) + 1
    sizes, first = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    for begins, lengths, ids in flat_runs(labels):
        sizes += np.bincount(ids, weights=lengths, minlength=n).astype(np.int64)
        here = np.full(n, -1, dtype=np.int64)
        here[ids[::-1]] = begins[::-1]  # of several assignments to one place the last stays: the first pixel
        first = np.where(first < 0, here, first)
    return sizes, first


def number_regions(
    labels: NDArray[np.int32], *, min_size: int = 1, out: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Drop regions smaller than ``min_size`` pixels and number the rest 1..n by each one's first pixel.

    They are written into ``out``, which can be the labels themselves.

    Examples
    --------
    >>> number_regions(np.array([[7, 7, 0, 2, 5, 5]], dtype=np.int32), min_size=2)
    array([[1, 1, 0, 0, 2, 2]], dtype=int32)
    """
    sizes, first = sizes_and_first_pixels(labels)
    kept = np.flatnonzero(sizes >= max(min_size, 1))
    kept = kept[np.argsort(first[kept])]
    number = np.zeros(len(sizes), dtype=np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    return renumbered(labels, number, out=out)


def renumbered(
    labels: NDArray[np.int32], number: NDArray[np.int32], *, out: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Give every pixel the new number of its id: (H, W), in ``out``, which can be the labels themselves."""
    new = np.empty_like(labels) if out is None else out
    step = max(1, _STRIP // max(labels.shape[1], 1))
    # In strips, as numpy makes 64-bit numbers of all ids that it looks up.
    for top in range(0, labels.shape[0], step):
        # No id is negative or too high: `take` need not look for such ones, and is twice as fast so.
        new[top : top + step] = number.take(labels[top : top + step], mode="clip")
    return new


def means_in_regions(labels: NDArray[np.integer], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Average a map, (H, W), over every id from 0 to the highest, (n + 1,); NaN for ids without pixels and 0."""
    n = int(labels.max(initial=0)) + 1
    sums, sizes = np.zeros(n), np.zeros(n)
    flat = values.ravel()
    for begins, lengths, ids in flat_runs(labels):
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        index = np.repeat(ids, lengths)
        sums += np.bincount(index, weights=flat[np.repeat(begins, lengths) + within], minlength=n)
        sizes += np.bincount(index, minlength=n)
    with np.errstate(invalid="ignore"):
        return np.where(sizes > 0, sums / sizes, np.nan)
