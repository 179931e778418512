"""Pictures for a page: shrunk and compressed until they fit, with outlines that lie over them as paths."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from autosam.report.contact_sheet import shrink
from autosam.report.outline_paths import outline_paths

SIDES = (1600, 1280, 1024, 768, 640, 512, 384, 256)
"""Longest sides that are tried, one after the other."""
_QUALITY = 84
_BASE64 = 4 / 3


@dataclass(frozen=True, eq=False)
class PagePicture:
    """A picture and the outlines over it.

    Attributes
    ----------
    jpeg : bytes
        The picture; empty where there is none, and the outlines are shown alone.
    width, height : int
        Of the picture, in its own pixels.
    scale : float
        Pixels of the picture for one of the image; at most 1.
    layers : mapping of str to mapping of int to str
        Outlines by what they are, as ``objects`` and ``truth``, and by id; see `outline_paths`.
    """

    jpeg: bytes
    width: int
    height: int
    scale: float
    layers: Mapping[str, Mapping[int, str]]

    @property
    def size(self) -> int:
        """Bytes that it takes in a page, about."""
        outlines = sum(len(path) + 12 for layer in self.layers.values() for path in layer.values())
        return round(len(self.jpeg) * _BASE64) + outlines

    @property
    def uri(self) -> str:
        """The picture as an address that holds it; empty where there is none."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}" if self.jpeg else ""


def fit_picture(
    picture: NDArray[np.uint8] | None, layers: Mapping[str, NDArray[np.integer[Any]]], *, most: int
) -> PagePicture:
    """Shrink a picture with its labels until it takes no more than so many bytes, or is as small as it gets.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3) or (H, W), or None
        None shows the outlines alone.
    layers : mapping of str to ndarray of integers, shape (H, W)
        Labels to outline, at least one where there is no picture. Shrunk labels are taken at the nearest pixels;
        an object that has none of these is lost on the picture.
    most : int
        Bytes.
    """
    height, width = picture.shape[:2] if picture is not None else next(iter(layers.values())).shape
    found = None
    for side in SIDES:
        scale = min(1.0, side / max(height, width))
        shape = max(1, round(height * scale)), max(1, round(width * scale))
        if found is not None and (found.height, found.width) == shape:
            continue
        small = {name: _nearest(labels, shape) for name, labels in layers.items()}
        found = PagePicture(
            b"" if picture is None else encode_jpeg(shrink(picture, shape)),
            shape[1],
            shape[0],
            scale,
            {name: outline_paths(labels) for name, labels in small.items()},
        )
        if found.size <= most:
            break
    assert found is not None
    return found


def _nearest(labels: NDArray[np.integer[Any]], shape: tuple[int, int]) -> NDArray[np.integer[Any]]:
    """Take the id at the center of each pixel of a smaller grid, as `resize_nearest` does for int32."""
    rows, columns = (
        ((np.arange(wanted) + 0.5) * there / wanted).astype(np.intp)
        for wanted, there in zip(shape, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Compress a picture, (H, W, 3) or (H, W), as JPEG; one whose channels are equal as gray."""
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    stream = BytesIO()
    # Not optimize=True: Pillow's buffer for that is too small for noise in colors.
    PIL.Image.fromarray(np.ascontiguousarray(picture)).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue()
