"""Probability maps → a merge tree: fragments of the foreground, joined step by step."""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from autosam.errors import InputError
from autosam.regions.numbering import renumbered
from autosam.regions.tree import Contacts, MergeTree

SMOOTHING = 1.0
"""Standard deviation, in pixels, by which the maps are smoothed before their maxima are looked for."""

DEPTH = 0.04
"""How far a maximum must stand out, on a scale of 2, to start a fragment of its own."""

MOST_FRAGMENTS = 12
"""A region of more fragments is no candidate region: clumps of many objects only make the tree large."""

_EIGHT = np.ones((3, 3), dtype=bool)


def grow_tree(maps: Mapping[str, ArrayLike], *, threshold: float) -> MergeTree:
    """Cut the foreground into fragments, and join them, the most closely tied ones first.

    Fragments are the regions of a seeded watershed on center − boundary; there are more of them than objects.
    Joined in the order of the mean strength along their contact they make a tree [1]_, from which
    `MergeTree.choose` takes the disjoint regions that are most like objects [2]_.

    Parameters
    ----------
    maps : mapping of str to array_like, shape (H, W)
        Probabilities by channel: ``foreground``, and ``center``, ``boundary`` or both.
    threshold : float
        A pixel is foreground above this probability.

    Returns
    -------
    MergeTree
        The background is its only node where nothing is foreground.

    Raises
    ------
    InputError
        If there is no foreground map, or neither of the others, or they differ in shape.

    References
    ----------
    .. [1] Liu T, Jones C, Seyedhosseini M, Tasdizen T (2014). A modular hierarchical approach to 3D electron
       microscopy image segmentation. J. Neurosci. Methods 226, 88-102. doi:10.1016/j.jneumeth.2014.01.022
    .. [2] Arteta C, Lempitsky V, Noble JA, Zisserman A (2012). Learning to detect cells using non-overlapping
       extremal regions. MICCAI.

    Examples
    --------
    >>> center = np.array([[0.9, 0.9, 0.9, 0.1, 0.8, 0.8, 0.8]])
    >>> tree = grow_tree({"foreground": np.ones((1, 7)), "center": center}, threshold=0.5)
    >>> tree.fragments
    array([[1, 1, 1, 1, 2, 2, 2]], dtype=int32)
    >>> tree.children.tolist()
    [[0, 0], [0, 0], [0, 0], [1, 2]]
    """
    foreground, strength = _check(maps)
    smooth = ndimage.gaussian_filter(strength, SMOOTHING)
    fragments = _fragments(foreground > threshold, smooth)
    return _join(fragments, find_contacts(fragments, smooth))


def _check(maps: Mapping[str, ArrayLike]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the foreground, and center − boundary, as far as they are there."""
    known = ("foreground", "center", "boundary")
    given = {name: np.asarray(maps[name], dtype=np.float32) for name in known if name in maps}
    if "foreground" not in given or len(given) == 1:
        raise InputError(
            f"maps of {', '.join(maps) or 'nothing'} came, wanted foreground, and center or boundary: candidate "
            "regions need them"
        )
    if len({values.shape for values in given.values()}) > 1 or given["foreground"].ndim != 2:
        listed = ", ".join(f"{name} is {values.shape}" for name, values in given.items())
        raise InputError(f"the maps do not fit ({listed}), wanted one shape (H, W): give maps of one image")
    strength = np.zeros_like(given["foreground"])
    if "center" in given:
        strength += given["center"]
    if "boundary" in given:
        strength -= given["boundary"]
    return given["foreground"], strength


def _fragments(mask: NDArray[np.bool_], smooth: NDArray[np.float32]) -> NDArray[np.int32]:
    """Grow every maximum that stands out over the foreground; a component without one becomes one fragment."""
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32)
    maxima = local_maxima(np.where(mask, smooth, -2), connectivity=2) & mask
    seeds, n_seeds = ndimage.label(maxima, structure=_EIGHT, output=np.int32)
    grown = watershed(-smooth, seeds, mask=mask, connectivity=2)
    peaks = np.full(n_seeds + 1, -np.inf)
    # One value for each seed: a maximum is flat.
    peaks[seeds[maxima]] = smooth[maxima]
    grown = renumbered(grown, _without_shallow(peaks, find_contacts(grown, smooth)), out=grown)
    rest, _ = ndimage.label(mask & (grown == 0), structure=_EIGHT, output=np.int32)
    return np.asarray(np.where(rest > 0, rest + grown.max(), grown), dtype=np.int32)


def _without_shallow(peaks: NDArray[np.float64], contacts: Contacts) -> NDArray[np.int32]:
    """Join regions whose maximum stands out by less than ``DEPTH`` with their neighbor, and number all anew.

    A maximum stands out by what one must descend from it to reach a higher one: its dynamics (Grimaud 1992).
    """
    from scipy.cluster.hierarchy import DisjointSet  # a slow import, which most models do without

    # Regions that are connected above a level, with their highest maximum; and regions that are one fragment.
    lakes, fragments = DisjointSet(range(len(peaks))), DisjointSet(range(len(peaks)))
    highest = peaks.tolist()
    order = np.lexsort((contacts.pairs[:, 1], contacts.pairs[:, 0], -contacts.pass_height))
    for (first, second), height in zip(
        contacts.pairs[order].tolist(), contacts.pass_height[order].tolist(), strict=True
    ):
        one, other = lakes[first], lakes[second]
        if first == 0 or one == other:
            continue
        lower, higher = sorted((highest[one], highest[other]))
        if lower - height < DEPTH:
            fragments.merge(first, second)
        lakes.merge(one, other)
        highest[lakes[one]] = higher
    numbers = np.zeros(len(peaks), dtype=np.int32)
    # By each fragment's first region.
    for number, regions in enumerate(sorted(map(sorted, fragments.subsets()))):
        numbers[regions] = number
    return numbers


def find_contacts(fragments: NDArray[np.int32], smooth: NDArray[np.float32]) -> Contacts:
    """Find the pairs of 4-connected pixels that lie in different regions."""
    keys, values = [], []
    n = int(fragments.max(initial=0)) + 1
    every, ahead, back = slice(None), slice(1, None), slice(None, -1)
    for one, other in (((ahead, every), (back, every)), ((every, ahead), (every, back))):
        apart = fragments[one] != fragments[other]
        first, second = fragments[one][apart], fragments[other][apart]
        keys.append(np.minimum(first, second).astype(np.int64) * n + np.maximum(first, second))
        values.append(np.minimum(smooth[one][apart], smooth[other][apart]))
    key, value = np.concatenate(keys), np.concatenate(values).astype(np.float64)
    unique, where = np.unique(key, return_inverse=True)
    highest = np.full(len(unique), -np.inf)
    np.maximum.at(highest, where, value)
    return Contacts(
        pairs=np.stack([unique // n, unique % n], axis=1),
        length=np.bincount(where, minlength=len(unique)).astype(np.float64),
        strength=np.bincount(where, weights=value, minlength=len(unique)).astype(np.float64),
        pass_height=highest,
    )


def _join(fragments: NDArray[np.int32], contacts: Contacts) -> MergeTree:
    """Join the two regions with the strongest contact, until none is left."""
    n = int(fragments.max(initial=0))
    children, tie, neck, heights = [(0, 0)] * (n + 1), [1.0] * (n + 1), [0.0] * (n + 1), [1.0] * (n + 1)
    size = [1] * (n + 1)
    # Of every region, its neighbors with the length, sum and maximum of their contact.
    beside: list[dict[int, tuple[float, float, float]]] = [{} for _ in range(n + 1)]
    queue = []
    for (first, second), length, total, height in zip(
        contacts.pairs.tolist(),
        contacts.length.tolist(),
        contacts.strength.tolist(),
        contacts.pass_height.tolist(),
        strict=True,
    ):
        if first:
            beside[first][second] = beside[second][first] = (length, total, height)
            queue.append((-total / length, first, second))
    heapify(queue)
    gone = [False] * (n + 1)
    while queue:
        _, first, second = heappop(queue)
        if gone[first] or gone[second] or size[first] + size[second] > MOST_FRAGMENTS:
            continue
        node = len(children)
        length, total, height = beside[first][second]
        children.append((first, second))
        tie.append(total / length)
        neck.append(length)
        heights.append(height)
        size.append(size[first] + size[second])
        gone[first] = gone[second] = True
        gone.append(False)
        around: dict[int, tuple[float, float, float]] = {}
        for part, other in ((first, second), (second, first)):
            for region, (more, add, high) in beside[part].items():
                if region != other and not gone[region]:
                    old = around.get(region, (0.0, 0.0, -np.inf))
                    around[region] = (old[0] + more, old[1] + add, max(old[2], high))
        beside.append(around)
        for region, contact_of in around.items():
            beside[region][node] = contact_of
            heappush(queue, (-contact_of[1] / contact_of[0], region, node))
    made = np.array(children, dtype=np.int64).reshape(-1, 2)
    parent = np.zeros(len(made), dtype=np.int64)
    parent[made[n + 1 :].ravel()] = np.repeat(np.arange(n + 1, len(made)), 2)
    return MergeTree(fragments, made, parent, np.array(tie), np.array(neck), np.array(heights), contacts)
