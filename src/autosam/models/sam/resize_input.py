"""Images as SAM gets them: with the longest side at the size that it was trained with."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def input_shape(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Rows and columns of an image whose longest side becomes `side`; halves are rounded up.

    Examples
    --------
    >>> input_shape((100, 300), 1024)
    (341, 1024)
    """
    scale = side / max(shape)
    return int(shape[0] * scale + 0.5), int(shape[1] * scale + 0.5)


def resize_longest_side(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image as ``segment_anything``'s ``ResizeLongestSide.apply_image``, bit for bit.

    That is PIL's bilinear filter, which averages where it shrinks. Theirs needs torchvision, which takes longer to
    import than a small image to segment.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        RGB, any size from one pixel.
    side : int
        Length of the longest side, in pixels.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
    """
    rows, columns = input_shape((image.shape[0], image.shape[1]), side)
    # A strip can be so thin that nothing is left of it; theirs fails there.
    size = (max(columns, 1), max(rows, 1))
    return np.array(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BILINEAR))
