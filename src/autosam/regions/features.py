"""Features of the candidate regions of a merge tree, from which the region classifier scores them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from autosam.regions.tree import MergeTree

FEATURES = (
    "size",
    "size_in_image",
    "typical_size",
    "solidity",
    "elongation",
    "width",
    "outline",
    "foreground",
    "sure_foreground",
    "foreground_outside",
    "center",
    "center_peak",
    "center_area",
    "boundary",
    "boundary_on_outline",
    "boundary_at_contacts",
    "contact_share",
    "at_border",
    "fragments",
    "tie",
    "pass_drop",
    "neck",
    "weakest_tie",
    "part_solidity",
    "part_share",
    "part_peak",
    "outer_tie",
    "outer_pass_drop",
    "outer_neck",
    "outer_size",
    "outer_solidity_gain",
    "sibling_share",
    "sibling_solidity",
    "clump_size",
    "contrast_red",
    "contrast_green",
    "contrast_blue",
    "spread",
    "edge",
)
"""Names of the features, in order.

Sizes are logarithms of areas, in units of that of a circle with the typical diameter (`size_in_image`: of the
image's own typical area). `outline` and `at_border` are in units of the square root of the candidate's area,
`neck` of the shorter of the parts' short axes, and `width` is the logarithm of the short axis in diameters.
"""

_Values = NDArray[np.floating] | NDArray[np.integer] | NDArray[np.bool_]

SURE = 0.8
"""Probability from which a pixel is surely foreground, or in a center."""

AROUND = 4
"""Distance, in pixels along rows and columns, at which a candidate's surroundings are looked at."""

EDGE = 2.0
"""Standard deviation, in pixels, of the Gaussian whose gradient is the image's."""


def describe_candidates(
    tree: MergeTree,
    maps: Mapping[str, NDArray[np.floating]],
    picture: NDArray[np.uint8],
    *,
    diameter: float,
    typical_area: float | None = None,
) -> NDArray[np.float32]:
    """Describe every node of a tree: its shape, what the maps and the image show, and what it is joined with.

    Parameters
    ----------
    tree : MergeTree
    maps : mapping of str to ndarray of float, shape (H, W)
        Those that the tree was made of.
    picture : ndarray of uint8, shape (H, W, 3)
        The normalized image.
    diameter : float
        Typical diameter of the objects that the model was trained on, in pixels of the maps.
    typical_area : float, optional
        Typical area, in pixels, of the objects of this image, as far as it is known; by default that of the
        diameter.

    Returns
    -------
    ndarray of float32, shape (N, len(FEATURES))
        One row for each node; that of the background is 0.
    """
    unit = np.pi / 4 * diameter**2
    usual = unit if typical_area is None else typical_area
    labels, n = tree.fragments, tree.n_fragments
    rows, cols = np.nonzero(labels)
    ids = labels[rows, cols]

    def total(values: _Values) -> NDArray[np.float64]:
        return tree.add_up(np.bincount(ids, weights=values, minlength=n + 1).astype(np.float64))

    area = np.maximum(tree.area, 1)
    size, side = np.log(area / unit), np.sqrt(area)
    minor, major = _axes(total, rows, cols, area)
    solidity = np.minimum(area / np.maximum(_hull_areas(tree), 1), 1)
    outline = _outlines(tree)
    length = np.maximum(outline[:, 0] + outline[:, 1], 1)

    # Of a large image only what lies in candidates is held in double precision.
    inside = {
        name: np.asarray(maps[name][rows, cols], dtype=np.float64) if name in maps else np.zeros(len(rows))
        for name in ("foreground", "center", "boundary")
    }
    own_foreground, own_center = inside["foreground"], inside["center"]
    gray = picture.mean(axis=2, dtype=np.float32) / np.float32(255)
    slope = ndimage.gaussian_gradient_magnitude(gray, EDGE)
    own_gray = gray[rows, cols].astype(np.float64)
    brightness = total(own_gray) / area
    colors = [total(picture[rows, cols, color] / 255) / area for color in range(3)]
    beside = _beside(tree, [maps["foreground"], *(picture[..., color] for color in range(3))], AROUND)
    around = beside[:, 1:] / 255
    on_border = (rows == 0) | (cols == 0) | (rows == labels.shape[0] - 1) | (cols == labels.shape[1] - 1)
    peak = _highest(tree, ids, own_center)

    first, second = tree.children.T
    joined = first > 0
    smaller = np.minimum(area[first], area[second])
    lower_peak = np.minimum(peak[first], peak[second])
    parent, joins = tree.parent, tree.parent > 0
    sibling = np.where(joins, tree.children[parent].sum(axis=1) - np.arange(len(tree)), 0)
    clump, weakest = np.arange(len(tree)), tree.tie.copy()
    for node in range(n + 1, len(tree)):
        weakest[node] = weakest[[node, *tree.children[node]]].min()
    for node in range(len(tree) - 1, 0, -1):
        clump[node] = clump[parent[node]] if parent[node] else node
    described = {
        "size": size,
        "size_in_image": np.log(area / usual),
        "typical_size": np.full(len(tree), np.log(usual / unit)),
        "solidity": solidity,
        "elongation": minor / major,
        "width": np.log(4 * minor / diameter),
        "outline": length / side,
        "foreground": total(own_foreground) / area,
        "sure_foreground": total(own_foreground > SURE) / area,
        "foreground_outside": beside[:, 0],
        "center": total(own_center) / area,
        "center_peak": peak,
        "center_area": total(own_center > SURE) / area,
        "boundary": total(inside["boundary"]) / area,
        "boundary_on_outline": outline[:, 2] / length,
        "boundary_at_contacts": outline[:, 3] / np.maximum(outline[:, 1], 1),
        "contact_share": outline[:, 1] / length,
        "at_border": total(on_border) / side,
        "fragments": tree.add_up(np.ones(n + 1)),
        "tie": tree.tie,
        "pass_drop": np.where(joined, lower_peak - tree.pass_height, 0),
        "neck": np.where(joined, tree.neck / (4 * np.minimum(minor[first], minor[second])), 2),
        "weakest_tie": weakest,
        "part_solidity": np.where(joined, np.minimum(solidity[first], solidity[second]), solidity),
        "part_share": np.where(joined, smaller / area, 0),
        "part_peak": np.where(joined, lower_peak, peak),
        "outer_tie": np.where(joins, tree.tie[parent], -1),
        "outer_pass_drop": np.where(joins, peak - tree.pass_height[parent], 2),
        "outer_neck": np.where(joins, tree.neck[parent] / (4 * minor), 0),
        "outer_size": np.where(joins, size[parent], size),
        "outer_solidity_gain": np.where(joins, solidity[parent] - solidity, 0),
        "sibling_share": np.where(joins, area[sibling] / area[parent], 0),
        "sibling_solidity": np.where(joins, solidity[sibling], 0),
        "clump_size": size[clump],
        "contrast_red": colors[0] - around[:, 0],
        "contrast_green": colors[1] - around[:, 1],
        "contrast_blue": colors[2] - around[:, 2],
        "spread": np.sqrt(np.maximum(total(own_gray**2) / area - brightness**2, 0)),
        "edge": _beside(tree, [slope], 1)[:, 0],
    }
    features = np.stack([described[name] for name in FEATURES], axis=1)
    features[0] = 0
    return features.astype(np.float32)


def _axes(
    total: Callable[[_Values], NDArray[np.float64]],
    rows: NDArray[np.intp],
    cols: NDArray[np.intp],
    area: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the standard deviations of every node's pixels along its short and its long axis."""
    # From the middle of the image: less is lost in the difference of two large numbers.
    row, col = rows - rows.mean() if rows.size else rows, cols - cols.mean() if cols.size else cols
    mean_row, mean_col = total(row) / area, total(col) / area
    # A pixel is a square, not a point.
    along_rows = total(row**2) / area - mean_row**2 + 1 / 12
    along_cols = total(col**2) / area - mean_col**2 + 1 / 12
    covariance = total(row * col) / area - mean_row * mean_col
    middle, spread = (along_rows + along_cols) / 2, np.hypot((along_rows - along_cols) / 2, covariance)
    return np.sqrt(np.maximum(middle - spread, 1 / 12)), np.sqrt(np.maximum(middle + spread, 1 / 12))


def _beside(tree: MergeTree, values: Sequence[_Values], distance: int) -> NDArray[np.float64]:
    """Average each of the images over the background that is a step from a node's pixels: (N, len(values))."""
    labels, n = tree.fragments, tree.n_fragments
    sums = np.zeros((n + 1, len(values) + 1))
    ahead, back = slice(distance, None), slice(None, -distance)
    every = slice(None)
    for here, there in (
        ((ahead, every), (back, every)),
        ((back, every), (ahead, every)),
        ((every, ahead), (every, back)),
        ((every, back), (every, ahead)),
    ):
        at = (labels[here] > 0) & (labels[there] == 0)
        ids = labels[here][at]
        sums[:, 0] += np.bincount(ids, minlength=n + 1)
        for column, image in enumerate(values, start=1):
            sums[:, column] += np.bincount(ids, weights=image[there][at], minlength=n + 1)
    total = tree.add_up(sums)
    return np.asarray(total[:, 1:] / np.maximum(total[:, :1], 1))


def _outlines(tree: MergeTree) -> NDArray[np.float64]:
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


def _highest(tree: MergeTree, ids: NDArray[np.integer], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the largest value in every node, of values that are 0 or more, pixel by pixel."""
    n = tree.n_fragments
    highest = np.zeros(len(tree))
    np.maximum.at(highest, ids, values)
    for node in range(n + 1, len(tree)):
        highest[node] = highest[tree.children[node]].max()
    return highest


def _hull_areas(tree: MergeTree) -> NDArray[np.float64]:
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
