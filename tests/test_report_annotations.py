"""Scale bars of the right length that show on any ground, and ids on their instances."""

import numpy as np
import pytest

from autosam.report import draw_overlay
from autosam.report.annotations import draw_ids, draw_scale_bar, find_places, round_length

NONE = np.zeros((200, 300), np.uint8)


def bar_length(picture: np.ndarray) -> int:
    """Longest stretch of white in a row: letters are shorter."""
    longest = 0
    for row in (picture == 255).all(axis=-1):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        longest = max(longest, int((edges[1::2] - edges[::2]).max(initial=0)))
    return longest


@pytest.mark.parametrize(
    ("pixel_size_nm", "pixels"),
    # Of 300 columns, 75 at most: 500 nm of 10, 20 µm of 300 nm, 100 µm of 1.5 µm, 2 Å of .03 nm.
    [(10.0, 50), (300.0, 67), (1500.0, 67), (0.03, 67), (5e6, 40)],
)
def test_the_bar_has_a_round_length(pixel_size_nm: float, pixels: int) -> None:
    picture = draw_scale_bar(np.zeros((200, 300, 3), np.uint8), pixel_size_nm)
    assert bar_length(picture) == pixels
    assert not picture[:150].any()
    assert not picture[:, :200].any()


def test_round_lengths() -> None:
    assert round_length(99) == (50, "50 nm")
    assert round_length(1e3) == (1e3, "1 µm")
    assert round_length(4.9e6) == (2e6, "2 mm")
    assert round_length(0.3) == (pytest.approx(0.2), "2 Å")


@pytest.mark.parametrize("ground", [0, 90, 255])
def test_it_shows_on_any_ground(ground: int) -> None:
    before = np.full((200, 300, 3), ground, np.uint8)
    picture = draw_scale_bar(before, 10)
    corner = picture[150:, 200:]
    assert (corner == 0).all(axis=-1).sum() > 100
    assert (corner == 255).all(axis=-1).sum() > 100
    assert (before == ground).all()


def test_an_image_too_small_for_a_bar_stays() -> None:
    picture = np.full((12, 20, 3), 9, np.uint8)
    np.testing.assert_array_equal(draw_scale_bar(picture, 10), picture)
    np.testing.assert_array_equal(draw_scale_bar(picture[:1, :1], 10), picture[:1, :1])


def test_overlays_have_a_bar_only_where_the_pixel_size_is_known() -> None:
    ground = np.zeros((200, 300, 3), np.uint8)
    assert not draw_overlay(ground, NONE).any()
    assert bar_length(draw_overlay(ground, NONE, pixel_size_nm=10)) == 50


def test_ids_lie_on_their_instances() -> None:
    labels = NONE.copy()
    labels[40:100, 50:120] = 7
    # A ring: its centroid is not its own.
    labels[110:180, 200:270] = 40
    labels[120:170, 210:260] = 0
    ids, places, areas = find_places(labels)
    assert ids.tolist() == [7, 40]
    assert [labels[tuple(place)] for place in places.tolist()] == [7, 40]
    assert places[0].tolist() == [69, 84]
    assert areas.tolist() == [60 * 70, 70 * 70 - 50 * 50]
    picture = draw_overlay(np.zeros((200, 300, 3), np.uint8), labels, ids=True)
    assert (picture[60:80, 75:95] == 255).all(axis=-1).any()
    assert not draw_ids(np.zeros((200, 300, 3), np.uint8), NONE).any()


def test_ids_at_the_border_are_whole() -> None:
    black = np.zeros((200, 300, 3), np.uint8)
    middle, corner = NONE.copy(), NONE.copy()
    middle[80:110, 100:130] = 188
    corner[:30, :30] = 188
    corner[20:, 20:] = 0
    ink = [(draw_ids(black, labels) == 255).all(axis=-1).sum() for labels in (middle, corner)]
    assert ink[1] > 0.5 * ink[0] > 0
