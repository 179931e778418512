"""Seams: edges between the objects of two tiles that see the same thing in one slice."""

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.edges import ObjectEdges
from autosam.volumes.slice_objects import SliceObjects, paint
from autosam.volumes.volume_grid import GridTile


def seam_edges(
    first: SliceObjects, second: SliceObjects, tiles: tuple[GridTile, GridTile], *, threshold: float
) -> ObjectEdges:
    """Find the objects of two tiles that are one.

    In the overlap of the two windows, each object is compared with the one of the other tile that it shares most
    pixels with. The two are one where these are a share above the threshold of the smaller one's pixels there.

    Parameters
    ----------
    first, second : SliceObjects
        Of one slice; those of the tile of lower index first.
    threshold : float
        Share of the smaller one, 0 to 1.
    """
    shared = tuple(
        slice(max(one.start, other.start), min(one.stop, other.stop))
        for one, other in zip(tiles[0].window, tiles[1].window, strict=True)
    )
    height, width = (max(0, part.stop - part.start) for part in shared)
    if not len(first) or not len(second) or not height or not width:
        return ObjectEdges.empty()
    drawn = [np.zeros((height, width), np.int32) for _ in range(2)]
    for objects, canvas in zip((first, second), drawn, strict=True):
        paint(objects, np.arange(1, len(objects) + 1), canvas, corner=(shared[0].start, shared[1].start))
    sizes = [
        np.bincount(canvas.ravel(), minlength=len(of) + 1)
        for canvas, of in zip(drawn, (first, second), strict=True)
    ]
    both = (drawn[0] > 0) & (drawn[1] > 0)
    pairs, inter = np.unique(
        drawn[0][both].astype(np.int64) * (len(second) + 1) + drawn[1][both], return_counts=True
    )
    a, b = np.divmod(pairs, len(second) + 1)
    smaller = np.minimum(sizes[0][a], sizes[1][b])
    kept = (_is_best(a, inter) | _is_best(b, inter)) & (inter > threshold * smaller)
    a, b, inter, smaller = a[kept], b[kept], inter[kept], smaller[kept]
    union = sizes[0][a] + sizes[1][b] - inter
    return ObjectEdges(
        first.ids[a - 1],
        second.ids[b - 1],
        np.zeros(len(a), np.uint8),
        (inter / np.maximum(union, 1)).astype(np.float32),
        (inter / np.maximum(smaller, 1)).astype(np.float32),
    )


def _is_best(group: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which entries are the largest of their group; of equal ones the first."""
    order = np.lexsort((np.arange(len(group)), -size, group))
    best = np.zeros(len(group), bool)
    best[order[np.diff(group[order], prepend=-1) != 0]] = True
    return best
