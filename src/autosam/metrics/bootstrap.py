"""How far a score would move with other images of the same kind: bootstrap intervals over images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.evaluation import Scores, mean_row, pool

_Row = dict[str, float]
_Summary = Callable[[Sequence[Scores]], _Row]


@dataclass(frozen=True)
class Interval:
    """A score and the limits of its interval; NaN where there is none.

    Attributes
    ----------
    value : float
        The score of the images themselves.
    low, high : float
        Quantiles of the scores of the resampled images.
    """

    value: float
    low: float
    high: float


def pooled_row(scores: Sequence[Scores]) -> _Row:
    """Return the row of the pooled counts."""
    return pool(scores).row()


def bootstrap_intervals(
    scores: Sequence[Scores],
    *,
    summary: _Summary = pooled_row,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Draw as many images with replacement, again and again, and take quantiles of their scores.

    Parameters
    ----------
    scores : sequence of Scores
        One per image.
    summary : callable
        What makes one row of several images: `pooled_row` or `mean_row`.
    resamples : int
        Number of draws, at least 1.
    seed : int
        Of the draws. The same seed, number of images and resamples draw the same images.
    level : float
        Part of the resampled scores between the limits, above 0 and below 1.

    Returns
    -------
    dict of str to Interval
        By column. The limits are NaN with fewer than two images, and where no draw has a defined score; draws
        in which a score is undefined do not count for it.

    Raises
    ------
    InputError
        If there are no scores, or a setting is out of range.

    References
    ----------
    .. [1] Efron B, Tibshirani RJ (1993). An introduction to the bootstrap. Chapman & Hall: percentile
       intervals, chapter 13.
    """
    value = summary(scores)
    drawn = [summary([scores[i] for i in draw]) for draw in _draws(len(scores), resamples, seed, level)]
    return _intervals(value, drawn, level)


def paired_differences(
    first: Sequence[Scores],
    other: Sequence[Scores],
    *,
    summary: _Summary = pooled_row,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Compare two predictions of the same images: the interval of the difference, other minus first.

    Each draw takes the same images for both, so what makes an image hard for both does not widen the
    interval. Parameters, result and errors are those of `bootstrap_intervals`; the value is the difference.

    Raises
    ------
    InputError
        If the two do not have the same number of images, too.
    """
    if len(first) != len(other):
        raise InputError(f"{len(first)} and {len(other)} images came: give both predictions of the same images")

    def difference(some: Sequence[Scores], others: Sequence[Scores]) -> _Row:
        before, after = summary(some), summary(others)
        return {column: after[column] - before[column] for column in before}

    value = difference(first, other)
    drawn = [
        difference([first[i] for i in draw], [other[i] for i in draw])
        for draw in _draws(len(first), resamples, seed, level)
    ]
    return _intervals(value, drawn, level)


def _draws(images: int, resamples: int, seed: int, level: float) -> Iterator[list[int]]:
    if resamples < 1 or not 0 < level < 1:
        raise InputError(
            f"{resamples} resamples and level {level} came: give at least 1 and a level between 0 and 1"
        )
    if images < 2:
        return
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield rng.integers(0, images, images).tolist()


def _intervals(value: _Row, drawn: list[_Row], level: float) -> dict[str, Interval]:
    intervals = {}
    for column, score in value.items():
        values: NDArray[np.float64] = np.array([row[column] for row in drawn], np.float64)
        values = values[np.isfinite(values)]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if len(values) else (np.nan, np.nan)
        intervals[column] = Interval(score, float(low), float(high))
    return intervals


__all__ = ["Interval", "bootstrap_intervals", "mean_row", "paired_differences", "pooled_row"]
