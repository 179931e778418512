"""Pixels that do not count: hand-made images, COCO's crowd rule, blocks of volumes."""

import contextlib
import io
from math import isnan

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from autosam.metrics import Contingency, average_precision, contingency_table, dice, evaluate_pair


def row(pred, truth, valid):
    found = evaluate_pair(np.array(pred), np.array(truth), valid=np.array(valid))
    half = found.row()
    return half["tp50"], half["fp50"], half["fn50"]


@pytest.mark.parametrize(
    ("pred", "truth", "valid", "counts"),
    [
        # A false prediction outside, and one inside.
        ([1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], (0, 0, 0)),
        ([0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], (0, 1, 0)),
        # A missed object outside, and one inside.
        ([0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], (0, 0, 0)),
        ([0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], (0, 0, 1)),
        # A third of a prediction is inside: it does not count. Half of it: it does.
        ([1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1], (0, 0, 0)),
        ([0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1], (0, 1, 0)),
        # The same of true objects.
        ([0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], (0, 0, 0)),
        ([0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], (0, 0, 1)),
        # The part of a true object that lies inside does not make a prediction there a false one.
        ([0, 0, 1, 0], [1, 1, 1, 0], [0, 0, 1, 1], (0, 0, 0)),
        # A prediction that swallows the image from outside finds nothing: what it covers is missed.
        ([1, 1, 1, 1, 1], [0, 0, 0, 2, 2], [0, 0, 0, 1, 1], (0, 0, 1)),
        # Inside, only what lies inside is compared: IoU 2 / 2, not 2 / 6.
        ([1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0], (1, 0, 0)),
        # No pixel counts.
        ([1, 1, 2, 2], [1, 1, 0, 3], [0, 0, 0, 0], (0, 0, 0)),
    ],
)
def test_hand_made_images(pred, truth, valid, counts):
    assert row([pred], [truth], [valid]) == counts


def test_where_no_pixel_counts_every_score_is_undefined():
    found = evaluate_pair([[1, 2]], [[1, 0]], valid=[[0, 0]]).row()
    kept = {name: value for name, value in found.items() if not isnan(value)}
    assert not any(kept.values())
    assert {"ap50", "rand_error", "dice", "voi_split", "pq", "aji"}.isdisjoint(kept)


def test_a_mask_that_is_valid_everywhere_changes_nothing():
    rng = np.random.default_rng(0)
    pred, truth = rng.integers(0, 6, (2, 20, 20))
    assert repr(evaluate_pair(pred, truth, valid=np.ones((20, 20))).row()) == repr(
        evaluate_pair(pred, truth).row()
    )


def test_foreground_scores_count_pixels_whatever_their_object():
    # Most of the foreground lies outside; the masks are one object each, which would be left out.
    pred, truth = np.array([1, 1, 1, 1, 0, 0]), np.array([1, 1, 1, 1, 1, 0])
    valid = np.array([0, 0, 0, 1, 1, 1])
    assert dice(pred, truth, valid=valid) == 2 * 1 / (1 + 2)
    assert evaluate_pair(pred, truth, valid=valid).overlap.dice == 2 * 1 / (1 + 2)


def test_blocks_give_the_table_of_the_whole():
    rng = np.random.default_rng(1)
    pred, truth = rng.integers(0, 30, (2, 8, 9, 10))
    valid = rng.random((8, 9, 10)) < 0.6
    whole = contingency_table(pred, truth, valid=valid)
    assert 0 < len(whole.truth_ids) < 29
    contingency = Contingency()
    for start in (4, 0):
        block = slice(start, start + 4)
        contingency.update(pred[block], truth[block], valid=valid[block])
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(contingency.table(), name), getattr(whole, name))


def encode(mask):
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_unmatched_predictions_in_ignored_pixels_are_as_in_coco():
    """COCO: a prediction that matches no object, and of which half lies in an ignored region, does not count."""
    truth = np.zeros((20, 40), int)
    truth[2:8, 2:8], truth[2:8, 12:18] = 1, 2
    ignored = np.zeros(truth.shape, bool)
    ignored[:, 20:] = True
    pred = np.zeros_like(truth)
    pred[2:8, 2:9], pred[12:18, 2:8] = 1, 2  # a hit and a false one
    pred[2:8, 15:19] = 3  # too small a part of truth 2
    pred[12:18, 18:27], pred[2:8, 30:36] = 4, 5  # mostly and wholly in ignored pixels
    scores = {1: 0.5, 2: 0.4, 3: 0.7, 4: 0.9, 5: 0.8}
    annotations = [{"segmentation": encode(truth == i), "iscrowd": 0} for i in (1, 2)]
    annotations.append({"segmentation": encode(ignored), "iscrowd": 1})
    for number, item in enumerate(annotations, 1):
        item.update(id=number, image_id=1, category_id=1, area=float(coco_mask.area(item["segmentation"])))
    found = [
        {"image_id": 1, "category_id": 1, "segmentation": encode(pred == i), "score": s} for i, s in scores.items()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        dataset.dataset = {
            "info": {},
            "images": [{"id": 1, "height": 20, "width": 40}],
            "annotations": annotations,
            "categories": [{"id": 1}],
        }
        dataset.createIndex()
        evaluation = COCOeval(dataset, dataset.loadRes(found), "segm")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # The first threshold, as an ignored region has no one IoU.
    expected = evaluation.eval["precision"][0, :, 0, 0, -1].mean()
    result = average_precision(pred, truth, convention="coco", scores=scores, valid=~ignored)
    assert 0 < result.at(0.5) == pytest.approx(expected)
    assert average_precision(pred, truth, convention="coco", scores=scores).at(0.5) < expected
