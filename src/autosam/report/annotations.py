"""What is written over a picture: a scale bar, and the ids of the instances."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

_INK = (255, 255, 255)
_RIM = (0, 0, 0)
_UNITS = ((1e6, "mm"), (1e3, "µm"), (1.0, "nm"), (0.1, "Å"))


def round_length(most_nm: float) -> tuple[float, str]:
    """Choose the longest length of 1, 2 or 5 times a power of ten that is not longer, with its text.

    Examples
    --------
    >>> round_length(730), round_length(2_400), round_length(10_000)
    ((500.0, '500 nm'), (2000.0, '2 µm'), (10000.0, '10 µm'))
    """
    power = 10.0 ** math.floor(math.log10(most_nm))
    # A little more than it is, for lengths that rounding has made a hair shorter than a round one.
    length = max(step * power for step in (1, 2, 5) if step * power <= most_nm * (1 + 1e-9))
    size, unit = next((entry for entry in _UNITS if length >= entry[0] * (1 - 1e-9)), _UNITS[-1])
    return length, f"{length / size:.6g} {unit}"


def load_font(size: int) -> PIL.ImageFont.FreeTypeFont:
    """Load the font of all texts on pictures, in a size in pixels."""
    # Slow to import, and needed only here. Pillow's own font has no µ.
    import matplotlib

    return PIL.ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def draw_scale_bar(picture: NDArray[np.uint8], pixel_size_nm: float) -> NDArray[np.uint8]:
    """Draw a bar of a round length, at most a quarter of the width, into the lower right corner.

    White with a black rim, it shows on dark and on light ground.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
    pixel_size_nm : float
        Side of a pixel of the picture.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        A new picture; unchanged where bar and text do not fit: below about 50 pixels.
    """
    height, width = picture.shape[:2]
    length_nm, text = round_length(max(width / 4, 1) * pixel_size_nm)
    length = max(1, round(length_nm / pixel_size_nm))
    size = min(max(10, round(math.sqrt(height * width) / 40)), 64)
    thick, margin, rim = max(2, size // 5), max(3, size // 2), max(1, size // 10)
    font = load_font(size)
    wide = max(length, math.ceil(font.getlength(text)) + 2 * rim)
    if wide + 2 * margin > width or 2 * size + thick + 2 * margin > height:
        return picture.copy()
    image = PIL.Image.fromarray(picture)
    draw = PIL.ImageDraw.Draw(image)
    right, bottom = width - margin - (wide - length) // 2, height - margin
    bar = (right - length, bottom - thick, right - 1, bottom - 1)
    draw.rectangle((bar[0] - rim, bar[1] - rim, bar[2] + rim, bar[3] + rim), fill=_RIM)
    draw.rectangle(bar, fill=_INK)
    middle = right - length / 2, bottom - thick - 2 * rim
    draw.text(middle, text, fill=_INK, font=font, anchor="md", stroke_width=rim, stroke_fill=_RIM)
    return np.asarray(image)


def draw_ids(picture: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Write the id of each instance onto it, white with a black rim; return a new picture."""
    ids, places, areas = find_places(labels)
    if not len(ids):
        return picture.copy()
    image = PIL.Image.fromarray(picture)
    draw = PIL.ImageDraw.Draw(image)
    size = min(max(9, round(0.45 * math.sqrt(float(np.median(areas))))), 32)
    font = load_font(size)
    for number, (row, col) in zip(ids.tolist(), places.tolist(), strict=True):
        # At the border, the text moves into the picture.
        aside, above = font.getlength(str(number)) / 2 + 1, size / 2
        place = _clamped(col, aside, labels.shape[1]), _clamped(row, above, labels.shape[0])
        draw.text(place, str(number), fill=_INK, font=font, anchor="mm", stroke_width=1, stroke_fill=_RIM)
    return np.asarray(image)


def _clamped(value: float, margin: float, length: int) -> float:
    return length / 2 if 2 * margin > length else min(max(value, margin), length - margin)


def find_places(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Find a pixel of each instance near its middle: that nearest to its centroid.

    Returns
    -------
    ids : ndarray, shape (n,)
        Rising.
    places : ndarray of int64, shape (n, 2)
        Row and column.
    areas : ndarray of int64, shape (n,)
        Number of pixels.
    """
    rows, cols = np.nonzero(labels)
    ids, index = np.unique(labels[rows, cols], return_inverse=True)
    index = index.reshape(-1)
    areas = np.bincount(index, minlength=len(ids)).astype(np.int64)
    away = np.zeros(len(index))
    for values in (rows, cols):
        away += (values - (np.bincount(index, values, len(ids)) / areas)[index]) ** 2
    # The first of each instance in the order of distance; ties go to raster order.
    order = np.lexsort((away, index))
    first = order[np.cumsum(areas) - areas]
    return ids, np.stack([rows[first], cols[first]], axis=1).reshape(-1, 2), areas
