"""Cells that fill the image: fragments of what lies between boundaries, joined where their contact is open."""

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from autosam.regions.grow import find_contacts
from autosam.regions.tree import Contacts

APART = 3
"""Pixels, along rows and columns, in which a fragment's deepest point is deeper than all others."""

SMOOTHING = 0.7
"""Standard deviation, in pixels, by which the depth is smoothed: the steps of its pixels are no maxima."""

_EIGHT = np.ones((3, 3), dtype=bool)


def agglomerate(height: NDArray[np.floating], *, threshold: float, join: float) -> NDArray[np.int32]:
    """Divide the whole image among cells, so that a gap in a membrane does not make one of two.

    Fragments start at the maxima of the depth, the Euclidean distance to the nearest boundary, and grow until they
    fill the image, membranes included. So two cells with a gap between them meet along the whole membrane, and its
    mean height says that they are two. Contacts of fragments of one cell cross its open inside. The pair with the
    lowest mean height is joined first, and means are taken anew after each [1]_.

    Parameters
    ----------
    height : ndarray of float, shape (H, W)
        Probability, 0 to 1, that a pixel belongs to a boundary or to no cell at all.
    threshold : float
        A pixel is a boundary from this height, as far as depths go.
    join : float
        Fragments are joined while the mean height of their contact is below this. A contact consists of pairs of
        4-connected pixels, and the height of a pair is that of the higher one.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Ids above 0, in no order, with gaps. 0 everywhere where the whole image is boundary.

    References
    ----------
    .. [1] Lee K, Zung J, Li P, Jain V, Seung HS (2017). Superhuman accuracy on the SNEMI3D connectomics challenge.
       arXiv:1706.00120: mean affinity agglomeration.

    Examples
    --------
    Two cells with a membrane between them, and a gap in it:

    >>> height = np.zeros((9, 11))
    >>> height[:, 5] = 1
    >>> height[4, 5] = 0
    >>> cells = agglomerate(height, threshold=0.5, join=0.5)
    >>> bool((cells[:, :5] == cells[0, 0]).all()), bool(cells[0, 0] == cells[0, 10])
    (True, False)
    """
    fragments = cut_fragments(height, threshold=threshold)
    if not fragments.any():
        return fragments
    # `find_contacts` keeps the lower value of a pair, and here the higher one counts.
    contacts = find_contacts(fragments, -height.astype(np.float32))
    return joined(int(fragments.max()), contacts, join)[fragments]


def cut_fragments(height: NDArray[np.floating], *, threshold: float) -> NDArray[np.int32]:
    """Grow each maximum of the depth over the image, downhill first and then over the boundaries, lowest first.

    Returns
    -------
    ndarray of int32, shape (H, W)
        1..n, without gaps; all 0 where nothing is below the threshold.
    """
    inside = height < threshold
    if not inside.any():
        return np.zeros(height.shape, dtype=np.int32)
    # Beyond the image's border is no boundary, and without any boundary scipy measures the distance to nothing.
    depth = np.ones(height.shape) if inside.all() else ndimage.distance_transform_edt(inside)
    smooth = ndimage.gaussian_filter(depth, SMOOTHING)
    peaks = inside & (ndimage.maximum_filter(smooth, 2 * APART + 1) == smooth)
    seeds, _ = ndimage.label(peaks, structure=_EIGHT, output=np.int32)
    landscape = np.where(inside, -smooth, height)
    return np.asarray(watershed(landscape, seeds, connectivity=1), dtype=np.int32)


def joined(n: int, contacts: Contacts, join: float) -> NDArray[np.int32]:
    """Join fragments, the lowest mean height first, until none is below ``join``.

    Parameters
    ----------
    n : int
        Number of fragments.
    contacts : Contacts
        Their ``strength`` is minus the sum of heights.
    join : float

    Returns
    -------
    ndarray of int32, shape (n + 1,)
        The fragment whose id each one takes.
    """
    # Of every fragment, its neighbors with the length and the sum of heights of their contact.
    beside: list[dict[int, tuple[float, float]]] = [{} for _ in range(n + 1)]
    queue: list[tuple[float, int, int, float]] = []
    for (first, second), length, strength in zip(
        contacts.pairs.tolist(), contacts.length.tolist(), contacts.strength.tolist(), strict=True
    ):
        beside[first][second] = beside[second][first] = (length, -strength)
        if -strength < join * length:
            queue.append((-strength / length, first, second, length))
    heapify(queue)
    into = np.arange(n + 1, dtype=np.int32)
    while queue:
        _, first, second, length = heappop(queue)
        # A contact that has changed since is in the queue again.
        if beside[first].get(second, (0.0, 0.0))[0] != length:
            continue
        kept, gone = (first, second) if len(beside[first]) >= len(beside[second]) else (second, first)
        into[gone] = kept
        del beside[kept][gone]
        for other, (more, add) in beside[gone].items():
            if other == kept:
                continue
            del beside[other][gone]
            old = beside[kept].get(other, (0.0, 0.0))
            length, total = old[0] + more, old[1] + add
            beside[kept][other] = beside[other][kept] = (length, total)
            if total < join * length:
                heappush(queue, (total / length, min(kept, other), max(kept, other), length))
        beside[gone] = {}
    # Fragments that took another's id may have given theirs away later.
    while not np.array_equal(into, into[into]):
        into = into[into]
    return into
