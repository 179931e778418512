"""Regions that may become instances, in windows."""

import numpy as np

from autosam.instances import open_regions


def test_those_that_are_sure_and_not_answered_are_open() -> None:
    regions = np.array([[1, 1, 0, 2], [3, 3, 0, 2]], dtype=np.int32)
    foreground = np.array([[0.9, 0.7, 0, 0.9], [0.4, 0.5, 0, 0.9]])
    found = open_regions(regions, foreground, threshold=0.6, answered={2})
    assert found[0:2, 0:4].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert found[1:2, 2:4].tolist() == [[0, 0]]
    assert found.sizes.tolist() == [0, 2, 2, 2]
    scored = open_regions(regions, foreground, region_score=np.array([0.1, 0.9, 0.7]), threshold=0.6, answered={2})
    assert scored[0:2, 0:4].tolist() == [[0, 0, 0, 0], [3, 3, 0, 0]]


def test_no_regions() -> None:
    nothing = np.zeros((3, 4), dtype=np.int32)
    found = open_regions(nothing, nothing.astype(float), threshold=0.5, answered=set())
    assert not found[0:3, 0:4].any()
    assert found.sizes.tolist() == [0]
