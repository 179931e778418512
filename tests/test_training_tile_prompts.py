"""Prompts of a tile: ground-truth and predicted ones, and their objects."""

from typing import Any, Literal

import numpy as np
import pytest

from autosam.config import PromptsConfig, SimulateConfig, TrainingConfig
from autosam.prompts import ABSENT, Prompt
from autosam.training.prompting.prompt_targets import TilePrompts
from autosam.training.prompting.simulate import PointSampling
from autosam.training.prompting.tile_prompts import predicted_prompts, simulated_prompts


def blocks() -> np.ndarray:
    """Three objects of 100, 100 and 4 pixels; id 3 is not there."""
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[5:15, 5:15] = 1
    labels[20:30, 40:50] = 2
    labels[35:37, 5:7] = 4
    return labels


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def from_truth(
    labels: np.ndarray,
    seed: int = 0,
    *,
    count: int = 16,
    how: PointSampling = "uniform",
    jitter: float = 0.1,
    max_jitter: float = 20.0,
    mask: bool = True,
    generator: bool = True,
    **prompts: Any,
) -> TilePrompts:
    simulate = SimulateConfig(points=how, box_jitter=jitter, max_jitter=max_jitter)
    return simulated_prompts(
        labels,
        np.where(labels > 0, 0.9, 0.1).astype(np.float32) if generator else None,
        PromptsConfig(**prompts),
        TrainingConfig(prompts_per_tile=count, simulate=simulate, mask_prompt=0.5 if mask else 0.0),
        rng(seed),
    )


# Ground-truth prompts


@pytest.mark.parametrize("seed", range(5))
def test_ground_truth_prompts_lie_on_their_objects(seed: int) -> None:
    labels = blocks()
    tile = from_truth(labels, seed)
    assert tile.targets.tolist() == [1, 2]
    np.testing.assert_array_equal(tile.regions, labels)
    for prompt, target in zip(tile.prompts, tile.targets, strict=True):
        assert prompt.region == target
        ((row, col),) = prompt.points
        assert labels[int(row), int(col)] == target
        assert prompt.point_labels.tolist() == [1]
        assert prompt.mask is not None
        assert prompt.mask.logits.max() == pytest.approx(np.log(9), abs=1e-3)


def test_points_differ_from_draw_to_draw() -> None:
    points = {tuple(from_truth(blocks(), seed).prompts[0].points[0]) for seed in range(10)}
    assert len(points) > 5


def test_small_objects_are_not_prompted_and_at_most_count() -> None:
    assert from_truth(blocks(), min_size=4).targets.tolist() == [1, 2, 4]
    assert from_truth(blocks(), min_size=5).targets.tolist() == [1, 2]
    drawn = [from_truth(blocks(), seed, count=2, min_size=1).targets.tolist() for seed in range(20)]
    assert {tuple(ids) for ids in drawn} == {(1, 2), (1, 4), (2, 4)}


def test_without_objects_there_are_no_ground_truth_prompts() -> None:
    tile = from_truth(np.zeros((20, 20), dtype=np.int32))
    assert tile.prompts == []
    assert tile.targets.shape == (0,)
    assert tile.targets.dtype == np.int64


def test_several_points_and_negatives() -> None:
    labels = blocks()
    tile = from_truth(labels, count=4, points=3, negatives=2)
    assert tile.targets.tolist() == [1, 2]
    for prompt, target in zip(tile.prompts, tile.targets, strict=True):
        at = labels[tuple(prompt.points.astype(int).T)]
        assert prompt.point_labels.tolist()[:3] == [1, 1, 1]
        assert (at[prompt.point_labels == 1] == target).all()
        assert ((at[prompt.point_labels == 0] != target) & (at[prompt.point_labels == 0] > 0)).all()
    # object 4 is near object 1, and gives it a negative
    assert (tile.prompts[0].point_labels == 0).sum() >= 1


def test_negatives_lie_in_the_nearest_neighbors_first() -> None:
    labels = np.zeros((9, 50), dtype=np.int32)
    labels[:, :9], labels[:, 9:18], labels[:, 24:33], labels[:, 40:] = 1, 2, 3, 4
    for count, expected in ((0, []), (1, [2]), (2, [2, 3]), (9, [2, 3, 4])):
        prompt = from_truth(labels, negatives=count).prompts[0]
        beside = prompt.points[prompt.point_labels == 0].astype(int)
        assert labels[tuple(beside.T)].tolist() == expected
    alone = from_truth(np.where(labels == 3, 1, 0).astype(np.int32), negatives=4).prompts[0]
    assert alone.point_labels.tolist() == [1]


def points_of(labels: np.ndarray, index: int, how: PointSampling) -> np.ndarray:
    """Draw 4000 points on the object of one prompt."""
    drawn = [from_truth(labels, seed, points=100, how=how).prompts[index].points for seed in range(40)]
    return np.concatenate(drawn)


def test_the_core_of_an_object_that_the_border_cuts() -> None:
    labels = np.zeros((30, 40), dtype=np.int32)
    labels[:, :9], labels[10:19, 20:29] = 1, 2
    cut, whole = (points_of(labels, index, "core") for index in (0, 1))
    # weights 9, 8, ..., 1 from the border inwards: mean column (0 · 9 + ... + 8 · 1) / 45
    assert cut.mean(axis=0) == pytest.approx([14.5, 120 / 45], abs=0.6)
    assert whole.mean(axis=0) == pytest.approx([14, 24], abs=0.2)
    assert points_of(labels, 1, "uniform")[:, 0].std() == pytest.approx(np.sqrt(80 / 12), rel=0.05)
    # square rings of 1, 8, 16, 24 and 32 pixels weigh 5, 4, 3, 2 and 1 per pixel: variance of the row 792 / 165
    assert whole[:, 0].std() == pytest.approx(np.sqrt(4.8), rel=0.05)


def test_boxes_are_jittered_as_asked() -> None:
    labels = blocks()
    exact = from_truth(labels, box_margin=0.1, jitter=0.0)
    assert [prompt.box.tolist() for prompt in exact.prompts] == [[4, 4, 15, 15], [19, 39, 30, 50]]
    moved = np.array(
        [from_truth(labels, seed, box_margin=0.1, max_jitter=2).prompts[0].box for seed in range(200)]
    )
    shift = moved - [4, 4, 15, 15]
    np.testing.assert_allclose(shift.std(axis=0), 1.1, rtol=0.2)  # a tenth of 12, less the cut tails
    assert np.abs(shift).max() == 2


def test_masks_of_the_truth_where_no_generator_speaks() -> None:
    labels = blocks()
    tile = from_truth(labels, generator=False)
    for prompt, target in zip(tile.prompts, tile.targets, strict=True):
        assert prompt.mask is not None
        assert prompt.foreground == 1
        rows, cols = prompt.mask.logits.shape
        crop = labels[prompt.mask.row : prompt.mask.row + rows, prompt.mask.col : prompt.mask.col + cols]
        positive = prompt.mask.logits > 0
        assert (positive & (crop == target)).sum() / (positive | (crop == target)).sum() > 0.4
        assert (prompt.mask.logits.min(), prompt.mask.logits.max() > 1) == (ABSENT, True)
    differ = [from_truth(labels, seed, generator=False).prompts[0].mask.logits.sum() for seed in range(3)]
    assert len(set(differ)) == 3


@pytest.mark.parametrize("generator", [True, False])
def test_no_masks_where_none_are_asked_for(generator: bool) -> None:
    tile = from_truth(blocks(), mask=False, generator=generator, min_size=1)
    assert [prompt.mask for prompt in tile.prompts] == [None] * 3


def test_masks_hide_the_other_objects() -> None:
    labels = np.zeros((20, 40), dtype=np.int32)
    labels[5:15, 5:15], labels[5:15, 15:25] = 1, 2
    tile = from_truth(labels)
    prompt: Prompt = tile.prompts[0]
    assert prompt.mask is not None
    rows, cols = prompt.mask.logits.shape
    crop = labels[prompt.mask.row : prompt.mask.row + rows, prompt.mask.col : prompt.mask.col + cols]
    assert (crop == 2).any()
    assert (prompt.mask.logits[crop == 2] == ABSENT).all()


# Predicted prompts


def predicted(
    foreground: np.ndarray,
    labels: np.ndarray,
    count: int = 16,
    seed: int = 0,
    *,
    matching: Literal["hungarian", "overlap"] = "hungarian",
    unmatched: bool | Literal["best_iou"] = True,
) -> TilePrompts:
    return predicted_prompts(
        labels,
        {"foreground": foreground.astype(np.float32)},
        PromptsConfig(min_size=1, box_margin=0.0),
        TrainingConfig(prompts_per_tile=count, matching=matching, unmatched=unmatched),
        rng(seed),
    )


def test_predicted_prompts_know_their_objects() -> None:
    labels = blocks()
    foreground = np.full(labels.shape, 0.1)
    foreground[6:15, 5:15] = 0.9  # object 1, IoU .9
    foreground[20:22, 40:50] = 0.9  # object 2, IoU .2: too little
    foreground[0:3, 50:60] = 0.9  # nothing
    tile = predicted(foreground, labels)
    by_row = {
        int(prompt.points[0, 0]): int(target) for prompt, target in zip(tile.prompts, tile.targets, strict=True)
    }
    assert sorted(by_row.values()) == [0, 0, 1]
    assert by_row[next(row for row in by_row if 6 <= row < 15)] == 1
    for prompt in tile.prompts:
        row, col = prompt.points[0].astype(int)
        assert tile.regions[row, col] == prompt.region


def test_prompts_without_an_object_may_teach_their_best_iou() -> None:
    labels = blocks()
    foreground = np.where(labels == 0, 0.9, 0.1)
    usual, best = (predicted(foreground, labels, unmatched=unmatched) for unmatched in (True, "best_iou"))
    assert (usual.best_iou, best.best_iou) == (False, True)
    assert best.targets.tolist() == usual.targets.tolist() == [0]


def test_a_subset_of_the_predicted_prompts_keeps_its_objects() -> None:
    labels = blocks()
    foreground = np.where(labels > 0, 0.9, 0.1)
    seen = set()
    for seed in range(20):
        tile = predicted(foreground, labels, count=1, seed=seed)
        (prompt,), (target,) = tile.prompts, tile.targets
        row, col = prompt.points[0].astype(int)
        assert labels[row, col] == target
        seen.add(int(target))
    assert seen == {1, 2, 4}


def test_prompts_without_an_object_are_left_out_before_the_choice() -> None:
    labels = blocks()
    foreground = np.where((labels == 1) | (labels == 2), 0.9, 0.1)
    foreground[0:3, 20:60:4] = 0.9  # ten specks
    assert predicted(foreground, labels).targets.tolist() == [0] * 10 + [1, 2]
    for seed in range(5):
        tile = predicted(foreground, labels, count=2, seed=seed, unmatched=False)
        assert tile.targets.tolist() == [1, 2]
        assert [int(tile.regions[tuple(p.points[0].astype(int))]) for p in tile.prompts] == [11, 12]
    nothing = predicted(np.where(labels == 0, 0.9, 0.1), np.zeros_like(labels), unmatched=False)
    assert nothing.prompts == []
    assert nothing.targets.dtype == np.int64


def test_two_halves_of_an_object() -> None:
    labels = np.zeros((20, 30), dtype=np.int32)
    labels[5:15, 5:25] = 1
    foreground = np.where(labels > 0, 0.9, 0.1)
    foreground[:, 14] = 0.1
    assert predicted(foreground, labels).targets.tolist() == [0, 1]
    assert predicted(foreground, labels, matching="overlap").targets.tolist() == [1, 1]


def test_a_generator_that_sees_nothing_or_everything() -> None:
    labels = blocks()
    nothing = predicted(np.zeros(labels.shape), labels)
    assert nothing.prompts == []
    assert nothing.targets.dtype == np.int64
    everything = predicted(np.ones(labels.shape), labels)
    assert everything.targets.tolist() == [0]
