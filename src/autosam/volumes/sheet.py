"""The sheet of a volume: slices with outlines, and its instances seen from above and from the side."""

import math
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from autosam.images import normalize_for_display, to_uint8
from autosam.report.annotations import draw_scale_bar, load_font
from autosam.report.contact_sheet import GROUND, Panel, contact_sheet
from autosam.report.overlay import PALETTE, draw_overlay
from autosam.volumes.contrast import Slices
from autosam.volumes.hole import HoleError
from autosam.volumes.ome_zarr_output import LabelStore

_SIDE = 650
"""Most rows and columns of a picture on the sheet; three of them beside each other are 1,982 pixels wide."""
_SLICES = 6
_PLANE = 1 << 22
"""Pixels of a label slice that are read: a chunk holds many slices, and all of it is decompressed."""
_VOXELS = 1 << 28
"""Voxels that are read for the views from above and from the side."""
_STRIP = 1 << 22
"""Pixels of a slice that are read at once."""


def draw_sheet(store: LabelStore, source: Slices | None, *, title: str) -> NDArray[np.uint8]:
    """Draw a sheet of a volume, at most 2,000 pixels wide, without reading it as a whole.

    Up to six slices, evenly spaced, have the outlines of the instances. Of large slices, the part with most
    instances is shown as it is, too. Below are the highest ids along z and along y; an id has the color that it
    has in overlays.

    Parameters
    ----------
    store : LabelStore
        All levels are written.
    source : Slices or None
        The volume; without it, the ground is black.
    title : str
        One line; the size of the volume follows.
    """
    depth = store.shape[0]
    count = min(depth, _SLICES)
    panels, details = [], []
    for number in range(count):
        z = int((number + 0.5) * depth / count)
        panels.append(_slice_panel(store, source, z))
        if max(store.shape[1:]) > 2 * _SIDE:
            details.append(_detail_panel(store, source, z))
    sheet = contact_sheet([*panels, *details, *_projections(store)], columns=3, side=_SIDE)
    return _with_title(sheet, f"{title}, {_size_of(store)}")


def _size_of(store: LabelStore) -> str:
    voxels = " × ".join(str(side) for side in store.shape) + " voxels"
    if store.voxel_size is None:
        return voxels
    return f"{voxels} of {' × '.join(f'{side:.4g}' for side in store.voxel_size)} nm"


def _slice_panel(store: LabelStore, source: Slices | None, z: int) -> Panel:
    """Show a whole slice."""
    height, width = store.shape[1:]
    scale = min(1.0, _SIDE / max(height, width))
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    picture = np.zeros((*shape, 3), np.uint8)
    lines: tuple[str, ...] = (f"slice {z}",)
    if source is not None:
        try:
            picture = _picture(shrunk(source, z, shape))
        except HoleError:
            lines = (f"slice {z}: it cannot be read",)
    level = next(
        (n for n, at in enumerate(store.levels) if at.shape[1] * at.shape[2] <= _PLANE), len(store.levels) - 1
    )
    at = store.levels[level]
    here = z // at.factors[0]
    labels = store.read((slice(here, here + 1), slice(0, at.shape[1]), slice(0, at.shape[2])), level)[0]
    return Panel(
        _finish(picture, nearest(labels, shape), None if not store.voxel_size else store.voxel_size[2] / scale),
        lines,
    )


def _detail_panel(store: LabelStore, source: Slices | None, z: int) -> Panel:
    """Show the part of a slice in which most pixels belong to instances, as it is stored."""
    level = len(store.levels) - 1
    at = store.levels[level]
    here = z // at.factors[0]
    coarse = store.read((slice(here, here + 1), slice(0, at.shape[1]), slice(0, at.shape[2])), level)[0] != 0
    sides = [min(_SIDE, n) for n in store.shape[1:]]
    steps = [max(1, side // factor) for side, factor in zip(sides, at.factors[1:], strict=True)]
    # The sum of each window of that size, from sums of all pixels above and to the left.
    sums = np.pad(coarse.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = (
        sums[steps[0] :, steps[1] :] - sums[: -steps[0], steps[1] :]
        - sums[steps[0] :, : -steps[1]] + sums[: -steps[0], : -steps[1]]
    )  # fmt: skip
    first = np.unravel_index(int(windows.argmax()), windows.shape)
    row, col = (
        min(int(i) * factor, n - side)
        for i, factor, n, side in zip(first, at.factors[1:], store.shape[1:], sides, strict=True)
    )
    window = slice(row, row + sides[0]), slice(col, col + sides[1])
    picture = np.zeros((*sides, 3), np.uint8)
    if source is not None:
        try:
            picture = _picture(source.read(z, window))
        except HoleError:
            return Panel(picture, (f"slice {z}: it cannot be read",))
    labels = store.read((slice(z, z + 1), *window))[0]
    size = None if store.voxel_size is None else store.voxel_size[2]
    return Panel(_finish(picture, labels, size), (f"slice {z} from row {row}, column {col}",))


def _projections(store: LabelStore) -> list[Panel]:
    """Show the highest ids along z, and along y where there is more than one slice."""
    level = next((n for n, at in enumerate(store.levels) if math.prod(at.shape) <= _VOXELS), len(store.levels) - 1)
    at = store.levels[level]
    above = np.zeros(at.shape[1:], store.dtype)
    aside = np.zeros((at.shape[0], at.shape[2]), store.dtype)
    for region in at.regions():
        part = store.read(region, level)
        np.maximum(above[region[1:]], part.max(axis=0), out=above[region[1:]])
        side = (region[0], region[2])
        np.maximum(aside[side], part.max(axis=1), out=aside[side])
    z, y, x = (step * factor for step, factor in zip(store.voxel_size or (1.0, 1.0, 1.0), at.factors, strict=True))
    known = store.voxel_size is not None
    panels = [Panel(_colored(above, (y, x), known=known), ("along z: highest id",))]
    if store.shape[0] > 1:
        panels.append(Panel(_colored(aside, (z, x), known=known), ("along y: highest id, slices downwards",)))
    return panels


def _colored(labels: NDArray[Any], spacing: tuple[float, float], *, known: bool) -> NDArray[np.uint8]:
    """Color ids on black, with square pixels."""
    height, width = labels.shape[0] * spacing[0] / spacing[1], labels.shape[1]
    scale = _SIDE / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    shown = nearest(labels, shape)
    picture = np.zeros((*shape, 3), np.uint8)
    picture[shown != 0] = PALETTE[(shown[shown != 0] - 1) % len(PALETTE)]
    return draw_scale_bar(picture, spacing[1] / scale) if known else picture


def shrunk(source: Slices, z: int, shape: tuple[int, int]) -> NDArray[Any]:
    """Read a slice in strips, and take the mean of the pixels that one stands for."""
    height, width = source.shape[1:]
    if shape == (height, width):
        return source.read(z, (slice(0, height), slice(0, width)))
    borders = np.arange(shape[0] + 1) * height // shape[0]
    step = max(1, _STRIP // max(width, 1) * shape[0] // height)
    strips = []
    for first in range(0, shape[0], step):
        stop = min(first + step, shape[0])
        begin, end = int(borders[first]), int(borders[stop])
        pixels = source.read(z, (slice(begin, end), slice(0, width))).astype(np.float32)
        columns = np.arange(shape[1]) * width // shape[1]
        sums = np.add.reduceat(np.add.reduceat(pixels, borders[first:stop] - begin, axis=0), columns, axis=1)
        rows, cols = np.diff(borders[first : stop + 1]), np.diff(np.append(columns, width))
        counts = rows[:, None] * cols[None]
        strips.append(sums / (counts[..., None] if sums.ndim == 3 else counts))
    return np.concatenate(strips)


def _picture(image: NDArray[Any]) -> NDArray[np.uint8]:
    return to_uint8(normalize_for_display(image))


def _finish(picture: NDArray[np.uint8], labels: NDArray[Any], pixel_size: float | None) -> NDArray[np.uint8]:
    """Enlarge what is small, draw the outlines, and a scale bar."""
    times = max(1, _SIDE // max(picture.shape[:2]))
    picture, labels = (np.repeat(np.repeat(array, times, axis=0), times, axis=1) for array in (picture, labels))
    size = None if pixel_size is None else pixel_size / times
    return draw_overlay(picture, labels, fill=0.15, thickness=1, pixel_size_nm=size)


def nearest(labels: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Take the nearest pixels, never mixed."""
    rows, cols = (
        ((np.arange(wanted) + 0.5) * given / wanted).astype(np.intp)
        for wanted, given in zip(shape, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, cols)]


def _with_title(sheet: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    width = sheet.shape[1] - 16
    size = max(9, min(18, int(18 * width / load_font(18).getlength(title or " "))))
    line = PIL.Image.new("RGB", (sheet.shape[1], 36), GROUND)
    PIL.ImageDraw.Draw(line).text((8, 8), title, fill=(235, 235, 235), font=load_font(size))
    return np.concatenate([np.asarray(line), sheet])
