"""From edges to instances: the connected components of the objects of a volume."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from autosam.volumes.slice_objects import slices_of

_Ints = NDArray[np.int64]


def unite(
    ids: NDArray[np.uint64],
    a: NDArray[np.uint64],
    b: NDArray[np.uint64],
    *,
    sizes: NDArray[np.integer[Any]] | None = None,
    min_size: int = 0,
    slices: range = range(0),
    min_slices: int = 1,
) -> _Ints:
    """Give every object the number of its instance: objects that edges join, directly or through others.

    Parameters
    ----------
    ids : ndarray of uint64, shape (n,)
        Ids of all objects, rising.
    a, b : ndarray of uint64, shape (m,)
        Ids of the two objects of each edge, in any order.
    sizes : ndarray of integers, shape (n,), optional
        Pixels of each object that count for `min_size`: those that its tile owns.
    min_size : int
        Smallest instance in voxels; the objects of smaller ones get 0.
    slices : range
        The slices of the volume; for `min_slices`.
    min_slices : int
        Fewest slices that an instance spans; the objects of others get 0, unless they reach the first or the last
        slice.

    Returns
    -------
    ndarray of int64, shape (n,)
        Number of each object's instance: 1, 2, ... in order of the smallest id in it.

    Raises
    ------
    ValueError
        If the ids do not rise, or an edge names an object that is not there.

    Examples
    --------
    >>> import numpy as np
    >>> ids, edges = np.array([3, 5, 8, 9], np.uint64), np.array([[5, 9], [9, 3]], np.uint64)
    >>> unite(ids, edges[:, 0], edges[:, 1]).tolist()
    [1, 1, 2, 1]
    """
    if len(ids) and not (ids[1:] > ids[:-1]).all():
        raise ValueError("the ids of objects must rise")
    component = _components(len(ids), positions(ids, a), positions(ids, b))
    count = int(component.max(initial=-1)) + 1
    kept = np.ones(count, bool)
    if min_size and sizes is not None:
        kept &= np.bincount(component, weights=sizes, minlength=count) >= min_size
    if min_slices > 1:
        first, last = _extents(component, slices_of(ids), count)
        # What reaches the end of the volume may go on beyond it.
        kept &= (last - first + 1 >= min_slices) | (first == slices.start) | (last == slices.stop - 1)
    # The last one written is that of the smallest id.
    smallest = np.zeros(count, np.int64)
    smallest[component[::-1]] = np.arange(len(ids))[::-1]
    order = np.argsort(smallest)
    order = order[kept[order]]
    numbers = np.zeros(count, np.int64)
    numbers[order] = np.arange(1, len(order) + 1)
    result: _Ints = numbers[component]
    return result


def positions(ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int32 | np.int64]:
    """Find the position of each wanted id among rising ids.

    Raises
    ------
    ValueError
        If one is not there.
    """
    found = np.searchsorted(ids, wanted)
    # Half the memory where it suffices.
    place = found.astype(np.int32) if len(ids) <= np.iinfo(np.int32).max else found
    if len(place) and (int(place.max()) >= len(ids) or (ids[place] != wanted).any()):
        raise ValueError("an edge names an object that is not in the table")
    return place


def _extents(component: NDArray[np.integer[Any]], z: _Ints, count: int) -> tuple[_Ints, _Ints]:
    """Find the first and last slice of each component."""
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, component, z)
    np.maximum.at(last, component, z)
    return first, last


def _components(
    count: int, first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]
) -> NDArray[np.integer[Any]]:
    if not count:
        return np.zeros(0, np.int64)
    graph = csr_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])
