"""Links between slices: tubes whose instances are known, and independence of slabs."""

import numpy as np
import pytest

from autosam.config.volume_section import VolumeConfig
from autosam.volumes.cut_merges import TRACK
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.link_slices import CONTEXT, link_slices
from autosam.volumes.slice_objects import SliceObjects, objects_of_labels
from autosam.volumes.unite import unite

DEFAULTS = VolumeConfig()


def objects_of(volume):
    return {z: objects_of_labels(labels, z=z, tile=0) for z, labels in enumerate(volume)}


def link(objects, slices, reach=3, *, cut_merges=True):
    return link_slices(
        objects,
        slices,
        reach=reach,
        iou=DEFAULTS.link_iou,
        containment=DEFAULTS.link_containment,
        taper=DEFAULTS.link_taper,
        cut_merges=cut_merges,
    )


def instances(volume, reach=3, *, cut_merges=True):
    """Instance of each object, by slice."""
    objects = objects_of(volume)
    edges = link(objects, range(len(volume)), reach, cut_merges=cut_merges)
    joined = SliceObjects.concatenate(list(objects.values()))
    numbers = unite(joined.ids, edges.a, edges.b)
    return [numbers[joined.z == z].tolist() for z in range(len(volume))], edges


def tube(depth, *, side=6, shape=(20, 20), corner=(4, 4)):
    volume = np.zeros((depth, *shape), int)
    volume[:, corner[0] : corner[0] + side, corner[1] : corner[1] + side] = 1
    return volume


def test_a_tube_is_one_instance_by_edges_of_step_one():
    numbers, edges = instances(tube(5))
    assert numbers == [[1]] * 5
    assert edges.step.tolist() == edges.iou.tolist() == edges.containment.tolist() == [1] * 4


@pytest.mark.parametrize("missing", [1, 2])
def test_a_tube_crosses_missing_slices(missing):
    volume = tube(8)
    volume[3 : 3 + missing] = 0
    numbers, edges = instances(volume)
    assert [n for n in numbers if n] == [[1]] * (8 - missing)
    gap = edges.gaps()
    assert gap.step.tolist() == [missing + 1]
    assert [(int(a) >> 40, int(b) >> 40) for a, b in zip(gap.a, gap.b, strict=True)] == [(2, 3 + missing)]


def test_three_missing_slices_are_too_many_and_reach_says_so():
    volume = tube(8)
    volume[3:6] = 0
    assert instances(volume)[0] == [[1], [1], [1], [], [], [], [2], [2]]
    volume = tube(8)
    volume[3:5] = 0
    assert instances(volume, reach=2)[0] == [[1], [1], [1], [], [], [2], [2], [2]]


def test_a_slice_that_is_not_there_is_bridged():
    objects = objects_of(tube(6))
    del objects[2]
    assert sorted(link(objects, range(6)).step.tolist()) == [1, 1, 1, 2]


def test_a_branch_belongs_to_its_trunk():
    volume = np.zeros((6, 30, 30), int)
    volume[:3, 5:11, 2:28] = 1
    volume[3:, 5:11, 2:6] = 1
    volume[3:, 5:11, 24:28] = 2
    assert instances(volume)[0] == [[1]] * 3 + [[1, 1]] * 3


def test_an_arm_that_was_missed_in_the_slice_after_the_branch():
    volume = np.zeros((6, 30, 30), int)
    volume[:3, 5:11, 2:28] = 1
    volume[3:, 5:11, 2:6] = 1
    volume[4:, 5:11, 24:28] = 2
    numbers, edges = instances(volume)
    assert numbers == [[1]] * 3 + [[1]] + [[1, 1]] * 2
    # The trunk has a partner, the arm had none.
    assert edges.gaps().step.tolist() == [2]


def test_tubes_that_touch_side_by_side_stay_two():
    volume = np.zeros((5, 20, 20), int)
    volume[:, 4:10, 4:10] = 1
    volume[:, 4:10, 10:16] = 2
    # One grows a little into the other's place.
    volume[2:, 4:10, 10:11] = 1
    assert instances(volume)[0] == [[1, 2]] * 5


def test_a_tube_that_ends_where_another_begins_beside_it():
    volume = np.zeros((6, 20, 20), int)
    volume[:3, 4:10, 4:10] = 1
    volume[3:, 4:10, 9:15] = 1
    assert instances(volume)[0] == [[1]] * 3 + [[2]] * 3


def test_two_balls_on_top_of_each_other_stay_two():
    sizes = [4, 8, 10, 8, 4, 0, 4, 8, 10, 8, 4]
    volume = np.zeros((len(sizes), 20, 20), int)
    for z, side in enumerate(sizes):
        volume[z, 10 - side // 2 : 10 + side // 2, 10 - side // 2 : 10 + side // 2] = side > 0
    assert instances(volume)[0] == [[1]] * 5 + [[]] + [[2]] * 5
    # A ball that was missed in its middle does not taper there.
    volume[2] = 0
    assert instances(volume)[0] == [[1], [1], [], [1], [1], []] + [[2]] * 5


def test_empty_slabs():
    empty = np.zeros((4, 8, 8), int)
    assert len(instances(empty)[1]) == 0
    assert len(link({}, range(4))) == 0
    volume = np.concatenate([tube(2, shape=(8, 8), corner=(1, 1)), empty, tube(2, shape=(8, 8), corner=(1, 1))])
    assert instances(volume)[0] == [[1], [1], [], [], [], [], [2], [2]]


def test_objects_keep_to_their_own_slices_when_ids_are_reused():
    volume = tube(4)
    volume[1], volume[2] = volume[1] * 9, volume[2] * 4
    assert instances(volume)[0] == [[1]] * 4


def two_tubes(depth, *, merged=()):
    """The first is the larger; `merged` are the slices in which they are one object."""
    volume = np.zeros((depth, 20, 20), int)
    volume[:, 4:12, 2:10] = 1
    volume[:, 4:12, 11:16] = 2
    for z in merged:
        volume[z, 4:12, 2:16] = 1
    return volume


DEPTH = 2 * TRACK + 1
"""Of the thinnest stack in which a merge can be cut."""


def all_instances(volume):
    return {number for row in instances(volume)[0] for number in row}


def test_a_merge_in_one_slice_is_cut_and_the_larger_tube_keeps_it():
    volume = two_tubes(DEPTH, merged=[TRACK])
    numbers, edges = instances(volume)
    assert numbers == [[1, 2]] * TRACK + [[1]] + [[1, 2]] * TRACK
    gap = edges.gaps()
    assert [(int(a) >> 40, int(b) >> 40) for a, b in zip(gap.a, gap.b, strict=True)] == [(TRACK - 1, TRACK + 1)]
    assert {n for row in instances(volume, cut_merges=False)[0] for n in row} == {1}


def test_merges_in_two_slices_or_near_the_end_are_not_cut():
    assert all_instances(two_tubes(DEPTH + 1, merged=[TRACK, TRACK + 1])) == {1}
    assert all_instances(two_tubes(DEPTH, merged=[TRACK - 1])) == {1}
    assert all_instances(two_tubes(DEPTH, merged=[TRACK + 1])) == {1}


def test_an_arm_that_ends_at_a_merge_is_a_branch():
    volume = two_tubes(DEPTH, merged=[TRACK])
    volume[TRACK + 1 :][volume[TRACK + 1 :] == 2] = 0
    assert all_instances(volume) == {1}


def test_a_branch_whose_arms_go_on_stays_one():
    volume = two_tubes(3 * TRACK, merged=range(TRACK + 1))
    assert all_instances(volume) == {1}
    assert all_instances(volume[::-1]) == {1}


def test_arms_that_meet_elsewhere_stay_one_though_a_bridge_is_cut():
    volume = two_tubes(DEPTH + 3, merged=[TRACK, DEPTH, DEPTH + 1, DEPTH + 2])
    numbers, edges = instances(volume)
    assert {n for row in numbers for n in row} == {1}
    assert edges.step.tolist().count(2) == 1


def test_three_tubes_in_one_bad_slice():
    volume = np.zeros((DEPTH, 10, 30), int)
    for number, cols in enumerate((slice(1, 8), slice(9, 14), slice(15, 24)), 1):
        volume[:, 2:8, cols] = number
    volume[TRACK, 2:8, 1:24] = 1
    assert instances(volume)[0] == [[1, 2, 3]] * TRACK + [[3]] + [[1, 2, 3]] * TRACK


@pytest.mark.parametrize("slab", [1, 2, 3, 7, 16])
def test_edges_do_not_depend_on_slabs(slab):
    generator = np.random.default_rng(4)
    depth = 2 * DEPTH
    volume = np.zeros((depth, 60, 60), int)
    for number in range(1, 30):
        row, col, radius = generator.uniform(0, 60, 2).tolist() + [generator.uniform(2, 9)]
        for z in range(int(generator.integers(0, 20)), depth):
            row, col, radius = (
                row + generator.normal(),
                col + generator.normal(),
                radius * generator.uniform(0.7, 1.3),
            )
            rows, cols = np.ogrid[:60, :60]
            # A tenth is missing.
            if generator.random() > 0.1:
                volume[z][(rows - row) ** 2 + (cols - col) ** 2 < radius**2] = number
    # Two tubes, merged twice.
    volume[:, 50:58, 2:9], volume[:, 50:58, 10:20] = 31, 32
    volume[[TRACK, DEPTH + TRACK - 3], 50:58, 2:20] = 31
    objects = objects_of(volume)
    whole = link(objects, range(depth))
    assert len(whole) != len(link(objects, range(depth), cut_merges=False))
    assert {1, 2, 3} <= set(whole.step.tolist())
    parts = []
    for first in range(0, depth, slab):
        slices = range(first, min(first + slab, depth))
        seen = range(slices.start - CONTEXT, slices.stop + CONTEXT)
        parts.append(link({z: objects[z] for z in seen if z in objects}, slices))
    joined = ObjectEdges.concatenate(parts)
    for name in ("a", "b", "step", "iou", "containment"):
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist()
