"""Simulated prompts: what they point at, what they are matched to."""

import numpy as np
import pytest

from autosam.prompts import ABSENT, MaskPrompt, Prompt
from autosam.training.prompting.simulate import PointSampling
from autosam.training.prompting.tile_prompts import (
    Matching,
    TilePrompts,
    ground_truth_prompts,
    match_regions,
    match_user_prompts,
    predicted_prompts,
    vary,
    vary_thresholds,
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


def from_truth(
    labels: np.ndarray,
    seed: int = 0,
    *,
    count: int = 16,
    min_size: int = 30,
    points: int = 1,
    negatives: int = 0,
    box_margin: float = 0.05,
    how: PointSampling = "uniform",
    jitter: float = 0.1,
    max_jitter: float = 20.0,
    mask: bool = True,
    generator: bool = True,
) -> TilePrompts:
    return ground_truth_prompts(
        labels,
        np.where(labels > 0, 0.9, 0.1).astype(np.float32) if generator else None,
        count=count,
        min_size=min_size,
        points=points,
        negatives=negatives,
        box_margin=box_margin,
        how=how,
        jitter=jitter,
        max_jitter=max_jitter,
        mask=mask,
        rng=rng(seed),
    )


# Prompts of the truth


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


def test_the_core_of_an_object_that_the_border_cuts() -> None:
    labels = np.zeros((30, 40), dtype=np.int32)
    labels[:, :9], labels[10:19, 20:29] = 1, 2
    tile = from_truth(labels, points=4000, how="core")
    cut, whole = (prompt.points.mean(axis=0) for prompt in tile.prompts)
    # weights 9, 8, ..., 1 from the border inwards: mean column (0 · 9 + ... + 8 · 1) / 45
    assert cut == pytest.approx([14.5, 120 / 45], abs=0.6)
    assert whole == pytest.approx([14, 24], abs=0.2)
    uniform = from_truth(labels, points=4000, how="uniform").prompts[1].points
    assert uniform[:, 0].std() == pytest.approx(np.sqrt(80 / 12), rel=0.05)
    # square rings of 1, 8, 16, 24 and 32 pixels weigh 5, 4, 3, 2 and 1 per pixel: variance of the row 792 / 165
    assert tile.prompts[1].points[:, 0].std() == pytest.approx(np.sqrt(4.8), rel=0.05)


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


# Emitted prompts


def predicted(
    foreground: np.ndarray,
    labels: np.ndarray,
    count: int = 16,
    seed: int = 0,
    *,
    matching: Matching = "hungarian",
    unmatched: bool = True,
) -> TilePrompts:
    return predicted_prompts(
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
        matching=matching,
        unmatched=unmatched,
        rng=rng(seed),
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


# Matching


def test_the_largest_total_iou_wins_not_the_largest_pair() -> None:
    regions = np.array([[2] * 4 + [1] * 12 + [0] * 4], dtype=np.int32)
    labels = np.array([[1] * 11 + [2] * 9], dtype=np.int32)
    # IoU: region 1 with object 1 7/16, the largest; 1 with 2 5/16; 2 with 1 4/11; 2 with 2 nothing
    assert match_regions(regions, labels).tolist() == [0, 2, 1]


def test_one_object_is_given_to_one_region() -> None:
    labels = np.ones((4, 10), dtype=np.int32)
    regions = np.ones((4, 10), dtype=np.int32)
    regions[:, 6:] = 2
    assert match_regions(regions, labels).tolist() == [0, 1, 0]


def test_iou_must_lie_above_the_limit() -> None:
    labels, regions = np.ones((1, 8), dtype=np.int32), np.array([[1, 1, 0, 0, 0, 0, 0, 0]], dtype=np.int32)
    assert match_regions(regions, labels, min_iou=0.25).tolist() == [0, 0]
    assert match_regions(regions, labels, min_iou=0.24).tolist() == [0, 1]


def test_overlap_gives_every_region_its_best_object() -> None:
    regions = np.array([[2] * 4 + [1] * 12 + [0] * 4], dtype=np.int32)
    labels = np.array([[1] * 11 + [2] * 9], dtype=np.int32)
    # as above: 7/16 is the largest IoU of region 1, 4/11 the only one of region 2
    assert match_regions(regions, labels, matching="overlap").tolist() == [0, 1, 1]
    assert match_regions(regions, labels, matching="overlap", min_iou=0.4).tolist() == [0, 1, 0]
    # the most shared pixels are not the highest IoU: 10 of 30, 6 of 16
    wide = np.array([[1] * 16], dtype=np.int32)
    many = np.array([[1] * 10 + [2] * 6], dtype=np.int32)
    assert match_regions(np.pad(wide, ((0, 0), (0, 14))), np.pad(many, ((0, 0), (0, 14)))).tolist() == [0, 1]
    many = np.pad(many, ((0, 0), (0, 14)), constant_values=1)
    assert match_regions(np.pad(wide, ((0, 0), (0, 14))), many, matching="overlap").tolist() == [0, 2]


@pytest.mark.parametrize("matching", ["hungarian", "overlap"])
def test_nothing_to_match(matching: Matching) -> None:
    empty, one = np.zeros((3, 3), dtype=np.int32), np.ones((3, 3), dtype=np.int32)
    assert match_regions(empty, empty, matching=matching).tolist() == [0]
    assert match_regions(empty, one, matching=matching).tolist() == [0]
    assert match_regions(one, empty, matching=matching).tolist() == [0, 0]


# An user's prompts


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
def test_what_an_expert_means(prompt: Prompt, target: int) -> None:
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


def test_prompts_that_say_nothing_of_an_object_are_left_out() -> None:
    first, second = said((6, 6)), said(box=[20, 40, 29, 49])
    tile = match_user_prompts(blocks(), [first, said(beside=((21, 41),)), second])
    assert tile.prompts == [first, second]
    assert tile.targets.tolist() == [1, 2]


def test_an_expert_without_prompts_or_objects() -> None:
    nothing = match_user_prompts(blocks(), [])
    assert nothing.prompts == []
    assert (nothing.targets.shape, nothing.targets.dtype) == ((0,), np.int64)
    empty = match_user_prompts(np.zeros((9, 9), dtype=np.int32), [said((2, 2)), said(box=[0, 0, 4, 4])])
    assert empty.targets.tolist() == [0, 0]


# Variation


def test_every_kind_of_prompt_comes_up_and_none_is_empty() -> None:
    prompts = from_truth(blocks()).prompts
    kinds: dict[tuple[int, bool, bool], int] = {}
    for seed in range(2000):
        varied = vary(prompts, mask_share=0.5, box_only=0.3, point_only=0.2, rng=rng(seed))
        ((points, box, mask),) = {(len(p.points), p.box is not None, p.mask is not None) for p in varied}
        assert all(len(p.points) == len(p.point_labels) for p in varied)
        kinds[points, box, mask] = kinds.get((points, box, mask), 0) + 1
    shares = {kind: count / 2000 for kind, count in kinds.items()}
    expected = {(1, True): 0.25, (0, True): 0.15, (1, False): 0.1}
    assert shares == pytest.approx(
        {(*kind, mask): share for kind, share in expected.items() for mask in (True, False)}, abs=0.03
    )


@pytest.mark.parametrize(
    ("box_only", "point_only", "kinds"),
    [
        (1.0, 0.0, {(0, True)}),
        (0.0, 1.0, {(1, False)}),
        (0.0, 0.0, {(1, True)}),
        (0.7, 0.3, {(0, True), (1, False)}),
    ],
)
def test_shares_of_all_or_nothing(box_only: float, point_only: float, kinds: set[tuple[int, bool]]) -> None:
    prompts = from_truth(blocks()).prompts
    seen = set()
    for seed in range(200):
        for prompt in vary(prompts, mask_share=0.5, box_only=box_only, point_only=point_only, rng=rng(seed)):
            seen.add((len(prompt.points), prompt.box is not None))
    assert seen == kinds


@pytest.mark.parametrize(("box_only", "point_only"), [(1.0, 0.0), (0.0, 1.0), (0.3, 0.2)])
def test_a_prompt_never_ends_up_saying_nothing(box_only: float, point_only: float) -> None:
    mask = MaskPrompt(row=0, col=0, logits=np.zeros((4, 4), dtype=np.float32))
    whole = said((6, 6), box=[5, 5, 14, 14])
    pointed, boxed = said((6, 6), beside=((21, 41),)), said(beside=((6, 6),), box=[20, 40, 29, 49])
    masked = Prompt(points=np.zeros((0, 2)), point_labels=np.zeros(0, dtype=np.int64), mask=mask)
    for seed in range(50):
        varied = vary(
            [whole, pointed, boxed, masked],
            mask_share=0.0,
            box_only=box_only,
            point_only=point_only,
            rng=rng(seed),
        )
        assert varied[1].points.tolist() == pointed.points.tolist()
        assert varied[1].point_labels.tolist() == [1, 0]
        assert varied[2].box is boxed.box
        assert varied[3].mask is mask
        if box_only == 1:
            assert [len(prompt.points) for prompt in varied] == [0, 2, 0, 0]
        if point_only == 1:
            assert [prompt.box is None for prompt in varied] == [True, True, False, True]


def test_variation_leaves_the_rest_of_a_prompt() -> None:
    prompts = from_truth(blocks()).prompts
    shares = {"box_only": 0.3, "point_only": 0.2}
    for seed in range(10):
        for before, after in zip(prompts, vary(prompts, mask_share=1.0, **shares, rng=rng(seed)), strict=True):
            assert (after.region, after.foreground) == (before.region, before.foreground)
            assert after.mask is before.mask
            assert after.box is None or after.box is before.box
    for seed in range(20):
        assert all(p.mask is None for p in vary(prompts, mask_share=0.0, **shares, rng=rng(seed)))
    assert vary([], mask_share=0.5, **shares, rng=rng()) == []


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


# Thresholds from tile to tile


def test_thresholds_are_varied_within_reach() -> None:
    assert vary_thresholds((0.5, 0.7), reach=0.0, rng=rng(0)) == (0.5, 0.7)
    drawn = np.array([vary_thresholds((0.5, 0.9, 1.0, 0.0), reach=1.5, rng=rng(seed)) for seed in range(200)])
    assert (drawn[:, 2] == 1).all()
    assert (drawn[:, 3] == 0).all()
    # In logits, each on its own and to both sides of where it was: log(1) = 0 and log(9) = 2.2.
    shifts = np.log(drawn[:, :2] / (1 - drawn[:, :2])) - [0, np.log(9)]
    assert (np.abs(shifts) <= 1.5 + 1e-9).all()
    assert (shifts.min(axis=0) < -1.3).all()
    assert (shifts.max(axis=0) > 1.3).all()
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.3
