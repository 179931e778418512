"""Images of another scale: how their zoom is found from what is seen in them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.pipeline.find_zoom import FEWEST, PASSES, SURE, find_zoom, typical_diameter
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.view import View


def zoom_of(
    look: Callable[[View], tuple[View, Segmentation]], *, trained: float, zoom_tolerance: float = 1.6
) -> float:
    pixels = np.zeros((9, 9, 3), np.float32)
    view = View(np.zeros((9, 9, 3), np.uint8), (pixels,), (pixels,))
    return find_zoom(view, look, trained=trained, zoom_tolerance=zoom_tolerance).zoom


def squares(side: int, count: int) -> NDArray[np.int32]:
    labels = np.zeros((side + 1, (side + 1) * max(count, 1)), dtype=np.int32)
    for index in range(count):
        labels[:side, index * (side + 1) : index * (side + 1) + side] = index + 1
    return labels


def diameter(side: float) -> float:
    return 2 * side / float(np.sqrt(np.pi))


class Eyes:
    """See squares of a side, at each zoom as many as told, and remember the zooms."""

    def __init__(self, *seen: tuple[int, int]) -> None:
        self.seen = seen
        self.asked: list[float] = []

    def __call__(self, view: View) -> tuple[View, Segmentation]:
        side, count = self.seen[len(self.asked)]
        self.asked.append(view.zoom)
        labels, scores = squares(side, count), np.ones(count)
        picture = np.zeros((*labels.shape, 3), np.uint8)
        return view, Segmentation(labels, scores, [], np.full(count, -1), labels, {}, picture, zoom=view.zoom)


def test_the_typical_diameter_is_that_of_the_median_area() -> None:
    labels = squares(10, FEWEST)
    # A gap in the ids, and one giant.
    labels[labels == 2] = 0
    giant = np.pad(labels, ((0, 200), (0, 0)))
    giant[20:200] = FEWEST + 1
    assert typical_diameter(giant) == pytest.approx(diameter(10))
    assert typical_diameter(squares(10, FEWEST - 1)) is None


@pytest.mark.parametrize("side", [20, 13, 31])
def test_an_image_at_about_the_right_scale_is_seen_once(side: int) -> None:
    eyes = Eyes((side, 9))
    result = zoom_of(eyes, trained=diameter(20))
    assert eyes.asked == [result] == [1.0]


def test_few_objects_tell_nothing() -> None:
    eyes = Eyes((5, FEWEST - 1))
    assert zoom_of(eyes, trained=diameter(20)) == 1
    empty = Eyes((5, 0))
    assert zoom_of(empty, trained=diameter(20)) == 1


def test_small_objects_are_zoomed_until_it_fits() -> None:
    # First the larger ones of many small ones are found, then all.
    eyes = Eyes((10, 6), (7, 30), (6, 31), (5, 32))
    result = zoom_of(eyes, trained=diameter(21))
    assert eyes.asked == pytest.approx([1.0, 2.1, 3.0, 3.5])
    assert result == pytest.approx(3.5)
    assert len(eyes.asked) == PASSES


def test_once_it_fits_there_is_no_further_pass() -> None:
    eyes = Eyes((100, 6), (92, 30))
    assert zoom_of(eyes, trained=diameter(200)) == pytest.approx(2.0)


def test_large_objects_are_shrunk() -> None:
    eyes = Eyes((40, 6), (40, 7))
    assert zoom_of(eyes, trained=diameter(20)) == pytest.approx(0.5)


def test_a_pass_that_loses_the_objects_is_given_up() -> None:
    eyes = Eyes((4, 6), (4, 1))
    assert zoom_of(eyes, trained=diameter(20)) == 1


def test_what_is_too_far_can_be_said() -> None:
    once = Eyes((14, 9))
    assert zoom_of(once, trained=diameter(20)) == 1
    twice = Eyes((14, 9), (14, 9))
    result = zoom_of(twice, trained=diameter(20), zoom_tolerance=1.3)
    assert result == pytest.approx(20 / 14)


def test_small_steps_are_taken_where_little_is_far() -> None:
    # 1.2 times is too much, by default it would not have been.
    eyes = Eyes((50, 9), (44, 9), (44, 9))
    result = zoom_of(eyes, trained=diameter(60), zoom_tolerance=1.1)
    assert eyes.asked == pytest.approx([1.0, 60 / 50, 60 / 44])
    assert result == pytest.approx(60 / 44)
    # 60 / 48 is within a tenth of 60 / 50.
    eyes = Eyes((50, 9), (48, 9))
    assert zoom_of(eyes, trained=diameter(60), zoom_tolerance=1.1) == pytest.approx(60 / 50)


def test_objects_that_nobody_is_sure_of_tell_no_scale() -> None:
    def see(view: View, low: float, high: float) -> tuple[View, Segmentation]:
        labels = np.zeros((60, 100), dtype=np.int32)
        labels[:20, :] = np.pad(squares(4, FEWEST + 2), ((0, 15), (0, 100 - 5 * (FEWEST + 2))))
        labels[30:41, : 11 * FEWEST] = np.where(s := squares(10, FEWEST), s + FEWEST + 2, 0)
        scores = np.concatenate([np.full(FEWEST + 2, low), np.full(FEWEST, high)])
        none = np.full(len(scores), -1)
        picture = np.zeros((*labels.shape, 3), np.uint8)
        return view, Segmentation(labels, scores, [], none, labels, {}, picture, zoom=view.zoom)

    assert zoom_of(partial(see, low=SURE, high=0.9), trained=diameter(10)) > 2
    assert zoom_of(partial(see, low=0.3, high=SURE), trained=diameter(10)) == 1
    # Nobody is sure of any.
    assert zoom_of(partial(see, low=0.3, high=0.8), trained=diameter(10)) == 1


def test_there_is_a_largest_zoom() -> None:
    eyes = Eyes((1, 6), (1, 6), (1, 6))
    assert zoom_of(eyes, trained=1000.0) == 8
