from math import isnan

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import (
    Protocol,
    adapted_rand,
    aji,
    aji_plus,
    average_precision,
    cremi_score,
    dice,
    evaluate_pair,
    iou,
    mean_row,
    panoptic_quality,
    pool,
    variation_of_information,
)
from autosam.metrics.definitions import definitions

NONE = np.zeros((4, 4), int)
ONE = np.array([[1, 1, 0, 0]] * 4)
TWO = np.array([[1, 1, 2, 2]] * 4)


def test_a_row_holds_what_the_metrics_say():
    row = evaluate_pair(ONE, TWO).row()
    result = average_precision(ONE, TWO)
    assert (row["objects"], row["predicted"]) == (2, 1)
    assert (row["ap50"], row["ap75"], row["mean_ap"]) == (result.at(0.5), result.at(0.75), result.mean)
    assert row["rand_error"] == adapted_rand(ONE, TWO).error
    assert (row["dice"], row["iou"]) == (dice(ONE, TWO), iou(ONE, TWO))
    assert (row["tp50"], row["fp50"], row["fn50"]) == (1, 0, 1)
    assert (row["precision50"], row["recall50"], row["matched_iou50"]) == (1, 0.5, 1)


def test_pooled_and_mean_of_hand_worked_images():
    scores = [evaluate_pair(ONE, TWO), evaluate_pair(ONE, ONE), evaluate_pair(NONE, NONE)]
    pooled = pool(scores).row()
    assert (pooled["objects"], pooled["predicted"]) == (3, 2)
    assert pooled["ap50"] == 2 / 3  # 2 hits, 1 missed
    assert pooled["iou"] == (8 + 8) / (16 + 8)
    mean = mean_row([s.row() for s in scores])
    assert mean["ap50"] == (1 / 2 + 1) / 2  # the empty image is undefined
    assert mean["iou"] == (8 / 16 + 1) / 2
    assert mean["objects"] == 1
    assert all(len(v) == 10 for v in pool(scores).per_threshold().values())


def test_empty_images_are_undefined_or_what_was_chosen():
    assert isnan(mean_row([evaluate_pair(NONE, NONE).row()])["ap50"])
    assert isnan(evaluate_pair(ONE, NONE).row()["rand_error"])
    assert evaluate_pair(ONE, NONE).row()["ap50"] == 0
    assert evaluate_pair(NONE, NONE, protocol=Protocol(empty_value=1.0)).row()["dice"] == 1


def test_nothing_to_put_together_is_an_error():
    for together in (pool, mean_row):
        with pytest.raises(InputError, match="no results"):
            together([])


def test_the_protocol_decides_what_is_computed():
    protocol = Protocol(
        strict=True, rand="skimage", ranked=("coco", "mitoem2020"), max_dets=1, size_bounds=(4, 9), empty_value=1.0
    )
    scores = evaluate_pair(ONE, TWO, protocol=protocol, scores={1: 0.5})
    row = scores.row()
    assert row["rand_error"] == adapted_rand(ONE, TWO, convention="skimage").error
    assert row["cremi"] == pytest.approx(cremi_score(ONE, TWO))  # whatever the convention of rand_error
    assert row["coco_ap50"] == average_precision(ONE, TWO, convention="coco").at(0.5)
    assert row["mitoem2020_mean_ap"] == average_precision(ONE, TWO, convention="mitoem2020").mean
    # Objects of 8 voxels: between 5 and 9 for dsb, so the other classes are empty on both sides.
    assert (row["dsb_upto4_ap50"], row["dsb_upto9_ap50"], row["dsb_above9_ap50"]) == (1, 0.5, 1)
    assert row["coco_upto9_ap50"] == row["coco_ap50"]
    assert row["coco_above9_ap50"] == 1  # no truth: empty_value
    assert pool([scores, scores]).row()["coco_ap50"] == pytest.approx(row["coco_ap50"])
    assert set(definitions(protocol)) > {"coco_ap", "max_dets", "uptoN, aboveN"}
    assert ">" in definitions(protocol)["ap"]
    assert protocol.size_classes("dsb") == {"upto4": (1, 4), "upto9": (5, 9), "above9": (10, float("inf"))}
    assert protocol.size_classes("coco") == {"upto4": (0, 4), "upto9": (4, 9), "above9": (9, float("inf"))}


def test_size_bounds_ascend():
    for bounds in ((5, 5), (0, 3), (9, 4)):
        with pytest.raises(InputError, match="size bounds"):
            evaluate_pair(ONE, TWO, protocol=Protocol(size_bounds=bounds))


def test_a_row_holds_the_other_metrics_too():
    row = evaluate_pair(ONE, TWO).row()
    voi = variation_of_information(ONE, TWO)
    assert (row["voi_split"], row["voi_merge"]) == (voi.split, voi.merge)
    assert (row["pq"], row["aji"], row["aji_plus"]) == (
        panoptic_quality(ONE, TWO).pq,
        aji(ONE, TWO),
        aji_plus(ONE, TWO),
    )
    assert [row[kind] for kind in ("missed", "spurious", "split", "merged")] == [1, 0, 0, 0]


def test_two_thousand_touching_objects():
    row, col = np.mgrid[:1024, :1024]
    truth = (row // 23) * 45 + col // 23 + 1
    scores = evaluate_pair(np.roll(truth, (3, 2), (0, 1)), truth, protocol=Protocol(ranked=("coco",))).row()
    assert scores["objects"] > 2000
    assert scores["ap50"] > 0.9
    assert scores["aji_plus"] > 0.5
