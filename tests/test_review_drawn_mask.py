"""Masks as text."""

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.review.drawn_mask import mask_text, read_mask_text


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        ([[1]], "3 4 1 1: 0 1"),
        ([[0, 0], [0, 1]], "4 5 1 1: 0 1"),
        ([[1, 0, 1], [0, 1, 0]], "3 4 2 3: 0 1 1 1 1 1 1"),
    ],
)
def test_runs_begin_with_background(mask, text):
    assert mask_text(np.array(mask, bool), row=3, col=4) == text


def test_any_mask_comes_back():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (7, 1), (13, 17)):
        mask = rng.random(shape) < 0.5
        mask[-1, -1] = mask[0, 0] = True
        crop = read_mask_text(mask_text(mask, row=2, col=5))
        assert (crop.row, crop.col, crop.score) == (2, 5, 1.0)
        assert np.array_equal(crop.mask, mask)


def test_an_empty_mask_is_refused():
    with pytest.raises(InputError, match="has no pixel"):
        mask_text(np.zeros((3, 3), bool))
    with pytest.raises(InputError, match="negative"):
        read_mask_text("-1 0 2 2: 1 3")
    with pytest.raises(InputError, match="large, wanted at most"):
        read_mask_text("0 0 1000000000 1000000000: 999999999999999999 1")
