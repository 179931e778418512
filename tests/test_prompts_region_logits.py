"""Logits of mask prompts, made where they are read."""

from dataclasses import replace

import numpy as np

from autosam.prompts import MaskPrompt
from autosam.prompts.region_logits import ABSENT, RegionLogits


def test_by_hand() -> None:
    regions = np.array([[0, 1, 1, 2], [0, 1, 0, 0]], dtype=np.int32)
    foreground = np.array([[0.0, 0.5, 1.0, 0.9], [0.3, 0.75, 0.2, 0.1]], dtype=np.float32)
    rejected = np.array([[0, 0, 0, 0], [0, 0, 1, 0]], dtype=bool)
    logits = RegionLogits(regions, foreground, rejected, region=1, crop=(slice(0, 2), slice(1, 4)))
    assert logits.shape == (2, 3)
    made = np.asarray(logits)
    assert made.dtype == np.float32
    odds = np.log(3), np.log(1 / 9)
    np.testing.assert_allclose(made, [[0, -ABSENT, ABSENT], [odds[0], ABSENT, odds[1]]], rtol=1e-6, atol=1e-6)
    mask = MaskPrompt(0, 1, logits)
    assert mask.shape == (2, 3)
    np.testing.assert_array_equal(mask.logits, made)
    moved = replace(mask, row=-4)
    assert (moved.row, moved.col) == (-4, 1)
    np.testing.assert_array_equal(moved.logits, made)
    alone = RegionLogits(regions, foreground, None, region=1, crop=(slice(1, 2), slice(3, 4)))
    np.testing.assert_allclose(alone, [[odds[1]]], rtol=1e-6)
