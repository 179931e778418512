import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.special import expit, logit
from skimage.segmentation import find_boundaries
from with_defaults import find_regions

from autosam.errors import ConfigError, InputError
from autosam.metrics import adapted_rand, average_precision
from autosam.training.samples.targets import generator_targets


def disc(shape, row, col, radius):
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - row, cols - col) <= radius


def touching_discs():
    """Two discs whose foreground is one component, with a boundary channel between them."""
    left, right = disc((40, 70), 20, 20, 14), disc((40, 70), 20, 47, 14)
    foreground = np.where(left | right, 0.9, 0.05).astype(np.float32)
    boundary = np.where(disc((40, 70), 20, 20, 11) | disc((40, 70), 20, 47, 11), 0.1, 0.8).astype(np.float32)
    return foreground, boundary, left, right


def test_one_rectangle():
    foreground = np.zeros((20, 30))
    foreground[3:10, 5:25] = 0.8
    regions = find_regions(foreground)
    assert regions.dtype == np.int32
    np.testing.assert_array_equal(regions, (foreground > 0.5).astype(int))


def test_boundary_parts_touching_discs():
    foreground, boundary, left, right = touching_discs()
    assert find_regions(foreground).max() == 1
    regions = find_regions(foreground, boundary)
    assert regions.max() == 2
    np.testing.assert_array_equal(regions > 0, left | right)  # the boundary pixels come back
    only_left, only_right = left & ~right, right & ~left
    assert np.all(regions[only_left & disc((40, 70), 20, 20, 13)] == 1)
    assert np.all(regions[only_right & disc((40, 70), 20, 47, 13)] == 2)


def test_centers_part_objects_whose_boundary_has_a_gap():
    foreground, boundary, left, right = touching_discs()
    boundary[16:25] = 0.1
    assert find_regions(foreground, boundary).max() == 1
    center = np.where(disc((40, 70), 20, 20, 7) | disc((40, 70), 20, 47, 7), 0.8, 0.1)
    for regions in (find_regions(foreground, boundary, center=center), find_regions(foreground, center=center)):
        assert regions.max() == 2
        np.testing.assert_array_equal(regions > 0, left | right)
        assert regions[20, 20] == 1
        assert regions[20, 47] == 2
    # An object without a center of its own is kept; so is what the boundary alone has parted.
    assert find_regions(foreground, boundary, center=np.zeros_like(foreground)).max() == 1
    assert find_regions(foreground, boundary, center=center, center_threshold=0.05).max() == 1


def test_a_center_map_needs_a_foreground_of_its_shape():
    maps = np.full((10, 10), 0.5)
    with pytest.raises(InputError, match="without a foreground map"):
        find_regions(None, maps, center=maps)
    with pytest.raises(InputError, match="differ in shape"):
        find_regions(maps, center=maps[:5])
    with pytest.raises(ConfigError, match="center_threshold is 2"):
        find_regions(maps, center=maps, center_threshold=2)


def test_diagonal_boundary_of_one_pixel_parts():
    foreground = np.ones((12, 12))
    regions = find_regions(foreground, np.eye(12), min_size=1, min_seed_size=1)
    assert regions.max() == 2
    assert regions[0, 11] != regions[11, 0]
    assert np.all(regions > 0)


def test_component_without_seed_is_one_region():
    foreground = np.zeros((10, 20))
    foreground[2:6, 2:18] = 0.9
    regions = find_regions(foreground, np.ones((10, 20)), min_size=5)
    np.testing.assert_array_equal(regions, foreground > 0.5)


def test_tiny_seed_beside_a_large_one_is_dropped():
    foreground = np.ones((10, 30))
    boundary = np.full((10, 30), 0.9)
    boundary[2:8, 2:15] = 0.1
    boundary[4:6, 20:22] = 0.1
    assert find_regions(foreground, boundary, min_seed_size=5).max() == 1
    assert find_regions(foreground, boundary, min_seed_size=4).max() == 2


def test_only_the_largest_of_tiny_seeds_stays():
    boundary = np.ones((6, 30))
    boundary[2, 2:4] = boundary[2, 10:13] = boundary[2, 20:22] = 0
    regions = find_regions(np.ones((6, 30)), boundary, min_seed_size=8)
    assert regions.min() == regions.max() == 1


def test_small_regions_are_dropped_and_ids_have_no_gap():
    foreground = np.zeros((20, 40))
    foreground[1:3, 30:33] = 1  # 6 pixels, first in raster order
    foreground[5:10, 20:30] = 1
    foreground[6:12, 2:10] = 1
    regions = find_regions(foreground, min_size=7)
    assert regions.max() == 2
    assert regions[5, 20] == 1
    assert regions[6, 2] == 2
    assert find_regions(foreground, min_size=6)[1, 30] == 1


def test_ids_follow_the_first_pixel():
    rng = np.random.default_rng(3)
    foreground = ndimage.gaussian_filter(rng.random((120, 90)), 3)
    boundary = ndimage.gaussian_filter(rng.random((120, 90)), 2)
    regions = find_regions(foreground, boundary, threshold=0.49, boundary_threshold=0.51, min_size=10)
    ids, first = np.unique(regions, return_index=True)
    np.testing.assert_array_equal(ids, np.arange(regions.max() + 1))
    assert regions.max() > 5
    assert np.all(np.diff(first[1:]) > 0)
    assert np.bincount(regions.ravel())[1:].min() >= 10


def test_components_match_a_watershed_on_the_whole_map():
    from skimage.segmentation import watershed

    foreground, boundary, _, _ = touching_discs()
    noise = np.random.default_rng(0).random(foreground.shape).astype(np.float32) * 0.1
    seeds, _ = ndimage.label((foreground > 0.5) & (boundary + noise < 0.5))
    expected = watershed(boundary + noise, seeds, connectivity=2, mask=foreground > 0.5)
    np.testing.assert_array_equal(find_regions(foreground, boundary + noise, min_seed_size=1), expected)


def test_boundary_alone():
    boundary = np.zeros((60, 90))
    ring = disc((60, 90), 30, 30, 15) & ~disc((60, 90), 30, 30, 12)
    cut = disc((60, 90), 30, 89, 15) & ~disc((60, 90), 30, 89, 12)
    boundary[ring | cut] = 0.9
    regions = find_regions(None, boundary)
    assert regions.max() == 2
    assert regions[0, 0] == regions[59, 89] == 0
    assert regions[30, 89] != regions[30, 30]
    assert regions[30, 30] > 0
    assert np.all(regions[disc((60, 90), 30, 30, 12)] == regions[30, 30])


def test_boundary_alone_drops_a_background_in_two_parts():
    boundary = np.zeros((50, 50))
    boundary[18:20] = boundary[30:32] = 1
    regions = find_regions(None, boundary)
    assert regions.max() == 1
    assert np.all(regions[20:30] == 1)
    assert np.all(regions[:18] == 0)
    assert np.all(regions[32:] == 0)


@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (1, 40), (40, 1), (0, 0), (0, 4), (10, 3000)])
def test_blank_maps(shape):
    zeros, ones = np.zeros(shape), np.ones(shape)
    for maps in [(zeros, None), (zeros, zeros), (zeros, ones), (None, zeros), (None, ones)]:
        regions = find_regions(*maps)
        assert regions.shape == shape
        assert regions.dtype == np.int32
        assert not regions.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (10, 3000)])
def test_full_maps(shape):
    for boundary in (None, np.zeros(shape), np.ones(shape)):
        assert np.all(find_regions(np.ones(shape), boundary, min_size=1) == 1)


def test_same_input_same_bytes():
    rng = np.random.default_rng(1)
    maps = [ndimage.gaussian_filter(rng.random((200, 300)).astype(np.float32), 2) for _ in range(2)]
    first, second = (find_regions(*(m.copy() for m in maps), threshold=0.48, boundary_threshold=0.5) for _ in "ab")
    assert first.max() > 3
    assert first.tobytes() == second.tobytes()


def test_bool_and_half_precision_maps():
    foreground, boundary, _, _ = touching_discs()
    expected = find_regions(foreground, boundary)
    np.testing.assert_array_equal(find_regions(foreground > 0.5, boundary > 0.5) > 0, expected > 0)
    np.testing.assert_array_equal(
        find_regions(foreground.astype(np.float16), boundary.astype(np.float16)), expected
    )


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ((None, None), "neither"),
        ((np.zeros((4, 5)), np.zeros((5, 4))), r"\(4, 5\).*\(5, 4\)"),
        ((np.zeros((4, 5, 1)), None), r"\(4, 5, 1\)"),
        ((np.full((4, 5), 3.0), None), "sigmoid"),
        ((np.zeros((4, 5)), np.full((4, 5), -2.0)), "boundary"),
        ((np.full((4, 5), np.nan), None), "nan"),
    ],
)
def test_bad_maps(maps, words):
    with pytest.raises(InputError, match=words) as caught:
        find_regions(*maps)
    assert "\n" not in str(caught.value)


def test_bad_threshold():
    with pytest.raises(ConfigError, match=r"boundary_threshold is 1\.5"):
        find_regions(np.zeros((2, 2)), boundary_threshold=1.5)


# Affinities


def perfect_maps(labels):
    """Foreground, boundary and affinities as the generator is taught them."""
    channels = ("foreground", "boundary", "affinity_row", "affinity_col")
    foreground, boundary, *affinities = generator_targets(labels, channels)
    return foreground, boundary, tuple(affinities)


def neurites(wall, *, count=40, side=256, seed=0):
    """A Voronoi tessellation with walls of 0, 1 or 2 pixels."""
    rng = np.random.default_rng(seed)
    places = np.indices((side, side)).reshape(2, -1).T
    nearest = KDTree(rng.uniform(0, side, (count, 2))).query(places)[1].reshape(side, side)
    labels = nearest.astype(np.int32) + 1
    if wall == 1:
        thin = np.zeros(labels.shape, bool)
        thin[:-1] |= nearest[:-1] != nearest[1:]
        thin[:, :-1] |= nearest[:, :-1] != nearest[:, 1:]
        labels[thin] = 0
    elif wall == 2:
        labels[find_boundaries(nearest, mode="thick")] = 0
    return labels


def noisy(maps, *, sigma, seed):
    """Add smooth Gaussian noise to the logits."""
    rng = np.random.default_rng(seed)
    spoilt = []
    for values in maps:
        noise = ndimage.gaussian_filter(rng.normal(size=values.shape), 2)
        spoilt.append(expit(logit(np.clip(values, 0.02, 0.98)) + sigma * noise / noise.std()).astype(np.float32))
    return spoilt


def given(foreground, boundary, affinities):
    """Every choice of maps that affinities can come with."""
    return {
        "both": (foreground, boundary, affinities),
        "foreground": (foreground, None, affinities),
        "boundary": (None, boundary, affinities),
        "alone": (None, None, affinities),
    }


CHOICES = ("both", "foreground", "boundary", "alone")


def threshold_regions(maps, **settings):
    return find_regions(*maps[:2], affinities=maps[2], **settings)


def test_touching_blobs_that_only_the_affinities_separate():
    labels = np.zeros((30, 50), np.int32)
    labels[5:25, 5:25], labels[5:25, 25:45] = 1, 2
    _, _, affinities = perfect_maps(labels)
    foreground = np.where(labels > 0, 0.9, 0.1)
    silent = np.full(labels.shape, 0.05)
    soft = tuple(0.1 + 0.8 * tie for tie in affinities)
    assert find_regions(foreground, silent).max() == 1
    for maps in ((foreground, silent, soft), (foreground, None, soft), (None, silent, soft), (None, None, soft)):
        np.testing.assert_array_equal(threshold_regions(maps), labels)


def test_affinities_hold_an_object_together_at_a_narrow_neck():
    labels = np.zeros((30, 70), np.int32)
    labels[5:25, 5:30] = labels[5:25, 40:65] = labels[13:16, 30:40] = 1
    foreground, boundary, affinities = perfect_maps(labels)
    assert find_regions(foreground, boundary).max() == 2
    np.testing.assert_array_equal(find_regions(foreground, boundary, affinities=affinities), labels)
    # They part it where they say so.
    affinities[1][:, 35] = 0
    regions = find_regions(foreground, boundary, affinities=affinities)
    np.testing.assert_array_equal(regions, np.where(labels > 0, 1 + (np.arange(70) >= 35), 0))


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("wall", [0, 1, 2])
def test_perfect_maps_give_neurites_back(wall, choice):
    labels = neurites(wall)
    regions = threshold_regions(given(*perfect_maps(labels))[choice])
    assert adapted_rand(regions, labels).error < 1e-4
    assert average_precision(regions, labels).at(0.95) == 1
    assert np.count_nonzero((regions > 0) != (labels > 0)) < 30  # a speck cut off by the walls


@pytest.mark.parametrize("wall", [0, 1, 2])
def test_noisy_maps_of_neurites(wall):
    """Noise of 1.5 in the logits turns 1 pixel in 200 of every map.

    Adapted Rand error over ten tessellations: .0032 to .0064 for every width of the walls; without affinities .036
    to .121 for 0, .012 to .017 for 1 and .004 to .007 for 2 pixels.
    """
    for seed in range(2):
        labels = neurites(wall, seed=seed)
        foreground, boundary, ties = perfect_maps(labels)
        foreground, boundary, *ties = noisy((foreground, boundary, *ties), sigma=1.5, seed=seed)
        error = adapted_rand(find_regions(foreground, boundary, affinities=tuple(ties)), labels).error
        assert error < 0.01
        if wall < 2:
            assert adapted_rand(find_regions(foreground, boundary), labels).error > 2 * error


def test_touching_neurites_need_affinities_to_come_back_exactly():
    labels = neurites(0)
    foreground, boundary, affinities = perfect_maps(labels)
    assert np.mean(find_regions(foreground, boundary) != 0) == 1
    assert adapted_rand(find_regions(foreground, boundary), labels).error > 0.01
    assert adapted_rand(find_regions(foreground, boundary, affinities=affinities), labels).error == 0


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (1, 40), (40, 1), (0, 0), (0, 4)])
def test_blank_maps_with_affinities(shape, choice):
    zeros = np.zeros(shape)
    regions = threshold_regions(given(zeros, zeros, (zeros, zeros))[choice], min_size=1)
    assert regions.shape == shape
    assert regions.dtype == np.int32
    assert not regions.any()


def test_one_object_fills_the_image():
    ones = np.ones((6, 8))
    assert np.all(find_regions(None, np.zeros((6, 8)), affinities=(ones, ones)) == 1)
    assert np.all(find_regions(ones, affinities=(ones, ones)) == 1)
    # The border of the image is no cut, whatever the maps hold there.
    first_row, first_col = ones.copy(), ones.copy()
    first_row[0], first_col[:, 0] = 0, 0
    assert np.all(find_regions(ones, affinities=(first_row, first_col), min_seed_size=48) == 1)


def test_affinities_of_half_precision():
    labels = neurites(1, side=96, count=8)
    maps = given(*perfect_maps(labels))["both"]
    halves = maps[0].astype(np.float16), maps[1].astype(np.float16), tuple(t.astype(np.float16) for t in maps[2])
    np.testing.assert_array_equal(threshold_regions(halves), threshold_regions(maps))


def test_same_affinities_same_bytes():
    maps = noisy(np.random.default_rng(2).random((4, 90, 120)).astype(np.float32), sigma=2, seed=1)
    first, second = (find_regions(maps[0], maps[1], affinities=(maps[2], maps[3]), min_size=5) for _ in "ab")
    assert first.max() > 1
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("affinities", "words"),
    [
        ((np.zeros((4, 5)), np.zeros((5, 4))), r"affinity_col is \(5, 4\)"),
        ((np.zeros((4, 6)), np.zeros((4, 6))), r"foreground is \(4, 5\), affinity_row is \(4, 6\)"),
        ((np.zeros((4, 5)), np.full((4, 5), 7.0)), "affinity_col map runs"),
        ((np.full((4, 5), np.nan), np.zeros((4, 5))), "affinity_row map runs from nan"),
    ],
)
def test_bad_affinities(affinities, words):
    with pytest.raises(InputError, match=words) as caught:
        find_regions(np.zeros((4, 5)), affinities=affinities)
    assert "\n" not in str(caught.value)
