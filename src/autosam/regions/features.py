"""Features of the candidate regions of a merge tree, from which the region classifier scores them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.regions.node_shapes import NodeSums, axes, hull_areas, outlines
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

Sizes are logarithms of areas, in units of a circle with the typical diameter (`size_in_image`: of the image's
typical area). `outline` and `at_border` are in units of the square root of the region's area, `neck` of the
shorter of the parts' short axes, and `width` is the logarithm of the short axis in diameters.
"""

SURE = 0.8
"""Probability from which a pixel is surely foreground, or in a center."""

AROUND = 4
"""Distance, in pixels along rows and columns, at which a region's surroundings are looked at."""

EDGE = 2.0
"""Standard deviation, in pixels, of the Gaussian whose gradient is the image's."""

_Features = dict[str, NDArray[np.float64]]


def describe_candidate_regions(
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
    maps : mapping of str to ndarray of float, shape (H, W)
        Those that the tree was made of.
    picture : ndarray of uint8, shape (H, W, 3)
        The normalized image.
    diameter : float
        Typical diameter of the training objects, in pixels of the maps.
    typical_area : float, optional
        Typical area, in pixels, of the objects of this image; by default that of the diameter.

    Returns
    -------
    ndarray of float32, shape (N, len(FEATURES))
        One row for each node; that of the background is 0.
    """
    unit = np.pi / 4 * diameter**2
    usual = unit if typical_area is None else typical_area
    sums = NodeSums(tree)
    area = sums.area
    size, side = np.log(area / unit), np.sqrt(area)
    minor, major = axes(sums)
    solidity = np.minimum(area / np.maximum(hull_areas(tree, sums), 1), 1)
    outline = outlines(tree)
    length = np.maximum(outline[:, 0] + outline[:, 1], 1)
    height, width = tree.fragments.shape
    on_border = (sums.rows == 0) | (sums.rows == height - 1) | (sums.cols == 0) | (sums.cols == width - 1)
    around = _beside(tree, [maps["foreground"], *np.moveaxis(picture, -1, 0)], AROUND)
    of_maps = _of_maps(tree, sums, maps)
    described = {
        "size": size,
        "size_in_image": np.log(area / usual),
        "typical_size": np.full(len(tree), np.log(usual / unit)),
        "solidity": solidity,
        "elongation": minor / major,
        "width": np.log(4 * minor / diameter),
        "outline": length / side,
        "boundary_on_outline": outline[:, 2] / length,
        "boundary_at_contacts": outline[:, 3] / np.maximum(outline[:, 1], 1),
        "contact_share": outline[:, 1] / length,
        "foreground_outside": around[:, 0],
        "at_border": sums.totals(on_border)[:, 0] / side,
        "fragments": tree.add_up(np.ones(tree.n_fragments + 1)),
        **of_maps,
        **_of_parts(tree, area, solidity, minor, of_maps["center_peak"]),
        **_of_parent(tree, area, solidity, minor, of_maps["center_peak"], size),
        **_of_image(tree, sums, picture, around[:, 1:] / 255),
    }
    features = np.stack([described[name] for name in FEATURES], axis=1)
    features[0] = 0
    return features.astype(np.float32)


def _of_maps(tree: MergeTree, sums: NodeSums, maps: Mapping[str, NDArray[np.floating]]) -> _Features:
    # Of a large image only what lies in regions is held in double precision.
    foreground, center, boundary = (
        maps[name].ravel()[sums.pixels].astype(np.float64) if name in maps else np.zeros(len(sums.pixels))
        for name in ("foreground", "center", "boundary")
    )
    peak = np.zeros(len(tree))
    np.maximum.at(peak, sums.ids, center)
    for node in range(tree.n_fragments + 1, len(tree)):
        peak[node] = peak[tree.children[node]].max()
    names = ("foreground", "sure_foreground", "center", "center_area", "boundary")
    means = sums.means(foreground, foreground > SURE, center, center > SURE, boundary)
    return {"center_peak": peak, **dict(zip(names, means, strict=True))}


def _of_parts(
    tree: MergeTree,
    area: NDArray[np.float64],
    solidity: NDArray[np.float64],
    minor: NDArray[np.float64],
    peak: NDArray[np.float64],
) -> _Features:
    """Compare a node with the two that it is the union of."""
    first, second = tree.children.T
    joined = first > 0
    lower_peak = np.minimum(peak[first], peak[second])
    weakest = tree.tie.copy()
    for node in range(tree.n_fragments + 1, len(tree)):
        weakest[node] = weakest[[node, *tree.children[node]]].min()
    return {
        "tie": tree.tie,
        "pass_drop": np.where(joined, lower_peak - tree.pass_height, 0),
        "neck": np.where(joined, tree.neck / (4 * np.minimum(minor[first], minor[second])), 2),
        "weakest_tie": weakest,
        "part_solidity": np.where(joined, np.minimum(solidity[first], solidity[second]), solidity),
        "part_share": np.where(joined, np.minimum(area[first], area[second]) / area, 0),
        "part_peak": np.where(joined, lower_peak, peak),
    }


def _of_parent(
    tree: MergeTree,
    area: NDArray[np.float64],
    solidity: NDArray[np.float64],
    minor: NDArray[np.float64],
    peak: NDArray[np.float64],
    size: NDArray[np.float64],
) -> _Features:
    """Compare a node with its parent, with its sibling there, and with the largest node around it."""
    parent, joins = tree.parent, tree.parent > 0
    sibling = np.where(joins, tree.children[parent].sum(axis=1) - np.arange(len(tree)), 0)
    clump = np.arange(len(tree))
    for node in range(len(tree) - 1, 0, -1):
        clump[node] = clump[parent[node]] if parent[node] else node
    return {
        "outer_tie": np.where(joins, tree.tie[parent], -1),
        "outer_pass_drop": np.where(joins, peak - tree.pass_height[parent], 2),
        "outer_neck": np.where(joins, tree.neck[parent] / (4 * minor), 0),
        "outer_size": np.where(joins, size[parent], size),
        "outer_solidity_gain": np.where(joins, solidity[parent] - solidity, 0),
        "sibling_share": np.where(joins, area[sibling] / area[parent], 0),
        "sibling_solidity": np.where(joins, solidity[sibling], 0),
        "clump_size": size[clump],
    }


def _of_image(
    tree: MergeTree, sums: NodeSums, picture: NDArray[np.uint8], around: NDArray[np.float64]
) -> _Features:
    red, green, blue = np.moveaxis(picture, -1, 0)
    gray = (red.astype(np.float32) + green + blue) / np.float32(3) / np.float32(255)
    slope = ndimage.gaussian_gradient_magnitude(gray, EDGE)
    own = gray.ravel()[sums.pixels].astype(np.float64)
    colors = picture.reshape(-1, 3)[sums.pixels].T / 255
    *inside, mean, mean_squared = sums.means(*colors, own, own**2)
    contrasts = (color - outside for color, outside in zip(inside, around.T, strict=True))
    return {
        **dict(zip(("contrast_red", "contrast_green", "contrast_blue"), contrasts, strict=True)),
        "spread": np.sqrt(np.maximum(mean_squared - mean**2, 0)),
        "edge": _beside(tree, [slope], 1)[:, 0],
    }


def _beside(tree: MergeTree, values: Sequence[NDArray[np.generic]], distance: int) -> NDArray[np.float64]:
    """Average each of the images over the background that is a step from a node's pixels: (N, len(values))."""
    labels, n = tree.fragments.ravel(), tree.n_fragments
    inside = tree.fragments > 0
    width = inside.shape[1]
    sums = np.zeros((n + 1, len(values) + 1))
    ahead, back, every = slice(distance, None), slice(None, -distance), slice(None)
    for here, there, step in (
        ((ahead, every), (back, every), -distance * width),
        ((back, every), (ahead, every), distance * width),
        ((every, ahead), (every, back), -distance),
        ((every, back), (every, ahead), distance),
    ):
        at = np.zeros_like(inside)
        np.greater(inside[here], inside[there], out=at[here])
        pixels = np.flatnonzero(at)
        ids = labels[pixels]
        sums[:, 0] += np.bincount(ids, minlength=n + 1)
        for column, image in enumerate(values, start=1):
            beside = image[np.divmod(pixels + step, width)]
            sums[:, column] += np.bincount(ids, weights=beside, minlength=n + 1)
    total = tree.add_up(sums)
    return np.asarray(total[:, 1:] / np.maximum(total[:, :1], 1))
