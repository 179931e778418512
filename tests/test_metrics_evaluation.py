from math import isnan
from time import perf_counter

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import adapted_rand, average_precision, dice, evaluate_pair, iou, mean_row, pool

NONE = np.zeros((4, 4), int)
ONE = np.array([[1, 1, 0, 0]] * 4)
TWO = np.array([[1, 1, 2, 2]] * 4)


def test_a_row_holds_what_the_metrics_say():
    row = evaluate_pair(ONE, TWO).row()
    result = average_precision(ONE, TWO)
    assert (row["objects"], row["predicted"]) == (2, 1)
    assert (row["ap50"], row["ap75"], row["mean_ap"]) == (result.at(0.5), result.at(0.75), result.mean)
    assert row["rand_error"] == adapted_rand(ONE, TWO).error
    assert (row["dice"], row["iou"]) == (dice(ONE, TWO), iou(ONE, TWO))
    assert (row["tp50"], row["fp50"], row["fn50"]) == (1, 0, 1)
    assert (row["precision50"], row["recall50"], row["matched_iou50"]) == (1, 0.5, 1)


def test_pooled_and_mean_of_hand_worked_images():
    scores = [evaluate_pair(ONE, TWO), evaluate_pair(ONE, ONE), evaluate_pair(NONE, NONE)]
    pooled = pool(scores).row()
    assert (pooled["objects"], pooled["predicted"]) == (3, 2)
    assert pooled["ap50"] == 2 / 3  # 2 hits, 1 missed
    assert pooled["iou"] == (8 + 8) / (16 + 8)
    mean = mean_row(scores)
    assert mean["ap50"] == (1 / 2 + 1) / 2  # the empty image is undefined
    assert mean["iou"] == (8 / 16 + 1) / 2
    assert mean["objects"] == 1
    assert all(len(v) == 10 for v in pool(scores).per_threshold().values())


def test_empty_images_are_undefined_or_what_was_chosen():
    assert isnan(mean_row([evaluate_pair(NONE, NONE)])["ap50"])
    assert isnan(evaluate_pair(ONE, NONE).row()["rand_error"])
    assert evaluate_pair(ONE, NONE).row()["ap50"] == 0
    assert evaluate_pair(NONE, NONE, empty_value=1.0).row()["dice"] == 1


def test_nothing_to_put_together_is_an_error():
    for together in (pool, mean_row):
        with pytest.raises(InputError, match="no results"):
            together([])


def test_all_metrics_of_two_thousand_objects_take_less_than_a_second():
    row, col = np.mgrid[:1024, :1024]
    truth = (row // 23) * 45 + col // 23 + 1
    started = perf_counter()
    scores = evaluate_pair(np.roll(truth, (3, 2), (0, 1)), truth).row()
    assert perf_counter() - started < 1
    assert scores["objects"] > 2000
    assert scores["ap50"] > 0.9
