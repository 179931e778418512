import numpy as np
import pytest
from scipy import ndimage
from with_defaults import find_negatives, find_regions, make_prompts

from autosam.errors import ConfigError, InputError
from autosam.prompts import ABSENT, MaskPrompt


def two_regions():
    """A 10 × 20 object at the top left and a 20 × 10 object, 5 columns to its right, in a wide image."""
    regions = np.zeros((60, 100), dtype=np.int32)
    regions[5:15, 10:30] = 1
    regions[5:25, 35:45] = 2
    foreground = np.where(regions == 1, 0.9, np.where(regions == 2, 0.6, 0.1)).astype(np.float32)
    return regions, foreground


def test_one_prompt_per_region_in_order():
    regions, foreground = two_regions()
    first, second = make_prompts(regions, foreground, mask=False)
    assert (first.region, second.region) == (1, 2)
    assert first.foreground == pytest.approx(0.9)
    assert second.foreground == pytest.approx(0.6)
    assert first.points.shape == (1, 2)
    assert first.points.dtype == np.float64
    assert first.point_labels.dtype == np.int64
    np.testing.assert_array_equal(first.point_labels, [1])
    assert first.mask is None
    for prompt in (first, second):
        assert regions[tuple(prompt.points[0].astype(int))] == prompt.region


def test_some_regions_have_the_prompts_that_they_have_among_all():
    regions, foreground = two_regions()
    _, wanted = make_prompts(regions, foreground, negatives=2)
    (found,) = make_prompts(regions, foreground, negatives=2, only={2})
    assert found.region == 2
    np.testing.assert_array_equal(found.points, wanted.points)
    np.testing.assert_array_equal(found.box, wanted.box)
    np.testing.assert_array_equal(found.mask.logits, wanted.mask.logits)
    assert make_prompts(regions, foreground, only=set()) == []


def test_box_holds_its_last_row_and_column():
    regions, foreground = two_regions()
    first, second = make_prompts(regions, foreground, box_margin=0)
    np.testing.assert_array_equal(first.box, [5, 10, 14, 29])
    np.testing.assert_array_equal(second.box, [5, 35, 24, 44])


def test_margin_is_a_fraction_of_each_side():
    regions, foreground = two_regions()
    first, second = make_prompts(regions, foreground, box_margin=0.1)
    np.testing.assert_allclose(first.box, [4, 8, 15, 31])
    np.testing.assert_allclose(second.box, [3, 34, 26, 45])


@pytest.mark.parametrize("shape", [(30, 90), (90, 30)])
def test_box_is_clipped_to_the_image_and_sides_are_not_swapped(shape):
    regions = np.zeros(shape, dtype=np.int32)
    regions[-12:, -25:] = 1
    (prompt,) = make_prompts(regions, regions * 0.9, box_margin=0.5)
    height, width = shape
    np.testing.assert_allclose(prompt.box, [height - 18, max(width - 37.5, 0), height - 1, width - 1])
    rows, cols = prompt.mask.logits.shape
    assert prompt.mask.row + rows == height
    assert prompt.mask.col + cols == width


def test_mask_prompt_is_the_generators_own_logits():
    regions, foreground = two_regions()
    first, _ = make_prompts(regions, foreground, box_margin=0.5)
    np.testing.assert_array_equal(first.box, [0, 0, 19, 39])
    assert (first.mask.row, first.mask.col) == (0, 0)
    assert first.mask.logits.shape == (20, 40)
    assert first.mask.logits.dtype == np.float32
    window = np.s_[0:20, 0:40]
    expected = np.log(foreground[window] / (1 - foreground[window]))
    expected[regions[window] == 2] = ABSENT
    np.testing.assert_allclose(first.mask.logits, expected, rtol=1e-5)
    second = make_prompts(regions, foreground, box_margin=1)[1]
    assert (second.mask.row, second.mask.col) == (0, 25)
    np.testing.assert_array_equal(second.mask.logits[5:15, :5], ABSENT)
    assert np.all(second.mask.logits[5:15, 5:] > ABSENT)


def test_rejected_foreground_is_no_part_of_a_mask_prompt():
    regions, foreground = two_regions()
    plain, _ = make_prompts(regions, foreground, box_margin=0.5)
    rejected = np.zeros(regions.shape, dtype=bool)
    rejected[2:4, 3:9] = True
    rejected[:, 60:] = True
    first, _ = make_prompts(regions, foreground, box_margin=0.5, rejected=rejected)
    expected = plain.mask.logits.copy()
    expected[2:4, 3:9] = ABSENT
    np.testing.assert_array_equal(first.mask.logits, expected)
    np.testing.assert_array_equal(first.points, plain.points)
    np.testing.assert_array_equal(first.box, plain.box)


def test_logits_are_clipped():
    regions = np.ones((4, 6), dtype=np.int32)
    foreground = np.zeros((4, 6), dtype=np.float32)
    foreground[:2] = 1
    (prompt,) = make_prompts(regions, foreground)
    np.testing.assert_allclose(prompt.mask.logits[:2], -ABSENT, rtol=1e-6)
    np.testing.assert_allclose(prompt.mask.logits[2:], ABSENT, rtol=1e-6)
    assert prompt.mask.logits.min() >= ABSENT
    assert prompt.mask.logits.max() <= -ABSENT


def test_points_can_be_left_out():
    regions, foreground = two_regions()
    prompt = make_prompts(regions, foreground, points=0)[0]
    assert prompt.points.shape == (0, 2)
    assert prompt.point_labels.shape == (0,)
    assert make_prompts(regions, foreground, points=0, box=False)[0].box is None


def test_negatives_lie_in_the_neighbor():
    regions, foreground = two_regions()
    first, second = make_prompts(regions, foreground, points=5, negatives=2)
    np.testing.assert_array_equal(first.point_labels, [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(second.point_labels, [1, 1, 1, 1, 1, 0])
    assert regions[tuple(first.points[-1].astype(int))] == 2
    assert regions[tuple(second.points[-1].astype(int))] == 1
    assert np.all(regions[tuple(first.points[:5].astype(int).T)] == 1)


def test_neighbors_by_distance():
    regions = np.zeros((9, 60), dtype=np.int32)
    for region, col in enumerate((0, 10, 22, 50), start=1):
        regions[3:6, col : col + 3] = region
    found = find_negatives(regions, count=2, reach=15)
    np.testing.assert_array_equal(found[1], [[4, 11]])  # 8 columns away; the third is 20 away
    np.testing.assert_array_equal(found[2], [[4, 1], [4, 23]])  # 8 and 10 away
    np.testing.assert_array_equal(found[3], [[4, 11]])
    assert found[4].shape == (0, 2)
    np.testing.assert_array_equal(find_negatives(regions, count=1, reach=15)[2], [[4, 1]])
    assert find_negatives(regions, count=2, reach=7.9)[1].shape == (0, 2)
    assert len(find_negatives(regions, count=2, reach=8)[1]) == 1
    assert all(len(points) == 0 for points in find_negatives(regions, count=0).values())


def test_negatives_of_a_c_shape_do_not_lie_in_itself():
    regions = np.ones((31, 31), dtype=np.int32)
    regions[8:23, 8:] = 0
    regions[12:19, 15:25] = 2
    for region, points in find_negatives(regions, count=3).items():
        assert len(points) == 1
        assert regions[tuple(points[0].astype(int))] == 3 - region


def test_ids_with_gaps():
    regions = np.zeros((10, 10), dtype=np.int32)
    regions[1:4, 1:4] = 3
    regions[6:9, 6:9] = 7
    prompts = make_prompts(regions, np.ones((10, 10)), negatives=1)
    assert [prompt.region for prompt in prompts] == [3, 7]
    np.testing.assert_array_equal(prompts[0].points, [[2, 2], [7, 7]])


@pytest.mark.parametrize("shape", [(1, 1), (10, 3000), (7, 5)])
def test_no_region_no_prompt(shape):
    assert make_prompts(np.zeros(shape, dtype=np.int32), np.zeros(shape), negatives=2) == []
    assert find_negatives(np.zeros(shape, dtype=np.int32)) == {}


def test_one_pixel_image():
    (prompt,) = make_prompts(np.ones((1, 1), dtype=np.int32), np.full((1, 1), 0.8), points=5, negatives=3)
    np.testing.assert_array_equal(prompt.points, [[0, 0]])
    np.testing.assert_array_equal(prompt.box, [0, 0, 0, 0])
    np.testing.assert_allclose(prompt.mask.logits, [[np.log(4)]], rtol=1e-6)


def test_without_a_foreground_map():
    regions, _ = two_regions()
    prompts = make_prompts(regions, None, mask=False)
    assert [prompt.foreground for prompt in prompts] == [1, 1]
    with pytest.raises(InputError, match="foreground"):
        make_prompts(regions, None, mask=True)
    with pytest.raises(InputError, match="foreground"):
        make_prompts(regions, None, method="probability", mask=False)


def test_same_input_same_prompts():
    rng = np.random.default_rng(5)
    foreground = ndimage.gaussian_filter(rng.random((150, 220)), 4)
    regions = find_regions(foreground, threshold=0.5, min_size=1)
    first, second = (make_prompts(regions, foreground, points=10, negatives=2) for _ in "ab")
    assert len(first) > 5
    for a, b in zip(first, second, strict=True):
        assert a.points.tobytes() == b.points.tobytes()
        assert a.box.tobytes() == b.box.tobytes()
        assert a.mask.logits.tobytes() == b.mask.logits.tobytes()
        assert a.foreground == b.foreground


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points": 0, "box": False, "mask": False}, "at least one"),
        ({"method": "grid"}, "'grid'"),
        ({"points": -1}, "points is -1"),
        ({"negatives": -2}, "negatives is -2"),
        ({"box_margin": -0.1}, "box_margin"),
        ({"box_margin": float("nan")}, "box_margin"),
    ],
)
def test_bad_settings_are_refused_also_without_regions(settings, words):
    with pytest.raises(ConfigError, match=words):
        make_prompts(np.zeros((4, 4), dtype=np.int32), np.zeros((4, 4)), **settings)


def test_a_negative_reach_is_refused():
    with pytest.raises(ConfigError, match=r"their reach -1\.0"):
        find_negatives(np.zeros((4, 4), dtype=np.int32), count=1, reach=-1.0)


def test_bad_maps():
    with pytest.raises(InputError, match=r"\(4, 5\).*\(5, 4\)"):
        make_prompts(np.zeros((4, 5), dtype=np.int32), np.zeros((5, 4)))
    with pytest.raises(InputError, match=r"\(3,\)"):
        make_prompts(np.zeros(3, dtype=np.int32), np.zeros(3))


def test_a_mask_prompt_drawn_into_an_image() -> None:
    # One row above the image and one column right of it are cut off.
    mask = MaskPrompt(-1, 2, np.array([[9, 9], [1, 9], [2, 9]], dtype=np.float32))
    drawn = mask.drawn((3, 3))
    assert drawn.dtype == np.float32
    assert drawn.tolist() == [[-8, -8, 1], [-8, -8, 2], [-8, -8, -8]]
    for row, col in ((7, 0), (0, 9), (-5, 0), (0, -4)):
        assert (MaskPrompt(row, col, np.ones((2, 2), dtype=np.float32)).drawn((3, 3)) == -8).all()
    assert mask.drawn((0, 4)).shape == (0, 4)
