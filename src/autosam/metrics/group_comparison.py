"""Groups of values compared: effect sizes with intervals first, and one rank test for all groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from autosam.metrics.bootstrap import Interval

FEWEST = 3
"""Values that each group needs for a test."""
_EXACT = 40
"""Values of a group up to which the distribution of U is computed exactly."""

_Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Number, median, quartiles and extremes of some values; NaN of none."""

    count: int
    median: float
    lower_quartile: float
    upper_quartile: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class RankTest:
    """A test that all groups come from one distribution.

    Attributes
    ----------
    name : str
        "Mann-Whitney U" for two groups, "Kruskal-Wallis H" for more; empty where there is no test.
    statistic, p : float
        NaN where there is no test.
    """

    name: str
    statistic: float
    p: float


def spread_of(values: _Values) -> Spread:
    """Describe some values.

    Examples
    --------
    >>> spread_of([1, 2, 3, 4, 10]).median, spread_of([]).count
    (3.0, 0)
    """
    if not len(values):
        return Spread(0, nan, nan, nan, nan, nan)
    low, lower, middle, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Spread(len(values), middle, lower, upper, low, high)


def shift_between(first: _Values, second: _Values, *, level: float = 0.95) -> Interval:
    """Estimate how far the second group lies above the first: the Hodges-Lehmann shift and its interval.

    The shift is the median of all differences. The interval inverts the Mann-Whitney test, exactly for up to 40
    values a group, by the normal approximation above. It is right where the groups differ in place alone.

    Returns
    -------
    Interval
        In the values' unit. The limits are NaN where so few values cannot give the level (three against three at
        95 %), and all is NaN where a group is empty.

    References
    ----------
    .. [1] Hollander M, Wolfe DA, Chicken E (2014). Nonparametric statistical methods, 3rd edition. Wiley:
       sections 4.2 and 4.3.

    Examples
    --------
    >>> shift_between([1, 2, 3, 4, 5], [11, 12, 13, 14, 15])
    Interval(value=10.0, low=7.0, high=13.0)
    """
    differences = np.sort(np.subtract.outer(np.asarray(second, float), np.asarray(first, float)).ravel())
    if not differences.size:
        return Interval(nan, nan, nan)
    outside = _critical_u(len(first), len(second), (1 - level) / 2)
    value = float(np.median(differences))
    if outside < 1:
        return Interval(value, nan, nan)
    return Interval(value, float(differences[outside - 1]), float(differences[-outside]))


def dominance(first: _Values, second: _Values, *, level: float = 0.95) -> Interval:
    """Compare how often a value of the second group is higher, and how often lower: Cliff's delta.

    Returns
    -------
    Interval
        -1 to 1; 0 where neither group tends to be higher. The limits are Cliff's asymmetric ones for the
        consistent variance, NaN with fewer than two values in a group.

    References
    ----------
    .. [1] Cliff N (1993). Dominance statistics: ordinal analyses to answer ordinal questions. Psychological
       Bulletin 114:494-509.
    .. [2] Feng D, Cliff N (2004). Monte Carlo evaluation of ordinal d with improved confidence interval. Journal
       of Modern Applied Statistical Methods 3:322-332.

    Examples
    --------
    >>> dominance([1, 2, 3], [1, 2, 3]).value, dominance([1, 2], [3, 4]).value
    (0.0, 1.0)
    """
    signs = np.sign(np.subtract.outer(np.asarray(second, float), np.asarray(first, float)))
    if not signs.size:
        return Interval(nan, nan, nan)
    rows, cols = signs.shape
    delta = float(signs.mean())
    if min(rows, cols) < 2:
        return Interval(delta, nan, nan)
    z = NormalDist().inv_cdf((1 + level) / 2)
    if abs(delta) == 1:
        # Without any overlap the variance is 0: the limit of the larger group takes its place.
        fewest = min(rows, cols)
        inner = (fewest - z**2) / (fewest + z**2)
        return Interval(delta, *((inner, 1.0) if delta > 0 else (-1.0, -inner)))
    variance = _variance_of(signs, delta)
    root = z * sqrt(variance) * sqrt((1 - delta**2) ** 2 + z**2 * variance)
    middle, below = delta - delta**3, 1 - delta**2 + z**2 * variance
    return Interval(delta, max(-1.0, (middle - root) / below), min(1.0, (middle + root) / below))


def rank_test(groups: Sequence[_Values]) -> RankTest:
    """Test by ranks whether all groups come from one distribution; no test with a group of fewer than three.

    Two groups are compared by the Mann-Whitney test, exactly where a group has at most eight values and no two
    are equal, and more groups by the Kruskal-Wallis test. Where all values are equal, p is 1.
    """
    if len(groups) < 2 or min(map(len, groups)) < FEWEST:
        return RankTest("", nan, nan)
    # A slow import, for those who compare groups.
    from scipy import stats

    name = "Mann-Whitney U" if len(groups) == 2 else "Kruskal-Wallis H"
    if len(set(np.concatenate([np.asarray(group, float) for group in groups]).tolist())) == 1:
        return RankTest(name, nan, 1.0)
    if len(groups) == 2:
        found = stats.mannwhitneyu(groups[1], groups[0], alternative="two-sided", method="auto")
    else:
        found = stats.kruskal(*groups)
    return RankTest(name, float(found.statistic), float(found.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of several tests for their number (Holm 1979); NaN stays and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not isnan(p))
    adjusted, least = [nan] * len(p_values), -inf
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        adjusted[place] = least
    return adjusted


def _variance_of(signs: NDArray[np.float64], delta: float) -> float:
    """Estimate the variance of Cliff's delta from the signs of all differences, never below its smallest value."""
    rows, cols = signs.shape
    by_row, by_col = signs.mean(axis=1) - delta, signs.mean(axis=0) - delta
    across = ((signs - delta) ** 2).sum()
    total = cols**2 * (by_row**2).sum() + rows**2 * (by_col**2).sum()
    variance = (total - across) / (rows * cols * (rows - 1) * (cols - 1))
    return float(max(variance, (1 - delta**2) / (rows * cols - 1)))


def _critical_u(rows: int, cols: int, tail: float) -> int:
    """Count the differences that lie outside of the interval on each side; 0 where there is no such interval."""
    if max(rows, cols) > _EXACT:
        deviation = sqrt(rows * cols * (rows + cols + 1) / 12)
        return max(0, round(rows * cols / 2 + NormalDist().inv_cdf(tail) * deviation))
    return int(np.searchsorted(np.cumsum(_u_probabilities(rows, cols)), tail))


def _u_probabilities(rows: int, cols: int) -> NDArray[np.float64]:
    """Give the probability of each U, 0 to rows × cols, of two samples of one distribution without ties."""
    table = [np.ones(1) for _ in range(cols + 1)]
    for m in range(1, rows + 1):
        before, table = table, [np.ones(1)]
        for n in range(1, cols + 1):
            # The highest value of all is of the first sample, above all n others, or of the second.
            found = np.zeros(m * n + 1)
            found[n:] += m / (m + n) * before[n]
            found[: m * (n - 1) + 1] += n / (m + n) * table[n - 1]
            table.append(found)
    return table[cols]
