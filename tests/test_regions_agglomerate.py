"""Cells that fill the image: gaps in membranes, necks, order of joining, and the empty cases."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.metrics import adapted_rand
from autosam.regions.agglomerate import agglomerate, cut_fragments, joined
from autosam.regions.find import find_regions
from autosam.regions.tree import Contacts

HALVES = {"threshold": 0.5, "boundary_threshold": 0.5, "center_threshold": 0.5, "min_size": 1}


def two_cells(gap: int, *, membrane: int = 3, shape: tuple[int, int] = (40, 61)) -> NDArray[np.float64]:
    """Draw the height of two cells with a membrane between them, open over so many rows from row 20 on."""
    height = np.full(shape, 0.05)
    begin = (shape[1] - membrane) // 2
    height[:, begin : begin + membrane] = 0.95
    height[20 : 20 + gap] = 0.05
    return height


def contacts(*rows: tuple[int, int, float, float]) -> Contacts:
    """Make contacts of two fragments, a length and a mean height."""
    first, second, length, height = np.array(rows).T
    pairs = np.stack([first, second], axis=1).astype(np.int64)
    return Contacts(pairs, length, -length * height, -height)


@pytest.mark.parametrize("membrane", [1, 3, 6])
def test_a_gap_of_two_pixels_does_not_join_two_cells(membrane: int) -> None:
    height = two_cells(2, membrane=membrane)
    foreground = 1 - height
    assert find_regions(foreground, height, **HALVES).max() == 1, "without it, the gap is a leak"
    regions = find_regions(foreground, height, join=0.5, **HALVES)
    begin = (61 - membrane) // 2
    assert np.all(regions[:, :begin] == 1)
    assert np.all(regions[:, begin + membrane :] == 2)
    closed = height > 0.5
    assert not regions[closed].any()


def test_an_open_membrane_parts_nothing() -> None:
    cells = agglomerate(two_cells(20), threshold=0.5, join=0.5)
    assert cells[0, 0] != cells[0, 60], "half of the contact is closed"
    cells = agglomerate(two_cells(20), threshold=0.5, join=0.6)
    assert np.all(cells == cells[0, 0])


def test_a_long_cell_is_one() -> None:
    height = np.full((60, 200), 0.9)
    for row in (10, 30, 50):
        # Each has a neck of 9 of its 12 pixels, where its depth has two maxima.
        height[row - 6 : row + 6, 5:195] = 0.1
        height[row - 6 : row - 3, 95:105] = 0.9
    assert cut_fragments(height, threshold=0.5).max() >= 6
    regions = find_regions(1 - height, height, join=0.6, **HALVES)
    np.testing.assert_array_equal(np.unique(regions[height < 0.5]), [1, 2, 3])
    for number, row in enumerate((10, 30, 50), start=1):
        assert np.all(regions[row - 3 : row + 6, 5:195] == number)


def test_the_lowest_contact_is_joined_first_and_means_are_taken_anew() -> None:
    # 1 and 2 are one. Their contact with 3 is then (10 · .4 + 30 · .8) / 40 = .7.
    known = contacts((1, 2, 10, 0.1), (1, 3, 10, 0.4), (2, 3, 30, 0.8))
    for join, groups in ((0.05, 3), (0.5, 2), (0.69, 2), (0.71, 1)):
        assert len(set(joined(3, known, join)[1:].tolist())) == groups, join
    into = joined(3, known, 0.5)
    assert into[1] == into[2] != into[3]
    assert into[0] == 0


def test_equal_to_joining_one_pair_at_a_time() -> None:
    """Against the plain way: look for the lowest mean of all pairs, join it, and begin again."""
    height = np.random.default_rng(3).random((40, 50))
    fragments = cut_fragments(height, threshold=0.4)
    regions = fragments.copy()
    for _ in range(int(fragments.max())):
        lowest, pair = 0.68, (0, 0)
        sums: dict[tuple[int, int], list[float]] = {}
        for one, other, values in (
            (regions[1:], regions[:-1], np.maximum(height[1:], height[:-1])),
            (regions[:, 1:], regions[:, :-1], np.maximum(height[:, 1:], height[:, :-1])),
        ):
            for a, b, value in zip(one.flat, other.flat, values.flat, strict=True):
                if a != b:
                    sums.setdefault((min(a, b), max(a, b)), []).append(value)
        for key, found in sums.items():
            if np.mean(found) < lowest:
                lowest, pair = float(np.mean(found)), key
        if pair == (0, 0):
            break
        regions[regions == pair[1]] = pair[0]
    assert 2 < len(np.unique(regions)) < fragments.max()
    cells = agglomerate(height, threshold=0.4, join=0.68)
    assert adapted_rand(cells, regions).error == 0
    assert len(np.unique(cells)) == len(np.unique(regions))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (1, 7), (6, 8)])
def test_one_cell_or_none_fills_the_image(shape: tuple[int, int]) -> None:
    zeros, ones = np.zeros(shape), np.ones(shape)
    assert not agglomerate(ones, threshold=0.5, join=0.5).any()
    assert len(np.unique(agglomerate(zeros, threshold=0.5, join=0.5))) == min(zeros.size, 1)
    for maps in ((zeros, None), (zeros, ones), (None, ones), (zeros, zeros)):
        regions = find_regions(*maps, join=0.5, **HALVES)
        assert regions.shape == shape
        assert regions.dtype == np.int32
        assert not regions.any()
    assert np.all(find_regions(ones, zeros, join=0.5, **HALVES) == 1)


def test_affinities_part_cells_too() -> None:
    ones = np.ones((20, 41))
    row, col = ones.copy(), ones.copy()
    col[:, 20] = 0
    col[8:10, 20] = 1
    regions = find_regions(ones, None, affinities=(row, col), join=0.5, **HALVES)
    assert np.all(regions[:, :19] == 1)
    assert np.all(regions[:, 21:] == 2)


def test_boundaries_alone() -> None:
    height = np.full((60, 60), 0.05)
    height[10:50, 10:50] = 0.95
    height[13:47, 13:28] = height[13:47, 32:47] = 0.05
    height[25:27, 28:32] = 0.05
    regions = find_regions(None, height, join=0.5, **HALVES)
    assert regions[0, 0] == regions[59, 59] == 0, "what holds the border is background"
    assert regions[30, 15] == 1
    assert regions[30, 45] == 2


def test_same_maps_same_bytes() -> None:
    height = np.random.default_rng(0).random((90, 120)).astype(np.float32)
    first, second = (agglomerate(height, threshold=0.5, join=0.6) for _ in "ab")
    assert first.tobytes() == second.tobytes()
    halves = height.astype(np.float16)
    np.testing.assert_array_equal(
        agglomerate(halves, threshold=0.5, join=0.6), agglomerate(halves.astype(float), threshold=0.5, join=0.6)
    )


def test_join_is_a_probability() -> None:
    with pytest.raises(ConfigError, match=r"join is 1\.5, wanted a probability"):
        find_regions(np.ones((4, 4)), join=1.5, **HALVES)
