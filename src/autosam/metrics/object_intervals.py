"""How far average precision would move with other objects: bootstrap intervals over objects, for few images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.average_precision import THRESHOLDS
from autosam.metrics.bootstrap import Interval, check_resamples
from autosam.metrics.contingency import ContingencyTable
from autosam.metrics.matching import match_objects

_COLUMNS = {"mean_ap": slice(None), "ap50": slice(0, 1), "ap75": slice(5, 6)}


def object_intervals(
    tables: Sequence[ContingencyTable], *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Draw as many objects with replacement, again and again, and take quantiles of their average precision.

    Objects of one image are more alike than those of several, which these intervals do not know: with many images,
    take `bootstrap_intervals`.

    Parameters
    ----------
    tables : sequence of ContingencyTable
        One per image, pooled.
    resamples : int
        Number of draws; 0 for no limits.
    seed : int
        Of the draws.
    level : float
        Part of the resampled scores between the limits, above 0 and below 1.

    Returns
    -------
    dict of str to Interval
        ``mean_ap``, ``ap50`` and ``ap75`` by the convention ``dsb``. True objects keep their number. That of false
        predictions is a count, and is drawn as one (Poisson). NaN where there is no object on either side.

    Raises
    ------
    InputError
        If there are no tables, or a setting is out of range.

    References
    ----------
    .. [1] Efron B, Tibshirani RJ (1993). An introduction to the bootstrap. Chapman & Hall, chapter 13.
    """
    draws = _Draws(resamples, seed, level)
    return draws.limits(_Objects(tables).scores(draws))


def object_differences(
    before: Sequence[ContingencyTable],
    after: Sequence[ContingencyTable],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Compare two predictions of the same images: the interval of the difference, after minus before.

    Each draw takes the same true objects for both. False predictions are drawn apart, since nothing tells which of
    them are the same: the interval is rather too wide than too narrow. Parameters, result and errors are those of
    `object_intervals`; both need the same true objects.
    """
    draws = _Draws(resamples, seed, level)
    first, other = _Objects(before), _Objects(after)
    if first.true.shape != other.true.shape:
        raise InputError(
            f"{len(first.true)} and {len(other.true)} true objects came: give both predictions of the same images"
        )
    return draws.limits(other.scores(draws, stream=2) - first.scores(draws))


class _Draws:
    """How often objects are drawn; the first draw takes each once."""

    def __init__(self, resamples: int, seed: int, level: float) -> None:
        check_resamples(resamples, level)
        self._resamples, self._seed, self._level = resamples, seed, level

    def times(self, objects: int) -> NDArray[np.float64]:
        """Give the times that each of so many objects is drawn, (draws, objects); their sum stays."""
        if not objects:
            return np.zeros((1 + self._resamples, 0))
        rng = np.random.default_rng((self._seed, 0))
        drawn = rng.multinomial(objects, np.full(objects, 1 / objects), size=self._resamples)
        return np.concatenate([np.ones((1, objects)), drawn])

    def counts(self, number: int, stream: int) -> NDArray[np.float64]:
        """Give how many there are of what there was so often by chance, (draws, 1)."""
        drawn = np.random.default_rng((self._seed, stream)).poisson(number, size=self._resamples)
        return np.concatenate([[number], drawn]).astype(float)[:, None]

    def limits(self, scores: NDArray[np.float64]) -> dict[str, Interval]:
        """Give the intervals of scores, (draws, thresholds)."""
        found = {}
        for name, columns in _COLUMNS.items():
            values = scores[:, columns].mean(axis=1)
            tails = (1 - self._level) / 2, (1 + self._level) / 2
            low, high = np.quantile(values[1:], tails) if self._resamples else (np.nan, np.nan)
            found[name] = Interval(float(values[0]), float(low), float(high))
        return found


class _Objects:
    """The true objects of images, and the predictions that belong to none of them at IoU .5."""

    def __init__(self, tables: Sequence[ContingencyTable]) -> None:
        if not tables:
            raise InputError("no images came, wanted at least one")
        parts = [_hits(table) for table in tables]
        self.true = np.concatenate([hits for hits, _, _ in parts])
        """Whether each true object is found at each threshold, (N, T)."""
        self._paired = np.concatenate([paired for _, paired, _ in parts])
        self._false = sum(false for _, _, false in parts)

    def scores(self, draws: _Draws, *, stream: int = 1) -> NDArray[np.float64]:
        """Give TP / (TP + FP + FN) of each draw, (draws, thresholds); the stream is that of false predictions."""
        times = draws.times(len(self.true))
        if self._false and not len(self.true):
            # However many there are, nothing is found.
            return np.zeros((len(times), self.true.shape[1]))
        # A pair below the threshold is a miss and a false prediction.
        counted = 1.0 + (self._paired[:, None] & ~self.true)
        total = times @ counted + draws.counts(self._false, stream)
        with np.errstate(invalid="ignore"):
            return np.asarray((times @ self.true) / total)


def _hits(table: ContingencyTable) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Give hits at each threshold, (N, T), true objects with a partner at IoU .5, and predictions without."""
    hits = np.zeros((len(table.truth_ids), len(THRESHOLDS)), bool)
    for column, threshold in enumerate(THRESHOLDS):
        hits[match_objects(table, threshold).truth_index, column] = True
    paired = hits[:, 0].copy()
    return hits, paired, len(table.pred_ids) - int(paired.sum())
