"""Prompt-object assignment: by overlap of regions, and by what a user prompt points at."""

from typing import Literal

import numpy as np
import pytest

from autosam.prompts import Prompt
from autosam.training.prompting.prompt_targets import match_regions, match_user_prompts


def blocks() -> np.ndarray:
    """Three objects of 100, 100 and 4 pixels; id 3 is not there."""
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[5:15, 5:15] = 1
    labels[20:30, 40:50] = 2
    labels[35:37, 5:7] = 4
    return labels


# Regions


def test_the_largest_total_iou_wins_not_the_largest_pair() -> None:
    regions = np.array([[2] * 4 + [1] * 12 + [0] * 4], dtype=np.int32)
    labels = np.array([[1] * 11 + [2] * 9], dtype=np.int32)
    # IoU: region 1 with object 1 7/16, the largest; 1 with 2 5/16; 2 with 1 4/11; 2 with 2 nothing
    assert match_regions(regions, labels, matching="hungarian").tolist() == [0, 2, 1]


def test_one_object_is_given_to_one_region() -> None:
    labels = np.ones((4, 10), dtype=np.int32)
    regions = np.ones((4, 10), dtype=np.int32)
    regions[:, 6:] = 2
    assert match_regions(regions, labels, matching="hungarian").tolist() == [0, 1, 0]


def test_iou_must_lie_above_the_limit() -> None:
    labels, regions = np.ones((1, 8), dtype=np.int32), np.array([[1, 1, 0, 0, 0, 0, 0, 0]], dtype=np.int32)
    assert match_regions(regions, labels, matching="hungarian", min_iou=0.25).tolist() == [0, 0]
    assert match_regions(regions, labels, matching="hungarian", min_iou=0.24).tolist() == [0, 1]


def test_overlap_gives_every_region_its_best_object() -> None:
    regions = np.array([[2] * 4 + [1] * 12 + [0] * 4], dtype=np.int32)
    labels = np.array([[1] * 11 + [2] * 9], dtype=np.int32)
    # as above: 7/16 is the largest IoU of region 1, 4/11 the only one of region 2
    assert match_regions(regions, labels, matching="overlap").tolist() == [0, 1, 1]
    assert match_regions(regions, labels, matching="overlap", min_iou=0.4).tolist() == [0, 1, 0]
    # the most shared pixels are not the highest IoU: 10 of 30, 6 of 16
    wide = np.pad(np.array([[1] * 16], dtype=np.int32), ((0, 0), (0, 14)))
    many = np.array([[1] * 10 + [2] * 6], dtype=np.int32)
    plain, long = (np.pad(many, ((0, 0), (0, 14)), constant_values=value) for value in (0, 1))
    assert match_regions(wide, plain, matching="hungarian").tolist() == [0, 1]
    assert match_regions(wide, long, matching="overlap").tolist() == [0, 2]


@pytest.mark.parametrize("matching", ["hungarian", "overlap"])
def test_nothing_to_match(matching: Literal["hungarian", "overlap"]) -> None:
    empty, one = np.zeros((3, 3), dtype=np.int32), np.ones((3, 3), dtype=np.int32)
    assert match_regions(empty, empty, matching=matching).tolist() == [0]
    assert match_regions(empty, one, matching=matching).tolist() == [0]
    assert match_regions(one, empty, matching=matching).tolist() == [0, 0]


# User prompts


def said(
    *points: tuple[float, float], beside: tuple[tuple[float, float], ...] = (), box: list[float] | None = None
) -> Prompt:
    places = [*points, *beside]
    return Prompt(
        points=np.array(places, dtype=np.float64).reshape(-1, 2),
        point_labels=np.array([1] * len(points) + [0] * len(beside), dtype=np.int64),
        box=None if box is None else np.array(box, dtype=np.float64),
    )


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        (said((6, 6)), 1),
        (said((14.4, 4.6)), 1),  # nearest pixel
        (said((14.6, 4.6)), 0),
        (said((0, 0)), 0),
        (said((6, 6), (21, 41), (22, 42)), 2),
        (said((0, 0), (0, 1), (35, 6)), 4),  # background has no vote
        (said((-3, 6), (6, 80), (21, 41)), 2),  # nor has what lies outside
        (said((-3, 6)), 0),
        (said((6, 6), box=[20, 40, 29, 49]), 1),  # points before boxes
        (said((6, 6), beside=((21, 41), (22, 42))), 1),
        (said(box=[20, 40, 29, 49]), 2),
        (said(beside=((6, 6),), box=[20, 40, 29, 49]), 2),
        (said(box=[20, 40, 39, 58]), 2),  # 100 / 380
        (said(box=[20, 40, 39, 59]), 0),  # 100 / 400
        (said(box=[33, 3, 38, 8]), 0),  # 4 / 36
        (said(box=[34, 4, 37, 7]), 0),  # 4 / 16
        (said(box=[34, 4, 37, 6]), 4),  # 4 / 12
    ],
)
def test_what_a_user_prompt_points_at(prompt: Prompt, target: int) -> None:
    tile = match_user_prompts(blocks(), [prompt])
    assert tile.prompts == [prompt]
    assert tile.targets.tolist() == [target]
    assert tile.targets.dtype == np.int64
    assert not tile.regions.any()
    assert (tile.regions.shape, tile.regions.dtype) == ((40, 60), np.int32)


def test_a_box_of_which_the_tile_shows_a_part() -> None:
    labels = np.zeros((20, 20), dtype=np.int32)
    labels[:, 15:] = 7
    assert match_user_prompts(labels, [said(box=[-30, 15, 60, 90])]).targets.tolist() == [7]
    assert match_user_prompts(labels, [said(box=[30, 30, 60, 90])]).targets.tolist() == [0]


def test_prompts_that_point_at_nothing_are_left_out() -> None:
    first, second = said((6, 6)), said(box=[20, 40, 29, 49])
    tile = match_user_prompts(blocks(), [first, said(beside=((21, 41),)), second])
    assert tile.prompts == [first, second]
    assert tile.targets.tolist() == [1, 2]


def test_no_user_prompts_or_no_objects() -> None:
    nothing = match_user_prompts(blocks(), [])
    assert nothing.prompts == []
    assert (nothing.targets.shape, nothing.targets.dtype) == ((0,), np.int64)
    empty = match_user_prompts(np.zeros((9, 9), dtype=np.int32), [said((2, 2)), said(box=[0, 0, 4, 4])])
    assert empty.targets.tolist() == [0, 0]
