from fractions import Fraction
from itertools import permutations
from math import isnan

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import (
    AggregatedJaccard,
    PanopticQuality,
    aggregated_jaccard,
    aji,
    aji_plus,
    panoptic_quality,
)

PRED = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
TRUTH = np.array([[5, 5, 5, 0], [5, 5, 5, 0], [0, 0, 0, 8], [0, 0, 0, 8]])
NONE = np.zeros((4, 4), int)


def random_pair(seed, shape=(9, 10)):
    """Blocks of 2 voxels along the first axis, shifted by one: few ids, all overlapping."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 5, shape), 2, axis=0)
    return np.roll(np.where(rng.random(truth.shape) < 0.8, truth, rng.integers(0, 5, truth.shape)), 1, 0), truth


def masks(labels):
    return [labels == i for i in np.unique(labels) if i]


def slow_aji(pred, truth):
    """MoNuSeg's final script, object by object."""
    preds, used = masks(pred), set()
    correct = union = 0
    for mine in masks(truth):
        best, index = Fraction(0), None
        for number, other in enumerate(preds):
            value = Fraction(int((mine & other).sum()), int((mine | other).sum()))
            if value > best:
                best, index = value, number
        if index is None:
            union += mine.sum()
            continue
        used.add(index)
        correct += (mine & preds[index]).sum()
        union += (mine | preds[index]).sum()
    union += sum(other.sum() for number, other in enumerate(preds) if number not in used)
    return correct / union


def slow_aji_plus(pred, truth):
    """Every one-to-one pairing tried; the scores of those with the largest sum of IoU."""
    preds, truths = masks(pred), masks(truth)
    found = []
    for chosen in permutations([*range(len(truths)), *[None] * len(preds)], len(preds)):
        pairs = [
            (preds[p], truths[t]) for p, t in enumerate(chosen) if t is not None and (preds[p] & truths[t]).any()
        ]
        total = sum(Fraction(int((a & b).sum()), int((a | b).sum())) for a, b in pairs)
        correct, union = sum((a & b).sum() for a, b in pairs), sum((a | b).sum() for a, b in pairs)
        alone = sum(m.sum() for m in preds + truths) - sum(a.sum() + b.sum() for a, b in pairs)
        found.append((total, correct / (union + alone)))
    best = max(total for total, _ in found)
    return {score for total, score in found if total == best}


def test_panoptic_quality_by_hand():
    # 1 and 5: 4 shared of 6: IoU 2/3, a match. 3 and 8: 2 shared of 4: IoU 1/2, none.
    result = panoptic_quality(PRED, TRUTH)
    assert (result.tp, result.fp, result.fn) == (1, 1, 1)
    assert result.sq == pytest.approx(2 / 3)
    assert result.dq == 1 / (1 + 1 / 2 + 1 / 2)
    assert result.pq == pytest.approx(2 / 3 * 1 / 2)
    at_least = panoptic_quality(PRED, TRUTH, strict=False)  # 1/2 counts
    assert (at_least.tp, at_least.dq) == (2, 1)
    assert at_least.pq == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert panoptic_quality(PRED, TRUTH, threshold=0.7).pq == 0


def test_aji_by_hand():
    # (5, 1): 4 of 6; (8, 3): 2 of 4: (4 + 2) / (6 + 4)
    assert aji(PRED, TRUTH) == aji_plus(PRED, TRUTH) == 6 / 10
    # One prediction over two truths of 4 and 2 columns (8 and 4 of 12 voxels):
    pred, truth = np.array([[1] * 6] * 2), np.array([[1, 1, 1, 1, 2, 2]] * 2)
    assert aji(pred, truth) == (8 + 4) / (12 + 12)  # it is in both pairs
    assert aji_plus(pred, truth) == 8 / (12 + 4)  # it is in one pair, truth 2 stays alone
    # Two predictions in one truth: the better one is paired, the other is added to the union.
    assert aji(truth, pred) == aji_plus(truth, pred) == 8 / (12 + 4)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", [(9, 10), (2, 3, 4), (3,)])
def test_aji_equals_the_slow_scripts(seed, shape):
    pred, truth = random_pair(seed, shape)
    if pred.any() or truth.any():
        assert aji(pred, truth) == pytest.approx(slow_aji(pred, truth))
        assert any(aji_plus(pred, truth) == pytest.approx(s) for s in slow_aji_plus(pred, truth))


@pytest.mark.parametrize("seed", range(10))
def test_panoptic_quality_equals_a_count(seed):
    pred, truth = random_pair(seed)
    ious = [(a & b).sum() / (a | b).sum() for a in masks(pred) for b in masks(truth)]
    hits = [i for i in ious if i > 0.5]  # above one half the matching is unique
    result = panoptic_quality(pred, truth)
    assert result.tp == len(hits)
    assert result.pq == pytest.approx(sum(hits) / ((len(masks(pred)) + len(masks(truth))) / 2))


def test_empties_and_extremes():
    for pred, truth in ((NONE, TRUTH), (PRED, NONE)):
        result = panoptic_quality(pred, truth)
        assert (result.pq, result.sq, result.dq) == (0, 0, 0)
        assert aji(pred, truth) == aji_plus(pred, truth) == 0
    result = panoptic_quality(NONE, NONE)
    assert all(isnan(v) for v in (result.pq, result.sq, result.dq, aji(NONE, NONE), aji_plus(NONE, NONE)))
    assert panoptic_quality(NONE, NONE, empty_value=1.0).pq == 1
    assert aji(NONE, NONE, empty_value=1.0) == aji_plus(NONE, NONE, empty_value=1.0) == 1
    huge = np.array([2**64 - 1, 2**64 - 2, 0], np.uint64)
    assert panoptic_quality(huge, huge).pq == aji(huge, huge) == aji_plus(huge, huge) == 1
    pixel = np.array([[1]])
    assert panoptic_quality(pixel, pixel).pq == aji(pixel, pixel) == aji_plus(pixel, pixel) == 1
    apart = aggregated_jaccard(np.array([1, 0]), np.array([0, 1]), one_to_one=True)
    assert (apart.intersection, apart.union) == (0, 2)


def test_pooled_adds_up_and_faults_are_named():
    pooled = AggregatedJaccard.pooled(aggregated_jaccard(p, TRUTH) for p in (PRED, NONE))
    assert pooled.score == 6 / (10 + 8)
    quality = PanopticQuality.pooled(panoptic_quality(p, TRUTH) for p in (PRED, NONE))
    assert (quality.tp, quality.fp, quality.fn) == (1, 1, 3)
    for kind in (AggregatedJaccard, PanopticQuality):
        with pytest.raises(InputError, match="no results"):
            kind.pooled([])
    with pytest.raises(InputError, match="same settings"):
        PanopticQuality.pooled(panoptic_quality(PRED, TRUTH, strict=s) for s in (True, False))
    with pytest.raises(InputError, match="IoU threshold is"):
        panoptic_quality(PRED, TRUTH, threshold=0)
