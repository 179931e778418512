"""Masks of one stretch in each row need no search: the answers are those of the search."""

import numpy as np
import pytest
from scipy import ndimage

from autosam.instances.clean import main_component
from autosam.instances.holes import find_holes
from autosam.instances.row_runs import single_runs


def test_by_hand() -> None:
    rows, first, stop = single_runs(np.array([[0, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=bool)) or (None,) * 3
    assert (list(rows), list(first), list(stop)) == ([1, 2], [1, 0], [3, 1])
    assert single_runs(np.array([[1, 0, 1]], dtype=bool)) is None
    assert single_runs(np.zeros((0, 3), dtype=bool)) is None


@pytest.mark.parametrize("density", [0.15, 0.5, 0.85])
def test_small_random_masks_as_by_search(density: float) -> None:
    rng = np.random.default_rng(0)
    simple = 0
    for _ in range(400):
        mask = rng.random(tuple(rng.integers(1, 5, 2))) < density
        simple += single_runs(mask) is not None and mask.any()
        components, n = ndimage.label(mask, structure=np.ones((3, 3)))
        found = main_component(mask)
        if n == 0:
            assert found is None
        else:
            assert found is not None
            sizes = np.bincount(components.ravel())[1:]
            main = components == np.argmax(sizes) + 1
            rows, cols = np.flatnonzero(main.any(axis=1)), np.flatnonzero(main.any(axis=0))
            assert found[:2] == (rows[0], cols[0])
            np.testing.assert_array_equal(found[2], main[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1])
        np.testing.assert_array_equal(find_holes(mask) > 0, ndimage.binary_fill_holes(mask) & ~mask)
    assert simple > 50
