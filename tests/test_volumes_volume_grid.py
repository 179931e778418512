"""The grid of a volume: cores that partition it, and tasks that cover it once."""

import numpy as np
import pytest

from autosam.volumes.volume_grid import TaskPlan, VolumeGrid


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 64, 64), (2, 100, 333), (5, 333, 64), (1, 65, 129)])
@pytest.mark.parametrize(("window", "overlap"), [(64, 16), (64, 0), (128, 64)])
def test_cores_partition_a_slice_and_lie_in_their_windows(shape, window, overlap):
    grid = VolumeGrid(shape, window, overlap)
    owners = np.zeros(shape[1:], int)
    for number, tile in enumerate(grid.tiles):
        assert tile.index == number
        owners[tile.core] += 1
        for core, around in zip(tile.core, tile.window, strict=True):
            assert around.start <= core.start < core.stop <= around.stop
            assert around.stop - around.start <= window
    assert (owners == 1).all()


def test_a_small_slice_is_one_tile():
    grid = VolumeGrid((4, 50, 60), 64, 16)
    (tile,) = grid.tiles
    assert tile.core == tile.window == (slice(0, 50), slice(0, 60))
    assert grid.neighbors() == []


def test_cores_meet_in_the_middle_of_overlaps():
    grid = VolumeGrid((1, 10, 100), 60, 20)
    assert [tile.window[1] for tile in grid.tiles] == [slice(0, 60), slice(40, 100)]
    assert [tile.core[1] for tile in grid.tiles] == [slice(0, 50), slice(50, 100)]


def test_neighbors_share_pixels():
    grid = VolumeGrid((1, 150, 150), 64, 16)
    assert grid.counts == (3, 3)
    pairs = grid.neighbors()
    assert len(pairs) == len(set(pairs)) == 20
    for a, b in pairs:
        assert a < b
        for one, other in zip(grid.tiles[a].window, grid.tiles[b].window, strict=True):
            assert max(one.start, other.start) < min(one.stop, other.stop)


@pytest.mark.parametrize("slab", [1, 3, 100])
@pytest.mark.parametrize("side", [1, 64, 130, 10_000])
def test_tasks_cover_every_tile_of_every_slice_once(slab, side):
    grid = VolumeGrid((7, 150, 300), 64, 16)
    plan = TaskPlan(grid, slab, side)
    tasks = list(plan)
    covered = [(z, tile) for task in tasks for z in task.slab for tile in task.tiles]
    assert sorted(covered) == [(z, tile.index) for z in range(7) for tile in grid.tiles]
    assert len({task.name for task in tasks}) == len(tasks) == len(plan)
    assert all(plan.of(z, tile) == task for task in tasks for z in task.slab for tile in task.tiles)


def test_tasks_that_cover_slices_are_listed_once():
    plan = TaskPlan(VolumeGrid((10, 64, 150), 64, 16), 4, 64)
    found = plan.covering(range(-3, 5), (0, 1))
    assert [(task.slab, task.tiles) for task in found] == [
        (range(0, 4), (0,)),
        (range(0, 4), (1,)),
        (range(4, 8), (0,)),
        (range(4, 8), (1,)),
    ]
    assert [task.slab for task in plan.covering(range(9, 20), (2,))] == [range(8, 10)]


def test_a_volume_without_voxels_has_no_task():
    assert list(TaskPlan(VolumeGrid((0, 10, 10), 64, 16), 4, 64)) == []
    assert VolumeGrid((3, 0, 10), 64, 16).tiles == ()
