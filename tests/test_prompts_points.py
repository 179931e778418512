import numpy as np
import pytest
from with_defaults import place_points

from autosam.errors import ConfigError, InputError
from autosam.prompts.points import edge_distance

METHODS = ("centroid", "distance", "probability")


def c_shape():
    mask = np.zeros((21, 21), dtype=bool)
    mask[:5] = mask[-5:] = True
    mask[:, :5] = True
    return mask


@pytest.mark.parametrize("method", ["centroid", "distance"])
def test_rectangle_has_its_point_in_the_middle(method):
    np.testing.assert_array_equal(place_points(np.ones((5, 9), dtype=bool), method=method)[0, 0], 2)
    np.testing.assert_array_equal(place_points(np.ones((5, 5), dtype=bool), method=method), [[2, 2]])


def test_centroid_of_a_c_shape_is_snapped_onto_it():
    mask = c_shape()
    center = np.argwhere(mask).mean(axis=0)
    assert not mask[tuple(np.rint(center).astype(int))]
    (point,) = place_points(mask, method="centroid")
    assert mask[tuple(point.astype(int))]
    np.testing.assert_array_equal(point, [10, 4])  # straight across from the center of mass


def test_point_of_a_ring_lies_on_the_ring():
    rows, cols = np.ogrid[:41, :41]
    radius = np.hypot(rows - 20, cols - 20)
    mask = (radius <= 20) & (radius >= 10)
    for method in METHODS:
        (point,) = place_points(mask, np.full(mask.shape, 0.7), method=method)
        assert mask[tuple(point.astype(int))]
    (deep,) = place_points(mask, method="distance")
    assert abs(np.hypot(*(deep - 20)) - 15) < 1


def test_cut_object_has_its_point_inside_the_visible_part():
    rows, cols = np.ogrid[:30, :61]
    half = np.hypot(rows, cols - 30) <= 28  # its center lies on the image's first row
    (point,) = place_points(half, method="distance")
    assert point[0] > 8
    assert point[1] == 30


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 5, 10, 20])
def test_points_are_on_the_object_and_differ(method, count):
    mask = c_shape()
    probability = np.random.default_rng(0).random(mask.shape)
    points = place_points(mask, probability, method=method, count=count)
    assert points.shape == (count, 2)
    assert points.dtype == np.float64
    assert len(np.unique(points, axis=0)) == count
    assert mask[tuple(points.astype(int).T)].all()
    np.testing.assert_array_equal(points[:1], place_points(mask, probability, method=method))
    again = place_points(mask.copy(), probability.copy(), method=method, count=count)
    assert points.tobytes() == again.tobytes()


def test_further_points_reach_both_ends_and_stay_off_the_outline():
    mask = np.ones((9, 60), dtype=bool)
    points = place_points(mask, method="distance", count=3)
    assert points[:, 1].min() < 6
    assert points[:, 1].max() > 53
    assert edge_distance(mask)[tuple(points.astype(int).T)].min() > 2


def test_farthest_points_by_hand():
    mask = np.ones((1, 9), dtype=bool)
    points = place_points(mask, method="centroid", count=5)
    np.testing.assert_array_equal(points[:, 1], [4, 0, 8, 2, 6])


def test_probability_takes_the_top_pixels_in_raster_order():
    probability = np.array([[0.1, 0.9, 0.9], [0.95, 0.2, 0.9]])
    mask = np.array([[1, 1, 1], [0, 1, 1]], dtype=bool)
    points = place_points(mask, probability, method="probability", count=4)
    np.testing.assert_array_equal(points, [[0, 1], [0, 2], [1, 2], [1, 1]])


@pytest.mark.parametrize("method", METHODS)
def test_fewer_pixels_than_points(method):
    mask = np.zeros((4, 4), dtype=bool)
    assert place_points(mask, np.ones((4, 4)), method=method, count=5).shape == (0, 2)
    mask[2, 1] = True
    np.testing.assert_array_equal(place_points(mask, np.ones((4, 4)), method=method, count=5), [[2, 1]])
    mask[3, 2] = True
    points = place_points(mask, np.ones((4, 4)), method=method, count=20)
    np.testing.assert_array_equal(np.sort(points, axis=0), [[2, 1], [3, 2]])
    assert place_points(mask, np.ones((4, 4)), method=method, count=0).shape == (0, 2)


def test_edge_distance_counts_the_outside():
    np.testing.assert_array_equal(edge_distance(np.ones((3, 3), dtype=bool)), [[1, 1, 1], [1, 2, 1], [1, 1, 1]])


def test_bad_arguments():
    mask = np.ones((3, 3), dtype=bool)
    with pytest.raises(ConfigError, match=r"'middle'.*centroid, distance, probability"):
        place_points(mask, method="middle")
    with pytest.raises(ConfigError, match="-1"):
        place_points(mask, count=-1)
    with pytest.raises(InputError, match="foreground"):
        place_points(mask, method="probability")
    with pytest.raises(InputError, match=r"\(2, 3\).*\(3, 3\)"):
        place_points(mask, np.ones((2, 3)), method="probability")
