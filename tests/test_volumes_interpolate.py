"""Shapes between two slices: answers known by hand, and a sphere."""

import numpy as np
import pytest

from autosam.volumes.interpolate import PlacedMask, interpolate_masks, placed_iou


def square(row: int, col: int, side: int) -> PlacedMask:
    return PlacedMask(row, col, np.ones((side, side), dtype=bool))


def disk(row: int, col: int, radius: float) -> PlacedMask:
    reach = int(np.ceil(radius))
    rows, cols = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return PlacedMask(row - reach, col - reach, rows**2 + cols**2 <= radius**2)


def same(one: PlacedMask, other: PlacedMask) -> bool:
    return one[:2] == other[:2] and np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_an_object_that_stays_the_same(share, follow):
    c_shape = PlacedMask(7, 3, np.array([[1, 1, 1], [1, 0, 0], [1, 1, 1]], dtype=bool))
    assert same(interpolate_masks(c_shape, c_shape, share, follow=follow), c_shape)


@pytest.mark.parametrize("follow", [True, False])
def test_the_ends_are_the_masks_themselves(follow):
    lower, upper = square(2, 2, 5), disk(5, 6, 4)
    assert same(interpolate_masks(lower, upper, 0, follow=follow), lower)
    assert same(interpolate_masks(lower, upper, 1, follow=follow), upper)


def test_squares_of_one_center_change_their_side_by_the_share():
    lower, upper = square(10, 10, 3), square(6, 6, 11)
    assert same(interpolate_masks(lower, upper, 0.5), square(8, 8, 7))
    assert same(interpolate_masks(lower, upper, 0.25), square(9, 9, 5))


def test_a_moving_object_is_followed_where_its_masks_do_not_overlap():
    lower, upper = square(10, 10, 5), square(10, 22, 5)
    assert same(interpolate_masks(lower, upper, 0.5), square(10, 16, 5))
    assert same(interpolate_masks(lower, upper, 1 / 3), square(10, 14, 5))
    assert same(interpolate_masks(lower, upper, 2 / 3), square(10, 18, 5))
    # Left where they are, they have nothing between them, and the nearer one stands for it.
    assert same(interpolate_masks(lower, upper, 1 / 3, follow=False), lower)
    assert same(interpolate_masks(lower, upper, 2 / 3, follow=False), upper)


def test_an_object_that_grows_an_arm_does_not_move():
    lower = square(10, 10, 9)
    upper = PlacedMask(10, 10, np.ones((9, 13), dtype=bool))
    # The centroid moves by two columns; the left side stays at column 10.
    between = interpolate_masks(lower, upper, 0.5)
    # Half the arm, whose corners are round.
    expected = np.ones((9, 11), dtype=bool)
    expected[[0, -1], -1] = False
    assert same(between, PlacedMask(10, 10, expected))


def test_single_pixels():
    one, other = square(5, 5, 1), square(5, 9, 1)
    assert same(interpolate_masks(one, other, 0.5), square(5, 7, 1))
    assert same(interpolate_masks(one, one, 0.5), one)


def test_negative_positions_are_kept():
    assert same(interpolate_masks(square(-3, -3, 3), square(-3, 3, 3), 0.5), square(-3, 0, 3))


def test_a_ring_and_a_spot_give_the_nearer_one():
    ring = PlacedMask(0, 0, disk(20, 20, 20).mask & ~disk(20, 20, 18).within(slice(0, 41), slice(0, 41)))
    spot = square(20, 20, 1)
    assert same(interpolate_masks(ring, spot, 0.7), spot)
    assert interpolate_masks(ring, spot, 0.4).area == ring.area


@pytest.mark.parametrize("follow", [True, False])
def test_an_empty_mask_gives_an_empty_one(follow):
    empty = PlacedMask(4, 4, np.zeros((3, 3), dtype=bool))
    for lower, upper in ((empty, square(4, 4, 3)), (square(4, 4, 3), empty), (empty, empty)):
        between = interpolate_masks(lower, upper, 0.5, follow=follow)
        assert between.mask.shape == (0, 0)
        assert between.area == 0


def test_a_slice_of_a_sphere():
    radius = 20.0
    for z in (0, 5, 10):
        lower, truth, upper = (disk(40, 40, np.sqrt(radius**2 - k**2)) for k in (z - 1, z, z + 1))
        assert placed_iou(interpolate_masks(lower, upper, 0.5), truth) > 0.97


def test_drawing_cuts_what_lies_outside():
    drawn = square(-1, 3, 4).within(slice(0, 5), slice(2, 5))
    assert drawn.tolist() == [[False, True, True]] * 3 + [[False] * 3] * 2
    assert not square(10, 10, 2).within(slice(0, 5), slice(0, 5)).any()


def test_overlap_of_placed_masks():
    assert placed_iou(square(0, 0, 2), square(0, 1, 2)) == pytest.approx(1 / 3)
    assert placed_iou(square(0, 0, 2), square(5, 5, 2)) == 0
    nothing = PlacedMask(0, 0, np.zeros((0, 0), dtype=bool))
    assert placed_iou(nothing, nothing) == 0
