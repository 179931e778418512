"""Bootstrap intervals over objects: scores as average precision has them, and limits with a known answer."""

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import average_precision, contingency_table
from autosam.metrics.object_intervals import object_differences, object_intervals


def row(*ids: int) -> np.ndarray:
    """Draw strips of ten pixels, one for each id."""
    return np.repeat(np.array([ids], np.int32), 10, axis=1)


TRUTH = row(1, 0, 2, 0, 3, 0, 4, 0)


def shifted(pixels: int) -> np.ndarray:
    return np.roll(TRUTH, pixels, axis=1)


@pytest.mark.parametrize(
    "pred", [TRUTH, row(1, 0, 0, 0, 3, 5, 4, 0), shifted(2), shifted(4), np.zeros_like(TRUTH), row(0, 1, 0, 1)]
)
def test_the_scores_are_those_of_average_precision(pred: np.ndarray) -> None:
    truth = TRUTH if pred.shape == TRUTH.shape else np.zeros_like(pred)
    tables = [contingency_table(pred, truth), contingency_table(TRUTH, TRUTH)]
    found = object_intervals(tables, resamples=0)
    exact = sum(average_precision(table=table).tp for table in tables) / sum(
        average_precision(table=table).tp + average_precision(table=table).fp + average_precision(table=table).fn
        for table in tables
    )
    assert found["mean_ap"].value == pytest.approx(exact.mean())
    assert found["ap50"].value == pytest.approx(exact[0])
    assert found["ap75"].value == pytest.approx(exact[5])


def test_all_or_nothing_has_no_width_and_half_has_that_of_a_coin() -> None:
    right = object_intervals([contingency_table(TRUTH, TRUTH)])["mean_ap"]
    assert (right.value, right.low, right.high) == (1, 1, 1)
    hundred = np.arange(1, 101).repeat(3)[None]
    half = np.where(hundred % 2, hundred, 0)
    found = object_intervals([contingency_table(half, hundred)])["ap50"]
    assert found.value == 0.5
    # of 100 draws of a coin: half of them ± 1.96 * 5
    assert found.low == pytest.approx(0.40, abs=0.03)
    assert found.high == pytest.approx(0.60, abs=0.03)
    assert object_intervals([contingency_table(half, hundred)])["ap50"] == found


def test_false_predictions_are_counts_that_chance_changes() -> None:
    hundred = np.arange(1, 101).repeat(3)[None]
    truth = np.where(hundred <= 50, hundred, 0)
    found = object_intervals([contingency_table(hundred, truth)])["ap50"]
    assert found.value == 0.5
    # 50 found of 50, and 50 ± 1.96 * 7.1 false ones
    assert found.low == pytest.approx(50 / 114, abs=0.02)
    assert found.high == pytest.approx(50 / 86, abs=0.02)


def test_without_its_false_predictions_a_result_is_better_by_an_uncertain_amount() -> None:
    six = row(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0)
    spurious = row(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0)
    found = object_differences([contingency_table(spurious, six)], [contingency_table(six, six)])["ap50"]
    assert found.value == pytest.approx(1 / 3)
    assert 0 <= found.low < 0.2
    assert 0.4 < found.high <= 0.6


def test_a_difference_draws_the_same_objects_for_both() -> None:
    worse, better = contingency_table(row(1, 0, 0, 0, 0, 0, 0, 0), TRUTH), contingency_table(TRUTH, TRUTH)
    found = object_differences([worse], [better])["ap50"]
    assert found.value == 0.75
    assert found.low >= 0
    same = object_differences([worse], [worse])["mean_ap"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_without_any_object_there_is_no_score() -> None:
    nothing = np.zeros((2, 3), np.int32)
    assert np.isnan(object_intervals([contingency_table(nothing, nothing)])["ap50"].value)


def test_without_a_true_object_nothing_is_found_for_certain() -> None:
    nothing = np.zeros_like(TRUTH)
    found = object_intervals([contingency_table(TRUTH, nothing)])["ap50"]
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_what_cannot_be_drawn_is_refused() -> None:
    table = contingency_table(TRUTH, TRUTH)
    with pytest.raises(InputError, match="no images came"):
        object_intervals([])
    with pytest.raises(InputError, match="level 1 came"):
        object_intervals([table], level=1)
    with pytest.raises(InputError, match="4 and 1 true objects"):
        object_differences([table], [contingency_table(row(1), row(1))])
