from math import isnan, log2, sqrt

import numpy as np
import pytest
from skimage.metrics import variation_of_information as skimage_variation

from autosam.errors import InputError
from autosam.metrics import (
    VariationOfInformation,
    adapted_rand,
    contingency_table,
    cremi_score,
    variation_of_information,
)


def random_pair(seed, shape=(12, 13)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, shape), rng.integers(0, 4, shape)


def test_hand_worked_case():
    # prediction    truth       12 true voxels: p_11 = 4, p_21 = 0; p_12 = 2, p_22 = 4, p_02 = 2
    #   1 1 1 2     1 1 2 2     a = 4, 8; b = 6 (1), 4 (2), 2 (background)
    #   1 1 1 2     1 1 2 2
    #   0 0 2 2     0 0 2 2
    #   3 3 0 0     0 0 2 2
    pred = np.array([[1, 1, 1, 2], [1, 1, 1, 2], [0, 0, 2, 2], [3, 3, 0, 0]])
    truth = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]])
    result = variation_of_information(pred, truth)
    # H(P|T): truth 1 is whole; truth 2, 8 of 12 voxels, lies 2/8 in 1, 4/8 in 2, 2/8 in the background.
    assert result.split == pytest.approx(8 / 12 * (0.25 * 2 + 0.5 * 1 + 0.25 * 2))
    # H(T|P): prediction 1, 6 of 12 voxels, holds 4/6 of truth 1 and 2/6 of truth 2; the others are pure.
    assert result.merge == pytest.approx(6 / 12 * (4 / 6 * log2(6 / 4) + 2 / 6 * log2(6 / 2)))
    assert result.total == result.split + result.merge
    assert variation_of_information(table=contingency_table(pred, truth)) == result
    error = adapted_rand(pred, truth).error
    assert cremi_score(pred, truth) == pytest.approx(sqrt(result.total * error))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shape", [(12, 13), (3, 5, 7)])
@pytest.mark.parametrize("ignore", [True, False])
def test_equals_scikit_image(seed, shape, ignore):
    pred, truth = random_pair(seed, shape)
    result = variation_of_information(pred, truth, ignore_background=ignore)
    split, merge = skimage_variation(truth, pred, ignore_labels=[0] if ignore else ())
    assert (result.split, result.merge) == pytest.approx((split, merge))


def test_splits_and_merges():
    one, halves = np.ones(8, int), np.repeat([1, 2], 4)
    assert variation_of_information(halves, one).split == 1
    assert variation_of_information(halves, one).merge == 0
    assert variation_of_information(one, halves).split == 0
    assert variation_of_information(one, halves).merge == 1
    assert variation_of_information(halves, halves).total == 0
    assert cremi_score(halves, halves) == 0
    huge = np.array([2**64 - 1, 2**64 - 2, 0], np.uint64)
    assert variation_of_information(huge, huge).total == 0


def test_empties():
    none, one, halves = np.zeros(8, int), np.ones(8, int), np.repeat([1, 2], 4)
    for pred in (none, one):
        result = variation_of_information(pred, none)
        assert isnan(result.split)
        assert isnan(result.merge)
        chosen = variation_of_information(pred, none, empty_value=0.0)
        assert (chosen.split, chosen.merge) == (0, 0)
        assert isnan(cremi_score(pred, none))
        assert cremi_score(pred, none, empty_value=1.0) == 1
    missed = variation_of_information(none, halves)  # all in one segment, the background
    assert (missed.split, missed.merge) == (0, 1)
    assert variation_of_information(np.array([[4]]), np.array([[9]])).total == 0


def test_with_the_background_counted_an_empty_truth_is_one_segment():
    none = np.zeros(8, int)
    result = variation_of_information(np.repeat([0, 3], 4), none, ignore_background=False)
    assert (result.split, result.merge) == (1, 0)
    result = variation_of_information(none, none, ignore_background=False)
    assert (result.split, result.merge) == (0, 0)
    assert isnan(variation_of_information(none[:0], none[:0], ignore_background=False).total)


@pytest.mark.parametrize("ignore", [True, False])
def test_the_pool_of_copies_has_the_score_of_one(ignore):
    one = variation_of_information(*random_pair(1), ignore_background=ignore)
    pooled = VariationOfInformation.pooled([one] * 100)
    assert one.merge > 0
    assert (pooled.split, pooled.merge) == pytest.approx((one.split, one.merge))


@pytest.mark.parametrize("ignore", [True, False])
def test_pooled_is_the_mean_weighted_by_voxels(ignore):
    pairs = [random_pair(seed, (6, 7)) for seed in range(3)] + [(np.ones((6, 7), int), np.zeros((6, 7), int))]
    pooled = VariationOfInformation.pooled(
        variation_of_information(p, t, ignore_background=ignore) for p, t in pairs
    )
    weights = [p.size if not ignore else (t > 0).sum() for p, t in pairs]
    reference = [
        skimage_variation(t, p, ignore_labels=[0] if ignore else ()) for p, t in pairs if not ignore or t.any()
    ]
    expected = np.average(reference, axis=0, weights=[w for w in weights if w])
    assert (pooled.split, pooled.merge) == pytest.approx(tuple(expected))


def test_faults_are_named():
    with pytest.raises(InputError, match="no results"):
        VariationOfInformation.pooled([])
    one = np.ones(3, int)
    both = [variation_of_information(one, one, ignore_background=i) for i in (True, False)]
    with pytest.raises(InputError, match="ignore_background"):
        VariationOfInformation.pooled(both)
