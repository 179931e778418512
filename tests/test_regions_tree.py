"""The tree of regions: fragments, ties and unions known by hand, and the best choice against all choices."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from with_defaults import grow_tree

from autosam.errors import InputError
from autosam.regions import MergeTree, grow
from autosam.regions.grow import MOST_FRAGMENTS


@pytest.fixture
def _sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps as they are, so that heights are known by hand."""
    monkeypatch.setattr(grow, "SMOOTHING", 0.0)


def row_of(*center: float) -> MergeTree:
    values = np.array([center], dtype=np.float32)
    return grow_tree({"foreground": np.ones_like(values), "center": values})


def random_tree(seed: int, side: int = 24) -> MergeTree:
    rng = np.random.default_rng(seed)
    shape = (side, side)
    return grow_tree({"foreground": rng.random(shape) + 0.3, "center": rng.random(shape)}, threshold=0.45)


@pytest.mark.usefixtures("_sharp")
def test_the_strongest_contact_is_joined_first() -> None:
    grown = row_of(0.9, 0.9, 0.4, 0.8, 0.8, 0.1, 0.7, 0.7)
    assert grown.n_fragments == 3
    np.testing.assert_array_equal(grown.fragments[0, [0, 1, 3, 4, 6, 7]], [1, 1, 2, 2, 3, 3])
    assert grown.children[4:].tolist() == [[1, 2], [3, 4]]
    assert grown.parent.tolist() == [0, 4, 4, 5, 5, 0]
    assert grown.tie[4:] == pytest.approx([0.4, 0.1])
    assert grown.pass_height[4:] == pytest.approx([0.4, 0.1])
    assert grown.neck.tolist() == [0, 0, 0, 0, 1, 1]
    assert grown.area.tolist() == [0, *np.bincount(grown.fragments[0])[1:], 8 - grown.area[3], 8]


@pytest.mark.usefixtures("_sharp")
def test_a_tie_is_the_mean_along_the_contact_and_the_pass_its_highest_place() -> None:
    center = np.array([[0.9, between, between, 0.9] for between in (0.5, 0.3, 0.1)], dtype=np.float32)
    grown = grow_tree({"foreground": np.ones((3, 4)), "center": center})
    np.testing.assert_array_equal(grown.fragments, [[1, 1, 2, 2]] * 3)
    assert grown.n_fragments == 2
    assert grown.tie[3] == pytest.approx(0.3)
    assert grown.pass_height[3] == pytest.approx(0.5)
    assert grown.neck[3] == 3


@pytest.mark.usefixtures("_sharp")
@pytest.mark.parametrize(("between", "fragments"), [(0.87, 1), (0.85, 2)])
def test_a_maximum_that_does_not_stand_out_starts_no_fragment(between: float, fragments: int) -> None:
    assert row_of(0.9, 0.9, between, 0.9, 0.9).n_fragments == fragments


@pytest.mark.usefixtures("_sharp")
def test_boundary_and_center_both_part() -> None:
    foreground, boundary = np.ones((1, 5)), np.array([[0.0, 0.0, 0.6, 0.0, 0.0]])
    by_boundary = grow_tree({"foreground": foreground, "boundary": boundary})
    by_both = grow_tree({"foreground": foreground, "boundary": boundary, "center": np.full((1, 5), 0.5)})
    assert by_boundary.n_fragments == by_both.n_fragments == 2
    assert by_boundary.tie[3] == pytest.approx(-0.6)
    assert by_both.tie[3] == pytest.approx(-0.1)


def test_a_region_without_a_maximum_is_one_fragment() -> None:
    flat = grow_tree({"foreground": np.ones((4, 6)), "center": np.full((4, 6), 0.5)})
    np.testing.assert_array_equal(flat.fragments, np.ones((4, 6)))


def test_background_parts_and_only_the_foreground_is_divided() -> None:
    foreground = np.zeros((9, 20))
    foreground[2:7, 2:8] = foreground[2:7, 11:17] = 0.8
    grown = grow_tree({"foreground": foreground, "center": foreground})
    assert grown.n_fragments == 2
    assert len(grown) == 3
    np.testing.assert_array_equal(grown.fragments > 0, foreground > 0.5)
    assert not grow_tree({"foreground": foreground, "center": foreground}, threshold=0.85).fragments.any()


def test_nothing_in_the_foreground() -> None:
    empty = grow_tree({"foreground": np.zeros((5, 7)), "center": np.zeros((5, 7))})
    assert len(empty) == 1
    assert empty.n_fragments == 0
    assert empty.choose(np.ones(1)).tolist() == []
    np.testing.assert_array_equal(empty.paint(np.zeros(0, dtype=np.int64)), np.zeros((5, 7)))


@pytest.mark.usefixtures("_sharp")
def test_a_clump_of_many_fragments_is_no_candidate_region() -> None:
    grown = row_of(*([0.9, 0.2] * 30))
    fragments = grown.add_up(np.ones(grown.n_fragments + 1))
    assert grown.n_fragments == 30
    assert MOST_FRAGMENTS / 2 < fragments.max() <= MOST_FRAGMENTS


def test_nodes_are_the_unions_of_their_children() -> None:
    grown = random_tree(0)
    weight = np.random.default_rng(1).random(grown.fragments.shape)
    sums = np.bincount(grown.fragments.ravel(), weights=weight.ravel())
    total = grown.add_up(sums)
    assert len(grown) > grown.n_fragments + 5
    for node in range(1, len(grown)):
        painted = grown.paint(np.array([node])) == 1
        assert np.count_nonzero(painted) == grown.area[node]
        assert total[node] == pytest.approx(weight[painted].sum())
        if grown.parent[node]:
            assert node in grown.children[grown.parent[node]]


# The choice


def leaves(grown: MergeTree, node: int) -> set[int]:
    first, second = (int(child) for child in grown.children[node])
    return leaves(grown, first) | leaves(grown, second) if first else {node}


def all_choices(grown: MergeTree, worth: NDArray[np.float64]) -> float:
    """The best sum, by trying every set of disjoint nodes."""
    nodes = range(1, len(grown))
    best = 0.0
    for count in range(1, len(nodes) + 1):
        for chosen in combinations(nodes, count):
            parts = [leaves(grown, node) for node in chosen]
            if len(set().union(*parts)) == sum(map(len, parts)):
                best = max(best, worth[list(chosen)].sum())
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_the_best_of_all(seed: int) -> None:
    grown = random_tree(seed, side=9)
    assert 4 <= len(grown) <= 14
    worth = np.random.default_rng(seed).normal(size=len(grown))
    chosen = grown.choose(worth)
    assert (worth[chosen] > 0).all()
    assert worth[chosen].sum() == pytest.approx(all_choices(grown, worth))
    # And it can be painted: no node within another.
    assert np.count_nonzero(grown.paint(chosen)) == grown.area[chosen].sum()


@pytest.mark.usefixtures("_sharp")
def test_of_equals_the_whole_is_chosen_and_what_adds_nothing_is_not() -> None:
    grown = row_of(0.9, 0.9, 0.4, 0.8, 0.8)
    assert grown.choose(np.array([9.0, 0.25, 0.25, 0.5])).tolist() == [3]
    assert grown.choose(np.array([9.0, 0.25, 0.5, 0.5])).tolist() == [1, 2]
    assert grown.choose(np.array([9.0, 0.0, -1.0, 0.0])).tolist() == []
    np.testing.assert_array_equal(np.unique(grown.paint(np.array([2, 1]))[0]), [1, 2])
    assert grown.paint(np.array([2, 1]))[0, 0] == 2


# Refusals


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({}, "maps of nothing came"),
        ({"foreground": np.ones((2, 2))}, "maps of foreground came, wanted foreground, and center or boundary"),
        ({"center": np.ones((2, 2)), "boundary": np.ones((2, 2))}, "maps of center, boundary came"),
        (
            {"foreground": np.ones((2, 2)), "center": np.ones((2, 3))},
            r"foreground is \(2, 2\), center is \(2, 3\)",
        ),
        ({"foreground": np.ones(3), "center": np.ones(3)}, r"wanted one shape \(H, W\)"),
    ],
)
def test_maps_that_do_not_fit_are_refused(maps: dict[str, NDArray[np.float64]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grow_tree(maps)
