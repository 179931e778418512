"""Prompts of missing objects, known by hand, and answers of a SAM that sees bright components."""

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam

from autosam.config import make_config
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.volumes.ask_again import answer_prompts, ask_again, gap_prompts
from autosam.volumes.interpolate import PlacedMask


def square(row, col, side):
    return PlacedMask(row, col, np.ones((side, side), dtype=bool))


def segmenter_of(**prompts):
    settings = make_config({"decode": {"precision": "float32"}, "tiles": {"size": 64}, "prompts": prompts})
    return Segmenter(Networks(build_small_sam(), BrightPixels()), settings)


def picture_of(*masks):
    picture = np.full((64, 64, 3), 30, np.uint8)
    for mask in masks:
        picture[mask.within(slice(0, 64), slice(0, 64))] = 220
    return picture


def test_prompts_of_a_shape_alone():
    ((box, points),) = gap_prompts([square(10, 20, 21)], np.zeros((64, 64), np.int32))
    assert len(box.points) == 0
    assert box.box == pytest.approx([8.95, 18.95, 31.05, 41.05])
    assert points.points.tolist() == [[20, 30]]
    assert points.point_labels.tolist() == [1]
    assert points.box is box.box


def test_boxes_end_with_the_picture():
    ((box, _),) = gap_prompts([square(0, 44, 20)], np.zeros((64, 64), np.int32))
    assert box.box == pytest.approx([0, 43, 20, 63])


def test_negatives_lie_on_other_objects_and_other_shapes():
    others = np.zeros((64, 64), np.int32)
    others[10:15, 23:28] = 9
    # Too far away.
    others[60:, 60:] = 4
    first, second = gap_prompts([square(10, 10, 9), square(30, 12, 5)], others)
    assert first[1].points.tolist() == [[14, 14], [12, 25], [32, 14]]
    assert first[1].point_labels.tolist() == [1, 0, 0]
    assert second[1].points.tolist() == [[32, 14], [14, 14], [12, 25]]


def test_a_shape_that_others_cover_has_no_negatives():
    others = np.zeros((64, 64), np.int32)
    others[:40] = 1
    ((_, points),) = gap_prompts([square(10, 10, 9)], others)
    assert points.point_labels.tolist() == [1]


def test_no_shape_has_no_prompt():
    assert gap_prompts([], np.zeros((64, 64), np.int32)) == []


def test_the_answer_that_agrees_better_counts(monkeypatch):
    use_component_sam(monkeypatch)
    # More of the box is covered by the large one, and the deepest point lies in the small one.
    large = PlacedMask(8, 14, np.ones((20, 40), dtype=bool))
    small = square(10, 8, 5)
    shape = PlacedMask(8, 7, np.ones((9, 9), dtype=bool))
    shape.mask[:, 6:] = False
    nothing = np.zeros((64, 64), np.int32)
    (answer,) = ask_again(segmenter_of(), picture_of(large, small), [shape], nothing, zoom=1.0)
    assert answer is not None
    assert answer.mask[:2] == (10, 8)
    assert answer.mask.area == 25
    assert answer.score == pytest.approx(1.0)


def test_an_empty_shape_is_not_asked_about_and_order_is_kept(monkeypatch):
    use_component_sam(monkeypatch)
    empty = PlacedMask(0, 0, np.zeros((0, 0), dtype=bool))
    shapes = [empty, square(40, 40, 8), square(4, 4, 8)]
    picture = picture_of(square(40, 40, 8), square(4, 4, 7))
    answers = ask_again(segmenter_of(), picture, shapes, np.zeros((64, 64), np.int32), zoom=1.0)
    assert answers[0] is None
    assert [answer.mask.area for answer in answers[1:]] == [64, 49]
    assert ask_again(segmenter_of(), picture, [empty], np.zeros((64, 64), np.int32), zoom=1.0) == [None]


def test_a_grid_of_points_is_not_asked(monkeypatch):
    fake = use_component_sam(monkeypatch)
    ((box, _),) = gap_prompts([square(4, 4, 8)], np.zeros((64, 64), np.int32))
    (answer,) = answer_prompts(segmenter_of(method="grid"), picture_of(square(4, 4, 8)), [box], zoom=1.0)
    assert answer is not None
    assert answer.mask.area == 64
    assert fake.batches == [1]


def test_a_blank_picture_gives_no_answer(monkeypatch):
    fake = use_component_sam(monkeypatch)
    ((box, _),) = gap_prompts([square(4, 4, 8)], np.zeros((64, 64), np.int32))
    assert answer_prompts(segmenter_of(), np.zeros((64, 64, 3), np.uint8), [box], zoom=1.0) == [None]
    assert fake.windows == []
