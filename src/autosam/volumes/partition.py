"""Partition: which edges of dense objects stay, where every chain of overlaps would make one instance of all.

Neurites and touching cells overlap the neighbors of their neighbors. So their edges get costs, and objects of one
slice with a partner in common repel each other, since one of the two edges is likely wrong.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.slice_objects import slice_and_tile
from autosam.volumes.unite import positions

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
Method = Literal["components", "multicut", "mutex_watershed"]

_NEUTRAL = 0.3
"""Overlap that speaks neither for nor against an edge."""
_REPULSION = 2.0
"""Between two objects of one slice with a partner in common, in log-odds."""
_CERTAIN = 0.001
"""Least distance of an overlap to 0 and 1."""


def require_package(method: Method) -> None:
    """Refuse a method whose package is missing, by a `ConfigError`."""
    if method == "components":
        return
    try:
        import bioimage_cpp  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"volume.partition={method} needs the package bioimage-cpp ({error}); "
            "pip install 'autosam[partition]', or choose components."
        ) from None


def kept_edges(ids: NDArray[np.uint64], edges: ObjectEdges, *, method: Method) -> NDArray[np.bool_]:
    """Tell which edges lie within a part of the partition.

    The cost of an edge is the log-odds of its overlap, the mean of IoU and containment, above `_NEUTRAL`. The
    multicut [1]_ cuts the graph where the costs of the cut edges add up to the least. The mutex watershed [2]_
    takes edges from the surest to the least sure, and never joins what a surer one keeps apart.

    Parameters
    ----------
    ids : ndarray of uint64, shape (n,)
        Of all objects, rising.
    edges : ObjectEdges
        Each pair once.
    method : {"components", "multicut", "mutex_watershed"}
        The first keeps all edges.

    Returns
    -------
    ndarray of bool, shape (m,)

    Raises
    ------
    ConfigError
        If the package for the method is missing.

    References
    ----------
    .. [1] Andres B et al. (2012). Globally optimal closed-surface segmentation for connectomics. ECCV.
    .. [2] Wolf S et al. (2020). The mutex watershed and its objective: efficient, parameter-free graph
       partitioning. IEEE TPAMI. doi:10.1109/TPAMI.2020.2980827
    """
    require_package(method)
    if method == "components" or not len(edges):
        return np.ones(len(edges), bool)
    first, second = (positions(ids, ends).astype(np.int64) for ends in (edges.a, edges.b))
    overlap = (edges.iou.astype(np.float64) + edges.containment) / 2
    costs = _log_odds(overlap) - float(_log_odds(np.array(_NEUTRAL)))
    rivals = find_rivals(ids, first, second)
    solve = _multicut if method == "multicut" else _mutex_watershed
    part = solve(len(ids), np.stack([first, second], axis=1), costs, rivals)
    kept: NDArray[np.bool_] = part[first] == part[second]
    return kept


def find_rivals(ids: NDArray[np.uint64], first: _Ints, second: _Ints) -> _Ints:
    """List pairs of objects of one slice and tile that have a partner in common, by position; shape (k, 2)."""
    place = slice_and_tile(ids)
    found = [np.zeros((0, 2), np.int64)]
    for shared, rival in ((first, second), (second, first)):
        order = np.lexsort((rival, shared))
        shared, rival = shared[order], rival[order]
        here, apart = np.arange(len(order)), 1
        while len(here):
            here = here[here + apart < len(order)]
            here = here[shared[here] == shared[here + apart]]
            pair = np.stack([rival[here], rival[here + apart]], axis=1)
            found.append(pair[place[pair[:, 0]] == place[pair[:, 1]]])
            apart += 1
    return np.unique(np.concatenate(found), axis=0)


def _log_odds(share: _Floats) -> _Floats:
    inside = np.clip(share, _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(inside / (1 - inside)))


def _multicut(count: int, pairs: _Ints, costs: _Floats, rivals: _Ints) -> NDArray[np.uint64]:
    from bioimage_cpp.graph import UndirectedGraph
    from bioimage_cpp.graph.multicut import (
        ChainedMulticutSolvers,
        GreedyAdditiveMulticut,
        KernighanLinMulticut,
        MulticutObjective,
    )

    graph = UndirectedGraph.from_edges(count, np.concatenate([pairs, rivals]).astype(np.uint64))
    objective = MulticutObjective(graph, np.concatenate([costs, np.full(len(rivals), -_REPULSION)]))
    solver = ChainedMulticutSolvers([GreedyAdditiveMulticut(), KernighanLinMulticut()])
    return np.asarray(solver.optimize(objective))


def _mutex_watershed(count: int, pairs: _Ints, costs: _Floats, rivals: _Ints) -> NDArray[np.uint64]:
    from bioimage_cpp.graph import UndirectedGraph
    from bioimage_cpp.graph.mutex_watershed import mutex_watershed_clustering

    pull = costs > 0
    graph = UndirectedGraph.from_edges(count, pairs[pull].astype(np.uint64))
    apart = np.concatenate([pairs[~pull], rivals]).astype(np.uint64)
    repulsion = np.concatenate([-costs[~pull], np.full(len(rivals), _REPULSION)])
    return np.asarray(mutex_watershed_clustering(graph, costs[pull], apart, repulsion))
