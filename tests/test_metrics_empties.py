"""Small label images, often empty on one side or both: every metric against a reference, or its own definition."""

import warnings
from math import isnan, nan

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error
from skimage.metrics import variation_of_information as skimage_variation

from autosam.metrics import (
    adapted_rand,
    aggregated_jaccard,
    average_precision,
    cremi_score,
    foreground_overlap,
    panoptic_quality,
    variation_of_information,
)


def images(seed):
    """A prediction and a truth of 0 to 3 objects."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, rng.integers(1, 4)))
    return (rng.integers(0, rng.integers(1, 5), shape) * rng.integers(0, 2) for _ in range(2))


def iou_matrix(pred, truth):
    ids = [[i for i in np.unique(side).tolist() if i] for side in (pred, truth)]
    return np.array(
        [[((pred == p) & (truth == t)).sum() / ((pred == p) | (truth == t)).sum() for t in ids[1]] for p in ids[0]]
    ).reshape(len(ids[0]), len(ids[1]))


@pytest.mark.parametrize("seed", range(150))
def test_against_references_and_definitions(seed):
    pred, truth = images(seed)
    iou = iou_matrix(pred, truth)
    n_pred, n_truth = iou.shape

    voi = variation_of_information(pred, truth, ignore_background=False)
    assert (voi.split, voi.merge) == pytest.approx(tuple(skimage_variation(truth, pred)), abs=1e-12)
    voi = variation_of_information(pred, truth)
    if n_truth:
        expected = skimage_variation(truth, pred, ignore_labels=[0])
        assert (voi.split, voi.merge) == pytest.approx(tuple(expected), abs=1e-12)
    else:
        assert isnan(voi.split)
        assert isnan(voi.merge)
        assert isnan(cremi_score(pred, truth))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = adapted_rand_error(truth, pred)[0] if n_truth else nan
    assert adapted_rand(pred, truth, convention="skimage").error == pytest.approx(expected, nan_ok=True)
    assert isnan(adapted_rand(pred, truth).error) == (n_truth == 0)

    hits = int((iou > 0.5).sum())
    quality = panoptic_quality(pred, truth)
    assert (quality.tp, quality.fp, quality.fn) == (hits, n_pred - hits, n_truth - hits)
    expected = 2 * iou[iou > 0.5].sum() / (n_pred + n_truth) if n_pred + n_truth else nan
    assert quality.pq == pytest.approx(expected, nan_ok=True)
    strict = average_precision(pred, truth, thresholds=[0.5], strict=True)
    expected = hits / (n_pred + n_truth - hits) if n_pred + n_truth else nan
    assert strict.mean == pytest.approx(expected, nan_ok=True)
    for convention in ("coco", "mitoem2020"):
        ranked = average_precision(pred, truth, convention=convention)
        assert isnan(ranked.mean) == (n_truth == 0)
        assert n_pred or isnan(ranked.mean) or ranked.mean == 0

    both, either = ((pred > 0) & (truth > 0)).sum(), ((pred > 0) | (truth > 0)).sum()
    overlap = foreground_overlap(pred, truth)
    assert overlap.iou == pytest.approx(both / either if either else nan, nan_ok=True)
    dice = 2 * both / ((pred > 0).sum() + (truth > 0).sum()) if either else nan
    assert overlap.dice == pytest.approx(dice, nan_ok=True)
    for one_to_one in (False, True):
        jaccard = aggregated_jaccard(pred, truth, one_to_one=one_to_one)
        assert isnan(jaccard.score) == (n_pred + n_truth == 0)
        assert (n_pred and n_truth) or isnan(jaccard.score) or jaccard.score == 0


def test_the_images_have_all_kinds_of_emptiness():
    kinds = {tuple(bool(side.any()) for side in images(seed)) for seed in range(150)}
    assert len(kinds) == 4
