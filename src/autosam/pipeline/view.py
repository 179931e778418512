"""The first step: an image as the networks see it, and the way back to its own grid."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.errors import InputError
from autosam.images import to_uint8, zoom_image
from autosam.images.channels import mean_picture, normalize_channels
from autosam.images.normalize import scale
from autosam.images.scaled_image import ScaledImage, in_color, plane_of
from autosam.images.stain_normalization import normalize_stain
from autosam.images.zoom import zoomed_shape
from autosam.pipeline.given_image import as_pixels, check_zoom
from autosam.pipeline.probability_maps import Maps

Image = NDArray[Any] | Sequence[NDArray[Any]]
"""One image, (H, W) or (H, W, 3), or the aligned channels of a multichannel image, each (H, W)."""

Channel = NDArray[np.float32] | ScaledImage
"""A normalized image, or channel of one, (H, W, 3)."""

NEARLY_ALL = 0.95
"""Share of the pixels that makes an image mostly dark or bright; see `View.mostly`."""

ALIKE = 0.1
"""Share of the range, from its end, that is dark or bright."""


@dataclass(frozen=True, eq=False)
class View:
    """An image as the networks see it.

    Attributes
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        The normalized image on its own grid, before stain normalization; the mean of several channels. A gray one
        is a read-only view that repeats one plane.
    channels : tuple of ndarray of float32, or of ScaledImage, shape (H, W, 3)
        What the networks see on the image's own grid, 0 to 1; more than one where they see channels one by one.
        Images of 8 and 16 bits are scaled where they are read, so they must not change meanwhile.
    zoom : float
        How many times larger the networks see this image, on top of ``base_zoom``.
    base_zoom : float
        How many times larger they see every image (``images.zoom``).
    stain_normalized : bool
        Whether it has the colors of training images.
    maps : Maps or None
        The generator's maps of this view, where the search for its zoom has predicted them.
    warnings : tuple of str
        What the search for the zoom did not try.
    """

    picture: NDArray[np.uint8]
    channels: tuple[Channel, ...]
    zoom: float = 1.0
    base_zoom: float = 1.0
    stain_normalized: bool = False
    maps: Maps | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def total_zoom(self) -> float:
        """How many times larger the networks see it altogether."""
        return self.base_zoom * self.zoom

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image's own grid."""
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the networks' grid."""
        return zoomed_shape(self.shape, self.total_zoom)

    @property
    def factors(self) -> tuple[float, float]:
        """Pixels of the networks' grid for one of the image's own, along rows and columns."""
        return self.grid[0] / self.shape[0], self.grid[1] / self.shape[1]

    @property
    def zoomed(self) -> tuple[NDArray[np.float32], ...]:
        """The channels on the grid of the networks, each (h, w, 3); made anew each time."""
        return tuple(zoom_image(pixels[:], self.total_zoom) for pixels in self.channels)

    @cached_property
    def blank(self) -> bool:
        """Whether the image is constant: whatever the networks say of it, there is no object to see."""
        return not any(pixels.any() for pixels in self.channels)

    @cached_property
    def mostly(self) -> Literal["dark", "bright"] | None:
        """Whether next to all of the image is dark or bright after scaling, so that little may be seen of it."""
        # Planes are compared many times as fast as the three numbers of each pixel.
        planes = np.moveaxis(self.picture, -1, 0)
        if np.logical_and.reduce([plane < ALIKE * 255 for plane in planes]).mean() >= NEARLY_ALL:
            return "dark"
        bright = np.logical_and.reduce([plane > (1 - ALIKE) * 255 for plane in planes])
        return "bright" if bright.mean() >= NEARLY_ALL else None

    @cached_property
    def seen(self) -> NDArray[np.uint8]:
        """The zoomed picture, (h, w, 3); the mean of several channels."""
        if self.total_zoom == 1 and not self.stain_normalized:
            return self.picture
        return _picture_of(self.zoomed)

    def at(self, zoom: float) -> "View":
        """Return the same image at another zoom, straight from its own pixels."""
        return replace(self, zoom=zoom, maps=None)


def make_view(image: Image, settings: ImagesConfig, *, zoom: float = 1.0, normalized: bool = False) -> View:
    """Normalize an image and zoom it.

    Parameters
    ----------
    image : ndarray or sequence of ndarray
        See `Image`; any numeric type, any size from one pixel.
    settings : ImagesConfig
        How it is normalized, what becomes of several channels (``combine``), and the ``zoom`` of every image.
    zoom : float
        On top of that.
    normalized : bool
        The image is uint8 and normalized already, as that of a `LabeledImage`: 0 to 255 becomes 0 to 1.

    Raises
    ------
    InputError
        If the image is no array or has another shape, no pixel, or pixels that are no numbers (see
        ``images.non_finite``), if channels do not fit each other or ``images.combine``, or if the zoom is none.
    """
    check_zoom(zoom)
    image = as_pixels(image)
    channels: tuple[Channel, ...]
    if normalized:
        channels = (_as_normalized(image),)
    elif isinstance(image, np.ndarray):
        channels = (scale(image, settings),)
    else:
        channels = tuple(normalize_channels(image, settings))
    # Colors of one image; those of a multichannel image are something else.
    references = settings.stain_references if isinstance(image, np.ndarray) else ()
    matched = normalize_stain(channels[0][:], references) if len(references) else None
    return View(
        picture=_picture_of(channels),
        channels=channels if matched is None else (matched,),
        zoom=zoom,
        base_zoom=settings.zoom,
        stain_normalized=matched is not None,
    )


def _picture_of(channels: Sequence[Channel]) -> NDArray[np.uint8]:
    """Average normalized images, all (H, W, 3), as one picture."""
    only = channels[0] if len(channels) == 1 else None
    if isinstance(only, ScaledImage):
        return only.look_up(to_uint8(only.values))
    return in_color(to_uint8(plane_of(mean_picture([pixels[:] for pixels in channels]))))


def _as_normalized(image: Image) -> ScaledImage:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError("a normalized image is uint8 of shape (H, W, 3); leave normalized=True out for others")
    # Of a gray image that repeats its plane, the plane is enough.
    return ScaledImage(plane_of(image), (np.arange(256) / 255).astype(np.float32))
