"""Surfaces from crossings: balls are right, whatever the spacing, and known shapes come out as documented."""

import numpy as np
import pytest

from autosam.volumes.surface import DIRECTIONS, area_weights

Spacing = tuple[float, float, float]


def surface(mask: np.ndarray, spacing: Spacing) -> float:
    padded = np.pad(mask, 1)
    counts = [
        sum(int((padded & ~np.roll(padded, sign * step, (0, 1, 2))).sum()) for sign in (1, -1))
        for step in DIRECTIONS
    ]
    return float(np.array(counts) @ area_weights(spacing))


def test_directions_are_half_of_the_neighbors() -> None:
    both = {tuple(step) for step in np.concatenate([DIRECTIONS, -DIRECTIONS]).tolist()}
    assert len(DIRECTIONS) == 13
    assert len(both) == 26
    assert (0, 0, 0) not in both


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (4.0, 1.0, 1.0), (30.0, 8.0, 6.0)])
def test_balls(spacing: Spacing) -> None:
    radius = 20 * spacing[1]
    grid = [np.arange(-int(radius / step) - 1, int(radius / step) + 2) * step for step in spacing]
    z, y, x = np.meshgrid(*grid, indexing="ij")
    ball = (z + 0.2) ** 2 + (y - 0.1) ** 2 + x**2 < radius**2
    assert surface(ball, spacing) == pytest.approx(4 * np.pi * radius**2, rel=0.015)


def test_flat_sides_along_the_axes_come_out_too_small() -> None:
    box = np.ones((60, 60, 60), bool)
    assert 0.9 < surface(box, (1.0, 1.0, 1.0)) / (6 * 60**2) < 0.95
    assert 0.8 < surface(box[:15], (4.0, 1.0, 1.0)) / (6 * 60**2) < 0.9


def test_the_unit_is_that_of_the_spacing() -> None:
    np.testing.assert_allclose(area_weights((3.0, 2.0, 1.0)), 4 * area_weights((1.5, 1.0, 0.5)))
    # A pixel of a large plane is crossed once along each direction that leads through it.
    through = DIRECTIONS[:, 0] != 0
    assert area_weights((1.0, 1.0, 1.0))[through].sum() == pytest.approx(0.9, abs=0.05)
