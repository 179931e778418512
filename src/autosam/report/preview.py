"""A result beside the truth, in one picture."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import resize_nearest
from autosam.report.contact_sheet import shrink
from autosam.report.overlay import draw_overlay

MAX_WIDTH = 1600
_GAP = 8


def preview(
    picture: NDArray[np.uint8],
    labels: NDArray[np.int32],
    truth: NDArray[np.int32],
    *,
    maps: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.uint8]:
    """Put an image with the predicted outlines beside the same with the true ones.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        The normalized image.
    labels, truth : ndarray of int32, shape (H, W)
        Predicted and true instances, 0 for background.
    maps : mapping of str to ndarray of float32, shape (H, W)
        The generator's probabilities by channel. Of these ``foreground``, where it is there, comes third, black
        for 0 and white for 1.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Panels of one size with a black gap between them, shrunk where they are wider than ``MAX_WIDTH`` together;
        never enlarged. The same input gives the same bytes.

    Raises
    ------
    InputError
        If shapes or types do not fit, or the image has no pixel.
    """
    if picture.size == 0:
        raise InputError(f"the picture is {picture.shape}; wanted at least one pixel to show")
    shape = picture.shape[:2]
    foreground = maps.get("foreground")
    for name, values in (("labels", labels), ("truth", truth), ("the foreground map", foreground)):
        if values is not None and values.shape != shape:
            raise InputError(f"{name} is {values.shape} and the picture {shape}; wanted one size")
    count = 2 if foreground is None else 3
    height, width = shape
    columns = min(width, max(1, (MAX_WIDTH - (count - 1) * _GAP) // count))
    small = (max(1, round(height * columns / width)), columns)
    image = shrink(picture, small)
    # Outlines are drawn on the small picture: shrunk, they would fade.
    panels = [
        draw_overlay(image, resize_nearest(instances, small), fill=0.0, thickness=1)
        for instances in (labels, truth)
    ]
    if foreground is not None:
        gray = np.rint(np.clip(foreground, 0, 1) * 255).astype(np.uint8)
        panels.append(np.repeat(shrink(gray, small)[..., None], 3, axis=2))
    gap = np.zeros((small[0], _GAP, 3), dtype=np.uint8)
    parts = [part for panel in panels for part in (gap, panel)]
    return np.concatenate(parts[1:], axis=1)
