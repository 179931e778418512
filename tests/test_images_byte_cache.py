from functools import partial

import numpy as np

from autosam.images.byte_cache import ByteCache


def load(loaded, name, count):
    loaded.append(name)
    return np.full(count, len(loaded), np.uint8)


def test_the_last_version_of_each_place_is_kept():
    cache, loaded = ByteCache(100), []
    for place, version in ((0, 1), (1, 1), (0, 1), (0, 2), (1, 1), (0, 1)):
        cache.get(place, version, partial(load, loaded, (place, version), 10))
    assert loaded == [(0, 1), (1, 1), (0, 2), (0, 1)]


def test_the_oldest_go_first_and_the_last_one_stays():
    cache, loaded = ByteCache(25), []
    for place in (0, 1, 0, 2, 0, 1):
        cache.get(place, None, partial(load, loaded, place, 10))
    assert loaded == [0, 1, 2, 1]
    for _ in range(2):
        assert cache.get(5, None, partial(load, loaded, 5, 1000)).size == 1000
    assert loaded == [0, 1, 2, 1, 5]
