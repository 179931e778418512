"""Targets, by hand."""

import numpy as np
import torch

from autosam.training.targets import generator_targets, mask_targets

BOTH = ("foreground", "boundary")


def test_the_boundary_is_two_pixels_on_each_side() -> None:
    labels = np.zeros((9, 12), dtype=np.int32)
    labels[:, 6:] = 1
    foreground, boundary = generator_targets(labels, BOTH)
    np.testing.assert_array_equal(foreground, labels)
    assert boundary.dtype == np.float32
    for row in boundary:
        assert row.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_touching_objects_have_a_boundary_between_them() -> None:
    labels = np.repeat([[1, 1, 1, 1, 1, 2, 2, 2, 2, 2]], 10, axis=0).astype(np.int32)
    foreground, boundary = generator_targets(labels, BOTH)
    assert foreground.all()
    assert boundary[5].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_channels_come_in_the_order_asked_for() -> None:
    labels = np.zeros((8, 8), dtype=np.int32)
    labels[2:6, 2:6] = 3
    both = generator_targets(labels, BOTH)
    np.testing.assert_array_equal(generator_targets(labels, ("boundary", "foreground")), both[::-1])
    np.testing.assert_array_equal(generator_targets(labels, ("boundary",)), both[1:])


def test_without_objects_all_is_zero() -> None:
    targets = generator_targets(np.zeros((5, 7), dtype=np.int32), BOTH)
    assert targets.shape == (2, 5, 7)
    assert not targets.any()


def test_masks_are_averaged_down() -> None:
    labels = torch.zeros(8, 8, dtype=torch.int32)
    labels[:4, :4] = 2
    labels[4, 4] = 7
    masks = mask_targets(labels, torch.tensor([7, 2, 0, 9]), 4)
    assert masks.shape == (4, 1, 2, 2)
    assert masks[:, 0].tolist() == [
        [[0, 0], [0, 1 / 16]],
        [[1, 0], [0, 0]],
        [[0, 0], [0, 0]],  # id 0: no object, not the background
        [[0, 0], [0, 0]],  # not in the tile
    ]


def test_no_ids_give_no_masks() -> None:
    assert mask_targets(torch.zeros(8, 8, dtype=torch.int32), torch.zeros(0, dtype=torch.int64), 4).shape == (
        0,
        1,
        2,
        2,
    )
