"""Prompts follow their image to another zoom, and come back."""

import numpy as np
import pytest

from autosam.prompts import MaskPrompt, Prompt, zoom_prompts

NO_POINTS = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)


def prompt() -> Prompt:
    logits = np.random.default_rng(0).uniform(-8, 8, (3, 5)).astype(np.float32)
    return Prompt(
        points=np.array([[0.0, 0.0], [3.25, 7.5], [9.0, 1.0]]),
        point_labels=np.array([1, 1, 0]),
        box=np.array([2.0, 1.0, 6.0, 9.0]),
        mask=MaskPrompt(4, 2, logits),
        foreground=0.75,
        region=3,
    )


def test_nothing_and_the_same_size():
    assert zoom_prompts([], (2.0, 3.0)) == []
    asked = [prompt()]
    (same,) = zoom_prompts(asked, (1.0, 1.0))
    assert same is asked[0]


def test_twice_the_size_by_hand():
    # Pixel (0, 0) becomes the four pixels around (0.5, 0.5); pixels 2 to 6 become 4 to 13.
    (large,) = zoom_prompts([prompt()], (2.0, 2.0))
    np.testing.assert_allclose(large.points, [[0.5, 0.5], [7, 15.5], [18.5, 2.5]])
    assert large.point_labels.tolist() == [1, 1, 0]
    np.testing.assert_allclose(large.box, [4, 2, 13, 19])
    assert (large.mask.row, large.mask.col) == (8, 4)
    assert large.mask.logits.shape == (6, 10)
    assert large.mask.logits.dtype == np.float32
    assert (large.foreground, large.region) == (0.75, 3)


def test_rows_and_columns_have_their_own_factors():
    (moved,) = zoom_prompts([prompt()], (0.5, 3.0))
    np.testing.assert_allclose(moved.points, [[-0.25, 1], [1.375, 23.5], [4.25, 4]])
    np.testing.assert_allclose(moved.box, [1, 3, 2.5, 29])
    assert (moved.mask.row, moved.mask.col) == (2, 6)
    assert moved.mask.logits.shape == (2, 15)


@pytest.mark.parametrize("factors", [(2.0, 2.0), (1.7, 0.6), (20.0, 13.3), (1.0, 1.5)])
def test_there_and_back(factors):
    asked = [prompt(), Prompt(*NO_POINTS, box=np.array([-0.5, 3.0, 4.5, 3.0])), Prompt(np.zeros((1, 2)), [1])]
    back = zoom_prompts(zoom_prompts(asked, factors), (1 / factors[0], 1 / factors[1]))
    assert len(back) == 3
    for one, other in zip(asked, back, strict=True):
        np.testing.assert_allclose(other.points, one.points, atol=1e-9, rtol=0)
        assert (one.box is None) == (other.box is None)
    # Boxes narrower than a pixel of the small image are widened to a line of its pixels.
    if min(factors) >= 1:
        for one, other in zip(asked[:2], back, strict=False):
            np.testing.assert_allclose(other.box, one.box, atol=1e-9, rtol=0)


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_a_mask_there_and_back_lies_where_it_lay(factor):
    (large,) = zoom_prompts([prompt()], (factor, factor))
    (back,) = zoom_prompts([large], (1 / factor, 1 / factor))
    mask = prompt().mask
    assert (back.mask.row, back.mask.col) == (mask.row, mask.col)
    assert back.mask.logits.shape == mask.logits.shape
    # Interpolation smooths; where it was surely the object it still is.
    assert back.mask.logits[mask.logits > 6].min(initial=8) > 0


def test_a_constant_mask_keeps_its_value_and_at_least_a_pixel():
    mask = MaskPrompt(3, 9, np.full((1, 2), 4.5, np.float32))
    (small,) = zoom_prompts([Prompt(*NO_POINTS, mask=mask)], (0.1, 0.1))
    assert (small.mask.row, small.mask.col) == (0, 0)
    np.testing.assert_allclose(small.mask.logits, [[4.5]], atol=1e-5)


def test_a_box_that_shrinks_below_a_pixel_stays_a_box():
    (small,) = zoom_prompts([Prompt(*NO_POINTS, box=np.array([8.0, 4.0, 8.0, 20.0]))], (0.25, 0.25))
    np.testing.assert_allclose(small.box, [2, 1, 2, 4.25])
    (tiny,) = zoom_prompts([Prompt(*NO_POINTS, box=np.array([8.0, 8.0, 8.0, 8.0]))], (0.1, 0.1))
    assert (tiny.box[:2] <= tiny.box[2:]).all()


def test_the_prompts_that_came_are_left_alone():
    asked = prompt()
    zoom_prompts([asked], (2.0, 0.5))
    np.testing.assert_array_equal(asked.points, prompt().points)
    np.testing.assert_array_equal(asked.box, prompt().box)
    np.testing.assert_array_equal(asked.mask.logits, prompt().mask.logits)
