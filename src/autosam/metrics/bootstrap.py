"""How far a score would move with other images of the same kind: bootstrap intervals over images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from autosam.errors import InputError
from autosam.metrics.all_scores import Scores
from autosam.metrics.evaluate import mean_row, pool

_Row = Mapping[str, float]


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


def bootstrap_intervals(
    scores: Sequence[Scores], *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Draw as many images with replacement, again and again, and take quantiles of their pooled scores.

    Parameters
    ----------
    scores : sequence of Scores
        One per image.
    resamples : int
        Number of draws; 0 for no limits.
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
        If there are no scores, they follow different settings, or a setting is out of range.

    References
    ----------
    .. [1] Efron B, Tibshirani RJ (1993). An introduction to the bootstrap. Chapman & Hall: percentile
       intervals, chapter 13.
    """

    def row_of(draw: Sequence[int]) -> _Row:
        return pool([scores[i] for i in draw]).row()

    return _intervals(row_of, len(scores), resamples, seed, level)


def bootstrap_means(
    rows: Sequence[_Row], *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Do the same for the means over images: one row of `Scores.row` per image; see `bootstrap_intervals`."""
    return _intervals(lambda draw: mean_row([rows[i] for i in draw]), len(rows), resamples, seed, level)


def paired_differences(
    first: Sequence[Scores],
    other: Sequence[Scores],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Compare two predictions of the same images: the interval of the pooled difference, other minus first.

    Each draw takes the same images for both, so what makes an image hard for both does not widen the
    interval. Parameters, result and errors are those of `bootstrap_intervals`; the value is the difference. Both
    need the same number of images.
    """
    if len(first) != len(other):
        raise InputError(f"{len(first)} and {len(other)} images came: give both predictions of the same images")

    def row_of(draw: Sequence[int]) -> _Row:
        after, before = (pool([scores[i] for i in draw]).row() for scores in (other, first))
        return {column: after[column] - before[column] for column in before}

    return _intervals(row_of, len(first), resamples, seed, level)


def check_resamples(resamples: int, level: float) -> None:
    """Refuse a number of resamples or a level that is out of range: an `InputError`."""
    if resamples < 0 or not 0 < level < 1:
        raise InputError(
            f"{resamples} resamples and level {level} came: give 0 or more and a level between 0 and 1"
        )


def _intervals(
    row_of: Callable[[Sequence[int]], _Row], images: int, resamples: int, seed: int, level: float
) -> dict[str, Interval]:
    check_resamples(resamples, level)
    value, rng = row_of(range(images)), np.random.default_rng(seed)
    drawn = [row_of(rng.integers(0, images, images).tolist()) for _ in range(resamples if images > 1 else 0)]
    intervals = {}
    for column, score in value.items():
        values = [row[column] for row in drawn if isfinite(row[column])]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if len(values) else (np.nan, np.nan)
        intervals[column] = Interval(score, float(low), float(high))
    return intervals
