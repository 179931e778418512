from math import isnan

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import bootstrap_intervals, evaluate_pair, mean_row, paired_differences, pool
from autosam.metrics.all_scores import Protocol
from autosam.metrics.bootstrap import bootstrap_means

TRUTH = np.repeat([1, 2, 3, 4], 10)


def images(hits, seed=0):
    """Images of four objects, of which so many are found."""
    rng = np.random.default_rng(seed)
    return [
        evaluate_pair(np.where(np.isin(TRUTH, rng.permutation(4)[:n] + 1), TRUTH, 0), TRUTH, protocol=PROTOCOL)
        for n in hits
    ]


PROTOCOL = Protocol(ranked=("coco",), size_bounds=(5,))


def test_the_interval_holds_the_score_and_narrows_with_images():
    few, many = images([1, 2, 3, 4]), images([1, 2, 3, 4] * 10)
    narrow = bootstrap_intervals(many, resamples=200)
    wide = bootstrap_intervals(few, resamples=200)
    assert wide["recall50"].value == narrow["recall50"].value == 10 / 16
    for interval in (wide["ap50"], narrow["ap50"], wide["coco_mean_ap"]):
        assert interval.low < interval.value < interval.high
    assert narrow["ap50"].high - narrow["ap50"].low < wide["ap50"].high - wide["ap50"].low
    assert set(wide) == set(pool(few).row())


def test_recall_by_hand():
    # Two images, 1 and 3 of 4 found. Draws: both the first (1/4 of draws, .25), mixed (.5), both the second (.75).
    intervals = bootstrap_intervals(images([1, 3]), resamples=400)
    assert (intervals["recall50"].low, intervals["recall50"].value, intervals["recall50"].high) == (
        0.25,
        0.5,
        0.75,
    )
    narrow = bootstrap_intervals(images([1, 3]), resamples=400, level=0.2)
    assert (narrow["recall50"].low, narrow["recall50"].high) == (0.5, 0.5)


def test_the_seed_decides():
    scores = images([0, 1, 2, 2, 3, 4])
    first = bootstrap_intervals(scores, resamples=50, seed=3)
    assert bootstrap_intervals(scores, resamples=50, seed=3)["mean_ap"] == first["mean_ap"]
    assert bootstrap_intervals(scores, resamples=50, seed=4)["mean_ap"] != first["mean_ap"]


def test_means():
    scores = images([1, 3])
    means = bootstrap_means([s.row() for s in scores], resamples=100)
    assert means["ap50"].value == mean_row([s.row() for s in scores])["ap50"] == 0.5
    assert (means["ap50"].low, means["ap50"].high) == (0.25, 0.75)


def test_one_image_and_no_resamples_have_no_limits():
    for scores, resamples in ((images([2]), 100), (images([1, 2]), 0)):
        interval = bootstrap_intervals(scores, resamples=resamples)["ap50"]
        assert interval.value > 0
        assert isnan(interval.low)
        assert isnan(interval.high)


def test_undefined_draws_do_not_count():
    empty = evaluate_pair(TRUTH * 0, TRUTH * 0, protocol=PROTOCOL)
    interval = bootstrap_intervals([*images([4]), empty], resamples=50)["ap50"]
    assert (interval.low, interval.value, interval.high) == (1, 1, 1)
    assert isnan(bootstrap_intervals([empty, empty], resamples=50)["ap50"].low)


def test_a_paired_difference_is_narrower_than_the_scores():
    # The second finds one object more in every image: the difference is .25 whatever is drawn.
    first, second = images([0, 1, 2, 3]), images([1, 2, 3, 4])
    difference = paired_differences(first, second, resamples=100)["recall50"]
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.25, 0.25, 0.25))
    assert bootstrap_intervals(first, resamples=100)["recall50"].low < 0.25
    same = paired_differences(first, first, resamples=20)
    assert {i.value for i in same.values() if not isnan(i.value)} == {0}


def test_faults_are_named():
    with pytest.raises(InputError, match="-1 resamples"):
        bootstrap_intervals(images([1, 2]), resamples=-1)
    with pytest.raises(InputError, match="no results"):
        bootstrap_intervals([])
    with pytest.raises(InputError, match="1 and 2 images"):
        paired_differences(images([1]), images([1, 2]))
    with pytest.raises(InputError, match="different protocols"):
        pool([*images([1]), evaluate_pair(TRUTH, TRUTH)])
