"""Shapes of the nodes of a merge tree: their axes, outlines and convex hulls."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.regions.chains import Chain, enclosed_areas, left_sides
from autosam.regions.tree import MergeTree


class NodeSums:
    """Sums over the pixels of every node.

    Attributes
    ----------
    pixels : ndarray of int64, shape (P,)
        The pixels of all fragments in the flattened image, in raster order.
    rows, cols : ndarray of int64, shape (P,)
        The same as rows and columns.
    ids : ndarray of int32, shape (P,)
        The fragment of each pixel.
    area : ndarray of float64, shape (N,)
        Pixels of every node; 1 for the background, so that it can divide.
    """

    def __init__(self, tree: MergeTree) -> None:
        self._tree = tree
        # Of a mask, numpy finds the pixels in half the time that it takes for numbers.
        self.pixels = np.flatnonzero(tree.fragments > 0)
        self.rows, self.cols = np.divmod(self.pixels, max(tree.fragments.shape[1], 1))
        self.ids = tree.fragments.ravel()[self.pixels]
        self.area = np.maximum(tree.add_up(self._own(None)), 1)

    def _own(self, values: NDArray[np.generic] | None) -> NDArray[np.float64]:
        own = np.bincount(self.ids, weights=values, minlength=self._tree.n_fragments + 1)
        return own.astype(np.float64, copy=False)

    def totals(self, *values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Add up K images' values of the pixels, each (P,), over every node, (N, K)."""
        return self._tree.add_up(np.stack([self._own(of) for of in values], axis=1))

    def means(self, *values: NDArray[np.generic]) -> Sequence[NDArray[np.float64]]:
        """Average K images' values of the pixels, each (P,), over every node: K arrays (N,)."""
        return list((self.totals(*values) / self.area[:, None]).T)


def axes(sums: NodeSums) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the standard deviation of every node's pixels along its short and its long axis, in pixels."""
    rows, cols = sums.rows, sums.cols
    # From the middle of the image: less is lost in the difference of two large numbers.
    row, col = (rows - rows.mean(), cols - cols.mean()) if rows.size else (rows, cols)
    mean_row, mean_col, rows_squared, cols_squared, product = sums.means(row, col, row**2, col**2, row * col)
    # A pixel is a square, not a point.
    along_rows = rows_squared - mean_row**2 + 1 / 12
    along_cols = cols_squared - mean_col**2 + 1 / 12
    covariance = product - mean_row * mean_col
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


def hull_areas(tree: MergeTree, sums: NodeSums) -> NDArray[np.float64]:
    """Measure the convex hull of every node's pixels, each pixel a square."""
    left, right = _fragment_sides(sums)
    first = tree.n_fragments + 1
    # Hulls of unions: of the corners of their fragments.
    leaves: list[list[int]] = [[node] for node in range(first)]
    for one, other in tree.children[first:].tolist():
        leaves.append(leaves[one] + leaves[other])
    number = [len(of) for of in leaves[first:]]
    unions = np.repeat(np.arange(first, len(tree)), number)
    parts = np.array([leaf for of in leaves[first:] for leaf in of], dtype=np.int64)
    areas = enclosed_areas(left, right, len(tree))
    areas += enclosed_areas(_joined(left, unions, parts), _joined(right, unions, parts), len(tree))
    return areas


def _fragment_sides(sums: NodeSums) -> tuple[Chain, Chain]:
    """Find the corners of the fragments' hulls, on the left and, mirrored, on the right."""
    ids, pixels = sums.ids, sums.pixels
    # Runs of a fragment in a row, and the last of each row by the first of the next.
    new = np.ones(len(ids), dtype=bool)
    new[1:] = (ids[1:] != ids[:-1]) | (pixels[1:] != pixels[:-1] + 1) | (sums.cols[1:] == 0)
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], len(ids))[: len(begins)] - 1
    order = np.argsort(ids[begins], kind="stable")
    begins, ends = begins[order], ends[order]
    index, rows = np.repeat(ids[begins].astype(np.int64), 2), np.repeat(sums.rows[begins], 2)
    rows[1::2] += 1
    left = Chain(index, rows, np.repeat(sums.cols[begins], 2))
    right = Chain(index, rows, -np.repeat(sums.cols[ends] + 1, 2))
    return _sides(left), _sides(right)


def _joined(sides: Chain, unions: NDArray[np.int64], parts: NDArray[np.int64]) -> Chain:
    """Find the corners of the hulls of unions, each of several parts of which the corners are known."""
    count = np.bincount(sides.index, minlength=int(parts.max(initial=0)) + 1)
    begins, number = (np.cumsum(count) - count)[parts], count[parts]
    take = np.repeat(begins - (np.cumsum(number) - number), number) + np.arange(number.sum())
    return _sides(Chain(np.repeat(unions, number), sides.y[take], sides.x[take]))


def _sides(points: Chain) -> Chain:
    order = np.lexsort((points.y, points.index))
    return left_sides(Chain(points.index[order], points.y[order], points.x[order]))
