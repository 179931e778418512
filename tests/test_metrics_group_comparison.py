"""Effect sizes and tests of groups against figures known by hand, and against scipy."""

from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from autosam.metrics.group_comparison import (
    _critical_u,
    _u_probabilities,
    dominance,
    holm,
    rank_test,
    shift_between,
    spread_of,
)


def test_spread_of_four_values():
    spread = spread_of([4.0, 1.0, 2.0, 3.0])
    assert (spread.count, spread.median, spread.lowest, spread.highest) == (4, 2.5, 1.0, 4.0)
    assert (spread.lower_quartile, spread.upper_quartile) == (1.75, 3.25)


def test_u_of_two_against_two_is_known_by_hand():
    # Of the six orders of two and two values, two have a U of 2.
    np.testing.assert_allclose(_u_probabilities(2, 2), np.array([1, 1, 2, 1, 1]) / 6)


@pytest.mark.parametrize(("rows", "cols", "critical"), [(3, 3, 0), (4, 4, 1), (5, 5, 3), (8, 7, 11), (10, 10, 24)])
def test_critical_values_are_those_of_the_published_table(rows, cols, critical):
    # qwilcox(.025, m, n) of R: one more than the largest U that is significant at 5 %, two-sided.
    assert _critical_u(rows, cols, 0.025) == critical


def test_the_normal_approximation_goes_on_where_the_exact_one_ends():
    assert abs(_critical_u(40, 40, 0.025) - _critical_u(41, 41, 0.025)) < 40


def test_shift_is_the_median_of_all_differences():
    shift = shift_between([1.0, 2.0], [4.0, 8.0])
    assert shift.value == np.median([3, 7, 2, 6])
    assert isnan(shift.low)
    assert isnan(shift.high)


def test_the_interval_of_a_shift_holds_where_the_test_says_so():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=7), rng.normal(1.0, size=9)
    shift = shift_between(first, second)
    for place, inside in ((shift.low, False), (shift.high, False), (shift.value, True)):
        # Just outside the interval the moved groups differ at 5 %, inside they do not.
        step = 1e-9 * (-1 if place == shift.low else 1)
        p = stats.mannwhitneyu(first + place + step, second, method="exact").pvalue
        assert (p > 0.05) == inside


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    true = 2 * stats.norm.cdf(1 / np.sqrt(2)) - 1
    held = np.zeros(2)
    for _ in range(400):
        first, second = rng.normal(size=8), rng.normal(1.0, size=10)
        shift, delta = shift_between(first, second), dominance(first, second)
        held += [shift.low <= 1 <= shift.high, delta.low <= true <= delta.high]
    assert (held / 400 > 0.91).all()


def test_dominance_of_groups_apart_has_a_limit_below_one():
    delta = dominance(range(10), range(20, 30))
    assert (delta.value, delta.high) == (1.0, 1.0)
    assert 0 < delta.low < 1
    other = dominance(range(20, 30), range(10))
    assert (other.value, other.low, other.high) == (-1.0, -1.0, -delta.low)


def test_two_groups_are_tested_as_scipy_does_and_more_by_kruskal():
    groups = [[1.0, 4.0, 2.5, 3.0], [5.0, 6.0, 4.5, 8.0], [2.0, 9.0, 7.0]]
    two, three = rank_test(groups[:2]), rank_test(groups)
    assert (two.name, two.p) == ("Mann-Whitney U", stats.mannwhitneyu(*groups[:2], method="exact").pvalue)
    assert (three.name, three.p) == ("Kruskal-Wallis H", stats.kruskal(*groups).pvalue)


def test_no_test_of_few_values_and_p_of_one_for_equal_ones():
    assert rank_test([[1.0, 2.0], [1.0, 2.0, 3.0]]).name == ""
    assert rank_test([[1.0, 2.0, 3.0]]).name == ""
    assert rank_test([[2.0] * 3, [2.0] * 4]).p == 1.0


def test_nothing_gives_nothing():
    assert isnan(shift_between([], [1.0]).value)
    assert isnan(dominance([], [1.0]).value)
    assert isnan(spread_of([]).median)
    assert holm([]) == []


def test_holm_leaves_out_what_is_unknown():
    adjusted = holm([0.04, nan, 0.01])
    assert adjusted[::2] == [0.04, 0.02]
    assert isnan(adjusted[1])
