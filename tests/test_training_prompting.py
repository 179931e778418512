"""Simulated prompts: what they point at, what they are matched to."""

import numpy as np
import pytest

from autosam.prompts import ABSENT, Prompt
from autosam.training.prompting import (
    BOX_JITTER,
    MAX_JITTER,
    TilePrompts,
    emitted_prompts,
    jitter_box,
    match_regions,
    truth_prompts,
    vary,
)


def blocks() -> np.ndarray:
    """Three objects of 100, 100 and 4 pixels; id 3 is not there."""
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[5:15, 5:15] = 1
    labels[20:30, 40:50] = 2
    labels[35:37, 5:7] = 4
    return labels


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def from_truth(labels: np.ndarray, seed: int = 0, count: int = 16, min_size: int = 30) -> TilePrompts:
    foreground = np.where(labels > 0, 0.9, 0.1).astype(np.float32)
    return truth_prompts(
        labels, foreground, count=count, min_size=min_size, points=1, negatives=0, box_margin=0.05, rng=rng(seed)
    )


# Prompts of the truth


@pytest.mark.parametrize("seed", range(5))
def test_truth_prompts_lie_on_their_objects(seed: int) -> None:
    labels = blocks()
    tile = from_truth(labels, seed)
    assert tile.targets.tolist() == [1, 2]
    np.testing.assert_array_equal(tile.basins, labels)
    for prompt, target in zip(tile.prompts, tile.targets, strict=True):
        assert prompt.basin == target
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


def test_without_objects_there_are_no_truth_prompts() -> None:
    tile = from_truth(np.zeros((20, 20), dtype=np.int32))
    assert tile.prompts == []
    assert tile.targets.shape == (0,)
    assert tile.targets.dtype == np.int64


def test_several_points_and_negatives() -> None:
    labels = blocks()
    tile = truth_prompts(labels, None, count=4, min_size=30, points=3, negatives=2, box_margin=0.0, rng=rng())
    assert tile.targets.tolist() == [1, 2]
    for prompt, target in zip(tile.prompts, tile.targets, strict=True):
        at = labels[tuple(prompt.points.astype(int).T)]
        assert prompt.point_labels.tolist()[:3] == [1, 1, 1]
        assert (at[prompt.point_labels == 1] == target).all()
        assert ((at[prompt.point_labels == 0] != target) & (at[prompt.point_labels == 0] > 0)).all()
    # object 4 is near object 1, and gives it a negative
    assert (tile.prompts[0].point_labels == 0).sum() >= 1


def test_without_a_foreground_map_there_is_no_mask() -> None:
    tile = truth_prompts(blocks(), None, count=4, min_size=1, points=1, negatives=0, box_margin=0.0, rng=rng())
    assert [prompt.mask for prompt in tile.prompts] == [None] * 3


# Emitted prompts


def emitted(foreground: np.ndarray, labels: np.ndarray, count: int = 16, seed: int = 0) -> TilePrompts:
    return emitted_prompts(
        labels,
        foreground.astype(np.float32),
        None,
        count=count,
        threshold=0.5,
        boundary_threshold=0.5,
        min_size=1,
        method="distance",
        points=1,
        negatives=0,
        box_margin=0.0,
        rng=rng(seed),
    )


def test_emitted_prompts_know_their_objects() -> None:
    labels = blocks()
    foreground = np.full(labels.shape, 0.1)
    foreground[6:15, 5:15] = 0.9  # object 1, IoU .9
    foreground[20:22, 40:50] = 0.9  # object 2, IoU .2: too little
    foreground[0:3, 50:60] = 0.9  # nothing
    tile = emitted(foreground, labels)
    by_row = {
        int(prompt.points[0, 0]): int(target) for prompt, target in zip(tile.prompts, tile.targets, strict=True)
    }
    assert sorted(by_row.values()) == [0, 0, 1]
    assert by_row[next(row for row in by_row if 6 <= row < 15)] == 1
    for prompt in tile.prompts:
        row, col = prompt.points[0].astype(int)
        assert tile.basins[row, col] == prompt.basin


def test_a_subset_of_the_emitted_prompts_keeps_its_objects() -> None:
    labels = blocks()
    foreground = np.where(labels > 0, 0.9, 0.1)
    seen = set()
    for seed in range(20):
        tile = emitted(foreground, labels, count=1, seed=seed)
        (prompt,), (target,) = tile.prompts, tile.targets
        row, col = prompt.points[0].astype(int)
        assert labels[row, col] == target
        seen.add(int(target))
    assert seen == {1, 2, 4}


def test_a_generator_that_sees_nothing_or_everything() -> None:
    labels = blocks()
    nothing = emitted(np.zeros(labels.shape), labels)
    assert nothing.prompts == []
    assert nothing.targets.dtype == np.int64
    everything = emitted(np.ones(labels.shape), labels)
    assert everything.targets.tolist() == [0]


# Matching


def test_the_largest_total_iou_wins_not_the_largest_pair() -> None:
    basins = np.array([[2] * 4 + [1] * 12 + [0] * 4], dtype=np.int32)
    labels = np.array([[1] * 11 + [2] * 9], dtype=np.int32)
    # IoU: basin 1 with object 1 7/16, the largest; 1 with 2 5/16; 2 with 1 4/11; 2 with 2 nothing
    assert match_regions(basins, labels).tolist() == [0, 2, 1]


def test_one_object_is_given_to_one_basin() -> None:
    labels = np.ones((4, 10), dtype=np.int32)
    basins = np.ones((4, 10), dtype=np.int32)
    basins[:, 6:] = 2
    assert match_regions(basins, labels).tolist() == [0, 1, 0]


def test_iou_must_lie_above_the_limit() -> None:
    labels, basins = np.ones((1, 8), dtype=np.int32), np.array([[1, 1, 0, 0, 0, 0, 0, 0]], dtype=np.int32)
    assert match_regions(basins, labels, min_iou=0.25).tolist() == [0, 0]
    assert match_regions(basins, labels, min_iou=0.24).tolist() == [0, 1]


def test_nothing_to_match() -> None:
    empty, one = np.zeros((3, 3), dtype=np.int32), np.ones((3, 3), dtype=np.int32)
    assert match_regions(empty, empty).tolist() == [0]
    assert match_regions(empty, one).tolist() == [0]
    assert match_regions(one, empty).tolist() == [0, 0]


# Boxes and variation


def test_jitter_goes_with_the_boxs_own_sides_and_stays_inside() -> None:
    box = np.array([100.0, 100.0, 109.0, 199.0])  # 10 rows, 100 columns
    moved = np.array([jitter_box(box, (1000, 1000), rng(seed)) for seed in range(400)]) - box
    np.testing.assert_allclose(moved.std(axis=0), BOX_JITTER * np.array([10, 100, 10, 100]), rtol=0.2)
    assert np.abs(moved).max() <= MAX_JITTER
    for seed in range(50):
        row, col, last_row, last_col = jitter_box(np.array([0.0, 0.0, 29.0, 0.0]), (30, 40), rng(seed))
        assert 0 <= row <= last_row <= 29
        assert 0 <= col <= last_col <= 39
    assert jitter_box(None, (10, 10), rng()) is None


def test_every_kind_of_prompt_comes_up_and_none_is_empty() -> None:
    prompts = from_truth(blocks()).prompts
    kinds: dict[tuple[int, bool, bool], int] = {}
    for seed in range(2000):
        varied = vary(prompts, mask_share=0.5, rng=rng(seed))
        ((points, box, mask),) = {(len(p.points), p.box is not None, p.mask is not None) for p in varied}
        assert all(len(p.points) == len(p.point_labels) for p in varied)
        kinds[points, box, mask] = kinds.get((points, box, mask), 0) + 1
    shares = {kind: count / 2000 for kind, count in kinds.items()}
    expected = {(1, True): 0.25, (0, True): 0.15, (1, False): 0.1}
    assert shares == pytest.approx(
        {(*kind, mask): share for kind, share in expected.items() for mask in (True, False)}, abs=0.03
    )


def test_variation_leaves_the_rest_of_a_prompt() -> None:
    prompts = from_truth(blocks()).prompts
    for seed in range(10):
        for before, after in zip(prompts, vary(prompts, mask_share=1.0, rng=rng(seed)), strict=True):
            assert (after.basin, after.foreground) == (before.basin, before.foreground)
            assert after.mask is before.mask
            assert after.box is None or after.box is before.box
    assert all(p.mask is None for seed in range(20) for p in vary(prompts, mask_share=0.0, rng=rng(seed)))
    assert vary([], mask_share=0.5, rng=rng()) == []


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
