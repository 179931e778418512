"""Windows of tokens: the object and a margin, a few sizes, inside the embedding."""

import numpy as np
import pytest

from autosam.models.sam.token_window import TokenWindow, reaches_inner_border, token_window, widened
from autosam.prompts import MaskPrompt, Prompt

NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
GRID = (64, 64)


def boxed(*box: float) -> Prompt:
    return Prompt(NO_POINTS, NO_LABELS, box=np.array(box, dtype=np.float64))


def window_of(prompt: Prompt, least: int | None, *, zoom: float = 1.0, grid=GRID) -> TokenWindow:
    return token_window(prompt, least=least, scale=np.full(2, zoom / 16), grid=grid)


@pytest.mark.parametrize(
    ("box", "least", "expected"),
    [
        # Tokens 20 to 22 along rows and 30 to 33 along columns.
        ((320, 480, 367, 543), 12, (15, 26, 12, 12)),
        # One pixel more is one token more, which the margin of two and the size of 12 still hold.
        ((320, 480, 368, 543), 12, (16, 26, 12, 12)),
        # Nine tokens and twice two of margin are 13: the next multiple of four.
        ((320, 320, 463, 330), 8, (16, 12, 16, 16)),
        ((0, 0, 40, 40), 16, (0, 0, 16, 16)),
        ((1000, 1000, 1023, 1023), 16, (48, 48, 16, 16)),
        ((0, 0, 1023, 1023), 16, (0, 0, 64, 64)),
        ((320, 480, 367, 543), 100, (0, 0, 64, 64)),
        ((320, 480, 367, 543), 9, (15, 26, 12, 12)),
    ],
)
def test_the_window_of_a_box(box, least, expected):
    window = window_of(boxed(*box), least)
    assert (window.row, window.col, *window.side) == expected


@pytest.mark.parametrize("least", [8, 12, 20])
@pytest.mark.parametrize("zoom", [0.37, 1.0, 2.5])
def test_no_object_is_cut_and_each_has_its_margin(least, zoom):
    rng = np.random.default_rng(0)
    sides = set()
    for _ in range(300):
        first = rng.uniform(0, 1000 / zoom, 2)
        last = np.minimum(first + rng.uniform(0, 400 / zoom, 2), 1023 / zoom)
        window = window_of(boxed(*np.concatenate([np.minimum(first, last), last])), least, zoom=zoom)
        assert 0 <= window.row <= 64 - window.rows
        assert 0 <= window.col <= 64 - window.cols
        assert window.rows == window.cols >= least
        begin, end = np.minimum(first, last) * zoom / 16, (last + 1) * zoom / 16
        corner, over = np.array([window.row, window.col]), np.array([window.row, window.col]) + window.rows
        assert ((corner == 0) | (begin - corner >= 1.5)).all()
        assert ((over == 64) | (over - end >= 1.5)).all()
        sides.add(window.rows)
    assert all(side % 4 == 0 for side in sides)


def test_prompts_without_a_size_have_the_whole_embedding():
    whole = TokenWindow(0, 0, 64, 64)
    point = Prompt(np.array([[300.0, 300.0]]), np.ones(1, dtype=np.int64))
    assert window_of(point, 8) == whole
    assert window_of(boxed(300, 300, 310, 310), None) == whole


def test_masks_and_positive_points_count_and_negative_ones_do_not():
    mask = MaskPrompt(320, 480, np.zeros((48, 64), dtype=np.float32))
    assert window_of(Prompt(NO_POINTS, NO_LABELS, mask=mask), 12) == window_of(boxed(320, 480, 367, 543), 12)
    points = np.array([[344.0, 512.0], [344.0, 900.0]])
    far = Prompt(points, np.array([1, 0]), box=np.array([320.0, 480, 367, 543]))
    assert window_of(far, 12) == window_of(boxed(320, 480, 367, 543), 12)
    both = Prompt(points, np.array([1, 1]), box=np.array([320.0, 480, 367, 543]))
    assert window_of(both, 12).cols == 32


def test_widened_windows_keep_their_place_up_to_the_whole():
    window = TokenWindow(20, 30, 12, 12)
    assert widened(window, GRID) == TokenWindow(14, 24, 24, 24)
    assert widened(TokenWindow(0, 52, 12, 12), GRID) == TokenWindow(0, 40, 24, 24)
    assert widened(TokenWindow(2, 10, 40, 40), GRID) == TokenWindow(0, 0, 64, 64)


def test_only_borders_where_the_embedding_goes_on_count():
    windows = [TokenWindow(0, 8, 8, 8), TokenWindow(8, 4, 8, 8)]
    reach = np.eye(4, dtype=bool)
    top, bottom, left, right = (
        reaches_inner_border(np.stack([one, one]), windows, (16, 16)).tolist() for one in reach
    )
    assert (top, bottom, left, right) == ([False, True], [True, False], [True, True], [False, True])
    assert not reaches_inner_border(np.zeros((2, 4), dtype=bool), windows, (16, 16)).any()
