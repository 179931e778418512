"""Affinities: where they part pixels, and forests that grow along them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.regions.affinities import grow_along, join_tied, strongest, weakest

# What the first row and the first column hold is not read.
UNREAD = 0.123


def affinities_of(labels: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows = np.full(labels.shape, UNREAD, np.float32)
    cols = rows.copy()
    rows[1:] = (labels[1:] == labels[:-1]) & (labels[1:] > 0)
    cols[:, 1:] = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)
    return rows, cols


def grid(values: list[list[float]]) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_weakest_and_strongest_by_hand() -> None:
    rows = grid([[UNREAD, UNREAD, UNREAD], [0.9, 0.2, 0.8]])
    cols = grid([[UNREAD, 0.7, 0.6], [UNREAD, 0.4, 0.5]])
    np.testing.assert_array_equal(weakest((rows, cols)), grid([[0.7, 0.2, 0.6], [0.4, 0.2, 0.5]]))
    np.testing.assert_array_equal(strongest((rows, cols)), grid([[0.9, 0.7, 0.8], [0.9, 0.5, 0.8]]))


def test_one_pixel_and_none() -> None:
    alone = np.full((1, 1), UNREAD, np.float32), np.full((1, 1), UNREAD, np.float32)
    assert weakest(alone).tolist() == [[1.0]]
    assert strongest(alone).tolist() == [[0.0]]
    nothing = np.zeros((0, 4)), np.zeros((0, 4))
    assert weakest(nothing).shape == strongest(nothing).shape == (0, 4)


def test_growth_crosses_the_largest_affinity_first() -> None:
    seeds = np.array([[5, 0, 0, 0, 9]], np.int32)
    # The free pixels hang together; what ties them to 9 is a little stronger than what ties them to 5.
    cols = grid([[UNREAD, 0.4, 0.9, 0.8, 0.5]])
    grown = grow_along((np.zeros_like(cols), cols), seeds, np.ones(seeds.shape, bool))
    assert grown.tolist() == [[5, 9, 9, 9, 9]]
    assert grown.dtype == np.int32
    cols[0, 1] = 0.6
    grown = grow_along((np.zeros_like(cols), cols), seeds, np.ones(seeds.shape, bool))
    assert grown.tolist() == [[5, 5, 5, 5, 9]]
    assert seeds.tolist() == [[5, 0, 0, 0, 9]]


def test_growth_stays_in_the_mask_and_reaches_what_it_can() -> None:
    seeds = np.array([[1, 0, 0, 0, 0]], np.int32)
    mask = np.array([[True, True, False, True, True]])
    tied = np.ones((1, 5), np.float32)
    assert grow_along((tied, tied), seeds, mask).tolist() == [[1, 1, 0, 0, 0]]
    # An affinity of 0 holds back only as long as there is another way.
    assert grow_along((0 * tied, 0 * tied), seeds, mask).tolist() == [[1, 1, 0, 0, 0]]


def test_of_several_sides_of_one_seed_the_strongest_counts() -> None:
    # Seed 1 surrounds the free pixel on three sides, weakly on two; seed 2 has the fourth.
    seeds = np.array([[1, 1, 1], [1, 0, 2]], np.int32)
    rows, cols = np.full((2, 3), 0.1, np.float32), np.full((2, 3), 0.1, np.float32)
    rows[1, 1], cols[1, 2] = 0.8, 0.7
    assert grow_along((rows, cols), seeds, np.ones((2, 3), bool))[1, 1] == 1
    cols[1, 2] = 0.9
    assert grow_along((rows, cols), seeds, np.ones((2, 3), bool))[1, 1] == 2


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (1, 1), (3, 5)])
def test_without_seeds_nothing_grows(shape: tuple[int, int]) -> None:
    tied, none = np.ones(shape, np.float32), np.zeros(shape, np.int32)
    for mask in (np.ones(shape, bool), np.zeros(shape, bool)):
        np.testing.assert_array_equal(grow_along((tied, tied), none, mask), none)


def test_perfect_affinities_give_every_pixel_back() -> None:
    rng = np.random.default_rng(4)
    labels = np.kron(np.arange(1, 21).reshape(4, 5), np.ones((6, 7))).astype(np.int32)
    # One pixel of each object, anywhere in it, is enough.
    seeds = np.zeros_like(labels)
    for number in range(1, 21):
        row, col = rng.permutation(np.argwhere(labels == number))[0]
        seeds[row, col] = number
    np.testing.assert_array_equal(grow_along(affinities_of(labels), seeds, labels > 0), labels)


def test_the_forest_is_a_largest_one() -> None:
    """Every pixel is joined to its seed by a path whose weakest affinity no other seed's path beats."""
    rng = np.random.default_rng(7)
    shape = (9, 8)
    rows, cols = rng.random(shape), rng.random(shape)
    seeds = np.zeros(shape, np.int32)
    seeds[1, 1], seeds[7, 6], seeds[2, 6] = 3, 4, 8
    widest = {}
    for number in (3, 4, 8):
        width = np.where(seeds == number, np.inf, 0.0)
        for _ in range(seeds.size):
            for axis, values in ((0, rows), (1, cols)):
                near, far = np.moveaxis(width, axis, 0)[:-1], np.moveaxis(width, axis, 0)[1:]
                tie = np.moveaxis(values, axis, 0)[1:]
                near[...] = np.maximum(near, np.minimum(far, tie))
                far[...] = np.maximum(far, np.minimum(near, tie))
        widest[number] = width
    # Paths through another seed count for nobody: they are no wider than that seed's own.
    grown = grow_along((rows, cols), seeds, np.ones(shape, bool))
    best = np.max(list(widest.values()), axis=0)
    own = np.select([grown == number for number in widest], list(widest.values()), -1.0)
    np.testing.assert_array_equal(own, best)
    assert set(np.unique(grown)) == {3, 4, 8}


def test_regions_are_joined_by_the_mean_along_their_border() -> None:
    regions = np.array([[4, 7, 0, 9], [4, 7, 0, 9], [2, 2, 2, 2]], np.int32)
    rows, cols = np.full((3, 4), 0.1, np.float32), np.full((3, 4), 0.1, np.float32)
    # 0.9 and 0.3 make 0.6 between 4 and 7; what lies beside the background ties nothing.
    cols[:2, 1] = 0.9, 0.3
    cols[:, 2:] = rows[2, 2] = 1
    joined = join_tied((rows, cols), regions, 0.5)
    assert joined.dtype == np.int32
    assert len(set(joined[regions > 0].tolist())) == 3
    assert joined[0, 0] == joined[0, 1]
    np.testing.assert_array_equal(joined == 0, regions == 0)
    assert len(set(join_tied((rows, cols), regions, 0.7)[regions > 0].tolist())) == 4
    # 4 and 9 have no border with each other, but both end in one with 2.
    rows[2, 1] = rows[2, 3] = 0.8
    assert len(set(join_tied((rows, cols), regions, 0.5)[regions > 0].tolist())) == 1


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (1, 1), (3, 5)])
def test_without_regions_nothing_is_joined(shape: tuple[int, int]) -> None:
    tied, none = np.ones(shape, np.float32), np.zeros(shape, np.int32)
    np.testing.assert_array_equal(join_tied((tied, tied), none, 0.5), none)
