"""Outlines of labels as SVG paths for the screen: smooth, short, and within a pixel of the exact ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.instances.runs import find_runs
from autosam.report.exports.corners import Rings, find_corners, follow

UNITS = 2
"""Units of the paths in one pixel, so that the middle of a pixel's edge is a whole number."""

_TOLERANCE = 0.9
"""Units by which a point that is left out may lie beside the line through its neighbors."""
_PASSES = 4
_FEWEST = 8
"""Points of a ring from which points are left out."""


def outline_paths(labels: NDArray[np.integer[Any]]) -> dict[int, str]:
    """Trace the outline of each object as a path of SVG, holes and further parts included.

    The outline along the edges of pixels is cut across at its corners, which makes straight lines of stairs. Then
    points that hardly matter are left out.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Ids, 0 for background.

    Returns
    -------
    dict of int to str
        Path by id, rising, in half pixels: (0, 0) is the upper left corner of the image, (2 W, 2 H) the lower
        right one. Empty without objects.

    Examples
    --------
    >>> outline_paths(np.array([[0, 5, 5]]))
    {5: 'M3 0l2 0 1 1-1 1-2 0-1-1z'}
    """
    ids = find_runs(labels).ids
    paths: dict[int, list[str]] = {number: [] for number in ids.tolist()}
    for _, _, rings in follow(find_corners(labels, ids), len(ids)):
        for owner, path in zip(rings.index.tolist(), _paths(*_cut_corners(rings)), strict=True):
            paths[int(ids[owner])].append(path)
    return {number: "".join(parts) for number, parts in paths.items()}


def _cut_corners(rings: Rings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Put two points on each edge, one on those of a single pixel; give the points and the length of each ring."""
    lengths = rings.ends - rings.begins
    here = rings.points_xy * UNITS
    there = here[_following(rings.begins, rings.ends, len(here))]
    step = np.sign(there - here)
    points = np.stack([here + step, there - step], axis=1).reshape(-1, 2)
    kept = np.ones(len(points), bool)
    kept[1::2] = np.abs(there - here).sum(axis=1) > UNITS
    owner = np.repeat(np.arange(len(lengths)), 2 * lengths)
    return _thinned(points[kept], owner[kept], len(lengths))


def _thinned(
    points: NDArray[np.int64], owner: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Leave out points near the line through their neighbors, never two neighbors at once."""
    for number in range(_PASSES):
        lengths = np.bincount(owner, minlength=count)
        ends = np.cumsum(lengths)
        begins = ends - lengths
        after = _following(begins, ends, len(points))
        before = np.empty_like(after)
        before[after] = np.arange(len(points))
        line = points[after] - points[before]
        aside = points - points[before]
        height = np.abs(line[:, 0] * aside[:, 1] - line[:, 1] * aside[:, 0])
        near = height <= _TOLERANCE * np.hypot(line[:, 0], line[:, 1])
        rank = np.arange(len(points)) - begins[owner]
        # The last point of an odd number is the neighbor of the first.
        turn = (rank % 2 == number % 2) & (rank < lengths[owner] - 1)
        kept = ~(near & turn & (lengths[owner] >= _FEWEST))
        points, owner = points[kept], owner[kept]
    return points, np.bincount(owner, minlength=count)


def _following(begins: NDArray[np.int64], ends: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Give the index of the point that comes after each one on its ring."""
    after = np.arange(1, count + 1)
    after[ends - 1] = begins
    return after


def _paths(points: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """Write each ring as a path: its first point, and from there on steps, which are shorter than places."""
    steps = np.diff(points, axis=0, prepend=0)
    ends = np.cumsum(lengths)
    steps[ends - lengths] = points[ends - lengths]
    words = [f"{x} {y}" for x, y in steps.tolist()]
    return [
        f"M{words[end - length]}l{' '.join(words[end - length + 1 : end])}z".replace(" -", "-")
        for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]
