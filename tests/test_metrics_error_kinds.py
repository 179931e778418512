import numpy as np

from autosam.metrics import ErrorKind, best_ious, classify_errors, contingency_table

HIT, MISSED, SPURIOUS, SPLIT, MERGED = ErrorKind


def kinds(pred, truth):
    found = classify_errors(contingency_table(pred, truth))
    return [ErrorKind(k) for k in found.truth], [ErrorKind(k) for k in found.pred]


def test_every_kind_in_one_image():
    # truth   1 1 1 1   prediction  1 1 2 2   1: two halves, 1 of them matches at IoU 1/2
    #         2 2 3 3               3 3 3 3   2 and 3: run together; 3 and 2 match at IoU 1/2
    #         4 4 0 0               0 0 4 4   4: missed; 4 of the prediction: spurious
    #         5 5 6 6               5 5 0 6   5: found; 6: 1 of 2, IoU 1/2, found
    truth = np.array([[1, 1, 1, 1], [2, 2, 3, 3], [4, 4, 0, 0], [5, 5, 6, 6]])
    pred = np.array([[1, 1, 2, 2], [3, 3, 3, 3], [0, 0, 4, 4], [5, 5, 0, 6]])
    true, predicted = kinds(pred, truth)
    assert true[0] == HIT
    assert sorted(predicted[:2]) == [HIT, SPLIT]
    assert sorted(true[1:3]) == [HIT, MERGED]
    assert predicted[2] == HIT
    assert (true[3], predicted[3]) == (MISSED, SPURIOUS)
    assert true[4:] == [HIT, HIT]
    assert predicted[4:] == [HIT, HIT]


def test_splits_and_mergers_without_a_hit():
    thirds, one = np.repeat([1, 2, 3], 4), np.ones(12, int)
    assert kinds(thirds, one) == ([SPLIT], [SPLIT] * 3)
    assert kinds(one, thirds) == ([MERGED] * 3, [MERGED])
    # A prediction that only grazes a truth is spurious, the truth missed.
    grazing = np.repeat([0, 1, 0], [9, 6, 3])
    assert kinds(grazing, np.repeat([1, 0], [10, 8])) == ([MISSED], [SPURIOUS])


def test_without_objects():
    none = np.zeros(3, int)
    assert kinds(none, none) == ([], [])
    assert kinds(none, none + 1) == ([MISSED], [])
    assert kinds(none + 1, none) == ([], [SPURIOUS])


def test_best_ious():
    truth, pred = np.repeat([1, 2, 3], 4), np.repeat([1, 2, 0], [3, 5, 4])
    # truth 1: 3 of 4 (1), 1 of 8 (2); truth 2: 4 of 5; truth 3: none
    assert best_ious(contingency_table(pred, truth)).tolist() == [3 / 4, 4 / 5, 0]
    assert len(best_ious(contingency_table(pred, truth * 0))) == 0
