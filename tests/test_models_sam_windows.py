"""Which window a prompt is decoded in, with answers worked out by hand.

Most images here are 100 × 200 with windows of 64 that share at least 16 pixels: rows start at 0 and 36, columns at
0, 45, 90 and 136, and an object must keep 64 / 32 = 2 pixels from the inner borders of its window.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.images import Window, tile_windows
from autosam.instances import MaskCrop
from autosam.models.sam.windows import assign_windows, few_sets, object_window, prompt_extent, touches_inner_border
from autosam.prompts import MaskPrompt, Prompt

SHAPE = (100, 200)
SIZE = 64
GRID = tile_windows(SHAPE, size=SIZE, overlap=16)
NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)


def boxed(*box: float) -> Prompt:
    return Prompt(NO_POINTS, NO_LABELS, box=np.array(box, dtype=np.float64))


def pointed(*points: tuple[float, float], labels: tuple[int, ...] | None = None) -> Prompt:
    given = np.array(labels if labels is not None else [1] * len(points), dtype=np.int64)
    return Prompt(np.array(points, dtype=np.float64), given)


def crop(row: int, col: int, height: int, width: int) -> MaskCrop:
    return MaskCrop(row, col, np.ones((height, width), dtype=bool), score=1.0, prompt=0)


def test_the_grid_is_the_one_the_answers_were_worked_out_for():
    assert sorted({w.row for w in GRID}) == [0, 36]
    assert sorted({w.col for w in GRID}) == [0, 45, 90, 136]


def logits(height: int, width: int) -> NDArray[np.float32]:
    return np.zeros((height, width), dtype=np.float32)


@pytest.mark.parametrize(
    ("prompt", "extent"),
    [
        pytest.param(boxed(3, 4, 10.5, 20), [3, 4, 10.5, 20], id="box"),
        pytest.param(pointed((7, 30)), [7, 30, 7, 30], id="one point"),
        pytest.param(pointed((7, 30), (2, 40), (9, 35)), [2, 30, 9, 40], id="points"),
        pytest.param(pointed((7, 30), (50, 60), labels=(1, 0)), [7, 30, 7, 30], id="negatives do not count"),
        pytest.param(
            pointed((7, 30), (50, 60), labels=(0, 0)), [7, 30, 50, 60], id="unless there is nothing else"
        ),
        pytest.param(
            Prompt(NO_POINTS, NO_LABELS, mask=MaskPrompt(5, 6, logits(3, 4))), [5, 6, 7, 9], id="the mask's crop"
        ),
        pytest.param(
            Prompt(NO_POINTS, NO_LABELS, box=np.array([1.0, 2, 3, 4]), mask=MaskPrompt(5, 6, logits(3, 4))),
            [1, 2, 3, 4],
            id="box before mask",
        ),
        pytest.param(
            Prompt(np.array([[8.0, 3.0], [90.0, 90.0]]), np.array([1, 0]), box=np.array([1.0, 2, 3, 4])),
            [1, 2, 8, 4],
            id="box and a positive point beside it",
        ),
    ],
)
def test_extent(prompt, extent):
    assert prompt_extent(prompt).tolist() == extent


@pytest.mark.parametrize(
    ("box", "window"),
    [
        # Clearances: 8 below in row 0 and 10 above in row 36; 10 left in column 90.
        pytest.param((46, 100, 55, 109), Window(36, 90, 64, 64), id="most central"),
        pytest.param((0, 0, 5, 5), Window(0, 0, 64, 64), id="the first corner"),
        pytest.param((94, 190, 99, 199), Window(36, 136, 64, 64), id="the last corner"),
        pytest.param((0, 0, 61, 61), Window(0, 0, 64, 64), id="as large as a window with its margins"),
        pytest.param((36, 138, 99, 199), None, id="flush with the window's top, an inner border"),
        pytest.param((5, 47, 10, 70), Window(0, 45, 64, 64), id="just the margin"),
    ],
)
def test_a_prompt_goes_where_its_object_is_most_central(box, window):
    work = assign_windows([boxed(*box)], GRID, SHAPE, size=SIZE)
    assert list(work.values()) == [[0]]
    if window is not None:
        assert list(work) == [window]
    else:
        assert next(iter(work)) not in GRID


def test_rows_and_columns_are_not_swapped():
    turned = tile_windows((200, 100), size=SIZE, overlap=16)
    work = assign_windows([boxed(100, 46, 109, 55)], turned, (200, 100), size=SIZE)
    assert list(work) == [Window(90, 36, 64, 64)]


def test_too_near_to_every_inner_border_means_a_window_of_its_own_around_the_object():
    # Columns 25 to 64 reach over column 63 of the first window and lie before column 45 of the second.
    work = assign_windows([boxed(5, 25, 14, 64)], GRID, SHAPE, size=SIZE)
    assert work == {Window(0, 13, 64, 64): [0]}


def test_one_pixel_less_than_the_margin_is_too_near():
    (window,) = assign_windows([boxed(5, 46, 10, 70)], GRID, SHAPE, size=SIZE)
    assert window not in GRID
    assert (window.height, window.width) == (64, 64)
    assert window.contains_box((5, 46, 10, 70), 2, image_shape=SHAPE)


def test_neighbors_share_a_window_of_their_own():
    prompts = [boxed(5, 25, 14, 64), boxed(20, 24, 29, 63), boxed(40, 110, 49, 151)]
    work = assign_windows(prompts, GRID, SHAPE, size=SIZE)
    # 110 to 151 in columns: over 108 of the second window's end, near 136 and 153.
    assert work[Window(0, 13, 64, 64)] == [0, 1]
    assert sorted(index for members in work.values() for index in members) == [0, 1, 2]
    assert len(work) == 2


def test_every_prompt_once_with_its_margin_windows_of_the_grid_first_and_in_order():
    rng = np.random.default_rng(0)
    first = rng.uniform(0, 1, (300, 2)) * SHAPE
    last = np.minimum(first + rng.uniform(0, 60, (300, 2)), np.array(SHAPE) - 1)
    prompts = [boxed(*np.minimum(a, b), *np.maximum(a, b)) for a, b in zip(first, last, strict=True)]
    work = assign_windows(prompts, GRID, SHAPE, size=SIZE)
    assert sorted(index for members in work.values() for index in members) == list(range(300))
    for window, members in work.items():
        for index in members:
            assert window.contains_box(prompt_extent(prompts[index]), 2, image_shape=SHAPE)
    of_grid = [GRID.index(window) for window in work if window in GRID]
    assert of_grid == sorted(of_grid)
    assert all(window in GRID for window in list(work)[: len(of_grid)])


def test_an_object_larger_than_a_tile_gets_a_window_that_is_wide_enough():
    shape = (300, 400)
    grid = tile_windows(shape, size=SIZE, overlap=16)
    box = (50, 100, 149, 229)
    ((window, members),) = assign_windows([boxed(*box)], grid, shape, size=SIZE).items()
    assert members == [0]
    # 130 columns and a sixteenth of them on both sides.
    assert (window.height, window.width) == (147, 147)
    assert window.contains_box(box, 8, image_shape=shape)
    assert window.clearance(box) == pytest.approx((147 - 130) / 2, abs=1)


@pytest.mark.parametrize(
    ("box", "shape", "window"),
    [
        pytest.param((40, 60, 49, 69), (100, 200), Window(13, 33, 64, 64), id="centered"),
        pytest.param((0, 190, 9, 199), (100, 200), Window(0, 136, 64, 64), id="moved into the image"),
        pytest.param((0, 10, 9, 19), (10, 200), Window(0, 0, 64, 64), id="an image lower than the window"),
        pytest.param(
            (0, 10, 79, 259), (80, 300), Window(0, 0, 282, 282), id="an object wider than the image is high"
        ),
        pytest.param((0, 0, 0, 0), (1, 1), Window(0, 0, 64, 64), id="one pixel"),
    ],
)
def test_a_window_around_an_object(box, shape, window):
    assert object_window(np.array(box, dtype=np.float64), shape, size=SIZE) == window


def test_a_window_is_left_out_where_others_hold_its_objects():
    # The first is most central in the window of column 0, but that of column 45 holds it, too.
    prompts = [boxed(5, 48, 9, 52), boxed(5, 75, 9, 80), boxed(5, 120, 9, 130), boxed(5, 100, 9, 103)]
    assert GRID[0].clearance((5, 48, 9, 52)) > GRID[1].clearance((5, 48, 9, 52)) == 3
    work = assign_windows(prompts, GRID, SHAPE, size=SIZE)
    assert work == {Window(0, 45, 64, 64): [0, 1], Window(0, 90, 64, 64): [2, 3]}


def test_no_more_windows_than_the_grid_has():
    rng = np.random.default_rng(1)
    first = rng.uniform(0, 1, (500, 2)) * (np.array(SHAPE) - 10)
    prompts = [boxed(*corner, *(corner + 9)) for corner in first]
    work = assign_windows(prompts, GRID, SHAPE, size=SIZE)
    assert set(work) <= set(GRID)


def test_an_object_beyond_the_image_has_a_window_of_its_own():
    (window,) = assign_windows([boxed(-3, 10, 5, 20)], GRID, SHAPE, size=SIZE)
    assert window == Window(0, 0, 64, 64)


@pytest.mark.parametrize(
    ("sets", "chosen"),
    [
        pytest.param([], [], id="none"),
        pytest.param([[], []], [], id="empty ones"),
        pytest.param([[0, 1], [1, 2, 3], [3, 4]], [1, 0, 2], id="the largest first"),
        pytest.param([[0], [0]], [0], id="the first of two alike"),
        # The greedy choice begins with the second, whose members the two others hold.
        pytest.param([[0, 1, 2], [1, 2, 3, 4], [3, 4, 5]], [0, 2], id="what is not needed in the end is dropped"),
    ],
)
def test_few_sets(sets, chosen):
    assert few_sets([np.array(members, dtype=np.intp) for members in sets], 6) == chosen


def test_no_prompts_no_windows():
    assert assign_windows([], GRID, SHAPE, size=SIZE) == {}


@pytest.mark.parametrize(
    ("mask", "window", "touches"),
    [
        pytest.param(crop(10, 0, 5, 5), Window(0, 0, 64, 64), False, id="the image's left border"),
        pytest.param(crop(0, 10, 5, 5), Window(0, 0, 64, 64), False, id="the image's upper border"),
        pytest.param(crop(10, 54, 5, 10), Window(0, 0, 64, 64), True, id="right, inner"),
        pytest.param(crop(10, 53, 5, 10), Window(0, 0, 64, 64), False, id="a pixel before it"),
        pytest.param(crop(59, 10, 5, 5), Window(0, 0, 64, 64), True, id="below, inner"),
        pytest.param(crop(58, 10, 5, 5), Window(0, 0, 64, 64), False, id="a pixel above it"),
        pytest.param(crop(50, 90, 5, 5), Window(36, 90, 64, 64), True, id="left, inner"),
        pytest.param(crop(36, 100, 5, 5), Window(36, 90, 64, 64), True, id="above, inner"),
        pytest.param(crop(95, 195, 5, 5), Window(36, 136, 64, 64), False, id="the image's last corner"),
        pytest.param(crop(0, 0, 100, 200), Window(0, 0, 200, 200), False, id="a window that holds the image"),
    ],
)
def test_only_inner_borders_cut_a_mask(mask, window, touches):
    assert touches_inner_border(mask, window, SHAPE) is touches
