"""Images of another scale: how their zoom is found from what is seen in them."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.pipeline.find_zoom import FEWEST, MOST, PASSES, Look, Part, find_zoom, typical_diameter
from autosam.pipeline.look import PIXELS, middle
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.view import View


def found_by(look: "Eyes", *, trained: float, zoom_tolerance: float = 1.6) -> View:
    view = View(np.zeros((9, 9, 3), np.uint8), (np.zeros((9, 9, 3), np.float32),))
    return find_zoom(view, look, trained=trained, zoom_tolerance=zoom_tolerance)


def zoom_of(look: "Eyes", *, trained: float, zoom_tolerance: float = 1.6) -> float:
    return found_by(look, trained=trained, zoom_tolerance=zoom_tolerance).zoom


def squares(side: int, count: int) -> NDArray[np.int32]:
    labels = np.zeros((side + 1, (side + 1) * max(count, 1)), dtype=np.int32)
    for index in range(count):
        labels[:side, index * (side + 1) : index * (side + 1) + side] = index + 1
    return labels


def diameter(side: float) -> float:
    return 2 * side / float(np.sqrt(np.pi))


class Eyes:
    """See squares of a side, at each zoom as many as told, and remember the zooms."""

    def __init__(self, *seen: tuple[int, int], novelty: Sequence[float] = (), large: bool = False) -> None:
        self.seen = seen
        self.asked: list[float] = []
        self.parts: list[Part] = []
        self.novelty, self.large = novelty, large

    def __call__(self, view: View, part: Part) -> Look:
        at = len(self.asked)
        side, count = self.seen[at]
        self.asked.append(view.zoom)
        self.parts.append(part)
        complete = part == "all" or not self.large
        novelty = self.novelty[at] if self.novelty else None
        return Look(typical_diameter(squares(side, count)), novelty, Maps({}) if complete else None)


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
    eyes = Eyes((10, 6), (8, 30), (7, 31))
    result = zoom_of(eyes, trained=diameter(12), zoom_tolerance=1.1)
    assert eyes.asked == pytest.approx([1.0, 12 / 10, 12 / 8])
    assert result == pytest.approx(12 / 8)
    assert len(eyes.asked) == PASSES


def test_once_it_fits_there_is_no_further_pass() -> None:
    eyes = Eyes((100, 6), (92, 30))
    assert zoom_of(eyes, trained=diameter(180)) == pytest.approx(1.8)


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


def test_a_zoom_that_is_found_has_at_most_four_times_the_pixels() -> None:
    eyes = Eyes((1, 6), (1, 6))
    result = found_by(eyes, trained=diameter(5))
    assert eyes.asked == [1.0, MOST] == [1.0, result.zoom]
    assert result.warnings == ("objects look 5.0 times too small for the model; zoomed 2 times: give --diameter",)
    assert found_by(Eyes((10, 6), (10, 6)), trained=diameter(20)).warnings == ()
    # Fewer pixels cost nothing.
    result = found_by(Eyes((50, 6), (50, 6)), trained=diameter(10))
    assert (result.zoom, result.warnings) == (pytest.approx(0.2), ())


@pytest.mark.parametrize(("side", "what"), [(5, "4.0 times too small"), (60, "3.0 times too large")])
def test_images_that_stay_unlike_are_not_zoomed_by_what_is_found_in_them(side: int, what: str) -> None:
    eyes = Eyes((side, 6), (side, 6), novelty=(1.1, 1.01))
    result = found_by(eyes, trained=diameter(20))
    assert result.zoom == 1
    # A tile is enough to see that.
    assert eyes.parts == ["middle", "tile"]
    assert result.maps is not None
    assert result.warnings == (
        f"objects look {what} for the model; the image is unlike the training images and was not zoomed: "
        "give --diameter",
    )
    assert found_by(Eyes((20, 6), novelty=(1.1,)), trained=diameter(20)).warnings == ()
    assert zoom_of(Eyes((side, 6), (side, 6), novelty=(0.9, 1.1)), trained=diameter(20)) != 1


def test_an_image_that_was_unlike_by_its_scale_alone_is_zoomed() -> None:
    eyes = Eyes((12, 6), (11, 6), novelty=(1.3, 0.9))
    result = found_by(eyes, trained=diameter(20))
    # 20 / 11 is within a tenth of 20 / 12.
    assert eyes.asked == pytest.approx([1.0, 20 / 12])
    assert eyes.parts == ["middle", "tile"]
    assert result.zoom == pytest.approx(20 / 12)
    assert result.warnings == ()


def test_an_unlike_image_without_objects_in_its_middle_is_seen_as_a_whole() -> None:
    eyes = Eyes((12, 2), (12, 6), (11, 6), novelty=(1.3, 1.3, 0.9), large=True)
    result = found_by(eyes, trained=diameter(20))
    assert eyes.parts == ["middle", "all", "all"]
    assert result.zoom == pytest.approx(20 / 12)


def test_a_middle_that_holds_too_few_is_not_enough() -> None:
    eyes = Eyes((10, 2), (10, 8), (10, 9), large=True)
    result = found_by(eyes, trained=diameter(20))
    assert (eyes.asked, eyes.parts) == ([1.0, 1.0, 2.0], ["middle", "all", "all"])
    assert result.maps is not None
    middle_alone = Eyes((10, 8), (10, 9), large=True)
    result = found_by(middle_alone, trained=diameter(20))
    assert middle_alone.parts == ["middle", "middle"]
    assert result.maps is None
    # Nothing anywhere: the maps of the whole image are those of the result.
    nothing = Eyes((10, 2), (10, 2), large=True)
    result = found_by(nothing, trained=diameter(20))
    assert (nothing.parts, result.zoom) == (["middle", "all"], 1.0)
    assert result.maps is not None


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (1, 4000), (1000, 1000), (16, 100_000), (5000, 300)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
def test_the_middle_has_a_bounded_number_of_pixels(shape: tuple[int, int], scale: float) -> None:
    rows, cols = middle(shape, scale, PIXELS)
    zoomed = [max(1, round((part.stop - part.start) * scale)) for part in (rows, cols)]
    pixels = max(1, round(shape[0] * scale)) * max(1, round(shape[1] * scale))
    assert min(pixels, PIXELS) * 0.9 <= zoomed[0] * zoomed[1] <= PIXELS * 1.01
    if pixels <= PIXELS:
        assert (rows, cols) == (slice(0, shape[0]), slice(0, shape[1]))
    for part, length in zip((rows, cols), shape, strict=True):
        assert abs(part.start - (length - part.stop)) <= 1
