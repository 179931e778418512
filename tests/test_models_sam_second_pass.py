"""The second pass: which prompts are asked again, which answers stay, and SAM's own answer to the same prompt."""

import numpy as np
import pytest
from fake_networks import build_small_sam
from with_defaults import decode_masks

from autosam.instances import MaskCrop
from autosam.models.sam.second_pass import crop_iou, keep_agreeing, second_prompts
from autosam.prompts import MaskPrompt, Prompt, prompt_place, second_prompt


def square(row: int, col: int, side: int, *, score: float = 0.5, prompt: int = 0) -> MaskCrop:
    return MaskCrop(row, col, np.ones((side, side), dtype=bool), score=score, prompt=prompt)


def pointed(row: float, col: float, *, region: int, side: float = 6) -> Prompt:
    return Prompt(
        np.array([[row, col]]),
        np.ones(1, dtype=np.int64),
        box=np.array([row - side, col - side, row + side, col + side]),
        mask=MaskPrompt(int(row - side), int(col - side), np.full((12, 12), 3, np.float32)),
        region=region,
    )


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        (square(4, 4, 4), 1.0),
        (square(4, 6, 4), 8 / 24),
        (square(2, 2, 8), 16 / 64),
        (square(8, 4, 4), 0.0),
        (square(30, 0, 2), 0.0),
    ],
)
def test_ious_of_squares(other: MaskCrop, iou: float) -> None:
    one = square(4, 4, 4)
    assert crop_iou(one, other) == pytest.approx(iou)
    assert crop_iou(other, one) == pytest.approx(iou)


def test_regions_with_a_mask_are_asked_again() -> None:
    prompts = {0: pointed(5, 5, region=1), 2: pointed(5, 30, region=0), 3: pointed(30, 5, region=3)}
    places = np.array([[5.0, 5], [40, 40], [5, 30], [30, 5]])
    again = second_prompts(prompts, {0: [square(4, 4, 3)], 2: [square(4, 29, 3)], 3: []}, places)
    assert list(again) == [0]
    assert again[0].points.tolist() == [[5, 5], [5, 30], [30, 5], [40, 40]]


def test_a_second_mask_counts_where_it_agrees() -> None:
    first = {0: [square(4, 4, 4, score=0.9)], 1: [square(20, 4, 4)], 2: [square(40, 4, 4)], 3: []}
    second = {0: [square(4, 4, 5, score=0.1)], 1: [square(20, 6, 4)], 2: []}
    kept = keep_agreeing(first, second, least=0.6)
    assert list(kept) == [0, 1, 2, 3]
    assert (kept[0][0].mask.shape, kept[0][0].score) == ((5, 5), 0.9)
    assert kept[1] is first[1], "IoU 8 / 24"
    assert kept[2] is first[2]
    assert kept[3] == []


def test_sam_answers_the_second_prompt_in_the_same_window() -> None:
    sam = build_small_sam()
    image = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    prompts = [pointed(15, 15, region=1), pointed(40, 20, region=2), pointed(20, 45, region=0)]
    chosen = {"tile_size": 64, "overlap": 0.25, "precision": "float32"}
    once = {crop.prompt: crop for crop in decode_masks(sam, image, prompts, **chosen)}
    assert set(once) == {0, 1, 2}
    twice = {crop.prompt: crop for crop in decode_masks(sam, image, prompts, second_pass=0.0, **chosen)}
    places = np.stack([prompt_place(prompt) for prompt in prompts])
    for index in (0, 1):
        mask = once[index]
        asked = second_prompt(prompts[index], mask.mask, (mask.row, mask.col), np.delete(places, index, axis=0))
        (wanted,) = decode_masks(sam, image, [asked], **chosen)
        assert (twice[index].row, twice[index].col) == (wanted.row, wanted.col)
        assert np.array_equal(twice[index].mask, wanted.mask)
        assert twice[index].score == mask.score
    assert np.array_equal(twice[2].mask, once[2].mask), "a user prompt stays as it is"
    never = {crop.prompt: crop for crop in decode_masks(sam, image, prompts, second_pass=1.0, **chosen)}
    for index, crop in once.items():
        assert crop_iou(never[index], crop) == 1


def test_no_prompts_give_no_masks() -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    assert decode_masks(build_small_sam(), image, [], tile_size=64, overlap=0.25, second_pass=0.5) == []
