"""Simulated prompts, on shapes whose answers are known."""

import numpy as np
import pytest

from autosam.prompts import ABSENT
from autosam.training.prompting.simulate import (
    PointSampling,
    correction_clicks,
    jitter_box,
    low_resolution_mask,
    mask_box,
    sample_points,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def block(shape: tuple[int, int], row: int, col: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[row : row + height, col : col + width] = True
    return mask


def letter_c() -> np.ndarray:
    return block((30, 30), 3, 3, 24, 24) & ~block((30, 30), 9, 9, 12, 21)


def ring() -> np.ndarray:
    return block((30, 30), 3, 3, 24, 24) & ~block((30, 30), 6, 6, 18, 18)


def pixel() -> np.ndarray:
    return block((9, 12), 4, 7, 1, 1)


def shares(mask: np.ndarray, how: PointSampling, count: int = 20000) -> np.ndarray:
    """How often each pixel is drawn."""
    points = sample_points(mask, count, how=how, rng=rng()).astype(int)
    drawn = np.zeros(mask.shape)
    np.add.at(drawn, (points[:, 0], points[:, 1]), 1 / count)
    return drawn


# Points


@pytest.mark.parametrize("how", ["uniform", "core"])
@pytest.mark.parametrize("mask", [letter_c(), ring(), pixel()], ids=["C", "ring", "pixel"])
def test_points_lie_on_the_object_and_everywhere_on_it(mask: np.ndarray, how: PointSampling) -> None:
    np.testing.assert_array_equal(shares(mask, how) > 0, mask)


def test_the_points_of_one_pixel() -> None:
    for how in ("uniform", "core"):
        points = sample_points(pixel(), 3, how=how, rng=rng())
        assert points.dtype == np.float64
        assert points.tolist() == [[4, 7]] * 3


def test_uniform_points_fall_on_all_pixels_alike() -> None:
    mask = block((5, 9), 1, 1, 2, 5)
    np.testing.assert_allclose(shares(mask, "uniform")[mask], 1 / 10, atol=0.01)


def test_core_points_weigh_the_distance_to_the_outline() -> None:
    # of a single row every pixel is 1 from the nearest other one; of three rows the inner pixels are 2
    line = block((5, 9), 2, 2, 1, 5)
    np.testing.assert_allclose(shares(line, "core")[line], 1 / 5, atol=0.015)
    thick = block((7, 9), 2, 2, 3, 5)
    np.testing.assert_allclose(shares(thick, "core")[3, 2:7], np.array([1, 2, 2, 2, 1]) / 18, atol=0.015)
    np.testing.assert_allclose(shares(thick, "core")[2, 2:7], np.ones(5) / 18, atol=0.015)


def test_the_border_of_the_image_is_no_outline() -> None:
    # three columns at the left border: the nearest other pixel is 3, 2 and 1 away
    cut = block((4, 6), 0, 0, 4, 3)
    np.testing.assert_allclose(shares(cut, "core").sum(axis=0), np.array([3, 2, 1, 0, 0, 0]) / 6, atol=0.015)
    # an object without any outline in sight has no core
    np.testing.assert_allclose(shares(np.ones((2, 5), dtype=bool), "core"), np.full((2, 5), 0.1), atol=0.015)


def test_points_are_drawn_again_by_the_same_seed() -> None:
    draw = [sample_points(letter_c(), 4, how="core", rng=rng(seed)).tolist() for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]


def test_no_points_and_no_object() -> None:
    for how in ("uniform", "core"):
        assert sample_points(ring(), 0, how=how, rng=rng()).shape == (0, 2)
        with pytest.raises(ValueError, match="mask is empty"):
            sample_points(np.zeros((4, 4), dtype=bool), 1, how=how, rng=rng())


# Boxes


def test_boxes_hold_their_last_row_and_column() -> None:
    assert mask_box(letter_c()).tolist() == [3, 3, 26, 26]
    assert mask_box(pixel()).tolist() == [4, 7, 4, 7]
    assert mask_box(block((10, 20), 6, 15, 4, 5)).tolist() == [6, 15, 9, 19]
    with pytest.raises(ValueError, match="mask is empty"):
        mask_box(np.zeros((4, 4), dtype=bool))


def test_jitter_goes_with_the_boxs_own_sides_and_stops_at_the_limit() -> None:
    box = np.array([100.0, 100.0, 109.0, 199.0])  # 10 rows, 100 columns
    moved = np.array([jitter_box(box, (1000, 1000), sigma=0.1, limit=20, rng=rng(i)) for i in range(400)]) - box
    np.testing.assert_allclose(moved.std(axis=0), [1, 10, 1, 10], rtol=0.2)
    assert np.abs(moved).max() == 20
    small = np.array([jitter_box(box, (1000, 1000), sigma=0.02, limit=3, rng=rng(i)) for i in range(400)]) - box
    np.testing.assert_allclose(small.std(axis=0)[::2], 0.2, rtol=0.2)
    assert np.abs(small).max() == 3


def test_jitter_stays_in_the_image_and_turns_nothing_over() -> None:
    for seed in range(50):
        line = jitter_box(np.array([0.0, 0.0, 29.0, 0.0]), (30, 40), sigma=0.5, limit=20, rng=rng(seed))
        assert 0 <= line[0] <= line[2] <= 29
        assert 0 <= line[1] <= line[3] <= 39
    box = np.array([5.0, 6.0, 8.0, 9.0])
    assert jitter_box(box, (30, 40), sigma=0, limit=20, rng=rng()).tolist() == box.tolist()
    assert jitter_box(box, (30, 40), sigma=1, limit=0, rng=rng()).tolist() == box.tolist()


# Mask prompts


def drawn(mask: np.ndarray, *, stride: int = 4, spread: float = 0.3, seed: int = 0) -> np.ndarray:
    """Put a mask prompt back into its image."""
    prompt = low_resolution_mask(mask, stride=stride, rng=rng(seed), spread=spread)
    canvas = np.full(mask.shape, ABSENT, dtype=np.float32)
    height, width = prompt.logits.shape
    assert min(prompt.row, prompt.col) >= 0
    canvas[prompt.row : prompt.row + height, prompt.col : prompt.col + width] = prompt.logits
    return canvas


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_an_unmoved_mask_is_the_signed_distance() -> None:
    # 4 logits per pixel at stride 1; the outline is half a pixel from the outermost pixels' centers
    logits = drawn(block((7, 11), 0, 0, 7, 5), stride=1, spread=0)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, np.tile([8, 8, 8, 6, 2, -2, -6, -8, -8, -8, -8], (7, 1)))


def test_every_low_resolution_pixel_has_one_value() -> None:
    mask = block((30, 42), 9, 13, 15, 19)  # neither the image nor the object is a multiple of the stride
    logits = drawn(mask, stride=4)
    for row in range(0, 30, 4):
        for col in range(0, 42, 4):
            assert np.ptp(logits[row : row + 4, col : col + 4]) == 0
    assert len(np.unique(logits)) > 10
    assert logits.min() == ABSENT
    assert logits.max() <= -ABSENT


@pytest.mark.parametrize("mask", [letter_c(), ring()], ids=["C", "ring"])
def test_holes_are_not_the_object(mask: np.ndarray) -> None:
    logits = drawn(mask, stride=2, spread=0)
    assert logits[15, 15] < 0
    assert iou(logits > 0, mask) > 0.6


def test_masks_are_imperfect_but_of_the_object() -> None:
    rows, columns = np.ogrid[:128, :128]
    disc = (rows - 60) ** 2 + (columns - 70) ** 2 < 30**2
    overlaps = [iou(drawn(disc, seed=seed) > 0, disc) for seed in range(50)]
    assert min(overlaps) > 0.5
    assert max(overlaps) < 0.99
    assert np.ptp(overlaps) > 0.1
    exact = iou(drawn(disc, spread=0) > 0, disc)
    assert exact > max(overlaps)
    assert len({(drawn(disc, seed=seed) > 0).sum() > disc.sum() for seed in range(20)}) == 2
    np.testing.assert_array_equal(drawn(disc, seed=3), drawn(disc, seed=3))


@pytest.mark.parametrize("seed", range(5))
def test_the_crop_ends_where_the_object_is_absent(seed: int) -> None:
    mask = block((100, 120), 40, 50, 12, 20)
    prompt = low_resolution_mask(mask, stride=4, rng=rng(seed), spread=0.9)
    edge = np.ones(prompt.logits.shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    assert (prompt.logits[edge] == ABSENT).all()
    assert prompt.logits.shape < mask.shape
    assert drawn(mask, spread=0.9, seed=seed)[mask].max() > 0


def test_the_mask_of_an_object_that_is_cut_or_fills_the_image() -> None:
    cut = block((40, 40), 0, 0, 40, 12)
    np.testing.assert_array_equal(drawn(cut, spread=0)[:, 8:16], np.tile(np.repeat([2, -2], 4) * 1.0, (40, 1)))
    assert (drawn(cut, spread=0)[:, :4] == -ABSENT).all()
    for seed in range(5):
        assert (drawn(np.ones((9, 14), dtype=bool), seed=seed) > 0).all()


def test_the_mask_of_one_pixel() -> None:
    alone = drawn(pixel(), stride=1)
    assert alone[pixel()].item() > 0
    assert (alone[~pixel()] < 0).all()
    # it is lost among the sixteen of a low-resolution pixel, but still the likeliest place
    low = drawn(pixel(), stride=4)
    assert ABSENT < low.max() < 0
    assert low[pixel()].item() == low.max()


def test_no_mask_of_no_object() -> None:
    with pytest.raises(ValueError, match="mask is empty"):
        low_resolution_mask(np.zeros((8, 8), dtype=bool), stride=4, rng=rng())


# Clicks


def test_clicks_lie_on_what_was_missed_or_was_too_much() -> None:
    truth = np.stack([block((8, 9), 2, 2, 3, 4)] * 2)
    missed, too_much = block((8, 9), 2, 2, 3, 3), block((8, 9), 2, 2, 3, 5)
    points, labels = correction_clicks(np.stack([missed, too_much]), truth, rng=rng())
    assert (points.dtype, labels.dtype) == (np.float64, np.int64)
    assert points[:, 1].tolist() == [5, 6]
    assert set(points[:, 0]) <= {2, 3, 4}
    assert labels.tolist() == [1, 0]


def test_clicks_fall_on_the_whole_error_region_alike() -> None:
    # 2 missed pixels, 3 too many: each in a fifth of the draws
    truth = np.broadcast_to(block((5, 6), 1, 0, 2, 3), (10000, 5, 6))
    predicted = truth.copy()
    predicted[:, 1, 0:2] = False
    predicted[:, 4, 3:6] = True
    points, labels = correction_clicks(predicted, truth, rng=rng())
    rows, columns = points.astype(int).T
    counts = np.zeros((5, 6))
    np.add.at(counts, (rows, columns), 1e-4)
    expected = np.zeros((5, 6))
    expected[1, 0:2] = expected[4, 3:6] = 0.2
    np.testing.assert_allclose(counts, expected, atol=0.02)
    np.testing.assert_array_equal(labels == 1, rows == 1)


def test_every_mask_has_its_own_click() -> None:
    random = rng(5)
    predicted, truth = random.random((16, 128, 128)) < 0.3, random.random((16, 128, 128)) < 0.3
    points, labels = correction_clicks(predicted, truth, rng=random)
    at = (np.arange(16), *points.astype(int).T)
    assert (predicted[at] != truth[at]).all()
    np.testing.assert_array_equal(labels, truth[at])
    assert set(labels) == {0, 1}


def test_clicks_where_nothing_is_wrong() -> None:
    empty, whole = np.zeros((4, 4), dtype=bool), np.ones((4, 4), dtype=bool)
    truth = np.stack([block((4, 4), 1, 3, 1, 1), empty, whole])
    points, labels = correction_clicks(truth.copy(), truth, rng=rng())
    assert points[0].tolist() == [1, 3]
    assert labels.tolist() == [1, 0, 1]
    assert ((points >= 0) & (points < 4)).all()
    # of nothing predicted, all of the truth is missing
    points, labels = correction_clicks(np.zeros_like(truth), truth, rng=rng())
    assert points[0].tolist() == [1, 3]
    assert labels.tolist() == [1, 0, 1]


def test_no_masks_no_clicks() -> None:
    nothing = np.zeros((0, 4, 4), dtype=bool)
    points, labels = correction_clicks(nothing, nothing, rng=rng())
    assert (points.shape, points.dtype) == ((0, 2), np.float64)
    assert (labels.shape, labels.dtype) == ((0,), np.int64)


def test_clicks_of_masks_that_differ_in_shape() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4, 4\) and true ones \(3, 4, 4\)"):
        correction_clicks(np.zeros((1, 4, 4), dtype=bool), np.zeros((3, 4, 4), dtype=bool), rng=rng())
