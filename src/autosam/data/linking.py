"""3D components of masks that are read one slice at a time: 2D components, then one union over touching slices."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from autosam.data.manifest import Item

Ids = NDArray[np.integer[Any]]


class VolumeLinks:
    """The 3D components of one volume, as a table from 2D components.

    Voxels that touch at a face, an edge or a corner belong together (26 neighbors). The ids are those that
    `metrics.components` gives the whole volume: 1..n in raster order of the first voxel. Memory holds two slices
    and one number for each 2D component.

    Parameters
    ----------
    slices : iterable of (int, ndarray of shape (H, W))
        z and 2D components 1..n of each slice, 8 neighbors, by rising z. Slices whose z are not consecutive have
        a gap between them and do not touch.
    min_size : int
        Smallest 3D component in voxels; smaller ones become background.

    Attributes
    ----------
    count : int
        Number of 3D components.
    """

    def __init__(self, slices: Iterable[tuple[int, Ids]], *, min_size: int) -> None:
        self._first: list[int] = []
        sizes: list[NDArray[np.int64]] = []
        touching: list[NDArray[np.int64]] = []
        total = 0
        before: tuple[int, Ids, int] | None = None
        for z, labels in slices:
            counts = np.bincount(labels.ravel())[1:]
            if before is not None and before[0] == z - 1:
                pairs = touching_pairs(before[1], labels)
                touching.append(pairs - 1 + np.array([before[2], total]))
            self._first.append(total)
            before = z, labels, total
            sizes.append(counts)
            total += len(counts)
        self._table, self.count = _join(total, touching, sizes, min_size)

    def relabel(self, position: int, labels: Ids) -> Ids:
        """Give a slice, by its position among those that came, its 3D ids; shape (H, W)."""
        start = self._first[position]
        own = np.concatenate([[0], self._table[start : start + int(labels.max())]])
        ids: Ids = own[labels]
        return ids


def _join(
    total: int, touching: Sequence[NDArray[np.int64]], sizes: Sequence[NDArray[np.int64]], min_size: int
) -> tuple[NDArray[np.int64], int]:
    if total == 0:
        return np.zeros(0, np.int64), 0
    n, component = connected(total, np.concatenate([*touching, np.zeros((0, 2), np.int64)]))
    kept = np.bincount(component, weights=np.concatenate(sizes), minlength=n) >= min_size
    # The 2D components come in raster order, so a 3D component begins with its first one.
    first = np.full(n, total)
    np.minimum.at(first, component, np.arange(total))
    order = np.argsort(first)
    order = order[kept[order]]
    ids = np.zeros(n, np.int64)
    ids[order] = np.arange(1, len(order) + 1)
    return ids[component], len(order)


def connected(count: int, edges: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """Find the connected parts of a graph: how many there are, and the number of that of each of `count` nodes.

    `edges` are pairs of nodes, shape (N, 2).
    """
    if count == 0:
        return 0, np.zeros(0, np.int64)
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    return int(parts), np.asarray(part, dtype=np.int64)


def touching_pairs(above: Ids, below: Ids) -> NDArray[np.int64]:
    """List the pairs of ids of two neighboring slices that touch at a face, an edge or a corner.

    Slices have shape (H, W), 0 is background, and the pairs come as (N, 2), without repetition.

    Examples
    --------
    >>> import numpy as np
    >>> touching_pairs(np.array([[1, 0, 2]]), np.array([[0, 3, 0]])).tolist()
    [[1, 3], [2, 3]]
    """
    # A pair as one number: unique numbers are found much faster than unique rows.
    base = int(below.max()) + 1
    both = (above != 0) & (below != 0)
    found = [_unique_in_runs(above[both].astype(np.int64) * base + below[both])]
    # Inside of an object below, all nine pixels are its own; the others are few.
    around = np.pad(below, 1)
    beside, beneath = around[:, 1:] == around[:, :-1], around[1:, 1:-1] == around[:-1, 1:-1]
    rows_even = beside[:, 1:] & beside[:, :-1]
    even = rows_even[:-2] & rows_even[1:-1] & rows_even[2:] & beneath[1:] & beneath[:-1]
    rows, columns = np.nonzero((above != 0) & ~even)
    own = above[rows, columns].astype(np.int64) * base
    for down in range(3):
        for right in range(3):
            other = around[rows + down, columns + right]
            found.append(_unique_in_runs((own + other)[other != 0]))
    return np.stack(np.divmod(np.unique(np.concatenate(found)), base), axis=1)


def _unique_in_runs(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the unique of numbers from 0 that come in runs, of which only the first is sorted."""
    return np.unique(numbers[np.flatnonzero(np.diff(numbers, prepend=-1))])


def link_volumes(
    items: Sequence[Item], read: Callable[[str], Ids], *, min_size: int
) -> Callable[[Item, Ids], Ids]:
    """Link the slices of every volume; the result gives the 3D ids of a slice from its 2D components.

    Parameters
    ----------
    items : sequence of Item
        Every labeled slice, by volume and rising z; a single image is a volume of one slice.
    read : callable
        Gives the 2D components of a slice by its name.
    min_size : int
        Smallest 3D component in voxels.
    """
    volumes: dict[str, list[Item]] = {}
    for item in items:
        volumes.setdefault(item.key, []).append(item)
    place: dict[str, tuple[VolumeLinks, int]] = {}
    for slices in volumes.values():
        links = VolumeLinks(((item.z or 0, read(item.name)) for item in slices), min_size=min_size)
        place |= {item.name: (links, position) for position, item in enumerate(slices)}

    def relabel(item: Item, labels: Ids) -> Ids:
        links, position = place[item.name]
        return links.relabel(position, labels)

    return relabel
