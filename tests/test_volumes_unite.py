"""Components of edges, numbered by the smallest object."""

import numpy as np
import pytest

from autosam.volumes.slice_objects import make_ids
from autosam.volumes.unite import unite


def ids(*numbers):
    return np.array(numbers, np.uint64)


def test_chains_and_branches_become_one_instance():
    objects = ids(1, 2, 3, 4, 5, 6)
    assert unite(objects, ids(1, 2, 5), ids(2, 4, 6)).tolist() == [1, 1, 2, 1, 3, 3]


def test_numbers_follow_the_smallest_object_whatever_the_order_of_edges():
    objects = make_ids([0, 0, 1, 1, 2], [0, 3, 0, 3, 0], [0, 0, 0, 0, 0])
    pairs = [(0, 4), (1, 3), (4, 2)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        a, b = objects[[pairs[i][0] for i in order]], objects[[pairs[i][1] for i in order]]
        assert unite(objects, a, b).tolist() == unite(objects, b, a).tolist() == [1, 2, 1, 2, 1]


def test_no_objects_and_no_edges():
    assert unite(ids(), ids(), ids()).shape == (0,)
    assert unite(ids(7, 9), ids(), ids()).tolist() == [1, 2]


def test_small_instances_are_background_and_the_rest_is_numbered_without_gaps():
    objects = ids(1, 2, 3, 4)
    sizes = np.array([5, 2, 4, 9])
    assert unite(objects, ids(2), ids(3), sizes=sizes, min_size=6).tolist() == [0, 1, 1, 2]
    assert unite(objects, ids(), ids(), sizes=sizes, min_size=10).tolist() == [0, 0, 0, 0]


def test_instances_of_one_slice_are_left_out_except_at_the_ends():
    # In slices 0; 1 and 3, across a gap; 2; 4, the last.
    objects = make_ids([0, 1, 2, 3, 4], 0, 0)
    a, b = objects[[1]], objects[[3]]
    assert unite(objects, a, b, slices=range(5), min_slices=2).tolist() == [1, 2, 0, 2, 3]
    assert unite(objects, a, b, slices=range(6), min_slices=2).tolist() == [1, 2, 0, 2, 0]
    assert unite(objects, a, b, slices=range(6), min_slices=3).tolist() == [1, 2, 0, 2, 0]
    assert unite(objects, a, b, slices=range(6), min_slices=4).tolist() == [1, 0, 0, 0, 0]
    assert unite(objects, a, b, slices=range(6)).tolist() == [1, 2, 3, 2, 4]


def test_edges_of_unknown_objects_are_refused():
    with pytest.raises(ValueError, match="not in the table"):
        unite(ids(1, 3), ids(1), ids(2))
    with pytest.raises(ValueError, match="not in the table"):
        unite(ids(1, 3), ids(1), ids(4))
    with pytest.raises(ValueError, match="rise"):
        unite(ids(3, 1), ids(), ids())


def test_random_graphs_as_by_union_find():
    generator = np.random.default_rng(0)
    for _ in range(20):
        n = int(generator.integers(1, 60))
        objects = np.sort(generator.choice(10_000, n, replace=False)).astype(np.uint64)
        pairs = generator.integers(0, n, (int(generator.integers(0, n)), 2))
        parent = list(range(n))

        def root(i, parent=parent):
            while parent[i] != i:
                i = parent[i]
            return i

        for i, j in pairs:
            one, other = sorted((root(i), root(j)))
            parent[other] = one
        roots = [root(i) for i in range(n)]
        expected = [1 + sorted(set(roots)).index(r) for r in roots]
        assert unite(objects, objects[pairs[:, 0]], objects[pairs[:, 1]]).tolist() == expected
