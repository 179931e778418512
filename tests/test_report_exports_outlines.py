"""Outlines hold exactly the pixels of the labels, and are valid polygons."""

import numpy as np
import pytest
from awkward_labels import AWKWARD, rasterized
from scipy import ndimage

from autosam.report.exports.outlines import Ring, trace_outlines


def area(ring: Ring) -> int:
    """Twice the signed area; positive where the ring is clockwise on the screen."""
    x, y = ring.T
    return int(x @ np.roll(y, -1) - y @ np.roll(x, -1))


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("labels", AWKWARD.values(), ids=AWKWARD)
def test_the_pixels_inside_are_the_labels(
    labels: np.ndarray, one_by_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not one_by_one:
        monkeypatch.setattr("autosam.report.exports.corners._FEW", 2)
        monkeypatch.setattr("autosam.report.exports.corners._ROWS", 7)
        monkeypatch.setattr("autosam.report.exports.corners._CORNERS", 50)
    outlines = list(trace_outlines(labels))
    assert [outline.id for outline in outlines] == np.unique(labels[labels > 0]).tolist()
    rings = {
        outline.id: [np.concatenate([ring, ring[:1]]) for p in outline.polygons for ring in (p.outer, *p.holes)]
        for outline in outlines
    }
    np.testing.assert_array_equal(rasterized(rings, labels.shape), labels)
    for outline in outlines:
        # A part for each set of pixels that are connected by their sides.
        assert len(outline.polygons) == ndimage.label(labels == outline.id)[1]
        for polygon in outline.polygons:
            holes = [area(hole) for hole in polygon.holes]
            assert area(polygon.outer) > -sum(holes) >= 0
            assert all(hole < 0 for hole in holes)
            for ring in (polygon.outer, *polygon.holes):
                # No corner twice, and a turn at each.
                assert len(np.unique(ring, axis=0)) == len(ring)
                steps = np.roll(ring, -1, axis=0) - ring
                assert ((steps == 0).sum(axis=1) == 1).all()
                assert ((steps == 0) != (np.roll(steps, -1, axis=0) == 0)).all()


def test_a_hole_belongs_to_the_part_around_it() -> None:
    labels = np.zeros((9, 24), int)
    labels[1:8, 1:8] = labels[1:8, 12:19] = 4
    labels[3:5, 14:16] = 0
    labels[4, 2] = 0
    (outline,) = trace_outlines(labels)
    holes = {tuple(p.outer.min(axis=0)): [tuple(h.min(axis=0)) for h in p.holes] for p in outline.polygons}
    assert holes == {(1, 1): [(2, 4)], (12, 1): [(14, 3)]}
