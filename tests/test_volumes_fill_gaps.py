"""Gaps that are filled by SAM, by interpolation, or not: answers known by hand."""

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam

from autosam.config import VolumeConfig, make_config
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.volumes.fill_gaps import Filling, Gap, fill_gaps, objects_of_fillings
from autosam.volumes.interpolate import PlacedMask, interpolate_masks, placed_iou
from autosam.volumes.slice_objects import FILLED, INTERPOLATED

SHAPE = (64, 64)
NOTHING = np.zeros(SHAPE, np.int32)


def disk(row, col, radius):
    reach = int(np.ceil(radius))
    rows, cols = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return PlacedMask(row - reach, col - reach, rows**2 + cols**2 <= radius**2)


def square(row, col, side):
    return PlacedMask(row, col, np.ones((side, side), dtype=bool))


def show(*masks, shape=SHAPE):
    """Draw bright objects on dark; gives a picture."""
    bright = np.zeros(shape, dtype=bool)
    for mask in masks:
        bright |= mask.within(slice(0, shape[0]), slice(0, shape[1]))
    return np.repeat(np.where(bright, 220, 30).astype(np.uint8)[..., None], 3, axis=-1)


def segmenter_of(**decode):
    settings = make_config({"decode": {"precision": "float32", **decode}, "tiles": {"size": 64}})
    return Segmenter(Networks(build_small_sam(), BrightPixels()), settings)


def fill(segmenter, picture, gaps, others=NOTHING, *, settings=None, **more):
    return fill_gaps(segmenter, picture, gaps, others, settings=settings or VolumeConfig(fill="sam"), **more)


def same(one, other):
    return one[:2] == other[:2] and np.array_equal(one.mask, other.mask)


@pytest.fixture
def fake(monkeypatch):
    return use_component_sam(monkeypatch)


def test_the_answer_counts_where_the_neighbors_differ(fake):
    gap = Gap(disk(30, 30, 5), disk(30, 30, 13), 0.5)
    (filling,) = fill(segmenter_of(), show(disk(30, 31, 10)), [gap])
    assert filling.gap == 0
    assert same(filling.mask, disk(30, 31, 10))
    assert filling.score == pytest.approx(1.0)
    assert filling.origin == FILLED


def test_the_shape_counts_where_the_neighbors_are_the_same(fake):
    gap = Gap(disk(30, 30, 9), disk(30, 30, 9), 0.5)
    (filling,) = fill(segmenter_of(), show(disk(30, 30, 11)), [gap])
    assert same(filling.mask, disk(30, 30, 9))
    assert (filling.score, filling.origin) == (1.0, INTERPOLATED)


def test_an_uncertain_answer_counts_by_half(fake):
    fake.iou = 0.45
    # Squares of one center, of 5 and 17: the shape between has 11, the answer 15, their mean 13.
    gap = Gap(square(28, 28, 5), square(22, 22, 17), 0.5)
    (filling,) = fill(segmenter_of(), show(square(23, 23, 15)), [gap])
    assert same(filling.mask, square(24, 24, 13))
    alike = 25 / 289
    assert filling.score == pytest.approx(0.5 * 0.45 + 0.5 * alike)
    assert filling.origin == FILLED


def test_an_answer_elsewhere_is_not_accepted(fake):
    gap = Gap(square(10, 10, 8), square(10, 10, 12), 0.5)
    # One component, most of it outside of the box.
    (filling,) = fill(segmenter_of(), show(square(12, 12, 40)), [gap])
    assert same(filling.mask, interpolate_masks(gap.lower, gap.upper, 0.5))
    assert filling.origin == INTERPOLATED
    lenient = VolumeConfig(fill="sam", fill_agreement=0.01)
    (filling,) = fill(segmenter_of(), show(square(12, 12, 40)), [gap], settings=lenient)
    assert filling.origin == FILLED


def test_a_sphere_with_a_missing_slice(fake):
    radius, z = 24.0, 16
    lower, truth, upper = (disk(30, 30, np.sqrt(radius**2 - at**2)) for at in (z - 1, z, z + 1))
    (filling,) = fill(segmenter_of(), show(truth), [Gap(lower, upper, 0.5)])
    assert placed_iou(filling.mask, truth) > 0.95
    (without,) = fill(segmenter_of(), show(), [Gap(lower, upper, 0.5)])
    assert placed_iou(without.mask, truth) > 0.95
    assert without.origin == INTERPOLATED


def test_two_missing_slices_are_filled_from_their_shares(fake):
    lower, upper = square(10, 10, 6), square(10, 40, 6)
    segmenter = segmenter_of(sam=False)
    first, second = (fill(segmenter, show(), [Gap(lower, upper, share)])[0] for share in (1 / 3, 2 / 3))
    assert same(first.mask, square(10, 20, 6))
    assert same(second.mask, square(10, 30, 6))


def test_what_lies_on_others_fills_no_gap():
    gap = Gap(square(20, 20, 10), square(20, 20, 10), 0.5)
    others = NOTHING.copy()
    others[20:26, 20:30] = 7
    assert fill(None, None, [gap], others) == []
    (filling,) = fill(None, None, [gap], others, settings=VolumeConfig(fill="sam", fill_overlap=0.6))
    assert same(filling.mask, PlacedMask(26, 20, np.ones((4, 10), dtype=bool)))


def test_an_accepted_answer_that_lies_on_others_leaves_the_gap(fake):
    gap = Gap(square(20, 20, 6), square(20, 20, 14), 0.5)
    others = NOTHING.copy()
    others[18:26, 31:46] = 3
    picture = show(PlacedMask(20, 20, np.ones((6, 23), dtype=bool)))
    settings = VolumeConfig(fill="sam", fill_overlap=0.4)
    # The shape alone would lie beside them: SAM sees that the object is one that is there.
    assert len(fill(None, None, [gap], others, settings=settings)) == 1
    assert fill(segmenter_of(), picture, [gap], others, settings=settings) == []


def test_pixels_of_others_stay_theirs_and_one_component_is_left():
    gap = Gap(
        PlacedMask(30, 10, np.ones((4, 30), dtype=bool)), PlacedMask(30, 10, np.ones((4, 30), dtype=bool)), 0.5
    )
    others = NOTHING.copy()
    others[:, 20:24] = 1
    (filling,) = fill(None, None, [gap], others)
    assert same(filling.mask, PlacedMask(30, 24, np.ones((4, 16), dtype=bool)))


def test_of_two_gaps_in_one_place_the_better_one_is_filled():
    branches = Gap(square(20, 20, 10), square(20, 22, 12), 0.5), Gap(square(20, 20, 10), square(20, 20, 10), 0.5)
    (filling,) = fill(None, None, branches)
    assert filling.gap == 1
    assert same(filling.mask, square(20, 20, 10))


def test_all_gaps_of_a_window_are_encoded_once(fake):
    gaps = [Gap(square(at, at, 6), square(at, at, 10), 0.5) for at in (4, 24, 44)]
    picture = show(*(square(at, at, 9) for at in (4, 24, 44)))
    fillings = fill(segmenter_of(), picture, gaps)
    assert [filling.gap for filling in fillings] == [0, 1, 2]
    assert [filling.mask.area for filling in fillings] == [81, 81, 81]
    assert len(fake.windows) == 1


@pytest.mark.parametrize("settings", [VolumeConfig(fill="none"), VolumeConfig(fill="sam")])
def test_no_gaps_give_nothing_and_ask_nobody(fake, settings):
    assert fill(segmenter_of(), show(), [], settings=settings) == []
    assert fake.windows == []


def test_none_leaves_the_gap(fake):
    gap = Gap(square(20, 20, 6), square(20, 20, 10), 0.5)
    assert fill(segmenter_of(), show(square(20, 20, 8)), [gap], settings=VolumeConfig(fill="none")) == []
    assert fake.windows == []


@pytest.mark.parametrize("case", ["interpolate", "no segmenter", "no SAM", "unreadable", "blank"])
def test_where_nobody_is_asked_the_shape_fills_the_gap(fake, case):
    gap = Gap(square(20, 20, 6), square(18, 18, 10), 0.5)
    segmenter = None if case == "no segmenter" else segmenter_of(sam=case != "no SAM")
    picture = {"unreadable": None, "blank": np.zeros((*SHAPE, 3), np.uint8)}.get(case, show(square(18, 18, 10)))
    settings = VolumeConfig(fill="interpolate" if case == "interpolate" else "sam")
    (filling,) = fill(segmenter, picture, [gap], settings=settings)
    assert same(filling.mask, square(19, 19, 8))
    assert filling.origin == INTERPOLATED
    assert filling.score == pytest.approx(0.36)
    assert fake.windows == []


def test_a_window_inside_the_volume(fake):
    corner = (1000, 2000)
    inside = Gap(square(1020, 2020, 6), square(1020, 2020, 12), 0.5)
    cut = Gap(square(1000, 1990, 16), square(1000, 1990, 16), 0.5)
    outside = Gap(square(900, 2020, 6), square(900, 2020, 6), 0.5)
    picture = show(square(20, 20, 10))
    fillings = fill(segmenter_of(), picture, [outside, inside, cut], corner=corner)
    assert [filling.gap for filling in fillings] == [1, 2]
    assert same(fillings[0].mask, square(1020, 2020, 10))
    assert same(fillings[1].mask, PlacedMask(1000, 2000, np.ones((16, 6), dtype=bool)))


def test_the_networks_see_the_window_at_the_zoom(fake):
    gap = Gap(square(20, 20, 6), square(16, 16, 14), 0.5)
    (filling,) = fill(segmenter_of(), show(square(17, 17, 12)), [gap], zoom=2.0)
    assert same(filling.mask, square(17, 17, 12))
    assert filling.origin == FILLED


def test_real_networks_give_disjoint_fillings_within_the_window():
    gaps = [Gap(disk(at, at, 5), disk(at, at + 2, 9), 0.5) for at in (12, 30, 50)]
    picture = show(*(disk(at, at + 1, 7) for at in (12, 30, 50)))
    settings = VolumeConfig(fill="sam", fill_agreement=0.0)
    fillings = fill(segmenter_of(), picture, gaps, settings=settings)
    covered = np.zeros(SHAPE, int)
    for filling in fillings:
        covered += filling.mask.within(slice(0, 64), slice(0, 64))
        assert filling.mask.area == np.count_nonzero(filling.mask.within(slice(0, 64), slice(0, 64)))
        assert 0 <= filling.score <= 1
    assert fillings
    assert covered.max() == 1
    again = fill(segmenter_of(), picture, gaps, settings=settings)
    assert all(same(one.mask, other.mask) for one, other in zip(fillings, again, strict=True))


def test_objects_of_fillings():
    fillings = [
        Filling(0, square(110, 210, 5), 0.5, FILLED),
        Filling(3, square(100, 200, 4), 0.25, INTERPOLATED),
    ]
    window = slice(100, 164), slice(200, 264)
    core = slice(100, 112), slice(200, 264)
    objects = objects_of_fillings(fillings, window, z=4, tile=2, core=core, first_number=9)
    assert objects.z.tolist() == [4, 4]
    assert objects.tiles.tolist() == [2, 2]
    assert objects.numbers.tolist() == [9, 10]
    assert objects.boxes.tolist() == [[110, 210, 115, 215], [100, 200, 104, 204]]
    assert objects.areas.tolist() == [25, 16]
    assert objects.owned.tolist() == [10, 16]
    assert objects.scores.tolist() == [0.5, 0.25]
    assert objects.origins.tolist() == [FILLED, INTERPOLATED]
    assert len(objects_of_fillings([], window, z=4, tile=2, core=core, first_number=0)) == 0
