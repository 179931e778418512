"""Measuring a volume by parts."""

import numpy as np
import pytest

from autosam.volumes import measure_pass


@pytest.mark.parametrize("most", [1, 500, 5000, 10**9])
def test_parts_cover_a_region_once_in_whole_chunks(monkeypatch, most):
    monkeypatch.setattr(measure_pass, "_VOXELS", most)
    region, chunk = (slice(32, 60), slice(0, 40), slice(64, 100)), (8, 16, 16)
    covered = np.zeros((60, 40, 100), int)
    for part in measure_pass._parts(region, chunk):
        covered[part] += 1
        sizes = [side.stop - side.start for side in part]
        assert np.prod(sizes) <= max(most, 8 * 16 * 16)
        assert all((side.start - whole.start) % n == 0 for side, whole, n in zip(part, region, chunk, strict=True))
    assert (covered[region] == 1).all()
    assert covered.sum() == covered[region].size
