"""Labels of single slices become instances of a volume."""

import numpy as np
import pytest

from autosam.config.volume_section import VolumeConfig
from autosam.volumes.link_labels import link_labels

KEEP_ALL = VolumeConfig(min_slices=1)


def linked(volume, settings=KEEP_ALL, **options):
    """Instances as a volume."""
    found = link_labels(lambda z: volume[z], len(volume), settings=settings, **options)
    return np.stack([found.relabel(z, labels) for z, labels in enumerate(volume)]), found


def shuffled(volume, seed=0):
    """Give every slice ids of its own."""
    generator = np.random.default_rng(seed)
    out = np.zeros_like(volume)
    for z, labels in enumerate(volume):
        ids = np.unique(labels[labels > 0])
        for old, new in zip(ids, generator.permutation(1000)[: len(ids)] + 1, strict=True):
            out[z][labels == old] = new
    return out


def tubes(depth=30):
    volume = np.zeros((depth, 40, 40), np.int64)
    volume[:, 2:10, 3:9] = 1
    volume[:20, 20:30, 20:30] = 2
    volume[5:, 2:10, 20:30] = 3
    return volume


def test_tubes_get_their_ids_back_in_order_of_first_slice_and_id():
    truth = tubes()
    found, table = linked(shuffled(truth))
    assert table.count == 3
    pairs = {(int(a), int(b)) for a, b in zip(truth.ravel(), found.ravel(), strict=True)}
    assert len(pairs) == 4
    assert (0, 0) in pairs
    assert (3, 3) in pairs


def test_windows_of_slices_are_relabeled_alike():
    volume = shuffled(tubes())
    volume[12][volume[12] > 0] = 0
    whole, table = linked(volume, fill=True)
    for z in (0, 12, 29):
        assert (table.relabel(z, volume[z, 5:25, 15:35], corner=(5, 15)) == whole[z, 5:25, 15:35]).all()


def test_what_is_missing_is_interpolated():
    truth = tubes()
    volume = shuffled(truth)
    volume[[8, 14, 15]] = 0
    empty, _ = linked(volume)
    full, _ = linked(volume, fill=True)
    assert not empty[[8, 14, 15]].any()
    assert (full == linked(shuffled(truth))[0]).all()


def test_a_slice_that_is_missing_is_asked_for_once_and_bridged():
    volume, asked = shuffled(tubes()), []

    def read(z):
        asked.append(z)
        return None if z == 10 else volume[z]

    found = link_labels(read, len(volume), settings=KEEP_ALL, fill=True)
    assert asked == list(range(30))
    assert found.count == 3
    assert len(np.unique(found.relabel(10, np.zeros((40, 40), np.int64)))) == 4


def test_interpolation_never_takes_pixels_from_what_was_found():
    volume = np.zeros((5, 30, 30), np.int64)
    volume[:, 5:15, 5:15] = 1
    volume[2] = 0
    # A fifth of the place is another object's.
    volume[2, :25, :7] = 7
    found, table = linked(volume, fill=True)
    assert table.count == 2
    assert (found[2, :25, :7] == 2).all()
    assert (found[2, 5:15, 7:15] == 1).all()
    # Where it is mostly covered, nothing is missing.
    volume[2, :25, 13:20], volume[2, 13:25, 7:13] = 8, 9
    found, table = linked(volume, fill=True)
    assert table.count == 4
    assert not found[2, 5:13, 7:13].any()
    lenient = VolumeConfig(min_slices=1, fill_overlap=0.9)
    assert (linked(volume, lenient, fill=True)[0][2, 5:13, 7:13] == 1).all()


def test_lone_slices_are_left_out_on_request():
    volume = np.zeros((5, 10, 10), np.int64)
    volume[:, 1:4, 1:4] = 1
    volume[2, 6:9, 6:9] = 2
    assert linked(volume)[1].count == 2
    assert linked(volume, VolumeConfig(min_slices=2))[1].count == 1
    assert linked(volume, VolumeConfig(min_slices=1, min_size=10))[1].count == 1


def test_labels_of_every_type_and_nothing_at_all():
    for dtype in (np.uint8, np.uint16, np.uint64, np.int64):
        found, table = linked(tubes(3).astype(dtype))
        assert table.count == 2
        assert found.dtype == np.int64
    assert linked(np.full((3, 4, 4), 2**63 + 1, np.uint64))[1].values.tolist() == [2**63 + 1] * 3
    found, table = linked(np.zeros((3, 4, 4), np.uint8), fill=True)
    assert table.count == 0
    assert not found.any()


@pytest.mark.parametrize("depth", [1, 7, 8, 9, 17])
def test_any_depth(depth):
    found, table = linked(shuffled(tubes(30)[:depth]))
    assert table.count == (2 if depth <= 5 else 3)
    assert (found > 0).sum() == (tubes(30)[:depth] > 0).sum()
