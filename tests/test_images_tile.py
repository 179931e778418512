"""Windows: they cover the image, mirror what lies outside, and their maps blend without seams."""

import math
from itertools import pairwise

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.images import Window, blend, read_window, tile_windows


@pytest.mark.parametrize("length", [1, 63, 64, 65, 100, 129, 640, 1001])
@pytest.mark.parametrize(("size", "overlap"), [(64, 0), (64, 16), (64, 63), (1, 0)])
def test_windows_cover_evenly(length: int, size: int, overlap: int) -> None:
    windows = tile_windows((size, length), size=size, overlap=overlap)
    starts = [w.col for w in windows]
    assert {(w.row, w.height, w.width) for w in windows} == {(0, size, size)}
    assert starts[0] == 0
    assert starts[-1] == max(0, length - size)
    steps = [b - a for a, b in pairwise(starts)]
    assert all(1 <= step <= size - overlap for step in steps)
    assert max(steps, default=1) - min(steps, default=1) <= 1
    # Not one window more than are needed.
    assert len(starts) == max(1, math.ceil((length - size) / (size - overlap)) + 1)


def test_windows_by_hand() -> None:
    assert tile_windows((5, 25, 3), size=10, overlap=2) == [
        Window(0, 0, 10, 10),
        Window(0, 7, 10, 10),
        Window(0, 15, 10, 10),
    ]
    assert tile_windows((0, 25), size=10, overlap=2) == []


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (8, 8), (8, -1)])
def test_windows_out_of_range_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(InputError, match="wanted size >= 1"):
        tile_windows((10, 10), size=size, overlap=overlap)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 4), (5, 4, 3)])
def test_outside_is_numpys_symmetric_padding(shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape)).reshape(shape)
    pad = [(13, 17), (11, 19)] + [(0, 0)] * (len(shape) - 2)
    window = Window(-13, -11, shape[0] + 30, shape[1] + 30)
    np.testing.assert_array_equal(read_window(image, window), np.pad(image, pad, mode="symmetric"))


def test_inside_is_a_view() -> None:
    image = np.arange(100).reshape(10, 10)
    cut = read_window(image, Window(2, 3, 4, 5))
    np.testing.assert_array_equal(cut, image[2:6, 3:8])
    assert cut.base is not None
    assert np.shares_memory(cut, image)


def test_far_outside() -> None:
    assert read_window(np.array([[1, 2, 3]]), Window(5, 6, 1, 3)).tolist() == [[1, 2, 3]]
    with pytest.raises(InputError, match="at least one pixel"):
        read_window(np.zeros((0, 4)), Window(0, 0, 2, 2))


def test_boxes_in_windows() -> None:
    window = Window(10, 20, 30, 40)
    assert window.clearance((10, 20, 39, 59)) == 0
    assert window.clearance((15, 27, 30, 50)) == 5
    assert window.clearance((9, 30, 12, 40)) == -1
    assert window.contains_box((12, 22, 37, 57), margin=2)
    assert not window.contains_box((12, 22, 37, 57), margin=3)
    # Where the image ends, nothing is cut off.
    assert window.contains_box((12, 22, 39, 59), margin=2, image_shape=(40, 60))
    assert Window(0, 0, 64, 64).clearance((0, 0, 9, 9), image_shape=(10, 10)) == np.inf


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (64, 64), (100, 75), (130, 257)])
@pytest.mark.parametrize("overlap", [0, 8, 40])
def test_a_position_independent_predictor_is_reproduced(shape: tuple[int, int], overlap: int) -> None:
    image = np.random.default_rng(0).random(shape, np.float32)
    windows = tile_windows(shape, size=64, overlap=overlap)
    tiles = (np.stack([t, 1 - t]) for t in (read_window(image, w) for w in windows))
    maps = blend(tiles, windows, shape)
    assert [of.dtype for of in maps] == [np.float32] * 2
    # One can be let go without the other.
    assert all(of.base is None for of in maps)
    np.testing.assert_allclose(maps, np.stack([image, 1 - image]), atol=2e-7)


def test_blending_is_the_weighted_mean() -> None:
    windows = tile_windows((4, 7), size=4, overlap=1)
    assert [w.col for w in windows] == [0, 3]
    maps = blend([np.zeros((1, 4, 4)), np.ones((1, 4, 4))], windows, (4, 7))
    np.testing.assert_allclose(maps[0][0], [0, 0, 0, 0.5, 1, 1, 1], atol=1e-7)


def test_windows_may_stick_out_on_every_side() -> None:
    image = np.random.default_rng(1).random((9, 9), np.float32)
    windows = [Window(row, col, 8, 8) for row in (-3, 4) for col in (-3, 4)]
    maps = blend((read_window(image, w)[None] for w in windows), windows, (9, 9))
    np.testing.assert_allclose(maps[0], image, atol=2e-7)


def test_wrong_tiles_are_refused() -> None:
    windows = tile_windows((4, 7), size=4, overlap=1)
    tile = np.zeros((1, 4, 4))
    for tiles, given, says in (
        ([tile], windows, "1 tiles came for 2"),
        ([tile] * 3, windows, "more tiles"),
        ([tile, tile[:, :3]], windows, "tile 1 has shape"),
        ([tile, np.zeros((2, 4, 4))], windows, "2 channels"),
        ([tile], windows[:1], "uncovered"),
        ([tile] * 2, windows[:1] * 2, "uncovered"),
        ([tile] * 4, windows * 2, "not a full grid"),
        ([], [], "uncovered"),
    ):
        with pytest.raises(InputError, match=says):
            blend(tiles, given, (4, 7))


@pytest.mark.parametrize("length", [1, 63, 64, 65, 90, 96, 97, 130, 640, 1001])
def test_windows_grow_where_they_hold_fewer_pixels_altogether(length):
    windows = tile_windows((64, length), size=64, overlap=16, largest=96, multiple=8)
    (width,) = {window.width for window in windows}
    assert {window.height for window in windows} == {64}
    assert width in range(64, 97, 8)
    starts = sorted(window.col for window in windows)
    assert all(b - a <= width - 16 for a, b in pairwise(starts))
    assert starts[0] == 0
    assert starts[-1] + width >= length
    for other in range(64, 97, 8):
        same = tile_windows((64, length), size=other, overlap=16)
        assert len(windows) * width <= len({window.col for window in same}) * other
    # A window that is larger than the image is no larger than asked for.
    if length <= 64:
        assert width == 64
