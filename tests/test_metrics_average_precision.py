from fractions import Fraction
from itertools import permutations
from math import isnan

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import THRESHOLDS, AveragePrecision, average_precision, contingency_table, match_objects


def bars(*lengths_and_ids):
    """One line of labels from (length, id) runs."""
    return np.concatenate([np.full(n, i) for n, i in lengths_and_ids])


def most_matches(table, threshold):
    """Try every assignment of truths to predictions: the largest number of matches, then of their IoU."""
    n_pred, n_truth = len(table.pred_ids), len(table.truth_ids)
    iou = {
        (p, t): Fraction(int(o), int(u))
        for p, t, o, u in zip(table.pred_index, table.truth_index, table.overlap, table.union, strict=True)
    }
    slots = [*range(n_truth), *[None] * n_pred]
    best = (0, Fraction(0))
    for chosen in permutations(slots, n_pred):
        hits = [iou.get((p, t), Fraction(0)) for p, t in enumerate(chosen)]
        hits = [h for h in hits if h >= threshold]
        best = max(best, (len(hits), sum(hits, Fraction(0))))
    return best


def test_hand_worked_case():
    # prediction      truth
    #   1 1 0 0      5 5 5 0     1 and 5: 4 shared of 4 + 6 - 4 = 6: IoU .667
    #   1 1 0 0      5 5 5 0     3 and 8: 2 shared of 4 + 2 - 2 = 4: IoU .5
    #   0 0 3 3      0 0 0 8
    #   0 0 3 3      0 0 0 8
    pred = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
    truth = np.array([[5, 5, 5, 0], [5, 5, 5, 0], [0, 0, 0, 8], [0, 0, 0, 8]])
    result = average_precision(pred, truth)
    # .50: both match; .55, .60, .65: only the first; from .70 on none.
    assert result.tp.tolist() == [2, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert result.fp.tolist() == result.fn.tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert result.accuracy.tolist() == [1, *[1 / 3] * 3, *[0] * 6]  # 1 / (1 + 1 + 1)
    assert result.precision.tolist() == result.recall.tolist() == [1, *[1 / 2] * 3, *[0] * 6]
    assert result.f1.tolist() == [1, *[1 / 2] * 3, *[0] * 6]  # 2 / (2 + 1 + 1)
    assert result.mean == pytest.approx((1 + 3 / 3) / 10)
    assert result.mean_matched_iou[:5] == pytest.approx([(2 / 3 + 1 / 2) / 2, 2 / 3, 2 / 3, 2 / 3, 0])
    assert result.at(0.5) == 1
    assert result.at(0.55) == 1 / 3


def test_thresholds_are_the_decimals():
    assert [float(t) for t in THRESHOLDS] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    drifting = average_precision(np.array([1]), np.array([1]), thresholds=np.arange(0.5, 1, 0.05))
    assert drifting.thresholds == THRESHOLDS


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("scale", [1, 3, 7, 1001])
def test_an_iou_that_equals_the_threshold_counts(threshold, scale):
    # A truth of 20 s voxels of which 20 t s are predicted has an IoU of exactly t.
    hit, size = int(threshold * 20) * scale, 20 * scale
    truth, pred = np.ones(size, int), bars((hit, 1), (size - hit, 0))
    assert average_precision(pred, truth, thresholds=[float(threshold)]).tp == 1
    assert average_precision(pred, truth, thresholds=[float(threshold)], strict=True).tp == 0
    less = bars((hit - 1, 1), (size - hit + 1, 0))
    assert average_precision(less, truth, thresholds=[float(threshold)]).tp == 0


@pytest.mark.parametrize("threshold", [0.6, np.float32(0.6), Fraction(3, 5), np.float64(0.1) * 6])
def test_every_way_to_write_a_threshold(threshold):
    result = average_precision(bars((3, 1), (2, 0)), np.ones(5, int), thresholds=[threshold])
    assert result.thresholds == (Fraction(3, 5),)
    assert result.at(0.6) == 1


def test_a_truth_split_into_equal_halves_matches_once_at_one_half():
    pred, truth = bars((4, 1), (4, 2)), np.ones(8, int)  # both IoU 4 / 8
    result = average_precision(pred, truth, thresholds=[0.5])
    assert (result.tp, result.fp, result.fn) == (1, 1, 0)
    assert average_precision(truth, pred, thresholds=[0.5]).fn == 1


def test_split_merged_shifted_and_touching():
    truth = bars((10, 1), (10, 2))
    assert average_precision(np.ones(20, int), truth, thresholds=[0.51]).accuracy == 0  # merged: IoU 10 / 20
    split = bars((7, 1), (3, 2), (10, 3))
    assert average_precision(split, truth, thresholds=[0.6]).accuracy == 2 / 3  # IoU .7 and 1; one spurious
    shifted = bars((1, 0), (10, 1), (9, 2))
    result = average_precision(shifted, truth, thresholds=[0.5])  # IoU 9 / 11 and 9 / 10
    assert result.accuracy == 1
    assert result.mean_matched_iou == pytest.approx((9 / 11 + 9 / 10) / 2)
    assert average_precision(truth, truth).mean == 1


def test_below_one_half_the_matching_is_optimal_not_greedy():
    # prediction  2 2 2 1 1 1 1 1 1 1 1 1 1 0 0 0     IoU (1, 1): 6 / (10 + 9 - 6) = .46
    # truth       1 1 1 1 1 1 1 1 1 2 2 2 2 2 2 2         (1, 2): 4 / (10 + 7 - 4) = .31; (2, 1): 3 / 9 = .33
    pred, truth = bars((3, 2), (10, 1), (3, 0)), bars((9, 1), (7, 2))
    matches = match_objects(contingency_table(pred, truth), 0.2)
    # Greedy would take (1, 1) and leave truth 2 and prediction 2 alone; two matches are possible.
    pairs = {(int(p) + 1, int(t) + 1) for p, t in zip(matches.pred_index, matches.truth_index, strict=True)}
    assert pairs == {(1, 2), (2, 1)}


@pytest.mark.parametrize("seed", range(40))
def test_equals_every_assignment_tried(seed):
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 4, 12), 3)
    pred = np.roll(np.repeat(rng.integers(0, 4, 12), 3), rng.integers(0, 3))
    table = contingency_table(pred, truth)
    for threshold in (
        Fraction(1, 20),
        Fraction(1, 10),
        Fraction(1, 4),
        Fraction(1, 3),
        Fraction(1, 2),
        Fraction(3, 5),
    ):
        matches = match_objects(table, threshold)
        count, total = most_matches(table, threshold)
        assert len(matches.iou) == count
        assert matches.iou.sum() == pytest.approx(float(total))
        assert len(set(matches.pred_index.tolist())) == len(set(matches.truth_index.tolist())) == count


def test_one_side_empty_scores_zero_and_both_empty_is_undefined():
    none, one = np.zeros((3, 3), int), np.ones((3, 3), int)
    for pred, truth in ((none, one), (one, none)):
        result = average_precision(pred, truth)
        for scores in (result.accuracy, result.precision, result.recall, result.f1, result.mean_matched_iou):
            assert scores.tolist() == [0] * 10
    assert isnan(average_precision(none, none).mean)
    chosen = average_precision(none, none, empty_value=1.0)
    for scores in (chosen.accuracy, chosen.precision, chosen.recall, chosen.f1, chosen.mean_matched_iou):
        assert scores.tolist() == [1] * 10
    assert average_precision(np.zeros((0, 4), int), np.zeros((0, 4), int), empty_value=0.5).at(0.5) == 0.5


def test_volumes_huge_ids_and_one_voxel():
    truth = np.zeros((3, 4, 5), np.uint64)
    truth[0], truth[2] = 2**64 - 1, 2**64 - 2
    assert average_precision(truth, truth).mean == 1
    assert average_precision(np.array([[7]]), np.array([[2]])).mean == 1


def test_pooled_adds_counts_and_averaged_weighs_images_alike():
    none = np.zeros(12, int)
    one = average_precision(bars((10, 1), (2, 0)), bars((10, 1), (2, 0)))  # 1 of 1
    three = average_precision(bars((4, 1), (4, 2), (4, 3)), bars((4, 1), (8, 4)))  # 1 hit; (2 | 3) halve 4
    empty = average_precision(none, none)
    pooled = AveragePrecision.pooled([one, three, empty])
    assert (pooled.tp[0], pooled.fp[0], pooled.fn[0]) == (3, 1, 0)
    assert (pooled.tp[1], pooled.fp[1], pooled.fn[1]) == (2, 2, 1)
    assert pooled.at(0.55) == 2 / 5
    averaged = AveragePrecision.averaged([one, three, empty])
    assert averaged[1] == pytest.approx((1 + 1 / 4) / 2)  # the empty image does not count
    assert np.isnan(AveragePrecision.averaged([empty])).all()


def test_faults_are_named():
    labels = np.ones(3, int)
    for threshold in (0, -0.5, 1.5, float("nan")):
        with pytest.raises(InputError, match="IoU threshold is"):
            average_precision(labels, labels, thresholds=[threshold])
    with pytest.raises(InputError, match="no IoU thresholds"):
        average_precision(labels, labels, thresholds=[])
    with pytest.raises(InputError, match="'pascal'"):
        average_precision(labels, labels, convention="pascal")
    with pytest.raises(InputError, match=r"only at 0\.5, 0\.7"):
        average_precision(labels, labels, thresholds=[0.5, 0.7]).at(0.6)
    with pytest.raises(InputError, match="no results"):
        AveragePrecision.pooled([])
    one, other = average_precision(labels, labels), average_precision(labels, labels, strict=True)
    with pytest.raises(InputError, match="same settings"):
        AveragePrecision.averaged([one, other])
