import tracemalloc

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import Contingency, contingency_table, pair_counts
from autosam.metrics import contingency as module
from autosam.metrics.contingency import require_table

# Prediction and truth, 4 × 4:
#   1 1 0 0     5 5 5 0
#   1 1 0 0     5 5 5 0
#   0 0 3 3     0 0 0 8
#   0 0 3 3     0 0 0 8
PRED = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
TRUTH = np.array([[5, 5, 5, 0], [5, 5, 5, 0], [0, 0, 0, 8], [0, 0, 0, 8]])


def as_dict(table):
    return {
        (int(table.pred_ids[p]), int(table.truth_ids[t])): int(n)
        for p, t, n in zip(table.pred_index, table.truth_index, table.overlap, strict=True)
    }


def brute_force(pred, truth):
    pairs = {}
    for p, t in zip(pred.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if p and t:
            pairs[p, t] = pairs.get((p, t), 0) + 1
    return pairs


def random_pair(rng, shape, ids=6):
    return rng.integers(0, ids, shape), rng.integers(0, ids, shape)


def test_hand_worked_case():
    table = contingency_table(PRED, TRUTH)
    assert as_dict(table) == {(1, 5): 4, (3, 8): 2}
    assert dict(zip(table.pred_ids.tolist(), table.pred_sizes.tolist(), strict=True)) == {1: 4, 3: 4}
    assert dict(zip(table.truth_ids.tolist(), table.truth_sizes.tolist(), strict=True)) == {5: 6, 8: 2}
    assert table.union.tolist() == [4 + 6 - 4, 4 + 2 - 2]
    assert table.truth_missed.tolist() == [6 - 4, 0]
    assert table.pred_spurious.tolist() == [0, 4 - 2]
    assert table.n_voxels == 16


@pytest.mark.parametrize("shape", [(40,), (9, 11), (4, 5, 6), (2, 3, 4, 5)])
def test_equals_a_count_voxel_by_voxel(shape):
    pred, truth = random_pair(np.random.default_rng(0), shape)
    assert as_dict(contingency_table(pred, truth)) == brute_force(pred, truth)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "uint64", ">u2"])
def test_any_integer_dtype(dtype):
    table = contingency_table(PRED.astype(dtype), TRUTH.astype("uint16"))
    assert as_dict(table) == {(1, 5): 4, (3, 8): 2}


def test_bool_masks_are_one_object():
    assert as_dict(contingency_table(PRED > 0, TRUTH > 0)) == {(1, 1): 6}


def test_the_largest_ids_are_kept_apart():
    big = np.array([2**64 - 1, 2**64 - 2, 2**63, 2**53, 2**53 + 1, 0], np.uint64)
    table = contingency_table(big, big)
    assert table.pred_ids.tolist() == sorted(big.tolist())[1:]
    assert as_dict(table) == {(i, i): 1 for i in big.tolist() if i}


def test_blocks_in_any_order_give_the_table_of_the_whole():
    pred, truth = random_pair(np.random.default_rng(1), (12, 10, 8))
    whole = contingency_table(pred, truth)
    contingency = Contingency()
    for start in (8, 0, 4):
        for col in (5, 0):
            block = np.s_[start : start + 4, col : col + 5]
            contingency.update(pred[block], truth[block])
    blocks = contingency.table()
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))


def test_the_table_can_be_read_and_then_filled_further():
    contingency = Contingency()
    contingency.update(PRED, TRUTH)
    contingency.table()
    contingency.update(PRED, TRUTH)
    assert as_dict(contingency.table()) == {(1, 5): 8, (3, 8): 4}


def test_small_steps_and_early_compaction_change_nothing(monkeypatch):
    pred, truth = random_pair(np.random.default_rng(2), (30, 30), ids=40)
    whole = as_dict(contingency_table(pred, truth))
    monkeypatch.setattr(module, "_STEP_VOXELS", 7)
    monkeypatch.setattr(pair_counts, "_WAITING_ROWS", 10)
    assert as_dict(contingency_table(pred, truth)) == whole


@pytest.mark.parametrize("shape", [(0,), (0, 5), (4, 4)])
def test_without_objects_every_array_is_empty(shape):
    table = contingency_table(np.zeros(shape, np.uint8), np.zeros(shape, np.int32))
    assert len(table.pred_ids) == len(table.truth_sizes) == len(table.overlap) == len(table.union) == 0
    assert len(table.truth_missed) == len(table.pred_spurious) == 0
    assert table.n_voxels == np.prod(shape)


def test_an_unfilled_table_is_empty():
    assert Contingency().table().n_voxels == 0


def test_without_background():
    table = contingency_table(np.full((2, 2), 7), np.array([[1, 1], [2, 2]]))
    assert as_dict(table) == {(7, 1): 2, (7, 2): 2}


def test_one_voxel():
    assert as_dict(contingency_table(np.array([[3]]), np.array([[9]]))) == {(3, 9): 1}


def test_faults_are_named():
    with pytest.raises(InputError, match=r"shape \(2, 2\) and the truth \(2, 3\)"):
        contingency_table(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(InputError, match=r"truth has dtype float32 and holds 0\.5"):
        contingency_table(np.zeros((2, 2), int), np.full((2, 2), 0.5, np.float32))
    with pytest.raises(InputError, match="prediction holds the negative id -4"):
        contingency_table(np.array([0, -4]), np.array([0, 1]))


def test_a_metric_takes_labels_or_a_table():
    table = contingency_table(PRED, TRUTH)
    assert require_table(None, None, table) is table
    with pytest.raises(InputError, match="got no labels"):
        require_table(None, None, None)
    with pytest.raises(InputError, match="got pred and table"):
        require_table(PRED, None, table)


def test_two_thousand_objects_are_little_work(monkeypatch):
    """Seconds are measured by scripts/bench_metrics.py; here it is what they are spent on."""
    rows, cols = np.divmod(np.arange(1024 * 1024).reshape(1024, 1024), 1024)
    truth = (rows // 23) * 45 + cols // 23 + 1
    pred = np.roll(truth, 3, axis=1)
    assert truth.max() > 2000
    sorted_rows = []
    add_equal_pairs = pair_counts.add_equal_pairs

    def watched(*columns):
        sorted_rows.append(len(columns[0]))
        return add_equal_pairs(*columns)

    monkeypatch.setattr(pair_counts, "add_equal_pairs", watched)
    tracemalloc.start()
    table = contingency_table(pred, truth)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.overlap.sum() == 1024 * 1024
    # Not pixels are sorted but runs along a row: 90 or so of 1024, and then the pairs that are left of them.
    assert sorted_rows[0] <= 1024 * 92
    assert len(sorted_rows) == 2
    assert sorted_rows[1] == len(table.overlap)  # no background here
    assert len(table.overlap) <= 3 * len(table.truth_ids)  # a row of the table for each pair that overlaps
    assert peak < 50e6  # a table of 2,000 objects by all pixels would be 2 GB
