"""Contact sheets: every panel in its place, shrunk truly, marked where something is wrong."""

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.report.contact_sheet import Panel, contact_sheet, legible_crop, thumbnail


def plain(value: int, rows: int = 20, cols: int = 30) -> np.ndarray:
    return np.full((rows, cols, 3), value, np.uint8)


def test_places():
    sheet = contact_sheet([Panel(plain(v)) for v in (50, 100, 150)], columns=2, side=40)
    # Margins of 8, columns of 40, rows as high as their pictures.
    assert sheet.shape == (8 + 2 * (20 + 8), 8 + 2 * (40 + 8), 3)
    for value, row, col in ((50, 8, 8), (100, 8, 56), (150, 36, 8)):
        assert (sheet[row : row + 20, col : col + 30] == value).all()
    assert (sheet[36:, 56:] == 24).all()


def test_captions_and_marks():
    quiet = contact_sheet([Panel(plain(50), ("name", "train"))], side=40)
    assert quiet.shape == (8 + 20 + 2 * 16 + 4 + 8, 56, 3)
    assert (quiet[32:48] > 150).any()
    assert not (quiet[:30] > 150).any()
    for mark, color in (("fault", (255, 70, 60)), ("warning", (250, 200, 60))):
        sheet = contact_sheet([Panel(plain(50), ("name", "bad"), mark)], side=40)
        assert sheet[6, 20].tolist() == list(color)
        assert (sheet[8:28, 8:38] == 50).all()


def test_long_captions_stay_in_their_column():
    panels = [Panel(plain(50), ("a name that is far too long for a panel",)), Panel(plain(50))]
    sheet = contact_sheet(panels, side=60)
    assert (sheet[30:, 8 + 60 :] == 24).all()
    assert (sheet[30:, : 8 + 60] > 150).any()


def test_no_panels():
    assert contact_sheet([], side=40).shape == (8 + 40 + 8, 8 + 40 + 8, 3)


def test_what_does_not_fit():
    with pytest.raises(InputError, match="pictures that fit"):
        contact_sheet([Panel(plain(1))], side=20)
    with pytest.raises(InputError, match="at least 1"):
        contact_sheet([], columns=0)


def test_thumbnail_shrinks_by_means_and_keeps_ids_apart():
    image = np.zeros((100, 200), np.uint8)
    image[:, 100:] = 255
    labels = np.zeros((100, 200), np.uint64)
    labels[20:80, 20:80] = 2**64 - 1
    small = thumbnail(image, labels, side=50)
    assert small.shape == (25, 50, 3)
    assert (small[:, 30:] == 255).all()
    assert (small[10, 5] > 0).any()
    assert not small[:4, :20].any()
    assert thumbnail(image, None, side=400).shape == (100, 200, 3)
    assert (thumbnail(image, np.zeros_like(labels), side=50) == thumbnail(image, None, side=50)).all()


def test_thumbnail_shows_the_middle():
    image = np.zeros((100, 200), np.uint8)
    image[40:60, 90:110] = 255
    assert (thumbnail(image, None, crop=20) == 255).all()
    assert thumbnail(image, image, crop=150).shape == (100, 150, 3)
    # Normalized as a whole: what is shown would be constant otherwise, and dark.
    assert legible_crop((768, 1024), np.array([], np.int64)) is None
    assert legible_crop((1000, 1000), np.array([4, 4, 90_000])) == 300


def test_thumbnail_of_unfit_things():
    with pytest.raises(InputError, match="same rows and columns"):
        thumbnail(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))
    nan = np.full((8, 8), np.nan, np.float32)
    assert not thumbnail(nan, None).any()
