"""RGB images that are gray ones in the colors of a lookup table (green, cyan, hot, fire, viridis): back to gray.

Stained tissue can lie as near to one hue as such an image does. Two things tell them apart: a ramp of one color
goes through black, and the background of a fluorescence image lies at the dark end of its lookup table.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_POOL = 4
"""Side of the squares of pixels whose mean colors are compared with a ramp: noise and JPEG have less weight."""

_FEWEST = 64
"""Squares that tell of colors; smaller images stay as they are."""

_PIXELS = 100_000
"""Pixels whose colors are compared with a curve, evenly spaced."""

_SIGNAL = 0.2
"""Pixels count whose color is this far from the commonest one, as a share of the farthest."""

_RAMP = 0.11
"""Distance of nine tenths of them from a straight ramp through black. JPEG of low quality has up to .10; stained
tissue that is at least as saturated as ``_SATURATED`` .16 to .5."""

_SATURATED = 0.5
"""Least saturation of a ramp. A paler one is next to gray, as some stained tissue is."""

_CURVE = 0.12
"""Distance of 95 percent of them from a curve. JPEG of middling quality has up to .11, equal colors .2 to .5."""

_DARK = 0.2
"""Position of the commonest color along a curve, from its dark end. Stained tissue has .28 to 1."""

_BINS = 16
"""Steps of each color of a histogram of colors."""

_MOST = 800
"""Colors in the histogram beyond which they make no curve."""

_STEPS = 64
"""Steps of a curve."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])


def undo_lookup_table(image: NDArray[Any]) -> NDArray[Any] | None:
    """Reduce an image in the colors of a lookup table to its intensity.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3)
        Integers or floating point numbers; NaN and infinity do not count.

    Returns
    -------
    ndarray, shape (H, W), or None
        Of a ramp of one color the sum of the channels, uint16, uint32 or float64; of any other lookup table
        float32, 0 to 1, the way along its curve of colors. NaN stays NaN. None for images in several colors,
        stained tissue, gray images, and images of less than about 32 × 32 pixels.
    """
    colors = _finite(_pooled(image))
    if len(colors) < _FEWEST or not np.ptp(colors, axis=1).any():
        return None
    direction = _find_ramp(colors)
    if direction is not None:
        wide = {"b": np.uint16, "u1": np.uint16, "u2": np.uint32}.get(image.dtype.str.lstrip("|<>="), np.float64)
        total = image[..., 0].astype(wide)
        total += image[..., 1]
        total += image[..., 2]
        # A white scale bar or letter is no brighter than the ramp can be.
        brightest = float(image.max() if image.dtype.kind != "f" else image[np.isfinite(image)].max())
        top = float(direction.sum() / direction.max()) * brightest
        np.minimum(total, total.dtype.type(top), out=total)
        return total
    pixels = image.reshape(-1, 3)
    colors = _finite(pixels[:: max(1, len(pixels) // _PIXELS)].astype(np.float64))
    top = float(np.percentile(colors.max(axis=1), 99.9)) if len(colors) else 0.0
    if colors.min(initial=0) < 0 or not top > 0:
        return None
    curve = _find_curve(np.minimum(colors / top, 1))
    return None if curve is None else _along(curve, image, top)


def _pooled(image: NDArray[Any]) -> NDArray[np.float64]:
    rows, columns = image.shape[0] // _POOL, image.shape[1] // _POOL
    # Of a large image, evenly spaced rows of squares are enough.
    every = max(1, rows * columns // _PIXELS)
    chosen = image[: rows * _POOL, : columns * _POOL].reshape(rows, _POOL, columns, _POOL, 3)[::every]
    return np.asarray(chosen.mean(axis=(1, 3), dtype=np.float64).reshape(-1, 3))


def _finite(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    return colors[np.isfinite(colors).all(axis=1)]


def _signal(colors: NDArray[np.float64]) -> tuple[NDArray[np.bool_], float]:
    """Tell which colors are far from the commonest one, and how far the farthest is."""
    distances = np.abs(colors - np.median(colors, axis=0)).max(axis=1)
    farthest = float(np.percentile(distances, 99.9))
    return distances > _SIGNAL * farthest, farthest


def _find_ramp(colors: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Give the direction of a straight ramp of one color, of length 1; None for other colors."""
    signal, farthest = _signal(colors)
    if not signal.any():
        return None
    bright = colors[signal]
    mean = bright.mean(axis=0)
    direction: NDArray[np.float64] = mean / max(float(np.linalg.norm(mean)), 1e-300)
    off = np.abs(bright - np.outer(bright @ direction, direction)).max(axis=1)
    saturated = mean.min() <= (1 - _SATURATED) * mean.max()
    return direction if saturated and np.percentile(off, 90) <= _RAMP * farthest else None


def _find_curve(colors: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Find the curve of a lookup table among colors of 0 to 1: points (n, 3) from dark to bright."""
    from scipy.spatial import cKDTree  # a slow import, for images in color alone

    nodes, counts = _histogram(colors)
    if not 2 <= len(nodes) <= _MOST:
        return None
    curve = _chain(nodes, counts)
    if len(curve) < 2:
        return None
    signal, farthest = _signal(colors)
    if not signal.any():
        return None
    tree = cKDTree(curve)
    off, _ = tree.query(colors[signal])
    _, common = tree.query(np.median(colors, axis=0))
    near = np.percentile(off, 95) <= _CURVE * farthest
    return curve if near and common <= _DARK * (len(curve) - 1) else None


def _histogram(colors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean color and the number of pixels of every bin that noise alone would not fill."""
    cells = np.minimum((colors * _BINS).astype(np.int64), _BINS - 1) @ np.array([_BINS**2, _BINS, 1])
    _, inverse, counts = np.unique(cells, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse, colors[:, channel]) for channel in range(3)], axis=1)
    kept = counts >= max(2, 5e-5 * len(colors))
    return (sums / counts[:, None])[kept], counts[kept]


def _chain(nodes: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Order colors by their way from the darkest one, through neighbors, and return the curve of their means."""
    from scipy.sparse.csgraph import dijkstra  # a slow import, for images in color alone

    distances = np.linalg.norm(nodes[:, None] - nodes[None], axis=2)
    start = int(np.argmin(nodes @ _LUMINANCE))
    # Cubes make a way of many small steps shorter than one that leaves the curve.
    _, before = dijkstra(distances**3, indices=start, return_predecessors=True)
    way = np.zeros(len(nodes))
    for node in range(len(nodes)):
        here = node
        while before[here] >= 0:
            way[node] += distances[here, before[here]]
            here = int(before[here])
    step = np.minimum((way / way.max() * _STEPS).astype(int), _STEPS - 1)
    weights = np.minimum(counts, 4 * np.median(counts))
    points = np.array([np.average(nodes[step == s], axis=0, weights=weights[step == s]) for s in np.unique(step)])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    even = np.linspace(0, length[-1], 8 * _STEPS)
    return np.stack([np.interp(even, length, points[:, channel]) for channel in range(3)], axis=1)


def _along(curve: NDArray[np.float64], image: NDArray[Any], top: float) -> NDArray[np.float32]:
    """Give every pixel the place of the nearest point of a curve, 0 to 1."""
    from scipy.spatial import cKDTree

    tree = cKDTree(curve)
    found = np.empty(image.shape[:2], np.float32)
    if image.dtype == np.uint8:
        table = np.zeros(1 << 24, np.float32)
        seen = np.zeros(1 << 24, bool)
        for row in image:
            seen[_packed(row)] = True
        values = np.flatnonzero(seen)
        colors = np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=1)
        table[values] = tree.query(np.minimum(colors / top, 1))[1] / (len(curve) - 1)
        for row, line in zip(found, image, strict=True):
            row[:] = table[_packed(line)]
        return found
    for row, line in zip(found, image, strict=True):
        finite = np.isfinite(line).all(axis=1)
        row[~finite] = np.nan
        row[finite] = tree.query(np.clip(line[finite] / top, 0, 1))[1] / (len(curve) - 1)
    return found


def _packed(colors: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.asarray(colors.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]))
