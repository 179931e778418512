"""A normalized image whose floating point numbers are made where they are read."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, eq=False)
class ScaledImage:
    """An image of 8 or 16 bits with the value of each integer: it takes no memory beside the image as read.

    ``image[rows, columns]`` are the values there, as of an array of float32 and of `shape`; gray ones are a
    read-only view that repeats one plane.

    Attributes
    ----------
    stored : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
        The image as read.
    values : ndarray of float32, shape (256,) or (65536,)
        0 to 1, for each integer.
    """

    stored: NDArray[np.uint8] | NDArray[np.uint16]
    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, and 3 channels."""
        return self.stored.shape[0], self.stored.shape[1], 3

    def __getitem__(self, where: Any) -> NDArray[np.float32]:
        """Give the values in rows and columns, (h, w, 3)."""
        return in_color(self.values[self.stored[where]])

    def any(self) -> bool:
        """Tell whether a value is above 0."""
        return bool((self.values > 0)[self.stored].any())

    def look_up(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the whole image by other values of the integers, (H, W, 3)."""
        return in_color(values[self.stored])


def in_color(image: NDArray[_Value]) -> NDArray[_Value]:
    """Give a gray image, (H, W), as a read-only view that repeats its plane, (H, W, 3); an RGB image as it is."""
    return image if image.ndim == 3 else np.broadcast_to(image[:, :, None], (*image.shape, 3))


def plane_of(image: NDArray[_Value]) -> NDArray[_Value]:
    """Give the plane, (H, W), that an image, (H, W, 3), repeats, see `in_color`; any other image as it is."""
    return image[:, :, 0] if image.ndim == 3 and image.strides[2] == 0 else image
