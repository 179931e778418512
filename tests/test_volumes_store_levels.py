"""Resolutions: regions cover each level once, and slices are halved where voxels come nearer to cubes."""

from itertools import pairwise

import numpy as np
import pytest

from autosam.volumes.store_levels import plan_levels


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 50_000, 50_000), (20, 768, 1024), (33, 100, 5000), (5000, 300, 300)]
)
def test_regions_partition_each_level_and_are_whole_chunks(shape: tuple[int, int, int]) -> None:
    levels = plan_levels(shape, None)
    assert levels[0].shape == shape
    assert max(levels[-1].shape) <= 256
    for level in levels:
        assert all(region % chunk == 0 for region, chunk in zip(level.region, level.chunk, strict=True))
        assert np.prod(level.region) <= 1 << 24
        count = np.prod([-(-n // step) for n, step in zip(level.shape, level.region, strict=True)])
        regions = level.regions()
        assert len(regions) == count
        assert sum(int(np.prod([part.stop - part.start for part in region])) for region in regions) == np.prod(
            level.shape
        )
    for finer, coarser in pairwise(levels):
        steps = [b // a for a, b in zip(finer.factors, coarser.factors, strict=True)]
        assert coarser.shape == tuple(-(-n // step) for n, step in zip(finer.shape, steps, strict=True))


def test_slices_are_halved_once_voxels_come_nearer_to_a_cube() -> None:
    factors = [level.factors for level in plan_levels((400, 4000, 4000), (50.0, 5.0, 5.0))]
    assert factors == [(1, 1, 1), (1, 2, 2), (1, 4, 4), (1, 8, 8), (2, 16, 16)]
    # 40 nm between slices are nearer to a plane of 16 nm (a ratio of 2.5) than 80 nm would be to 32 nm.
    assert [level.factors[0] for level in plan_levels((400, 1000, 1000), (10.0, 8.0, 8.0))] == [1, 2, 4]
    assert [level.factors for level in plan_levels((1000, 100, 100), (90.0, 5.0, 5.0))][:2] == [
        (1, 1, 1),
        (1, 2, 2),
    ]
    assert plan_levels((1, 600, 600), None)[-1].factors == (1, 4, 4)
    assert len(plan_levels((400, 4000, 4000), None, pyramid=False)) == 1
