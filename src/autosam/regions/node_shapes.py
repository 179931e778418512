"""Shapes of the nodes of a merge tree: their axes, outlines and convex hulls."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from autosam.regions.tree import MergeTree


class NodeSums:
    """Sums over the pixels of every node.

    Attributes
    ----------
    rows, cols : ndarray of int64, shape (P,)
        The pixels of all fragments, in raster order.
    ids : ndarray of int32, shape (P,)
        The fragment of each pixel.
    area : ndarray of float64, shape (N,)
        Pixels of every node; 1 for the background, so that it can divide.
    """

    def __init__(self, tree: MergeTree) -> None:
        self._tree = tree
        self.rows, self.cols = np.nonzero(tree.fragments)
        self.ids = tree.fragments[self.rows, self.cols]
        self.area = np.maximum(tree.area, 1)

    def total(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Add up values of the pixels, (P,), over every node, (N,)."""
        own = np.bincount(self.ids, weights=values, minlength=self._tree.n_fragments + 1)
        return self._tree.add_up(own.astype(np.float64))

    def mean(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Average values of the pixels, (P,), over every node, (N,)."""
        return self.total(values) / self.area


def axes(sums: NodeSums) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the standard deviation of every node's pixels along its short and its long axis, in pixels."""
    rows, cols = sums.rows, sums.cols
    # From the middle of the image: less is lost in the difference of two large numbers.
    row, col = (rows - rows.mean(), cols - cols.mean()) if rows.size else (rows, cols)
    mean_row, mean_col = sums.mean(row), sums.mean(col)
    # A pixel is a square, not a point.
    along_rows = sums.mean(row**2) - mean_row**2 + 1 / 12
    along_cols = sums.mean(col**2) - mean_col**2 + 1 / 12
    covariance = sums.mean(row * col) - mean_row * mean_col
    middle, spread = (along_rows + along_cols) / 2, np.hypot((along_rows - along_cols) / 2, covariance)
    return np.sqrt(np.maximum(middle - spread, 1 / 12)), np.sqrt(np.maximum(middle + spread, 1 / 12))


def outlines(tree: MergeTree) -> NDArray[np.float64]:
    """Measure every node's outline: its length to the background and to others, and the strength along both.

    Columns: length to background, length to others, summed boundary strength along all, along others.
    """
    contacts, n = tree.contacts, tree.n_fragments
    one, other = contacts.pairs.T
    own = np.zeros((n + 1, 4))
    for ids, beside in ((one, other), (other, one)):
        there = ids > 0
        outer = there & (beside == 0)
        own[:, 0] += np.bincount(ids[outer], weights=contacts.length[outer], minlength=n + 1)
        inner = there & (beside > 0)
        own[:, 1] += np.bincount(ids[inner], weights=contacts.length[inner], minlength=n + 1)
        own[:, 2] += np.bincount(ids[there], weights=contacts.strength[there], minlength=n + 1)
        own[:, 3] += np.bincount(ids[inner], weights=contacts.strength[inner], minlength=n + 1)
    total = tree.add_up(own)
    # What was between two parts lies within their union: counted once for each part.
    lost = np.zeros_like(total)
    strength = tree.tie * tree.neck
    for node in range(n + 1, len(tree)):
        first, second = tree.children[node]
        lost[node] = lost[first] + lost[second]
        lost[node, 1] += 2 * tree.neck[node]
        lost[node, 2:] += 2 * strength[node]
    return total - lost


def hull_areas(tree: MergeTree) -> NDArray[np.float64]:
    """Measure the convex hull of every node's pixels, each pixel a square."""
    areas = np.zeros(len(tree))
    corners: list[NDArray[np.float64]] = [np.zeros((0, 2))] * len(tree)
    for fragment, box in enumerate(ndimage.find_objects(tree.fragments), start=1):
        own = tree.fragments[box] == fragment
        rows = np.flatnonzero(own.any(axis=1))
        first, last = own[rows].argmax(axis=1), own.shape[1] - own[rows, ::-1].argmax(axis=1)
        points = np.concatenate([np.stack([rows + r, cols], axis=1) for r in (0, 1) for cols in (first, last)])
        corners[fragment] = points + np.array([box[0].start, box[1].start], dtype=np.float64)
    for node in range(1, len(tree)):
        if tree.children[node, 0]:
            corners[node] = np.concatenate([corners[child] for child in tree.children[node]])
        hull = ConvexHull(corners[node])
        areas[node], corners[node] = hull.volume, corners[node][hull.vertices]
    return areas
