"""Overlays: colors where the objects are, the image everywhere else."""

import numpy as np
import pytest
from with_defaults import normalize

from autosam.errors import InputError
from autosam.prompts.prompt import Prompt
from autosam.report import draw_overlay, overlay
from autosam.report.overlay import BOX, NEGATIVE, PALETTE, POSITIVE

GROUND = np.full((40, 50, 3), 100, np.uint8)


def squares() -> np.ndarray:
    labels = np.zeros((40, 50), np.int32)
    labels[5:15, 5:15] = 1
    labels[5:15, 15:25] = 2
    return labels


def prompt(points: list[tuple[float, float]], on: list[int], box: tuple[float, ...] | None = None) -> Prompt:
    return Prompt(
        points=np.array(points, np.float64).reshape(-1, 2),
        point_labels=np.array(on, np.int64),
        box=None if box is None else np.array(box, np.float64),
    )


def test_outline_fill_and_ground() -> None:
    picture = draw_overlay(GROUND, squares(), fill=0.5)
    assert picture.dtype == np.uint8
    assert picture[5, 7].tolist() == PALETTE[0].tolist()
    assert picture[9, 14].tolist() == PALETTE[0].tolist()
    assert picture[9, 15].tolist() == PALETTE[1].tolist()
    np.testing.assert_array_equal(picture[9, 9], (100 + PALETTE[0].astype(int)) // 2)
    np.testing.assert_array_equal(picture[squares() == 0], GROUND[squares() == 0])
    assert (GROUND == 100).all()


def test_thickness_grows_inwards() -> None:
    for thickness, inner in ((1, 64), (2, 36), (3, 16)):
        picture = draw_overlay(GROUND, squares(), fill=0, thickness=thickness)
        assert np.count_nonzero((picture[5:15, 5:15] == 100).all(axis=-1)) == inner
        assert (picture[4] == 100).all()


@pytest.mark.parametrize("thickness", [1, 2, 4])
def test_strips_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch, thickness: int) -> None:
    # Objects of a few pixels and of many, so that outlines end at borders of strips and cross them.
    noise = np.random.default_rng(0).random((40, 50))
    labels = (np.arange(40)[:, None] // 9 * 6 + np.arange(50) // 9 + 1) * (noise > 0.02)
    whole = draw_overlay(GROUND, labels, thickness=thickness)
    for rows in (1, 3, 39):
        monkeypatch.setattr(overlay, "_ROWS", rows)
        np.testing.assert_array_equal(draw_overlay(GROUND, labels, thickness=thickness), whole)


def test_large_images_get_thicker_outlines() -> None:
    labels = np.zeros((1000, 40), np.int32)
    labels[10:30, 10:30] = 1
    picture = draw_overlay(np.zeros((1000, 40, 3), np.uint8), labels, fill=0)
    assert np.count_nonzero(picture.any(axis=-1)) == 20 * 20 - 16 * 16


def test_one_pixel_and_the_whole_image_are_drawn() -> None:
    labels = np.zeros((40, 50), np.uint16)
    labels[0, 0] = 7
    assert draw_overlay(GROUND, labels)[0, 0].tolist() == PALETTE[6].tolist()
    # An object that fills the image has no outline, only its fill.
    assert (draw_overlay(GROUND, np.ones((40, 50), int), fill=0) == GROUND).all()


def test_neighboring_ids_differ_and_colors_are_distinct() -> None:
    assert len({tuple(c) for c in PALETTE.tolist()}) == len(PALETTE)
    colors = np.vstack([PALETTE, PALETTE[:1]]).astype(int)
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 120


def test_nothing_gives_the_image() -> None:
    np.testing.assert_array_equal(draw_overlay(GROUND, np.zeros((40, 50), int)), GROUND)
    np.testing.assert_array_equal(draw_overlay(GROUND, np.zeros((40, 50), int), prompts=[]), GROUND)
    assert draw_overlay(GROUND[:0], np.zeros((0, 50), int)).shape == (0, 50, 3)


def test_normalized_gray_images_are_taken() -> None:
    gray = normalize(np.arange(2000, dtype=np.float32).reshape(40, 50), low=0, high=100)
    picture = draw_overlay(gray, squares())
    assert picture[39, 49].tolist() == [255, 255, 255]
    assert picture[5, 5].tolist() == PALETTE[0].tolist()


def test_prompts_are_drawn() -> None:
    given = [prompt([(20, 30), (30.4, 10)], [1, 0], box=(18, 25, 24, 35))]
    picture = draw_overlay(GROUND, np.zeros((40, 50), int), prompts=given)
    assert picture[20, 30].tolist() == list(POSITIVE)
    assert picture[30, 10].tolist() == list(NEGATIVE)
    for corner in ((18, 25), (24, 35), (18, 35), (24, 25), (21, 25)):
        assert picture[corner].tolist() == list(BOX)
    assert picture[17, 25].tolist() == [100, 100, 100]
    assert picture[25, 35].tolist() == [100, 100, 100]


def test_prompts_outside_are_clipped() -> None:
    given = [
        prompt([(-1, -1), (500, 500), (-900, 3)], [1, 1, 0], box=(-5, 10, 60, 20)),
        prompt([], [], box=(-20, -20, -10, -10)),
        prompt([], [], box=(-20, -20, 90, 90)),
    ]
    picture = draw_overlay(GROUND, np.zeros((40, 50), int), prompts=given)
    assert (picture[10:, 10] == BOX).all()
    assert (picture[:, 20] == BOX).all()
    drawn = (picture != GROUND).any(axis=-1)
    assert not drawn[10:, 11:20].any()
    assert not drawn[:, 21:].any()


@pytest.mark.parametrize(
    ("image", "labels", "fill"),
    [
        (GROUND, np.zeros((40, 49), int), 0.2),
        (GROUND[..., 0], np.zeros((40, 50), int), 0.2),
        (GROUND, np.zeros((40, 50)), 0.2),
        (GROUND.astype(np.uint16), np.zeros((40, 50), int), 0.2),
        (GROUND.astype(float), np.zeros((40, 50), int), 0.2),
        (GROUND, np.zeros((40, 50), int), 1.5),
    ],
)
def test_what_does_not_fit_is_refused(image: np.ndarray, labels: np.ndarray, fill: float) -> None:
    with pytest.raises(InputError, match="wanted"):
        draw_overlay(image, labels, fill=fill)
