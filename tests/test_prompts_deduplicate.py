"""Which predicted prompts make way for user prompts."""

import numpy as np
import pytest
from with_defaults import make_prompts

from autosam.prompts import Prompt, deduplicate_prompts
from autosam.prompts.deduplicate import box_iou

# Three objects: rows 1 to 4 × columns 1 to 4, rows 1 to 4 × columns 6 to 8, rows 6 to 9 × columns 2 to 8.
REGIONS = np.zeros((10, 10), dtype=np.int32)
REGIONS[1:5, 1:5], REGIONS[1:5, 6:9], REGIONS[6:10, 2:9] = 1, 2, 3
PREDICTED = make_prompts(REGIONS, None, mask=False, box_margin=0.0)


def points(*places: tuple[float, float], labels: list[int] | None = None) -> Prompt:
    return Prompt(np.array(places, dtype=np.float64), np.array(labels or [1] * len(places)))


def box(*corners: float) -> Prompt:
    return Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.array(corners, dtype=np.float64))


def left(*user_prompts: Prompt) -> list[int]:
    kept = deduplicate_prompts(PREDICTED, REGIONS, user_prompts)
    assert all(any(prompt is predicted for predicted in PREDICTED) for prompt in kept)
    return [prompt.region for prompt in kept]


def test_without_user_prompts_all_stay():
    assert left() == [1, 2, 3]
    assert deduplicate_prompts([], REGIONS, [points((2, 2))]) == []
    assert deduplicate_prompts([], np.zeros((1, 1), np.int32), [points((0, 0))]) == []


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        (points((2, 2)), [2, 3]),
        (points((1, 1), (3, 7)), [3]),
        (points((0, 0)), [1, 2, 3]),  # beside all objects
        (points((2, 2), (3, 7), labels=[1, 0]), [2, 3]),  # a negative does not count
        (points((4.4, 8.4)), [1, 3]),  # still the pixel (4, 8)
        (points((4.6, 8.0)), [1, 2, 3]),  # the pixel (5, 8), background
        (points((9.5, 5.0)), [1, 2]),  # the lower border of the image belongs to its last row
        (points((-0.5, -0.5)), [1, 2, 3]),
    ],
)
def test_the_regions_of_positive_points_lose_their_prompts(prompt, kept):
    assert left(prompt) == kept


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        (box(1, 1, 4, 4), [2, 3]),
        (box(0, 0, 4, 5), [2, 3]),  # 16 of 30 pixels
        (box(0, 0, 5, 5), [1, 2, 3]),  # 16 of 36 pixels
        (box(1, 1, 2, 4), [2, 3]),  # exactly one half
        (box(1, 1, 1, 4), [1, 2, 3]),
        (box(0, 0, 9, 9), [1, 2, 3]),
    ],
)
def test_a_box_replaces_about_the_same_box(prompt, kept):
    assert left(prompt) == kept


def test_several_user_prompts_count_together_and_order_stays():
    assert left(points((7, 7)), box(1, 6, 4, 8)) == [1]
    assert left(points((2, 2)), points((2, 3))) == [2, 3]


def test_without_a_predicted_box_only_points_count():
    predicted = make_prompts(REGIONS, None, mask=False, box=False)
    assert [prompt.region for prompt in deduplicate_prompts(predicted, REGIONS, [box(1, 1, 4, 4)])] == [1, 2, 3]
    assert [prompt.region for prompt in deduplicate_prompts(predicted, REGIONS, [points((2, 2))])] == [2, 3]


def test_iou_of_boxes_by_hand():
    assert box_iou(np.array([0.0, 0, 3, 3]), np.array([0.0, 0, 3, 3])) == 1
    assert box_iou(np.array([0.0, 0, 0, 0]), np.array([1.0, 0, 1, 0])) == 0
    assert box_iou(np.array([0.0, 0, 0, 0]), np.array([5.0, 5, 9, 9])) == 0
    assert box_iou(np.array([0.0, 0, 1, 3]), np.array([1.0, 2, 2, 5])) == pytest.approx(2 / 14)
