from math import isnan

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import ForegroundOverlap, contingency_table, dice, f1, foreground_overlap, iou

PRED = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
TRUTH = np.array([[5, 5, 5, 0], [5, 5, 5, 0], [0, 0, 0, 8], [0, 0, 0, 8]])


def test_hand_worked_case():
    result = foreground_overlap(PRED, TRUTH)
    # 8 predicted, 6 + 2 = 8 true, 4 + 2 = 6 shared, 8 + 8 - 6 = 10 in the union
    assert (result.pred, result.truth, result.intersection) == (8, 8, 6)
    assert result.iou == 6 / 10
    assert result.dice == result.f1 == 2 * 6 / (8 + 8)
    assert (dice(PRED, TRUTH), iou(PRED, TRUTH), f1(PRED, TRUTH)) == (0.75, 0.6, 0.75)
    assert foreground_overlap(table=contingency_table(PRED, TRUTH)) == result


def test_ids_do_not_matter():
    assert foreground_overlap(PRED > 0, TRUTH > 0) == foreground_overlap(PRED, TRUTH)
    assert foreground_overlap(PRED.astype(np.uint64) * 2**62, TRUTH) == foreground_overlap(PRED, TRUTH)


def test_equals_the_masks_in_3d():
    rng = np.random.default_rng(0)
    pred, truth = rng.integers(0, 3, (4, 5, 6)), rng.integers(0, 3, (4, 5, 6))
    both, either = ((pred > 0) & (truth > 0)).sum(), ((pred > 0) | (truth > 0)).sum()
    assert iou(pred, truth) == both / either
    result = foreground_overlap(pred, truth)
    p, r = both / (pred > 0).sum(), both / (truth > 0).sum()
    assert result.f1 == pytest.approx(2 * p * r / (p + r))
    assert result.dice == pytest.approx(2 * result.iou / (1 + result.iou))


def test_empties():
    none, one = np.zeros((2, 2), int), np.ones((2, 2), int)
    for pred, truth in ((none, one), (one, none)):
        result = foreground_overlap(pred, truth)
        assert (result.dice, result.iou, result.f1) == (0, 0, 0)
    assert isnan(dice(none, none))
    assert isnan(iou(none, none))
    assert (dice(none, none, empty_value=1.0), iou(none, none, empty_value=0.0)) == (1, 0)
    assert f1(none, none, empty_value=0.5) == 0.5


def test_pooled_is_the_score_of_all_voxels():
    none = np.zeros_like(PRED)
    pooled = ForegroundOverlap.pooled(foreground_overlap(p, TRUTH) for p in (PRED, none))
    assert pooled == foreground_overlap(np.stack([PRED, none]), np.stack([TRUTH, TRUTH]))
    with pytest.raises(InputError, match="no results"):
        ForegroundOverlap.pooled([])
