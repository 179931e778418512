"""Objects as runs: from labels and back."""

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.volumes.slice_objects import FILLED, SliceObjects, make_ids, objects_of_labels, paint


def some_labels(seed=0, shape=(40, 30)):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for number in range(1, 12):
        row, col = rng.integers(0, shape[0] - 8), rng.integers(0, shape[1] - 8)
        labels[row : row + rng.integers(1, 9), col : col + rng.integers(1, 9)] = number
    return labels


def test_an_object_is_its_box_and_runs_of_background_and_object():
    labels = np.array([[0, 0, 0, 0], [0, 5, 5, 0], [0, 0, 5, 0]])
    objects = objects_of_labels(labels, z=3, tile=2, corner=(10, 20), scores=0.5)
    assert objects.ids.tolist() == [3 << 40 | 2 << 20]
    assert objects.boxes.tolist() == [[11, 21, 13, 23]]
    assert objects.areas.tolist() == [3]
    assert objects.runs.tolist() == [0, 2, 1, 1]
    assert objects.mask(0).tolist() == [[True, True], [False, True]]
    assert (objects.z.tolist(), objects.tiles.tolist(), objects.numbers.tolist()) == ([3], [2], [0])


@pytest.mark.parametrize("seed", range(5))
def test_painting_gives_the_labels_back(seed):
    labels = some_labels(seed)
    ids = np.unique(labels[labels > 0])
    objects = objects_of_labels(labels, z=0, tile=0, corner=(100, 200))
    painted = np.zeros_like(labels)
    paint(objects, ids, painted, corner=(100, 200))
    assert np.array_equal(painted, labels)
    assert objects.areas.tolist() == [np.count_nonzero(labels == i) for i in ids]


def test_painting_cuts_at_the_borders_and_leaves_out_zeros():
    labels = some_labels(1)
    ids = np.unique(labels[labels > 0])
    objects = objects_of_labels(labels, z=0, tile=0)
    numbers = ids.copy()
    numbers[2] = 0
    part = np.zeros((11, 13), np.int32)
    paint(objects, numbers, part, corner=(9, 7))
    wanted = labels[9:20, 7:20].copy()
    wanted[wanted == ids[2]] = 0
    assert np.array_equal(part, wanted)
    outside = np.zeros((5, 5), np.int32)
    paint(objects, numbers, outside, corner=(500, 500))
    assert not outside.any()


def test_no_labels_are_no_objects():
    objects = objects_of_labels(np.zeros((4, 5), np.uint16), z=0, tile=0)
    assert len(objects) == 0
    assert len(SliceObjects.concatenate([objects, SliceObjects.empty()])) == 0
    assert list(objects.by_tile()) == []
    assert len(objects.of(0, 0)) == 0


def test_objects_are_joined_in_order_of_their_ids():
    first = objects_of_labels(some_labels(0), z=1, tile=0, scores=0.25)
    second = objects_of_labels(some_labels(1), z=0, tile=3, origin=FILLED)
    both = SliceObjects.concatenate([first, second])
    assert (np.diff(both.ids.astype(np.int64)) > 0).all()
    assert [(z, tile, len(part)) for z, tile, part in both.by_tile()] == [(0, 3, len(second)), (1, 0, len(first))]
    again = both.of(1, 0)
    assert all(np.array_equal(getattr(again, name), getattr(first, name)) for name in ("ids", "boxes", "runs"))
    assert [np.array_equal(again.mask(i), first.mask(i)) for i in range(len(first))] == [True] * len(first)
    assert both.origins[: len(second)].tolist() == [FILLED] * len(second)
    assert len(both.of(1, 1)) == 0


def test_taking_keeps_masks():
    objects = objects_of_labels(some_labels(2), z=0, tile=0)
    some = objects.take([3, 0])
    assert np.array_equal(some.mask(0), objects.mask(3))
    assert np.array_equal(some.mask(1), objects.mask(0))
    assert some.areas.tolist() == [objects.areas[3], objects.areas[0]]
    assert np.array_equal(objects.take(objects.areas > 20).areas, objects.areas[objects.areas > 20])


def test_ids_hold_the_largest_numbers():
    ids = make_ids((1 << 24) - 1, (1 << 20) - 1, (1 << 20) - 1)
    assert int(ids) == (1 << 64) - 1


def test_pixels_in_the_core_are_owned():
    labels = some_labels(3)
    core = (slice(110, 125), slice(205, 222))
    objects = objects_of_labels(labels, z=0, tile=0, corner=(100, 200), core=core)
    inside = labels[10:25, 5:22]
    assert objects.owned.tolist() == [np.count_nonzero(inside == i) for i in np.unique(labels[labels > 0])]
    assert objects_of_labels(labels, z=0, tile=0).owned.tolist() == objects.areas.tolist()


def test_more_objects_than_ids_can_tell_apart_are_refused():
    with pytest.raises(InputError, match=r"slice 3 has 1,048,577 objects in one window; wanted at most 1,048,576"):
        objects_of_labels(np.array([[1, 2]]), z=3, tile=0, first_number=(1 << 20) - 1)
