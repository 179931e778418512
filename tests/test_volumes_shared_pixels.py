"""Pixels that objects share, against a count in images."""

from dataclasses import replace

import numpy as np
import pytest

from autosam.volumes.shared_pixels import count_shared, row_stretches
from autosam.volumes.slice_objects import SliceObjects, objects_of_labels


def in_images(one, other):
    pairs = {}
    for i, a in enumerate(np.unique(one[one > 0])):
        for j, b in enumerate(np.unique(other[other > 0])):
            if shared := int(((one == a) & (other == b)).sum()):
                pairs[i, j] = shared
    return pairs


def counted(one, other):
    shared = count_shared(row_stretches(one), row_stretches(other))
    return {(i, j): n for i, j, n in zip(shared.first, shared.second, shared.pixels, strict=True)}


@pytest.mark.parametrize("seed", range(10))
def test_as_in_images(seed):
    generator = np.random.default_rng(seed)
    one, other = (generator.integers(0, 5, (9, 11)) * (generator.random((9, 11)) > 0.4) for _ in range(2))
    corner = (int(generator.integers(0, 5)), 1000)
    first, second = (
        objects_of_labels(labels, z=z, tile=0, corner=corner) for z, labels in enumerate((one, other))
    )
    assert counted(first, second) == in_images(one, other)


def test_a_full_box_whose_only_run_spans_several_rows():
    box = replace(
        objects_of_labels(np.ones((3, 4), int), z=0, tile=0, corner=(2, 3)),
        starts=np.array([0, 2]),
        runs=np.array([0, 12], np.uint32),
    )
    drawn = np.zeros((8, 8), int)
    drawn[2:5, 3:7] = 1
    labels = np.zeros((8, 8), int)
    labels[3:, :5], labels[:3, 6:] = 1, 2
    other = objects_of_labels(labels, z=1, tile=0)
    assert counted(box, other) == in_images(drawn, labels) == {(0, 0): 4, (0, 1): 1}


def test_objects_that_overlap_in_their_own_slice():
    long = objects_of_labels(np.ones((1, 10), int), z=0, tile=0)
    short = objects_of_labels(np.ones((1, 2), int), z=0, tile=0, corner=(0, 1), first_number=1)
    both = SliceObjects.concatenate([long, short])
    other = objects_of_labels(np.array([[0, 0, 1, 0, 0, 0, 0, 2, 2, 0]]), z=1, tile=0)
    assert counted(both, other) == {(0, 0): 1, (1, 0): 1, (0, 1): 2}
    assert counted(other, both) == {(0, 0): 1, (0, 1): 1, (1, 0): 2}


def test_nothing_shares_nothing():
    empty, one = SliceObjects.empty(), objects_of_labels(np.ones((2, 2), int), z=0, tile=0)
    assert counted(empty, one) == counted(one, empty) == counted(empty, empty) == {}
