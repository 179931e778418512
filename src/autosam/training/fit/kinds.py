"""Kinds of training images, and the limits that windows of them stay below."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.models.statistics.novelty import NoveltyStatistics

LEAST_WINDOWS = 16
"""With fewer windows of training images, there are no statistics."""

TILES_OF_A_KIND = 16
"""Different tiles of a source for each kind of it. A data set can hold several modalities, and images between two
of them are like neither: with one mean for each source, `nuclei` found no novelty in electron micrographs."""

KINDS, COMPONENTS = 64, 64
"""Most kinds, and most directions in which the covariance is known. They take .1 MB with 256 channels."""

SHRINKAGE = 0.5
"""Share of the covariance that is taken from the identity, scaled to the mean variance."""

PERCENTILE = 95.0
"""Percentage of the windows, each measured without its half of its source, that sets the limit: the largest one of
the small, middle and large windows. Smaller parts than halves suit images that have nothing to do with each other,
but in a stack of slices they have near neighbors, and the limit falls too low."""

LEAST_OF_A_SIZE = 40
"""Windows of a size that have a percentile of their own; fewer are measured together with larger ones."""

LEAST_VARIED = 0.05
"""Deviation of 1 / area from which windows differ in size."""

MOST_GROWTH = 4.0
"""Of the square of a limit, from a large image to one of a tile's area."""

WEIGHT = 1 / 3
"""How much the uncertain share counts; the distance counts the rest."""


class Described(NamedTuple):
    """What the statistics are made of.

    Attributes
    ----------
    tiles : ndarray of float32, shape (N, 2 C)
        Of a window, see `describe_tiles`.
    uncertain, area : float
        See `uncertain_share` and `shown_area`.
    """

    tiles: NDArray[np.float32]
    uncertain: float
    area: float


def fit_statistics(sources: Sequence[Sequence[Described]]) -> NoveltyStatistics | None:
    """Make the statistics of windows of training images.

    The tiles of each source are divided into kinds by k-means. For the limits, each window is measured by
    statistics of the other halves alone.

    Parameters
    ----------
    sources : sequence of sequence of Described
        The windows, source by source, with those of similar images next to each other: each source is cut into a
        first and a second half.

    Returns
    -------
    NoveltyStatistics or None
        None where there are fewer than ``LEAST_WINDOWS`` windows, or where too few tiles differ.
    """
    if sum(map(len, sources)) < LEAST_WINDOWS:
        return None
    # A half has as many kinds as the whole: fewer would be wider, and the limit too small.
    most = max(1, KINDS // len(sources))
    counts = [min(most, len(np.unique(_tiles(windows), axis=0)) // TILES_OF_A_KIND) for windows in sources]
    halves = [(windows[: (len(windows) + 1) // 2], windows[(len(windows) + 1) // 2 :]) for windows in sources]
    distances: list[float] = []
    measured: list[Described] = []
    for own, other in ((0, 1), (1, 0)):
        without = _fit([_tiles(half[other]) for half in halves], counts)
        if without is None:
            return None
        windows = [window for half in halves for window in half[own]]
        distances += [float(np.median(without.distances(window.tiles))) for window in windows]
        measured += windows
    whole = _fit([_tiles(windows) for windows in sources], counts)
    return None if whole is None else _limited(whole, np.array(distances), measured)


def _limited(
    whole: NoveltyStatistics, distances: NDArray[np.float64], windows: Sequence[Described]
) -> NoveltyStatistics | None:
    """Set the limits by distances and uncertain shares of windows; None where the distances are mostly 0."""
    areas = np.array([window.area for window in windows])
    shares = np.array([window.uncertain for window in windows])
    growth, share_growth = _growth(distances, areas), _growth(shares, areas)
    distances, shares = distances / np.sqrt(1 + growth / areas), shares / np.sqrt(1 + share_growth / areas)
    unit, share_unit = (float(np.percentile(values, PERCENTILE)) for values in (distances, shares))
    if not unit > 0:
        return None
    weight = WEIGHT if share_unit > 0 else 0.0
    rate = weight / share_unit if weight else 0.0
    novelty = (1 - weight) * distances / unit + rate * shares
    # By size: over all windows, the small ones would take the alarms of the others.
    parts = int(np.clip(len(novelty) // LEAST_OF_A_SIZE, 1, 3))
    by_size = np.array_split(novelty[np.argsort(areas, kind="stable")], parts)
    level = max(float(np.percentile(part, PERCENTILE)) for part in by_size)
    return replace(
        whole,
        limit=np.float32(level * unit / (1 - weight)),
        growth=np.float32(growth),
        uncertain_rate=np.float32(rate / level),
        uncertain_growth=np.float32(share_growth),
    )


def _growth(values: NDArray[np.float64], areas: NDArray[np.float64]) -> float:
    """Fit the mean square of values to 1 + growth / area, up to a factor; the growth is 0 to ``MOST_GROWTH``.

    The mean of a feature over an area is off its true value by a variance that falls with the area.
    """
    inverse, squares = 1 / areas, values**2
    varied = inverse - inverse.mean()
    if not (varied**2).mean() > LEAST_VARIED**2:
        return 0.0
    small = float((varied * squares).sum() / (varied**2).sum())
    large = float(squares.mean() - small * inverse.mean())
    if small <= 0:
        return 0.0
    return min(small / large, MOST_GROWTH) if large > 0 else MOST_GROWTH


def _tiles(windows: Sequence[Described]) -> NDArray[np.float32]:
    """Give the tiles of all windows, (N, D); of no window, none."""
    return np.concatenate([window.tiles for window in windows]) if windows else np.zeros((0, 0), np.float32)


def _kinds(tiles: NDArray[np.float32], count: int) -> list[NDArray[np.float32]]:
    """Divide the tiles of one source into at most ``count`` kinds; no tiles have none."""
    count = min(count, len(np.unique(tiles, axis=0)) // (TILES_OF_A_KIND // 2))
    if count < 2:
        return [tiles] if len(tiles) else []
    # Slow to load, and needed for fitting only.
    from sklearn.cluster import KMeans

    # Features differ widely in scale. Neither the largest nor the rounding of a constant one may decide alone.
    mean, spread = tiles.mean(axis=0, dtype=np.float64), tiles.std(axis=0, dtype=np.float64)
    spread[spread <= np.finfo(np.float32).eps * np.abs(mean)] = np.inf
    kind_of = KMeans(count, n_init=4, random_state=0).fit_predict((tiles - mean) / spread)
    return [tiles[kind_of == kind] for kind in np.unique(kind_of)]


def _fit(sources: Sequence[NDArray[np.float32]], counts: Sequence[int]) -> NoveltyStatistics | None:
    """Give means and shrunk covariance, with a limit of 1; None where no kind has tiles that differ."""
    kinds = [kind for tiles, count in zip(sources, counts, strict=True) for kind in _kinds(tiles, count)]
    free = sum(map(len, kinds)) - len(kinds)
    if free < 1:
        return None
    means = [tiles.mean(axis=0, dtype=np.float64) for tiles in kinds]
    offsets = np.concatenate([tiles - mean for tiles, mean in zip(kinds, means, strict=True)])
    # All alike, but for the rounding of their mean.
    if np.abs(offsets).max() <= np.finfo(np.float32).eps * np.abs(means).max():
        return None
    _, roots, directions = np.linalg.svd(offsets, full_matrices=False)
    there = (roots > roots[0] * np.finfo(np.float32).eps) & (np.arange(len(roots)) < COMPONENTS)
    variances = roots**2 / free
    target = SHRINKAGE * variances.sum() / offsets.shape[1]
    beside = offsets.shape[1] - np.count_nonzero(there)
    left = (1 - SHRINKAGE) * variances[~there].sum() / beside if beside else 0.0
    return NoveltyStatistics(
        means=np.stack(means).astype(np.float32),
        components=directions[there].astype(np.float32),
        variances=((1 - SHRINKAGE) * variances[there] + target).astype(np.float32),
        rest=np.float32(target + left),
        limit=np.float32(1),
    )
