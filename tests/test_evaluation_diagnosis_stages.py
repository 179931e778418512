"""Every stage with objects that are known by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from with_defaults import make_prompts

from autosam.errors import InputError
from autosam.evaluation.diagnosis import Fault, ImageStages, Stage, find_stages
from autosam.instances import MaskCrop
from autosam.metrics import average_precision
from autosam.prompts import Prompt

SHAPE = (20, 40)
Box = tuple[int, int, int, int]


def draw(*boxes: Box, shape: tuple[int, int] = SHAPE) -> NDArray[np.int32]:
    """Rectangles from first row and column to last ones, ids 1, 2, ... in order."""
    labels = np.zeros(shape, dtype=np.int32)
    for number, (top, left, bottom, right) in enumerate(boxes, start=1):
        labels[top : bottom + 1, left : right + 1] = number
    return labels


def mask(box: Box, prompt: int = 0) -> MaskCrop:
    top, left, bottom, right = box
    return MaskCrop(top, left, np.ones((bottom - top + 1, right - left + 1), dtype=bool), score=0.9, prompt=prompt)


def stages_of(
    truth: NDArray[np.integer],
    *,
    regions: NDArray[np.int32] | None = None,
    masks: Sequence[MaskCrop] | None = (),
    labels: NDArray[np.int32] | None = None,
    prompt_of: Sequence[int] = (),
    box: bool = True,
) -> ImageStages:
    regions = np.zeros_like(truth, dtype=np.int32) if regions is None else regions
    return find_stages(
        truth,
        np.zeros_like(truth, dtype=np.int32) if labels is None else labels,
        regions=regions,
        prompts=make_prompts(regions, None, box=box, mask=False),
        prompt_of=np.array(prompt_of, dtype=np.int64),
        masks=masks,
    )


A: Box = (5, 5, 14, 14)
"""An object of 100 pixels."""


def test_an_object_that_is_matched_is_found():
    found = stages_of(draw(A), regions=draw(A), masks=[mask(A)], labels=draw(A), prompt_of=[0])
    assert found.stages == (Stage.FOUND,)
    assert found.faults == (None,)
    assert [found.region_iou[0], found.box_iou[0], found.mask_iou[0], found.label_iou[0]] == [1, 1, 1, 1]
    assert found.false_stages == ()


def test_ids_and_sizes_are_those_of_the_truth():
    truth = np.zeros(SHAPE, dtype=np.uint16)
    truth[0, :3], truth[5, :4] = 700, 9
    found = stages_of(truth)
    assert found.ids.tolist() == [9, 700]
    assert found.sizes.tolist() == [4, 3]


def test_without_a_prompt_it_was_lost_in_detection():
    assert stages_of(draw(A)).stages == (Stage.DETECTION,)
    # A neighbor's region that shares 30 pixels of 100, with 70 of its own, does not point at it.
    found = stages_of(draw(A), regions=draw((5, 12, 14, 18)))
    assert found.stages == (Stage.DETECTION,)
    assert found.region_iou[0] == pytest.approx(30 / 140)
    assert found.box_iou[0] == 0


def test_half_of_the_smaller_one_is_enough_to_point():
    # 30 of the region's 60 pixels
    found = stages_of(draw(A), regions=draw((5, 12, 14, 17)))
    assert found.stages == (Stage.PROMPT,)
    assert found.faults == (Fault.PART,)


def test_a_region_of_two_objects_is_merged():
    both = (5, 5, 14, 26)
    truth = draw(A, (5, 17, 14, 26))
    found = stages_of(truth, regions=draw(both), masks=[mask(both)], labels=draw(both), prompt_of=[0])
    assert found.stages == (Stage.PROMPT, Stage.PROMPT)
    assert found.faults == (Fault.MERGED, Fault.MERGED)
    assert found.mask_iou == pytest.approx([100 / 220, 100 / 220])
    assert found.false_stages == (Stage.PROMPT,)


def test_of_two_equal_halves_one_is_found_and_the_other_merged():
    both = (5, 5, 14, 24)
    truth = draw(A, (5, 15, 14, 24))
    found = stages_of(truth, regions=draw(both), masks=[mask(both)], labels=draw(both), prompt_of=[0])
    assert found.mask_iou.tolist() == [0.5, 0.5]
    assert sorted(found.stages) == [Stage.FOUND, Stage.PROMPT]
    assert [fault for fault in found.faults if fault] == [Fault.MERGED]
    assert found.false_stages == ()


def test_the_small_one_of_a_merged_pair_is_lost_and_the_large_one_has_a_right_prompt():
    truth = draw(A, (5, 15, 14, 16))
    both = (5, 5, 14, 16)
    found = stages_of(truth, regions=draw(both), masks=[])
    assert found.stages == (Stage.MASK, Stage.PROMPT)
    assert found.faults == (None, Fault.MERGED)


def test_threshold_regions_parts():
    found = stages_of(draw(A), regions=draw((5, 5, 14, 8), (5, 11, 14, 14)))
    assert (found.stages, found.faults) == ((Stage.PROMPT,), (Fault.PART,))
    assert found.region_iou.tolist() == [0.4]
    assert found.box_iou.tolist() == [0.4]


def test_a_region_far_larger_than_its_object_is_loose():
    found = stages_of(draw(A), regions=draw((0, 0, 19, 24)))
    assert (found.stages, found.faults) == ((Stage.PROMPT,), (Fault.LOOSE,))
    assert found.region_iou.tolist() == [0.2]


def test_a_right_box_makes_up_for_a_poor_region_where_sam_sees_the_box():
    thin = draw(A)
    thin[6:14, 6:14] = 0
    # 36 of the object's 100 pixels, but its whole bounding box
    assert stages_of(draw(A), regions=thin).stages == (Stage.MASK,)
    assert stages_of(draw(A), regions=thin).box_iou.tolist() == [1]
    assert stages_of(draw(A), regions=thin, box=False).stages == (Stage.PROMPT,)
    assert stages_of(draw(A), regions=thin, masks=None).stages == (Stage.PROMPT,)


@pytest.mark.parametrize(("last", "stage"), [(11, Stage.MASK), (10, Stage.PROMPT)])
def test_the_limit_of_the_box(last, stage):
    """A hollow region over 7 or 6 of the 10 columns: IoU of boxes .7 or .6, of pixels below 1/2."""
    hollow = draw((5, 5, 14, last))
    hollow[6:14, 6:last] = 0
    assert stages_of(draw(A), regions=hollow).stages == (stage,)


def test_a_right_prompt_without_a_good_mask():
    small = (5, 5, 14, 8)
    found = stages_of(draw(A), regions=draw(A), masks=[mask(small)], labels=draw(small), prompt_of=[0])
    assert found.stages == (Stage.MASK,)
    assert found.mask_iou.tolist() == [0.4]
    assert found.best_mask.tolist() == [0]
    assert found.false_stages == (Stage.MASK,)


def test_a_good_mask_that_is_not_in_the_result_was_lost_in_the_merge():
    found = stages_of(draw(A), regions=draw(A), masks=[mask((0, 0, 2, 2)), mask((5, 5, 14, 9))])
    assert found.stages == (Stage.MERGE,)
    assert found.mask_iou.tolist() == [0.5]
    assert found.best_mask.tolist() == [1]


def test_sam_can_make_up_for_a_wrong_prompt_and_the_merge_lose_it_again():
    found = stages_of(draw(A), regions=draw((5, 5, 8, 8)), masks=[mask(A)])
    assert found.stages == (Stage.MERGE,)
    assert found.faults == (None,)


# False objects


def test_false_objects_by_where_they_come_from():
    truth = draw(A)
    nowhere, part, second = (0, 30, 9, 39), (5, 5, 14, 6), (5, 13, 14, 19)
    regions = draw(nowhere, part, A)
    regions[5:15, 5:7] = 2
    labels = draw(nowhere, part, second)
    masks = [mask(nowhere, 0), mask(part, 1), mask(A, 2), mask(second, 2)]
    found = stages_of(truth, regions=regions, masks=masks, labels=labels, prompt_of=[0, 1, 2])
    assert found.false_ids.tolist() == [1, 2, 3]
    # The third prompt's good mask was cut down, or lost to its other one.
    assert found.false_stages == (Stage.DETECTION, Stage.PROMPT, Stage.MERGE)


def test_a_region_that_fills_in_for_sam_is_classified_as_its_prompt():
    nowhere, part = (0, 30, 9, 39), (5, 5, 14, 8)
    found = stages_of(
        draw(A), regions=draw(nowhere, part), masks=[], labels=draw(nowhere, part), prompt_of=[-1, -1]
    )
    assert found.false_stages == (Stage.DETECTION, Stage.PROMPT)


# Other ways to be asked


def test_without_sam_objects_are_lost_in_detection_or_prompt():
    truth = draw(A, (0, 30, 3, 39), (10, 30, 19, 39))
    regions = draw((5, 5, 14, 8), (10, 30, 19, 39))
    found = stages_of(truth, regions=regions, masks=None, labels=regions, prompt_of=[-1, -1])
    assert found.stages == (Stage.PROMPT, Stage.DETECTION, Stage.FOUND)
    assert found.mask_iou.tolist() == [0, 0, 0]
    assert found.false_stages == (Stage.PROMPT,)


def test_points_of_a_grid_are_right_for_the_object_that_they_lie_in():
    points = [(9.5, 9.5), (19.9, 39.9), (0.0, 20.0)]
    prompts = [Prompt(np.array([point]), np.ones(1, dtype=np.int64)) for point in points]
    empty = np.zeros(SHAPE, dtype=np.int32)
    truth = draw(A, (15, 35, 19, 39), (0, 0, 2, 2))
    found = find_stages(
        truth, empty, regions=empty, prompts=prompts, prompt_of=np.zeros(0, dtype=np.int64), masks=[]
    )
    assert found.stages == (Stage.MASK, Stage.MASK, Stage.DETECTION)


# Nothing there


def test_without_truth_every_instance_is_false():
    found = stages_of(draw(), regions=draw(A), masks=[mask(A)], labels=draw(A), prompt_of=[0])
    assert found.stages == found.faults == ()
    assert found.ids.shape == found.sizes.shape == found.mask_iou.shape == found.box_iou.shape == (0,)
    assert found.false_stages == (Stage.DETECTION,)


def test_without_prompts_everything_was_lost_in_detection():
    found = stages_of(draw(A, (0, 30, 3, 39)))
    assert found.stages == (Stage.DETECTION, Stage.DETECTION)
    assert found.best_mask.tolist() == [-1, -1]


def test_nothing_on_either_side():
    found = stages_of(draw())
    assert found.stages == found.false_stages == ()


def test_grids_must_agree():
    with pytest.raises(InputError, match=r"regions have shape \(20, 20\)"):
        stages_of(draw(A), regions=draw(shape=(20, 20)))


# Whatever comes


@pytest.mark.parametrize("seed", range(5))
def test_every_object_has_one_stage_and_counts_agree_with_the_metric(seed):
    random = np.random.default_rng(seed)

    def some(count: int) -> NDArray[np.int32]:
        corners = random.integers(0, (12, 28), (count, 2))
        sides = random.integers(3, 9, (count, 2))
        return draw(*((r, c, r + h - 1, c + w - 1) for (r, c), (h, w) in zip(corners, sides, strict=True)))

    truth, regions, labels = some(6), some(6), some(6)
    labels = np.unique(labels, return_inverse=True)[1].reshape(SHAPE).astype(np.int32)
    prompts = make_prompts(regions, None, mask=False)
    prompt_of = np.arange(labels.max()) % len(prompts)
    found = find_stages(
        truth, labels, regions=regions, prompts=prompts, prompt_of=prompt_of, masks=[mask((2, 2, 9, 9))]
    )
    hits = average_precision(labels, truth)
    assert len(found.stages) == len(np.unique(truth[truth > 0]))
    assert found.stages.count(Stage.FOUND) == hits.tp[0]
    assert len(found.false_stages) == hits.fp[0]
    assert Stage.FOUND not in found.false_stages
    # No region reaches an object that was lost before the mask.
    for stage, region_iou in zip(found.stages, found.region_iou, strict=True):
        assert region_iou <= 0.5 or stage not in (Stage.DETECTION, Stage.PROMPT)
