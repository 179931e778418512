"""The sheet of a volume: what is on it, for flat and deep, small and large volumes, and what is read for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.report.overlay import PALETTE
from autosam.volumes import sheet as module
from autosam.volumes.hole import HoleError
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.pyramid import write_level
from autosam.volumes.sheet import _colored, _detail_panel, _projections, draw_sheet, shrunk
from autosam.volumes.store_levels import plan_levels


class Stack:
    """A volume in memory, which notes how many pixels were read at once."""

    def __init__(self, pixels: NDArray[Any], hole: int | None = None) -> None:
        self.pixels, self.hole = pixels, hole
        self.most = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        depth, height, width = self.pixels.shape[:3]
        return depth, height, width

    def read(self, z: int, window: tuple[slice, slice]) -> NDArray[Any]:
        if z == self.hole:
            raise HoleError("stack", z, window, "torn")
        part: NDArray[Any] = self.pixels[(z, *window)]
        self.most = max(self.most, part.shape[0] * part.shape[1])
        return part


def stored(folder: Path, labels: np.ndarray, size: Any = (30.0, 10.0, 10.0)) -> LabelStore:
    levels = plan_levels(labels.shape, size)
    store = LabelStore(folder / "labels.zarr", folder / "written", labels.dtype.str, levels, size)
    store.create({})
    for region in store.regions():
        store.write(region, labels[region])
    for level in range(1, len(levels)):
        for region in store.regions(level):
            write_level(store, region, level)
    return store


def drawn(shape: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    labels[:, shape[1] // 4 : shape[1] // 2, shape[2] // 4 : shape[2] // 2] = 3
    labels[: shape[0] // 2 + 1, -shape[1] // 5 :, -shape[2] // 5 :] = 300
    return labels


def colors(picture: np.ndarray) -> set[tuple[int, ...]]:
    packed = np.unique(picture.reshape(-1, 3) @ np.array([1 << 16, 1 << 8, 1]))
    return {(color >> 16, color >> 8 & 255, color & 255) for color in packed.tolist()}


@pytest.mark.parametrize(
    "shape", [(1, 40, 50), (2, 40, 50), (9, 60, 30), (1, 1500, 1400), (3, 700, 2700), (8, 1, 1)]
)
@pytest.mark.parametrize("size", [None, (30.0, 10.0, 10.0)])
def test_sheets_of_all_shapes(tmp_path: Path, shape: tuple[int, int, int], size: Any) -> None:
    labels = drawn(shape)
    source = Stack(np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8))
    sheet = draw_sheet(stored(tmp_path, labels, size), source, title="a title " * 30)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] <= 2000
    wanted = {tuple(PALETTE[(label - 1) % len(PALETTE)].tolist()) for label in np.unique(labels[labels > 0])}
    assert wanted <= colors(sheet)


def test_without_the_volume_and_without_instances(tmp_path: Path) -> None:
    labels = np.zeros((4, 30, 40), np.uint16)
    sheet = draw_sheet(stored(tmp_path / "a", labels, None), None, title="")
    assert not wanted_colors(sheet)
    labels = drawn((4, 30, 40))
    assert wanted_colors(draw_sheet(stored(tmp_path / "b", labels), None, title="labels alone"))


def wanted_colors(sheet: np.ndarray) -> set[tuple[int, ...]]:
    return colors(sheet) & {tuple(color) for color in PALETTE.tolist()}


def test_the_views_show_the_highest_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((4, 5, 10), np.uint16)
    labels[1, :, 2:4] = 1
    labels[2, 3, 3:6] = 2
    monkeypatch.setattr(module, "_SIDE", 10)
    above, aside = _projections(stored(tmp_path, labels, None))
    expected = np.zeros((5, 10), int)
    expected[:, 2:4], expected[3, 3:6] = 1, 2
    shown = np.concatenate([[[0, 0, 0]], PALETTE])
    np.testing.assert_array_equal(above.picture, shown[expected])
    expected = np.zeros((4, 10), int)
    expected[1, 2:4], expected[2, 3:6] = 1, 2
    np.testing.assert_array_equal(aside.picture, shown[expected])


def test_the_side_view_has_square_pixels() -> None:
    labels = np.ones((10, 100), np.uint8)
    assert _colored(labels, (50.0, 10.0), known=False).shape == (325, 650, 3)
    assert _colored(labels, (200.0, 10.0), known=False).shape == (650, 325, 3)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_slices_are_read_in_strips_and_averaged(
    channels: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 60_000, (2, 120, 90, *channels)).astype(np.uint16)
    source = Stack(pixels)
    monkeypatch.setattr(module, "_STRIP", 900)
    small = shrunk(source, 1, (40, 30))
    expected = pixels[1].reshape(40, 3, 30, 3, *channels).mean(axis=(1, 3))
    np.testing.assert_allclose(small, expected, rtol=1e-6)
    assert source.most <= 900
    assert shrunk(source, 1, (37, 29)).shape == (37, 29, *channels)
    # Each pixel counts once, also where sides are no multiples.
    assert shrunk(Stack(np.ones((1, 53, 31))), 0, (7, 9)).tolist() == np.ones((7, 9)).tolist()


def test_a_large_slice_is_shown_where_most_instances_are(tmp_path: Path) -> None:
    labels = np.zeros((1, 1500, 1800), np.uint16)
    labels[0, 900:1200, 1300:1500] = 5
    labels[0, 100:110, 100:110] = 6
    panel = _detail_panel(stored(tmp_path, labels), None, 0)
    assert panel.picture.shape == (650, 650, 3)
    row, col = (int(word) for word in panel.lines[0].replace(",", "").split() if word.isdigit() and word != "0")
    assert row <= 900
    assert row + 650 >= 1200
    assert col <= 1300
    assert col + 650 >= 1500


def test_a_slice_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    labels = drawn((1, 40, 50))
    panel = module._slice_panel(stored(tmp_path, labels), Stack(np.zeros((1, 40, 50)), hole=0), 0)
    assert panel.lines == ("slice 0: it cannot be read",)
    assert wanted_colors(panel.picture)
