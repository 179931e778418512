"""Tiles turned by any angle and stretched: image, labels and prompts stay beside one another."""

import numpy as np
import pytest

from autosam.prompts.prompt import Prompt
from autosam.training.samples.spin import draw_matrix, margin_around, spin_tile

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def block(side: int = 41) -> tuple[np.ndarray, np.ndarray, list[Prompt]]:
    """Give a block right of the middle and above it, in an image that shows its labels."""
    labels = np.zeros((side, side), np.int32)
    middle = side // 2
    labels[middle - 7 : middle - 2, middle + 1 : middle + 8] = 4
    box = np.array([middle - 7, middle + 1, middle - 3, middle + 7], np.float64)
    point = np.array([[middle - 5, middle + 4]], np.float64)
    prompt = Prompt(points=point, point_labels=np.array([1]), box=box)
    return (labels[..., None] > 0).astype(np.float32), labels, [prompt]


def test_the_middle_stays_where_nothing_is_turned() -> None:
    image, labels, prompts = block()
    changed, ids, moved = spin_tile(image, labels, prompts, matrix=np.eye(2), size=21)
    np.testing.assert_array_equal(ids, labels[10:31, 10:31])
    np.testing.assert_allclose(changed, image[10:31, 10:31], atol=1e-5)
    np.testing.assert_allclose(moved[0].points, prompts[0].points - 10)


def test_a_quarter_turn_is_that_of_numpy() -> None:
    image, labels, prompts = block()
    changed, ids, moved = spin_tile(image, labels, prompts, matrix=QUARTER, size=21)
    np.testing.assert_array_equal(ids, np.rot90(labels[10:31, 10:31], -1))
    np.testing.assert_allclose(changed, np.rot90(image[10:31, 10:31], -1), atol=1e-4)
    found = np.argwhere(ids == 4)
    np.testing.assert_allclose(moved[0].box, [*found.min(axis=0), *found.max(axis=0)], atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_image_labels_and_prompts_go_together(seed: int) -> None:
    matrix = draw_matrix(rotate=1.0, stretch=1.4, rng=rng(seed))
    assert matrix is not None
    assert np.linalg.det(matrix) == pytest.approx(1)
    first, second = np.linalg.norm(matrix, axis=0)
    assert max(first / second, second / first) <= 1.4 + 1e-9
    side = 31 + 2 * margin_around(31, matrix)
    assert 31 < side <= 31 * 1.42 * np.sqrt(1.4) + 4
    image, labels, prompts = block(side)
    changed, ids, moved = spin_tile(image, labels, prompts, matrix=matrix, size=31)
    assert changed.shape == (31, 31, 1)
    assert ids.dtype == np.int32
    assert ((changed[..., 0] > 0.5) != (ids > 0)).sum() < 8
    # 35 pixels, whose area stays.
    assert (ids > 0).sum() == pytest.approx(35, abs=8)
    row, col = np.rint(moved[0].points[0]).astype(int)
    assert ids[row, col] == 4
    assert moved[0].box is not None
    found = np.argwhere(ids == 4)
    assert (moved[0].box[:2] <= found.min(axis=0) + 1).all()
    assert (moved[0].box[2:] >= found.max(axis=0) - 1).all()


def test_what_is_known_of_a_tile_is_not_turned_out_of_it() -> None:
    labels = np.full((41, 41), -1, np.int32)
    labels[10, 10] = 0
    image = np.zeros((41, 41, 1), np.float32)
    diagonal = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    assert spin_tile(image, labels, [], matrix=diagonal, size=21)[1][0, 0] == 0


def test_nothing_is_drawn_where_it_is_off() -> None:
    draw = rng()
    assert draw_matrix(rotate=0.0, stretch=1.0, rng=draw) is None
    assert draw.random() == rng().random()
    turned = [draw_matrix(rotate=0.5, stretch=1.0, rng=rng(seed)) is not None for seed in range(60)]
    assert 15 < sum(turned) < 45


def test_objects_that_would_all_be_lost_stay() -> None:
    labels = np.zeros((45, 45), np.int32)
    # In the corner of the middle, which turns out of it.
    labels[12:14, 12:14] = 1
    turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    image = np.zeros((45, 45, 1), np.float32)
    assert (spin_tile(image, labels, [], matrix=turn, size=21)[1] == 1).any()
    assert not spin_tile(image, 0 * labels, [], matrix=turn, size=21)[1].any()
