"""Two instances that one bad slice has merged: found by their tracks, which are apart below and above it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Ints = NDArray[np.int64]

TRACK = 6
"""Slices below and above the merge in which the tracks have to be apart. Among 83 mitochondria at 16 nm, one has a
bridge of a single slice between arms that are apart in five."""

Pairs = tuple[_Ints, _Ints]
"""Positions of the lower and of the upper object of each edge between two slices."""


class Cut(NamedTuple):
    """A track that a merged object interrupts; positions of objects in three slices in a row.

    The edges from `merged` to the other two are to go, and one from `below` to `above` takes their place.
    """

    z: int
    below: int
    merged: int
    above: int


def find_merges(
    near: Mapping[int, Pairs],
    z: int,
    *,
    across: Callable[[int, _Ints, _Ints], Pairs],
    area: Callable[[int, int], int],
) -> list[Cut]:
    """Find the tracks of which an object of slice z is a false merge.

    An object is a false merge where two tracks or more run through it: each has one object in each of `TRACK`
    slices below and above, apart from the others all the way, and its ends below and above overlap each other
    and the end of no other track. The largest track keeps the object. Where a track goes on below or above
    alone, it is a branch.

    Parameters
    ----------
    near : mapping of int to pair of ndarray
        The edges from each slice to the next, `TRACK` slices below and above.
    across : callable
        For a slice z, objects below and objects above it: their pairs that overlap enough for an edge.
    area : callable
        Pixels of an object, by slice and position.

    Returns
    -------
    list of Cut
        By object, then from the largest track to the smallest; empty if there is no false merge.
    """
    if z - 1 not in near or z not in near:
        return []
    (below, middle), (middle_again, above) = near[z - 1], near[z]
    several = np.intersect1d(_repeated(middle), _repeated(middle_again))
    cuts = []
    for merged in several:
        lower = [int(i) for i in below[middle == merged] if _is_track(near, z - 1, int(i), up=False)]
        upper = [int(i) for i in above[middle_again == merged] if _is_track(near, z + 1, int(i), up=True)]
        if len(lower) < 2 or len(upper) < 2:
            continue
        first, second = across(z, np.array(lower), np.array(upper))
        alone = ~np.isin(first, _repeated(first)) & ~np.isin(second, _repeated(second))
        tracks = [(int(i), int(j)) for i, j in zip(first[alone], second[alone], strict=True)]
        tracks.sort(key=lambda ends: (-area(z - 1, ends[0]) - area(z + 1, ends[1]), ends))
        cuts += [Cut(z, i, int(merged), j) for i, j in tracks[1:]]
    return cuts


def _is_track(near: Mapping[int, Pairs], z: int, index: int, *, up: bool) -> bool:
    """Tell whether the track that begins with an object beside the merged one is long, and alone all the way."""
    toward = near[z - 1][1] if up else near[z][0]
    if np.count_nonzero(toward == index) != 1:
        return False
    for _ in range(TRACK - 1):
        lower, upper = near.get(z if up else z - 1, (np.zeros(0, np.int64),) * 2)
        own, other = (lower, upper) if up else (upper, lower)
        partners = other[own == index]
        if len(partners) != 1 or np.count_nonzero(other == partners[0]) != 1:
            return False
        index, z = int(partners[0]), z + 1 if up else z - 1
    return True


def _repeated(values: _Ints) -> _Ints:
    found, counts = np.unique(values, return_counts=True)
    return found[counts > 1]
