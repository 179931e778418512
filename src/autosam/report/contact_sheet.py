"""Many small overlays on one sheet, to look over a data set at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import normalize_for_display, to_uint8
from autosam.report.overlay import draw_overlay

_Font = PIL.ImageFont.ImageFont | PIL.ImageFont.FreeTypeFont

GROUND = (24, 24, 24)
_TEXT = (235, 235, 235)
_MARKS = {"fault": (255, 70, 60), "warning": (250, 200, 60)}
_MARGIN = 8
_LINE = 16


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of the sheet.

    Attributes
    ----------
    lines : tuple of str
        Caption, one entry a line; cut to the panel's width.
    mark : {"fault", "warning"} or None
        Something is wrong with it, or may be: framed in red or in yellow, the last line of the caption too.
    """

    picture: NDArray[np.uint8]
    lines: tuple[str, ...] = ()
    mark: Literal["fault", "warning"] | None = None


def thumbnail(
    image: NDArray[Any], labels: NDArray[np.integer[Any]] | None, *, side: int = 300, crop: int | None = None
) -> NDArray[np.uint8]:
    """Shrink an image with its labels and draw the outlines.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
        As read; normalized here as a whole, NaN and infinity as background.
    labels : ndarray of integers, shape (H, W), or None
        Taken at the nearest pixels, never mixed; None draws the image alone.
    side : int
        Longest side of the thumbnail; a smaller image stays as it is.
    crop : int, optional
        Show no more than this many rows and columns, the middle ones.

    Raises
    ------
    InputError
        If the sizes differ or an array is no image.
    """
    if labels is not None and labels.shape != image.shape[:2]:
        raise InputError(f"image {image.shape} and labels {labels.shape}; wanted the same rows and columns.")
    middle = tuple(_middle(length, crop) for length in image.shape[:2])
    picture = to_uint8(normalize_for_display(image)[middle])
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
    picture = shrink(picture, (rows, cols))
    if labels is None:
        return picture.copy()
    row_index = ((np.arange(rows) + 0.5) * height / rows).astype(np.intp)
    col_index = ((np.arange(cols) + 0.5) * width / cols).astype(np.intp)
    return draw_overlay(picture, labels[middle][np.ix_(row_index, col_index)], fill=0.15, thickness=1)


def legible_crop(shape: tuple[int, ...], areas: NDArray[np.integer[Any]], *, side: int = 300) -> int | None:
    """Choose how much of an image a thumbnail shows, so that the median object is about 12 pixels wide there.

    Returns
    -------
    int or None
        Rows and columns to show, never fewer than the thumbnail's `side`; None for the whole image, also where
        `areas`, the sizes of its objects in pixels, is empty.

    Examples
    --------
    >>> legible_crop((1000, 1000), np.array([400])), legible_crop((1000, 1000), np.array([4000]))
    (500, None)
    """
    if not areas.size:
        return None
    wanted = max(side, round(side * float(np.sqrt(np.median(areas))) / 12))
    return wanted if wanted < max(shape[:2]) else None


def shrink(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Average uint8 pixels, (H, W) or (H, W, 3), down to a shape."""
    if pixels.shape[:2] == shape:
        return pixels
    return np.asarray(PIL.Image.fromarray(pixels).resize(shape[::-1], PIL.Image.Resampling.BOX), dtype=np.uint8)


def _middle(length: int, crop: int | None) -> slice:
    if crop is None or crop >= length:
        return slice(0, length)
    return slice((length - crop) // 2, (length - crop) // 2 + crop)


def contact_sheet(panels: Sequence[Panel], *, columns: int = 6, side: int = 300) -> NDArray[np.uint8]:
    """Lay panels out row by row.

    Parameters
    ----------
    columns : int
        Panels in a row.
    side : int
        Most rows and columns of a picture, and the width of each panel; a row is as high as its highest picture.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        One empty panel where there are none.

    Raises
    ------
    InputError
        If a picture is larger than a panel, or there is no column.
    """
    if columns < 1 or any(max(panel.picture.shape[:2]) > side for panel in panels):
        raise InputError(f"{columns} columns of {side} px came; wanted at least 1, and pictures that fit.")
    columns = max(1, min(columns, len(panels)))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)] or [()]
    lines = max((len(panel.lines) for panel in panels), default=0)
    heights = [max((panel.picture.shape[0] for panel in row), default=side) for row in rows]
    text = lines * _LINE + (4 if lines else 0)
    size = (_MARGIN + columns * (side + _MARGIN), _MARGIN + sum(h + text + _MARGIN for h in heights))
    sheet = PIL.Image.new("RGB", size, GROUND)
    font = PIL.ImageFont.load_default(size=13)
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            _draw_panel(sheet, font, panel, (_MARGIN + column * (side + _MARGIN), top), side)
        top += height + text + _MARGIN
    return np.asarray(sheet)


def _draw_panel(sheet: PIL.Image.Image, font: _Font, panel: Panel, corner: tuple[int, int], side: int) -> None:
    draw, (left, top) = PIL.ImageDraw.Draw(sheet), corner
    rows, cols = panel.picture.shape[:2]
    sheet.paste(PIL.Image.fromarray(panel.picture), corner)
    if panel.mark is not None:
        draw.rectangle((left - 3, top - 3, left + cols + 2, top + rows + 2), outline=_MARKS[panel.mark], width=3)
    for number, line in enumerate(panel.lines):
        line = _fitting(line, font, side)
        last = number == len(panel.lines) - 1
        color = _MARKS[panel.mark] if panel.mark is not None and last else _TEXT
        draw.text((left, top + rows + 4 + number * _LINE), line, fill=color, font=font)


def _fitting(line: str, font: _Font, width: int) -> str:
    """Cut a line to a width in pixels."""
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"
