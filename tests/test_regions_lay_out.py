"""Crops in one image: apart from each other, and flooded there as each would be alone."""

import numpy as np
import pytest
from with_defaults import find_regions

from autosam.regions import find
from autosam.regions.lay_out import lay_out


@pytest.mark.parametrize("seed", range(3))
def test_crops_lie_apart_and_fill_most_of_the_image(seed: int) -> None:
    shapes = [tuple(shape) for shape in np.random.default_rng(seed).integers(1, 30, (60, 2)).tolist()]
    places, shape = lay_out(shapes)
    covered = np.zeros(shape, dtype=int)
    for place, wanted in zip(places, shapes, strict=True):
        assert covered[place].shape == wanted
        # With the pixel that keeps the next one away.
        covered[place[0].start : place[0].stop + 1, place[1].start : place[1].stop + 1] += 1
    assert covered.max() == 1
    assert covered.mean() > 0.6
    assert lay_out([]) == ([], (0, 0))


def test_components_are_flooded_together_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.random((3, 12, 14))
    foreground, boundary, center = (np.kron(values, np.ones((9, 9))) for values in coarse)
    boundary = (boundary + rng.integers(0, 4, boundary.shape)) / 4
    together = find_regions(foreground, boundary, center=center, min_size=3)

    def one_by_one(heights, seeds, masks):
        return [find._grow(*parts) for parts in zip(heights, seeds, masks, strict=True)]

    monkeypatch.setattr(find, "_grow_all", one_by_one)
    assert together.max() > 20
    np.testing.assert_array_equal(together, find_regions(foreground, boundary, center=center, min_size=3))
