"""Parts of an object, and one object of parts."""

import numpy as np
import pytest

from autosam.review.join_objects import join_objects
from autosam.review.split_object import split_object


def disc(shape, row, col, radius):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


@pytest.mark.parametrize("points", [[(20, 15), (20, 45)], [(12, 15), (28, 50)], [(20, 24), (20, 36)]])
def test_two_touching_discs_are_cut_at_their_neck(points):
    shape = (41, 61)
    left, right = disc(shape, 20, 15, 13), disc(shape, 20, 42, 15)
    parts = split_object(left | right, points)
    assert ((parts > 0) == (left | right)).all()
    alone = [left & ~right, right & ~left]
    for number, own in enumerate(alone, 1):
        assert (parts[own] == number).mean() > 0.97


def test_without_a_neck_it_is_cut_halfway_however_rough_its_outline():
    rough = np.random.default_rng(0).random((61, 61)) < 0.5
    mask = disc((61, 61), 30, 30, 20) | (disc((61, 61), 30, 30, 23) & rough)
    for points in ([(30, 20), (30, 40)], [(22, 18), (30, 44)], [(45, 25), (17, 35)]):
        parts = split_object(mask, points)
        sizes = np.bincount(parts.ravel())[1:]
        assert sizes.min() > 0.3 * sizes.max()
        assert [parts[point] for point in points] == [1, 2]


def test_every_point_gets_a_part_and_every_pixel_one():
    mask = disc((21, 21), 10, 10, 9)
    points = [(10, 10), (10, 11), (2, 10)]
    parts = split_object(mask, points)
    assert [parts[point] for point in points] == [1, 2, 3]
    assert set(parts[mask]) == {1, 2, 3}
    # A piece of the object that no point is in.
    mask[0, 20] = True
    assert split_object(mask, points)[0, 20] in (1, 2, 3)


def test_neighbors_become_one_by_the_shortest_way():
    shape = (30, 60)
    left, right = disc(shape, 15, 14, 10), disc(shape, 15, 40, 10)
    joined = join_objects(left | right, ~(left | right))
    assert (joined & ~(left | right)).sum() <= 5 * 7
    assert joined[15, 14:41].all()
    assert not joined[:5].any()


def test_what_is_far_or_parted_is_not_joined():
    shape = (30, 90)
    left, right, wall = disc(shape, 15, 14, 10), disc(shape, 15, 40, 10), np.zeros(shape, bool)
    wall[:, 27] = True
    assert join_objects(left | right, ~(left | right | wall)) is None
    far = disc(shape, 15, 70, 10)
    assert join_objects(left | far, ~(left | far)) is None
    assert np.array_equal(join_objects(left, ~left), left)
