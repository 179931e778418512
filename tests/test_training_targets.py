"""Targets, by hand."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from autosam.training.samples.targets import generator_targets, mask_targets

BOTH = ("foreground", "boundary")
AFFINITIES = ("affinity_row", "affinity_col")


def test_the_boundary_is_two_pixels_on_each_side() -> None:
    labels = np.zeros((9, 12), dtype=np.int32)
    labels[:, 6:] = 1
    foreground, boundary = generator_targets(labels, BOTH)
    np.testing.assert_array_equal(foreground, labels)
    assert boundary.dtype == np.float32
    for row in boundary:
        assert row.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("width", [1, 3])
def test_the_boundary_is_as_wide_as_asked_for(width: int) -> None:
    labels = np.zeros((9, 12), dtype=np.int32)
    labels[:, 6:] = 1
    (boundary,) = generator_targets(labels, ("boundary",), boundary_width=width)
    assert boundary[4].tolist() == [float(6 - width <= col < 6 + width) for col in range(12)]


def test_touching_objects_have_a_boundary_between_them() -> None:
    labels = np.repeat([[1, 1, 1, 1, 1, 2, 2, 2, 2, 2]], 10, axis=0).astype(np.int32)
    foreground, boundary = generator_targets(labels, BOTH)
    assert foreground.all()
    assert boundary[5].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_a_center_is_the_deeper_half_of_an_object() -> None:
    labels = np.zeros((9, 23), dtype=np.int32)
    labels[1:8, 1:8] = 1
    # Touching it: depths are 1, 2, 3, 4, 3, 2, 1 in both.
    labels[1:8, 8:15] = 4
    labels[4, 20] = 2
    (center,) = generator_targets(labels, ("center",))
    wanted = np.zeros((9, 23), dtype=int)
    for first in (3, 10):
        wanted[3:6, first : first + 3] = 1
    wanted[4, 20] = 1
    np.testing.assert_array_equal(center, wanted)


def test_beyond_the_tiles_border_is_no_outside() -> None:
    labels = np.ones((6, 8), dtype=np.int32)
    np.testing.assert_array_equal(generator_targets(labels, ("center",))[0], labels)
    labels[:, 4:] = 0
    # Depths are 4, 3, 2, 1 from the border on.
    assert generator_targets(labels, ("center",))[0][2].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert not generator_targets(np.zeros((6, 8), dtype=np.int32), ("center",)).any()


def test_channels_come_in_the_order_asked_for() -> None:
    labels = np.zeros((8, 8), dtype=np.int32)
    labels[2:6, 2:6] = 3
    both = generator_targets(labels, BOTH)
    np.testing.assert_array_equal(generator_targets(labels, ("boundary", "foreground")), both[::-1])
    np.testing.assert_array_equal(generator_targets(labels, ("boundary",)), both[1:])


def test_affinities_by_hand() -> None:
    labels = np.array([[1, 1, 2], [0, 1, 2], [3, 0, 0], [3, 3, 0]], dtype=np.int32)
    row, col = generator_targets(labels, AFFINITIES)
    assert row.dtype == np.float32
    # The first row has its own foreground; 0 beside 0 is no object.
    assert row.tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert col.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]]
    four = generator_targets(labels, ("affinity_col", "boundary", "affinity_row", "foreground"))
    np.testing.assert_array_equal(four[[0, 2]], [col, row])
    np.testing.assert_array_equal(four[3], labels > 0)
    assert labels.tolist() == [[1, 1, 2], [0, 1, 2], [3, 0, 0], [3, 3, 0]]


def objects_of(row: np.ndarray, col: np.ndarray) -> np.ndarray:
    """Join the pixels between which there is an affinity; give every object a number, alone pixels too."""
    index = np.arange(row.size).reshape(row.shape)
    down, right = row[1:] > 0, col[:, 1:] > 0
    ones = np.concatenate([index[1:][down], index[:, 1:][right]])
    others = np.concatenate([index[:-1][down], index[:, :-1][right]])
    graph = coo_array((np.ones(len(ones)), (ones, others)), shape=(row.size, row.size))
    return connected_components(graph, directed=False)[1].reshape(row.shape)


@pytest.mark.parametrize("seed", range(5))
def test_the_affinities_of_touching_objects_tell_them_apart(seed: int) -> None:
    # Voronoi cells: all touch. Only what is 4-connected can be found again.
    rows, cols = np.indices((40, 50))
    seeds = np.random.default_rng(seed).uniform(0, 50, (12, 2))
    cells = np.argmin([(rows - r) ** 2 + (cols - c) ** 2 for r, c in seeds], axis=0) + 1
    labels = np.zeros((40, 50), dtype=np.int32)
    for cell in range(1, 11):  # two are background
        pieces, count = ndimage.label(cells == cell)
        labels[pieces > 0] = pieces[pieces > 0] + labels.max() if count else 0
    found = objects_of(*generator_targets(labels, AFFINITIES))
    pairs = np.unique(np.stack([labels[labels > 0], found[labels > 0]]), axis=1)
    assert len(np.unique(labels)) > 6
    # One object found for each true one, and the other way round.
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (0, 4)])
def test_without_objects_all_is_zero(shape: tuple[int, int]) -> None:
    channels = BOTH + AFFINITIES if min(shape) else AFFINITIES
    targets = generator_targets(np.zeros(shape, dtype=np.int32), channels)
    assert targets.shape == (len(channels), *shape)
    assert not targets.any()


def test_masks_are_averaged_down() -> None:
    labels = torch.zeros(8, 8, dtype=torch.int32)
    labels[:4, :4] = 2
    labels[4, 4] = 7
    masks = mask_targets(labels, torch.tensor([7, 2, 0, 9]), 4)
    assert masks.shape == (4, 1, 2, 2)
    assert masks[:, 0].tolist() == [
        [[0, 0], [0, 1 / 16]],
        [[1, 0], [0, 0]],
        [[0, 0], [0, 0]],  # id 0: no object, not the background
        [[0, 0], [0, 0]],  # not in the tile
    ]


def test_no_ids_give_no_masks() -> None:
    assert mask_targets(torch.zeros(8, 8, dtype=torch.int32), torch.zeros(0, dtype=torch.int64), 4).shape == (
        0,
        1,
        2,
        2,
    )
