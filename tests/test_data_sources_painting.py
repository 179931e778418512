"""Pixels of outlines, and the count of what objects lose to each other."""

import numpy as np
import pytest

from autosam.data.sources.losses import Losses, total_losses
from autosam.data.sources.painting import nested, paint
from autosam.data.sources.shapes import NOTHING, Pixels, as_ring, crop, fill
from autosam.errors import InputError


def square(top: float, left: float, bottom: float, right: float) -> np.ndarray:
    return as_ring([(left, top), (right, top), (right, bottom), (left, bottom)], "o")


def whole(pixels: Pixels) -> np.ndarray:
    mask = np.zeros((6, 6), int)
    mask[pixels.window] = pixels.mask
    return mask


def test_a_center_decides() -> None:
    # The square reaches .4 of a pixel too far on each side.
    found = fill([[square(0.6, 0.6, 3.4, 3.4)]], (6, 6))
    assert whole(found)[1:3, 1:3].all()
    assert found.size == 4
    assert not found.cut


def test_holes_belong_to_their_part() -> None:
    found = whole(fill([[square(0, 0, 4, 4), square(1, 1, 3, 3)], [square(2, 2, 6, 6)]], (6, 6)))
    truth = np.zeros((6, 6), int)
    truth[:4, :4] = 1
    truth[1:3, 1:3] = 0
    truth[2:, 2:] = 1
    np.testing.assert_array_equal(found, truth)


def test_outside_and_cut() -> None:
    assert fill([[square(-9, -9, -3, -3)]], (6, 6)).outside
    assert fill([[square(-2, 1, 2, 3)]], (6, 6)).cut
    # Less than a pixel is the rounding of whoever drew it.
    assert not fill([[square(-0.6, 1, 6.6, 3)]], (6, 6)).cut
    assert fill([], (6, 6)) is NOTHING
    assert crop(np.zeros((6, 6), bool)) is NOTHING


def test_points_that_are_none() -> None:
    for points, words in (([(0, 0), (1, 1), (2, float("nan"))], "NaN"), ([1], "not a list")):
        with pytest.raises(InputError, match=words):
            as_ring(points, "o")  # type: ignore[arg-type]


def test_the_first_keeps_the_pixel_and_losses_are_counted() -> None:
    losses = Losses()
    objects = [
        ("first", fill([[square(0, 0, 2, 2)]], (6, 6))),
        ("covered", fill([[square(0, 0, 1, 1)]], (6, 6))),
        ("partly", fill([[square(1, 1, 3, 3)]], (6, 6))),
        ("outside", fill([[square(9, 9, 12, 12)]], (6, 6))),
        ("empty", fill([[as_ring([(1, 1), (2, 2)], "o")]], (6, 6))),
        ("last", fill([[square(4, 0, 9, 6)]], (6, 6))),
    ]
    labels = paint(objects, (6, 6), losses)
    assert np.bincount(labels.ravel()).tolist() == [36 - 4 - 3 - 12, 4, 3, 12]
    assert (losses.objects, losses.drawn) == (6, 3)
    assert [note.split(" objects ")[1] for note in losses.notes()] == [
        "is cut off by the image's border, such as last",
        "is partly covered by others, such as partly",
        "is wholly covered by others and lost, such as covered",
        "is wholly outside the image and lost, such as outside",
        "is without area (too few points, or no pixel's center inside) and left out, such as empty",
    ]
    again = Losses.loads(losses.dumps())
    assert total_losses([losses, again]).objects == 12
    losses.clear()
    assert (losses.notes(), total_losses([]).notes()) == ([], [])


def test_no_objects() -> None:
    assert paint([], (4, 5), Losses()).shape == (4, 5)
    assert nested([], (4, 5)) == []
    assert nested([NOTHING, NOTHING], (4, 5)) == []


def test_nested_whatever_the_order() -> None:
    outer, inner, beside, over = (
        fill([[square(*corners)]], (6, 6)) for corners in ((0, 0, 4, 4), (1, 1, 2, 2), (4, 4, 6, 6), (3, 3, 5, 5))
    )
    assert nested([outer, inner, beside, over], (6, 6)) == [(0, 1)]
    assert nested([over, beside, inner, outer], (6, 6)) == [(3, 2)]
