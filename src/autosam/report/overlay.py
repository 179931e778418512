"""The image with its instances outlined, and the prompts that they came from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.draw import disk

from autosam.errors import InputError
from autosam.images.normalize import to_uint8
from autosam.prompts.prompt import Prompt
from autosam.report.annotations import draw_ids, draw_scale_bar

# Bright, far apart in hue from one to the next, none gray, none the green, red or yellow of the prompts.
_HEX = "1f91ff ff8c00 bf40ff 00c8c8 ff69b4 96be14 786eff ffaa78 009688 d63ca0 82d2ff be823c"
PALETTE = np.frombuffer(bytes.fromhex(_HEX), np.uint8).reshape(-1, 3)
POSITIVE = (40, 230, 70)
NEGATIVE = (240, 40, 40)
BOX = (255, 235, 60)

_ROWS = 256
"""Rows that are painted at once."""


def draw_overlay(
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    *,
    prompts: Sequence[Prompt] | None = None,
    fill: float = 0.2,
    thickness: int | None = None,
    ids: bool = False,
    pixel_size_nm: float | None = None,
) -> NDArray[np.uint8]:
    """Draw instances, and prompts where given, over an image.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3)
        uint8, or floats between 0 and 1 as `normalize` returns them.
    labels : ndarray of integers, shape (H, W)
        Ids, 0 for background. An id always has the same color, and the next id another one.
    prompts : sequence of Prompt, optional
        Points on an object become green discs, those beside it red ones, boxes thin yellow lines. What lies
        outside the image is left out.
    fill : float
        Share of the color inside an instance, 0 (outline only) to 1 (the image is hidden).
    thickness : int, optional
        Width in pixels of the outlines, which lie inside the instances: 2 for images of 1,000 pixels and more
        along the longer side, else 1.
    ids : bool
        Write its id onto each instance.
    pixel_size_nm : float, optional
        Side of a pixel; gives the picture a scale bar of a round length in the lower right corner.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        A new picture; the image's own pixels where there is nothing to draw.

    Raises
    ------
    InputError
        If shapes or types do not fit.
    """
    if image.ndim != 3 or image.shape[2] != 3 or labels.shape != image.shape[:2]:
        raise InputError(
            f"image {image.shape} and labels {labels.shape}; wanted (H, W, 3) and (H, W) of one size."
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are {labels.dtype}; wanted integers.")
    if not 0 <= fill <= 1:
        raise InputError(f"fill is {fill}; wanted 0 to 1.")
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise InputError(f"the image is {image.dtype}; wanted uint8, or floats between 0 and 1: normalize.")
    picture = image.copy() if image.dtype == np.uint8 else to_uint8(image)
    if picture.size == 0:
        return picture
    longer = max(labels.shape)
    _paint(picture, labels, fill, thickness or (2 if longer >= 1000 else 1))
    for prompt in prompts or ():
        if prompt.box is not None:
            _draw_box(picture, prompt.box)
    for prompt in prompts or ():
        for point, on in zip(prompt.points, prompt.point_labels, strict=True):
            _draw_point(picture, point, POSITIVE if on else NEGATIVE, radius=3 + longer // 1000)
    if ids:
        picture = draw_ids(picture, labels)
    return picture if pixel_size_nm is None else draw_scale_bar(picture, pixel_size_nm)


def find_outlines(labels: NDArray[np.generic], thickness: int = 1) -> NDArray[np.bool_]:
    """Find the pixels of instances at most `thickness` steps from another id; the border is no other id."""
    below, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    for _ in range(thickness - 1):
        grown = edge.copy()
        # Growth stays inside an id, so that a neighbor is never painted over.
        grown[1:] |= edge[:-1] & ~below
        grown[:-1] |= edge[1:] & ~below
        grown[:, 1:] |= edge[:, :-1] & ~right
        grown[:, :-1] |= edge[:, 1:] & ~right
        edge = grown
    edge &= labels != 0
    return edge


def _paint(picture: NDArray[np.uint8], labels: NDArray[np.integer[Any]], fill: float, thickness: int) -> None:
    share = round(fill * 256)
    # Strips of rows bound the memory of outlines and colors.
    for start in range(0, labels.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        inside = labels[rows] > 0
        colors = PALETTE[(labels[rows][inside] - 1) % len(PALETTE)]
        mixed = (picture[rows][inside].astype(np.uint16) * (256 - share) + colors.astype(np.uint16) * share) >> 8
        # An outline follows from the rows that it can have grown from, and those beside them.
        above = max(0, start - thickness)
        outlines = find_outlines(labels[above : rows.stop + thickness], thickness)[start - above :][:_ROWS]
        on_outline = outlines[inside]
        mixed[on_outline] = colors[on_outline]
        picture[rows][inside] = mixed.astype(np.uint8)


def _draw_point(picture: NDArray[np.uint8], point: ArrayLike, color: tuple[int, int, int], *, radius: int) -> None:
    center = np.rint(np.asarray(point, np.float64))
    # A dark rim shows the disc on bright and on dark ground.
    picture[disk(center, radius + 1, shape=picture.shape[:2])] = 0
    picture[disk(center, radius, shape=picture.shape[:2])] = color


def _draw_box(picture: NDArray[np.uint8], box: NDArray[np.float64]) -> None:
    top, left, bottom, right = (int(v) for v in np.rint(box))
    height, width = picture.shape[:2]
    rows = slice(max(0, top), max(0, bottom + 1))
    cols = slice(max(0, left), max(0, right + 1))
    for row in (top, bottom):
        if 0 <= row < height:
            picture[row, cols] = BOX
    for col in (left, right):
        if 0 <= col < width:
            picture[rows, col] = BOX
