"""PNG, JPEG and BMP."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import open_picture, picture_palette, read_plain, refuse_level
from autosam.images.readers.stored import StoredImage


class PictureReader:
    """Reads pictures, each one image."""

    def images(self, path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
        """Tell size and colors from the header."""
        refuse_level(path, level)
        with open_picture(path) as picture:
            columns, rows = picture.size
            palette = picture_palette(picture)
            color = picture.mode[0] not in "1LIF" if palette is None else palette.ndim == 2
        return (StoredImage((rows, columns), channels=3 if color else 1, color=color),)

    def read(
        self, path: Path, dataset: str | None, number: int, *, channel: int | None = None, level: int = 0
    ) -> NDArray[Any]:
        """Read the picture without its transparency."""
        refuse_level(path, level)
        pixels = read_plain(path)
        if pixels.ndim == 3:
            # Two are gray and transparency, four are colors and transparency.
            pixels = pixels[..., 0] if pixels.shape[2] < 3 else pixels[..., :3]
        return pixels if channel is None or pixels.ndim == 2 else np.ascontiguousarray(pixels[..., channel])
