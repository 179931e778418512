"""Previews: the prediction, the truth and the foreground side by side."""

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.report.overlay import PALETTE
from autosam.report.preview import MAX_WIDTH, preview

GRAY = np.full((20, 30, 3), 90, np.uint8)
NONE = np.zeros((20, 30), np.int32)
GAP = 8


def square(row: int, col: int) -> np.ndarray:
    labels = NONE.copy()
    labels[row : row + 5, col : col + 5] = 1
    return labels


def test_panels_by_hand() -> None:
    foreground = np.zeros((20, 30), np.float32)
    foreground[:, 15:] = 0.6
    boundary = np.ones((20, 30), np.float32)
    picture = preview(GRAY, square(2, 3), square(10, 20), maps={"boundary": boundary, "foreground": foreground})
    assert picture.dtype == np.uint8
    assert picture.shape == (20, 3 * 30 + 2 * GAP, 3)
    predicted, true, shown = picture[:, :30], picture[:, 38:68], picture[:, 76:]
    assert predicted[2, 3].tolist() == true[10, 20].tolist() == PALETTE[0].tolist()
    assert predicted[4, 5].tolist() == predicted[10, 20].tolist() == true[2, 3].tolist() == [90, 90, 90]
    assert not picture[:, 30:38].any()
    assert (shown[:, :15] == 0).all()
    assert (shown[:, 15:] == 153).all()


def test_without_a_foreground_map_there_are_two_panels() -> None:
    for maps in ({}, {"boundary": np.ones((20, 30), np.float32)}):
        picture = preview(GRAY, NONE, NONE, maps=maps)
        assert picture.shape == (20, 68, 3)
        np.testing.assert_array_equal(picture[:, :30], GRAY)
        np.testing.assert_array_equal(picture[:, 38:], GRAY)


@pytest.mark.parametrize(("shape", "count"), [((50, 3000), 3), ((90, 1200), 2), ((1, 5000), 3), ((40, 800), 2)])
def test_wide_pictures_are_shrunk_in_proportion(shape: tuple[int, int], count: int) -> None:
    labels = np.zeros(shape, np.int32)
    labels[: shape[0] // 2 + 1, : shape[1] // 2] = 3
    maps = {"foreground": np.ones(shape, np.float32)} if count == 3 else {}
    picture = preview(np.zeros((*shape, 3), np.uint8), labels, labels, maps=maps)
    columns = (picture.shape[1] - (count - 1) * GAP) / count
    assert MAX_WIDTH - count < picture.shape[1] <= MAX_WIDTH
    assert picture.shape[0] == max(1, round(shape[0] * columns / shape[1]))
    # Outlines keep their full color: instances are not averaged with what is around them.
    colors = np.unique(picture[:, : int(columns)].reshape(-1, 3), axis=0).tolist()
    assert colors == sorted([[0, 0, 0], PALETTE[2].tolist()])


def test_same_input_same_bytes_and_nothing_is_changed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 1000, 3), dtype=np.uint8)
    labels = np.zeros((40, 1000), np.int32)
    labels[5:30, 100:700] = 2
    maps = {"foreground": (labels > 0).astype(np.float32)}
    before = image.tobytes(), labels.tobytes(), maps["foreground"].tobytes()
    first, second = (preview(image, labels, labels, maps=maps) for _ in "ab")
    assert first.tobytes() == second.tobytes()
    assert before == (image.tobytes(), labels.tobytes(), maps["foreground"].tobytes())


@pytest.mark.parametrize(
    ("picture", "labels", "truth", "maps"),
    [
        (GRAY, NONE[:-1], NONE, {}),
        (GRAY, NONE, NONE[:, 1:], {}),
        (GRAY, NONE, NONE, {"foreground": np.zeros((20, 31), np.float32)}),
        (GRAY[:0], NONE[:0], NONE[:0], {}),
    ],
)
def test_what_does_not_fit_is_refused(
    picture: np.ndarray, labels: np.ndarray, truth: np.ndarray, maps: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InputError, match="wanted") as caught:
        preview(picture, labels, truth, maps=maps)
    assert "\n" not in str(caught.value)
