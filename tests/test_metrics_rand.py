from math import isnan

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error

from autosam.errors import InputError
from autosam.metrics import AdaptedRand, adapted_rand

CONVENTIONS = ["snemi3d", "skimage", "foreground", "singletons"]


def random_pair(seed, shape=(12, 13)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, shape), rng.integers(0, 4, shape)


def pair_counts(pred, truth, itself):
    """Count ordered pairs of true voxels: together in the truth, in the prediction, in both."""
    both = in_pred = in_truth = 0
    inside = [(p, t) for p, t in zip(pred.ravel().tolist(), truth.ravel().tolist(), strict=True) if t]
    for a, (p, t) in enumerate(inside):
        for b, (q, u) in enumerate(inside):
            if a == b and not itself:
                continue
            in_pred += p == q
            in_truth += t == u
            both += p == q and t == u
    return both, in_pred, in_truth


def test_hand_worked_case():
    # prediction    truth       p_11 = 4, p_12 = 2, p_22 = 4, p_20 = 2 missed of n = 16
    #   1 1 1 2     1 1 2 2     a = 4, 8;  b_1 = 6, b_2 = 4
    #   1 1 1 2     1 1 2 2
    #   0 0 2 2     0 0 2 2
    #   3 3 0 0     0 0 2 2
    pred = np.array([[1, 1, 1, 2], [1, 1, 1, 2], [0, 0, 2, 2], [3, 3, 0, 0]])
    truth = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]])
    shared, in_pred, in_truth = 4**2 + 2**2 + 4**2, 6**2 + 4**2, 4**2 + 8**2
    assert (shared, in_pred, in_truth) == (36, 52, 80)

    snemi3d = adapted_rand(pred, truth)
    assert snemi3d.precision == pytest.approx((36 + 2 / 16) / (52 + 2 / 16))
    assert snemi3d.recall == pytest.approx((36 + 2 / 16) / 80)
    assert snemi3d.error == pytest.approx(1 - 2 * 36.125 / (52.125 + 80))

    foreground = adapted_rand(pred, truth, convention="foreground")  # missed: one segment of 2
    assert foreground.precision == pytest.approx((36 + 4) / (52 + 4))
    assert foreground.recall == pytest.approx((36 + 4) / 80)

    singletons = adapted_rand(pred, truth, convention="singletons")  # missed: two segments of 1
    assert singletons.precision == pytest.approx((36 + 2) / (52 + 2))
    assert singletons.recall == pytest.approx((36 + 2) / 80)

    skimage = adapted_rand(pred, truth, convention="skimage")  # 12 voxels are no pairs with themselves
    assert skimage.precision == pytest.approx((40 - 12) / (56 - 12))
    assert skimage.recall == pytest.approx((40 - 12) / (80 - 12))


def test_error_is_one_minus_the_harmonic_mean():
    for convention in CONVENTIONS:
        result = adapted_rand(*random_pair(3), convention=convention)
        p, r = result.precision, result.recall
        assert result.error == pytest.approx(1 - 2 * p * r / (p + r))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(12, 13), (4, 5, 6)])
def test_equals_scikit_image(seed, shape):
    pred, truth = random_pair(seed, shape)
    result = adapted_rand(pred, truth, convention="skimage")
    error, by_truth_pairs, by_pred_pairs = adapted_rand_error(truth, pred)
    # scikit-image documents (error, precision, recall) and returns the last two in reverse (its issue 6485).
    assert result.error == pytest.approx(error)
    assert result.precision == pytest.approx(by_pred_pairs)
    assert result.recall == pytest.approx(by_truth_pairs)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_pairs_counted_one_by_one(seed):
    pred, truth = random_pair(seed, (7, 8))
    alone = pred.copy()
    alone[pred == 0] = np.arange(100, 100 + (pred == 0).sum())
    for convention, labels, itself in (
        ("foreground", pred, True),
        ("skimage", pred, False),
        ("singletons", alone, True),
    ):
        result = adapted_rand(pred, truth, convention=convention)
        both, in_pred, in_truth = pair_counts(labels, truth, itself)
        assert (result.precision, result.recall) == pytest.approx((both / in_pred, both / in_truth))


def test_perfect_split_and_merged():
    halves, whole = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])
    for convention in CONVENTIONS:
        assert adapted_rand(halves, halves * 9, convention=convention).error == 0
    split = adapted_rand(halves, whole)
    assert (split.precision, split.recall) == (1, (4 + 4) / 16)
    merged = adapted_rand(whole, halves)
    assert (merged.precision, merged.recall) == ((4 + 4) / 16, 1)


def test_prediction_outside_the_truth_does_not_count():
    truth = np.array([1, 1, 0, 0])
    assert adapted_rand(np.array([1, 1, 2, 1]), truth).error == 0


def test_an_empty_prediction_follows_the_formulas():
    truth, none = np.array([1, 1, 2, 2, 0, 0, 0, 0]), np.zeros(8, int)
    result = adapted_rand(none, truth)  # m / n = 4 / 8
    assert (result.precision, result.recall) == (1, 0.5 / 8)
    assert result.error == pytest.approx(1 - 2 * 0.5 / (0.5 + 8))
    assert adapted_rand(none, truth, convention="foreground").precision == (4 + 4) / 16
    assert adapted_rand(none, truth, convention="singletons").recall == 4 / 8


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("pred", [np.zeros(4, int), np.ones(4, int)])
def test_without_true_objects_all_is_undefined(convention, pred):
    truth = np.zeros(4, int)
    result = adapted_rand(pred, truth, convention=convention)
    assert all(map(isnan, (result.error, result.precision, result.recall)))
    chosen = adapted_rand(pred, truth, convention=convention, empty_value=0.0)
    assert (chosen.error, chosen.precision, chosen.recall) == (0, 0, 0)
    assert isnan(adapted_rand(np.zeros((0, 3), int), np.zeros((0, 3), int), convention=convention).error)


def test_one_voxel_has_no_pairs_for_skimage():
    one = np.array([[5]])
    assert isnan(adapted_rand(one, one, convention="skimage").error)
    assert adapted_rand(one, one).error == 0
    # Two one-voxel truths merged: precision 0 / 2, recall 0 / 0.
    merged = adapted_rand(np.array([1, 1]), np.array([1, 2]), convention="skimage")
    assert (merged.error, merged.precision) == (1, 0)
    assert isnan(merged.recall)


def test_huge_ids():
    truth = np.array([2**64 - 1, 2**64 - 1, 2**64 - 2, 0], np.uint64)
    assert adapted_rand(truth, truth).error == 0


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_pool_of_copies_has_the_score_of_one(convention):
    one = adapted_rand(*random_pair(0, (6, 7)), convention=convention)
    pooled = AdaptedRand.pooled([one] * 50)
    assert one.missed > 0
    assert (pooled.error, pooled.precision, pooled.recall) == pytest.approx((one.error, one.precision, one.recall))


@pytest.mark.parametrize(("convention", "itself"), [("foreground", True), ("skimage", False)])
def test_pooled_counts_pairs_within_images(convention, itself):
    pairs = [random_pair(seed, (4, 5)) for seed in range(3)] + [(np.ones((4, 5), int), np.zeros((4, 5), int))]
    pooled = AdaptedRand.pooled(adapted_rand(p, t, convention=convention) for p, t in pairs)
    both, in_pred, in_truth = map(sum, zip(*(pair_counts(p, t, itself) for p, t in pairs), strict=True))
    assert (pooled.precision, pooled.recall) == pytest.approx((both / in_pred, both / in_truth))


def test_faults_are_named():
    labels = np.ones(3, int)
    with pytest.raises(InputError, match=r"'cremi'.*snemi3d, skimage, foreground, singletons"):
        adapted_rand(labels, labels, convention="cremi")
    with pytest.raises(InputError, match="no results"):
        AdaptedRand.pooled([])
    with pytest.raises(InputError, match="skimage, snemi3d"):
        AdaptedRand.pooled([adapted_rand(labels, labels), adapted_rand(labels, labels, convention="skimage")])
