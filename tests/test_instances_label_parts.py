"""Instances of large labels by parts: the same boxes and measurements as of the whole."""

import numpy as np
import pytest

from autosam.instances import measure_instances
from autosam.instances.label_parts import (
    InstanceBoxes,
    find_boxes,
    group_instances,
    join_tables,
    measure_group,
    windows_of,
)


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    drawn = np.zeros((90, 130), np.uint32)
    rows, cols = np.indices(drawn.shape)
    for label in range(1, 25):
        row, col, high, wide = rng.uniform(0, 90), rng.uniform(0, 130), rng.uniform(3, 12), rng.uniform(3, 25)
        drawn[((rows - row) / high) ** 2 + ((cols - col) / wide) ** 2 < 1] = 3 * label
    return drawn


def found_in(labels, pixels):
    return InstanceBoxes.join(
        [find_boxes(labels.__getitem__, window) for window in windows_of(labels.shape, pixels=pixels)]
    )


def test_strips_cover_every_row_once():
    assert windows_of((5, 10), pixels=25) == [(slice(i, min(i + 2, 5)), slice(0, 10)) for i in (0, 2, 4)]
    assert windows_of((2, 10), pixels=1) == [(slice(0, 1), slice(0, 10)), (slice(1, 2), slice(0, 10))]


@pytest.mark.parametrize("pixels", [130, 1000, 10**6])
def test_boxes_of_strips_are_those_of_the_whole(labels, pixels):
    found, whole = found_in(labels, pixels), measure_instances(labels, None, None)
    assert np.array_equal(found.ids, whole["label"])
    assert np.array_equal(found.areas, whole["area"])
    assert np.array_equal(found.boxes, np.stack([whole[f"bbox-{side}"] for side in range(4)], axis=1))


@pytest.mark.parametrize("pixels", [1, 2000, 10**6])
def test_measurements_of_groups_are_those_of_the_whole(labels, pixels):
    image = np.random.default_rng(1).integers(0, 255, (*labels.shape, 3)).astype(np.uint8)
    whole = measure_instances(labels, image, None, pixel_size_nm=250.0)
    groups = list(group_instances(found_in(labels, 10**6), pixels=pixels))
    assert len(groups) == {1: len(whole), 10**6: 1}.get(pixels, len(groups))
    parts = [measure_group(group, labels.__getitem__, image.__getitem__, pixel_size_nm=250.0) for group in groups]
    table = join_tables(parts)
    assert list(table.columns) == list(whole.columns)
    for name in whole.columns:
        np.testing.assert_allclose(table[name], whole[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_labels_without_an_instance_have_no_group():
    found = found_in(np.zeros((8, 9), np.uint8), 20)
    assert len(found) == 0
    assert list(group_instances(found)) == []
