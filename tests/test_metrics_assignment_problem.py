import tracemalloc
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from autosam.metrics import aji_plus, average_precision, contingency_table, match_objects
from autosam.metrics import assignment_problem as module


def chain(n):
    """Objects of 4 pixels, each overlapped half by two predictions: all hang together."""
    line = np.repeat(np.arange(1, n + 1), 4)
    return np.concatenate([[0, 0], line]), np.concatenate([line, [0, 0]])


def best_by_trying(table, threshold):
    """Most pairs and then the largest sum of IoU, over all one-to-one matchings."""
    iou = np.zeros((len(table.pred_ids), len(table.truth_ids)))
    iou[table.pred_index, table.truth_index] = table.overlap / table.union
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    reached = [
        [v for v in map(float, iou[range(len(iou)), list(cols)]) if v >= threshold]
        for cols in permutations(range(iou.shape[1]), len(iou))
    ]
    return max((len(values), round(sum(values), 9)) for values in reached)


@pytest.mark.parametrize("entries", [0, 1 << 21])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_matching_densely_and_sparsely(monkeypatch, entries, seed):
    monkeypatch.setattr(module, "_DENSE_ENTRIES", entries)
    rng = np.random.default_rng(seed)
    table = contingency_table(rng.integers(0, 6, 25), rng.integers(0, 5, 25))
    for threshold in (0.05, 0.1, 0.25):
        found = match_objects(table, threshold)
        assert (len(found.iou), round(float(found.iou.sum()), 9)) == best_by_trying(table, threshold)
        assert len(set(found.pred_index)) == len(set(found.truth_index)) == len(found.iou)


def test_twenty_thousand_by_twenty_thousand_objects_need_no_dense_table():
    table = contingency_table(*chain(20_000))
    tracemalloc.start()
    counts = average_precision(table=table, thresholds=[0.1, 0.5])
    jaccard = aji_plus(table=table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts.tp.tolist() == [20_000, 0]
    assert jaccard == pytest.approx(1 / 3)  # 2 of 6 pixels each, whichever neighbor it is
    assert peak < 50e6  # 3.2 GB for a table of all by all


@pytest.mark.parametrize("seed", range(5))
def test_ids_do_not_decide_between_equal_matchings(seed):
    rng = np.random.default_rng(seed)
    pred, truth = rng.integers(0, 8, 40), rng.integers(0, 7, 40)

    def counts(pred, truth):
        table = contingency_table(pred, truth)
        sized = average_precision(table=table, thresholds=[Fraction(1, 20), 0.1], size_range=(1, 5))
        return [sized.tp.tolist(), sized.fp.tolist(), sized.fn.tolist(), aji_plus(table=table)]

    other_pred, other_truth = (np.concatenate([[0], rng.permutation(n) + 1]) for n in (7, 6))
    assert counts(other_pred[pred], other_truth[truth]) == counts(pred, truth)
