"""Nearest-neighbor affinities: where they part objects, how seeds grow along them, which regions they join."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Affinities = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Two maps (H, W): the probability that a pixel and the one above it, and the one left of it, share an object.

The first map's first row and the second's first column are not read: the image's border parts nothing.
"""


def weakest(affinities: Affinities) -> NDArray[np.floating]:
    """Return each pixel's smallest affinity to its four neighbors, (H, W); 1 for an image of one pixel."""
    return np.asarray(_around(affinities, missing=1).min(axis=0))


def strongest(affinities: Affinities) -> NDArray[np.floating]:
    """Return each pixel's largest affinity to its four neighbors, (H, W); 0 for an image of one pixel.

    Background shares no object with anything, so a pixel that is tied to none of its neighbors is background.
    """
    return np.asarray(_around(affinities, missing=0).max(axis=0))


def grow_along(affinities: Affinities, seeds: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Grow seeds over a mask, across the largest affinity first: a watershed cut of the 4-connected pixel graph.

    A watershed on pixels has to put the cut on pixels. Objects that touch without a gap have to be cut between
    them, along edges of the graph.

    Parameters
    ----------
    seeds : ndarray of int32, shape (H, W)
        0 where there is none; seeds lie in the mask.

    Returns
    -------
    ndarray of int32, shape (H, W)
        The seeds' ids; 0 outside the mask and where no seed reaches.

    References
    ----------
    .. [1] Cousty J, Bertrand G, Najman L, Couprie M (2009). Watershed cuts: minimum spanning forests and the drop
       of water principle. IEEE TPAMI 31, 1362-1374. doi:10.1109/TPAMI.2008.173
    """
    # Slow imports, which most models do without.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    pixels = np.flatnonzero(mask & (seeds == 0))
    ids = np.unique(seeds[seeds > 0])
    n_seeds = ids.size
    # Nodes: 0, the root of the forest; 1 .. n_seeds, the seeds, each as a whole; then the pixels without a seed.
    node = np.searchsorted(ids, seeds) + 1
    node.ravel()[pixels] = n_seeds + 1 + np.arange(pixels.size)
    n_nodes = n_seeds + 1 + pixels.size
    one, other, weights = [], [], [np.full(n_seeds, 0.5)]
    for values, here, before in (
        (affinities[0], np.s_[1:], np.s_[:-1]),
        (affinities[1], np.s_[:, 1:], np.s_[:, :-1]),
    ):
        free = mask[here] & mask[before] & ((seeds[here] == 0) | (seeds[before] == 0))
        one.append(node[here][free])
        other.append(node[before][free])
        # From 1 on, so that the root's edges come first; 0 is no edge to scipy.
        weights.append(2 - np.clip(values[here][free].astype(np.float64), 0, 1))
    row = np.concatenate([np.zeros(n_seeds, np.int64), *one])
    col = np.concatenate([np.arange(1, n_seeds + 1), *other])
    weight = np.concatenate(weights)
    # A pixel can border on a seed on several sides; of these the largest affinity counts.
    pair = np.minimum(row, col) * n_nodes + np.maximum(row, col)
    order = np.lexsort((weight, pair))
    first = order[np.diff(pair[order], prepend=-1) != 0]
    graph = coo_array((weight[first], (row[first], col[first])), shape=(n_nodes, n_nodes))
    forest = minimum_spanning_tree(graph.tocsr()).tocoo()
    # The root's edges are what holds the forest's trees together.
    trees = (forest.row > 0) & (forest.col > 0)
    edges = (np.ones(np.count_nonzero(trees), np.int8), (forest.row[trees], forest.col[trees]))
    n_trees, tree = connected_components(coo_array(edges, shape=(n_nodes, n_nodes)), directed=False)
    seed_of = np.zeros(n_trees, np.int32)
    seed_of[tree[1 : n_seeds + 1]] = ids
    grown = seeds.copy()
    grown.ravel()[pixels] = seed_of[tree[n_seeds + 1 :]]
    return grown


def join_tied(affinities: Affinities, regions: NDArray[np.int32], threshold: float) -> NDArray[np.int32]:
    """Join neighboring regions whose mean affinity along their common border is above a threshold.

    Ids are new; the background stays 0.

    References
    ----------
    .. [1] Lee K, Zung J, Li P, Jain V, Seung HS (2017). Superhuman accuracy on the SNEMI3D connectomics challenge.
       arXiv:1706.00120.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids, numbers = np.unique(regions, return_inverse=True)
    node = numbers.reshape(regions.shape)
    if ids.size == 0:
        return regions.copy()
    above, left = affinities
    one = np.concatenate([node[1:].ravel(), node[:, 1:].ravel()])
    other = np.concatenate([node[:-1].ravel(), node[:, :-1].ravel()])
    values = np.concatenate([above[1:].ravel(), left[:, 1:].ravel()])
    borders = (one != other) & (ids[one] > 0) & (ids[other] > 0)
    one, other, values = one[borders], other[borders], values[borders]
    pairs, pair = np.unique(np.minimum(one, other) * ids.size + np.maximum(one, other), return_inverse=True)
    tied = pairs[np.bincount(pair, values) > threshold * np.bincount(pair)]
    edges = (np.ones(tied.size, np.int8), (tied // ids.size, tied % ids.size))
    _, joined = connected_components(coo_array(edges, shape=(ids.size, ids.size)), directed=False)
    return np.where(regions > 0, joined[node] + 1, 0).astype(np.int32)


def _around(affinities: Affinities, *, missing: float) -> NDArray[np.floating]:
    """Stack each pixel's affinities to the pixels above, below, left and right, (4, H, W)."""
    above, left = affinities
    around = np.full((4, *above.shape), missing, dtype=np.result_type(above, left))
    around[0, 1:] = around[1, :-1] = above[1:]
    around[2, :, 1:] = around[3, :, :-1] = left[:, 1:]
    return around


def affinity_maps(maps: Mapping[str, NDArray[np.floating]]) -> Affinities | None:
    """Take the two affinities out of maps by channel; None where the generator predicts none."""
    return (maps["affinity_row"], maps["affinity_col"]) if "affinity_row" in maps else None
